"""What differs between the personas: names, bus, accounts, tokens, cookies (PROTOCOL.md, "Brokers in the field")."""

from __future__ import annotations

import base64
import json
import time
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from dbus_next import MessageType
from pydantic import ValidationError

from linuxbroker.resources import interface_xml
from linuxbroker_fake import FakeConfig, PersonaName, RunningFake
from linuxbroker_fake.cli import main as fake_command
from tests.constants import CLIENT_ID
from tests.fake.asking import (
    CPP,
    HIMMELBLAU,
    INTERFACE,
    JAVA,
    MICROSOFT,
    NEW_HIMMELBLAU,
    NEWEST,
    OLD_HIMMELBLAU,
    PATH,
    UNKNOWN_METHOD,
    Asker,
    parameters,
    response,
)

EVERYONE = [*MICROSOFT, *HIMMELBLAU]
each_broker = pytest.mark.parametrize("persona", EVERYONE)
each_of_microsofts = pytest.mark.parametrize("persona", MICROSOFT)
each_himmelblau = pytest.mark.parametrize("persona", HIMMELBLAU)


@pytest.fixture
def fake_broker_config(persona: str) -> FakeConfig:
    return FakeConfig.model_validate({"persona": persona})


# Names


def test_persona_himmelblau_is_its_newest_release() -> None:
    assert PersonaName("himmelblau") is PersonaName.HIMMELBLAU_3_1
    assert PersonaName.HIMMELBLAU.value == "himmelblau-3.1"
    assert FakeConfig.model_validate({"persona": "himmelblau"}).persona is PersonaName.HIMMELBLAU_3_1
    assert FakeConfig.model_validate_json('{"persona": "himmelblau"}').persona.value == "himmelblau-3.1"
    assert fake_command(["exec", "--persona", "himmelblau", "--", "true"]) == 0


@pytest.mark.parametrize("name", ["himmelblau-2", "Himmelblau", "microsoft", ""])
def test_an_unknown_persona_name_is_rejected(name: str) -> None:
    with pytest.raises(ValidationError):
        FakeConfig.model_validate({"persona": name})


@pytest.mark.parametrize(
    ("persona", "version"),
    [
        (JAVA, "2.0.1"),
        (CPP, "2.5.2"),
        (NEWEST, "3.0.2"),
        (OLD_HIMMELBLAU, "3.1.12"),
        (NEW_HIMMELBLAU, "4.0.0"),
        ("himmelblau", "3.1.12"),
    ],
)
@pytest.mark.parametrize("request_text", ["{}", '{"clientId": "c"}', '{"msalCppVersion": "1"}'])
async def test_each_persona_reports_its_version(ask: Asker, version: str, request_text: str) -> None:
    assert await ask("getLinuxBrokerVersion", request_text) == {"linuxBrokerVersion": version}


# The bus


@pytest.mark.parametrize("persona", [JAVA])
async def test_introspecting_the_java_broker_returns_the_interface(ask: Asker) -> None:
    reply = await ask.raw("org.freedesktop.DBus.Introspectable", "Introspect")
    assert reply.body == [interface_xml()]


@pytest.mark.parametrize("persona", [CPP, NEWEST])
async def test_introspecting_the_cpp_brokers_returns_an_empty_node(ask: Asker) -> None:
    reply = await ask.raw("org.freedesktop.DBus.Introspectable", "Introspect")
    assert reply.message_type is MessageType.METHOD_RETURN
    node = ElementTree.fromstring(reply.body[0].partition('dtd">')[2])
    assert (node.tag, list(node)) == ("node", [])


@each_himmelblau
async def test_introspecting_himmelblau_returns_the_objects_of_its_dbus_library(ask: Asker, persona: str) -> None:
    async def children(path: str) -> list[str]:
        reply = await ask.raw("org.freedesktop.DBus.Introspectable", "Introspect", path=path)
        node = ElementTree.fromstring(reply.body[0].partition('dtd">')[2])
        assert node.get("name") == path
        return [str(child.get("name")) for child in node]

    peers = ["org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Peer"]
    assert await children(PATH) == [INTERFACE, *peers]
    log_control = ["org/freedesktop/LogControl1"] if persona == NEW_HIMMELBLAU else []
    assert await children("/") == [peers[0], PATH[1:], *log_control]
    if log_control:
        assert (await children("/org/freedesktop/LogControl1"))[-1] == "org.freedesktop.LogControl1"


@each_himmelblau
async def test_get_all_is_an_error_from_himmelblau(ask: Asker) -> None:
    reply = await ask.raw("org.freedesktop.DBus.Properties", "GetAll", "s", INTERFACE)
    assert (reply.error_name, reply.body) == (UNKNOWN_METHOD, ["Path, Interface, or Method does not exist"])


@each_of_microsofts
async def test_get_all_is_empty_from_microsofts_brokers(ask: Asker) -> None:
    reply = await ask.raw("org.freedesktop.DBus.Properties", "GetAll", "s", INTERFACE)
    assert (reply.signature, reply.body) == ("a{sv}", [{}])


@each_broker
async def test_every_persona_answers_ping(ask: Asker) -> None:
    assert (await ask.raw("org.freedesktop.DBus.Peer", "Ping")).message_type is MessageType.METHOD_RETURN


@each_broker
async def test_any_protocol_version_and_correlation_id_is_accepted(ask: Asker) -> None:
    request = json.dumps({"clientId": CLIENT_ID})
    for version, correlation_id in (("1.0", ""), ("0.0", "free text"), ("", "É")):
        reply = await ask.raw(INTERFACE, "getAccounts", "sss", version, correlation_id, request)
        assert json.loads(reply.body[0])["accounts"]


@each_of_microsofts
@pytest.mark.parametrize(("member", "arguments"), [("getAccounts", ["{}"]), ("getAccounts", ["0.0", "c", "{}", "x"])])
async def test_microsofts_brokers_answer_a_wrong_signature_with_invalid_args(
    ask: Asker, member: str, arguments: list[str]
) -> None:
    reply = await ask.raw(INTERFACE, member, "s" * len(arguments), *arguments)
    assert reply.error_name == "org.freedesktop.DBus.Error.InvalidArgs"


@each_himmelblau
async def test_himmelblau_ignores_arguments_after_the_third(ask: Asker) -> None:
    assert (await ask.raw(INTERFACE, "getAccounts", "ssss", "0.0", "c", "", "x")).message_type is not MessageType.ERROR
    reply = await ask.raw(INTERFACE, "getAccounts", "ssu", "0.0", "c", 3)
    assert reply.error_name == "org.freedesktop.DBus.Error.Failed"
    assert reply.body == ["D-Bus argument type mismatch at position 2: expected String, found u32"]


# Accounts


@each_broker
@pytest.mark.parametrize(
    "request_text", ['{"clientId": "c"}', "{}", '{"clientId": "c", "environment": "login.windows.net"}']
)
async def test_get_accounts_accepts_requests_with_few_keys(ask: Asker, request_text: str) -> None:
    assert (await ask("getAccounts", request_text))["accounts"][0]["username"] == "ada@contoso.example"


@each_of_microsofts
async def test_microsofts_brokers_list_all_accounts(ask: Asker) -> None:
    accounts = (await ask("getAccounts", {"clientId": CLIENT_ID}))["accounts"]
    assert len(accounts) == 3
    assert set(accounts[0]) == {
        "homeAccountId",
        "localAccountId",
        "environment",
        "realm",
        "username",
        "name",
        "givenName",
        "familyName",
        "clientInfo",
        "passwordExpiry",
    }


@each_himmelblau
async def test_himmelblau_lists_only_the_callers_account(ask: Asker) -> None:
    assert await ask("getAccounts", "") == {
        "accounts": [
            {
                "environment": "login.windows.net",
                "givenName": "Ada Lovelace",
                "homeAccountId": "00000000-0000-0000-0000-0000000000a1.00000000-0000-0000-0000-0000000000f1",
                "localAccountId": "00000000-0000-0000-0000-0000000000a1",
                "name": "Ada Lovelace",
                "passwordExpiry": 0,
                "realm": "00000000-0000-0000-0000-0000000000f1",
                "username": "ada@contoso.example",
            }
        ]
    }


@each_himmelblau
async def test_fault_tenant_unknown_makes_himmelblau_list_no_tenant_id(ask: Asker, fake_broker: RunningFake) -> None:
    fake_broker.plant("tenant_unknown")
    account = await ask.account()
    assert (account["realm"], account["homeAccountId"]) == ("", "00000000-0000-0000-0000-0000000000a1.")
    assert response(await ask.silently(account))


@each_of_microsofts
async def test_microsofts_brokers_find_an_account_by_one_key(ask: Asker) -> None:
    for few in ({"username": "ADA@contoso.example"}, {"homeAccountId": (await ask.account())["homeAccountId"]}):
        assert response(await ask.silently(few))


@each_broker
async def test_an_account_at_the_root_of_the_request_is_accepted(ask: Asker) -> None:
    account = await ask.account()
    for asked in (parameters(None), {key: value for key, value in parameters(None).items() if key != "account"}):
        assert response(await ask("acquireTokenSilently", {"account": account, "authParameters": asked}))
    request = {"account": None, "authParameters": parameters(account)}
    assert response(await ask("acquireTokenSilently", request))


# Tokens

TOKEN_KEYS = {
    "accessToken",
    "accessTokenType",
    "clientInfo",
    "expiresOn",
    "extendedExpiresOn",
    "grantedScopes",
    "idToken",
}


@each_broker
async def test_a_token_reply_has_the_keys_of_its_persona(ask: Asker, persona: str) -> None:
    more = {JAVA: {"account"}, CPP: {"account"}, NEWEST: {"refreshToken"}}
    reply = await ask.silently(await ask.account())
    assert set(response(reply)) == TOKEN_KEYS | more.get(persona, set())
    assert response(reply).get("refreshToken", "") == ""
    assert set(reply) == {"brokerTokenResponse"} | ({"telemetry"} if persona in MICROSOFT else set())


def _expiry(token: str) -> int:
    payload = token.split(".")[1]
    return int(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"])


@each_broker
async def test_expiry_times_are_written_as_by_each_broker(ask: Asker, persona: str) -> None:
    token = response(await ask.silently(await ask.account()))
    expiry = _expiry(token["accessToken"])
    if persona == OLD_HIMMELBLAU:  # milliseconds and seconds, added
        assert abs(token["expiresOn"] - (time.time() * 1000 + 3600)) < 60_000
    else:
        assert token["expiresOn"] == expiry * 1000
    assert token["extendedExpiresOn"] == expiry * (1 if persona in HIMMELBLAU else 1000)


@pytest.mark.parametrize("persona", MICROSOFT)
@pytest.mark.parametrize("more", [{"uriHost": "graph.microsoft.com"}, {"authenticationScheme": "pop", "kid": "k"}])
async def test_microsofts_brokers_return_proof_of_possession_tokens(ask: Asker, more: dict[str, Any]) -> None:
    token = response(await ask.silently(await ask.account(), popParams={"httpMethod": "GET", "uriPath": "/", **more}))
    assert token["accessTokenType"] == 1


@each_broker
async def test_pop_params_with_scheme_bearer_give_a_bearer_token(ask: Asker) -> None:
    pop = {"authenticationScheme": "bearer", "uriHost": "", "uriPath": ""}
    assert response(await ask.silently(await ask.account(), popParams=pop))["accessTokenType"] == 0


# Cookies


@pytest.mark.parametrize("persona", [JAVA])
async def test_the_java_broker_returns_one_flat_cookie(ask: Asker) -> None:
    account = await ask.account()
    reply = await ask.cookie(account)
    assert reply.pop("cookieContent")
    assert reply == {
        "account": {key: value for key, value in account.items() if key != "familyName"},
        "cookieName": "x-ms-RefreshTokenCredential",
        "telemetry": {"dbus_method_name": "acquirePrtSsoCookie"},
    }


@pytest.mark.parametrize("persona", [CPP, NEWEST])
async def test_the_cpp_brokers_return_a_list_of_cookies(ask: Asker) -> None:
    account = await ask.account()
    reply = await ask.cookie(account)
    assert list(reply) == ["account", "cookieItems", "telemetry"]
    assert reply["account"] == {**account, "environment": "login.microsoftonline.com"}
    assert [item["cookieName"] for item in reply["cookieItems"]] == [
        "x-ms-RefreshTokenCredential",
        "x-ms-DeviceCredential",
    ]


@each_himmelblau
async def test_himmelblau_returns_one_flat_cookie_with_an_account_of_five_keys(ask: Asker) -> None:
    account = await ask.account()
    reply = await ask.cookie(account)
    assert reply.pop("cookieContent")
    assert reply == {
        "account": {
            "environment": "login.microsoftonline.com",
            **{key: account[key] for key in ("homeAccountId", "localAccountId", "realm", "username")},
        },
        "cookieName": "x-ms-RefreshTokenCredential",
    }


# Requests of other clients


@each_broker
async def test_keys_that_other_clients_add_are_ignored(ask: Asker) -> None:
    more = {
        "requestOptions": [205, 202],
        "additionalQueryParametersForAuthorization": {"mkt": "de-DE"},
        "parentWindow": {"exportedHandle": "wayland:x"},
    }
    assert response(await ask.silently(await ask.account(), **more))


@each_of_microsofts
async def test_an_interactive_request_with_four_keys_is_accepted(ask: Asker) -> None:
    few = ("clientId", "redirectUri", "authority", "requestedScopes")
    sparse = {key: value for key, value in parameters(None).items() if key in few}
    assert response(await ask("acquireTokenInteractively", {"authParameters": sparse}))


@each_of_microsofts
@pytest.mark.parametrize("request_text", ["", "[]", "not json"])
async def test_a_malformed_request_is_answered_with_an_error_object(ask: Asker, request_text: str) -> None:
    assert (await ask("getAccounts", request_text))["error"]["status"] == 6


@each_of_microsofts
@pytest.mark.parametrize("method", ["removeAccount", "generateSignedHttpRequest", "cancelInteractiveFlow"])
async def test_microsofts_brokers_implement_every_method(ask: Asker, method: str) -> None:
    account = await ask.account()
    pop = {"uriHost": "graph.microsoft.com", "uriPath": "/", "httpMethod": "GET"}
    pop["homeAccountId"] = account["homeAccountId"]
    reply = await ask(method, {"clientId": CLIENT_ID, "account": account, "popParams": pop})
    assert isinstance(reply, dict) and not {"error", "Error"} & set(reply)


@each_broker
@pytest.mark.parametrize("method", ["acquireTokenSilently", "acquireTokenInteractively"])
async def test_a_request_without_scopes_is_granted_openid_and_profile(ask: Asker, method: str) -> None:
    kind = 1 if method == "acquireTokenSilently" else 6
    asked = parameters(await ask.account(), requestedScopes=[], authorizationType=kind)
    assert response(await ask(method, {"authParameters": asked}))["grantedScopes"] == "openid profile"
