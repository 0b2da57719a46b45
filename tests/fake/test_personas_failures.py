"""Failures of Microsoft's personas, and faults of a broker that is not ready (PROTOCOL.md, "Errors")."""

from __future__ import annotations

import asyncio
import json

import pytest

from linuxbroker.wire.models import tag_name
from linuxbroker_fake import FakeConfig, RunningFake
from tests.constants import CLIENT_ID
from tests.fake.asking import (
    CORRELATION_ID,
    CPP,
    FAILED,
    GRAPH,
    HIMMELBLAU,
    JAVA,
    MICROSOFT,
    NEW_HIMMELBLAU,
    NEWEST,
    OLD_HIMMELBLAU,
    Asker,
    error,
    parameters,
    response,
)

each_of_microsofts = pytest.mark.parametrize("persona", MICROSOFT)
each_in_cpp = pytest.mark.parametrize("persona", [CPP, NEWEST])
each_himmelblau = pytest.mark.parametrize("persona", HIMMELBLAU)
java = pytest.mark.parametrize("persona", [JAVA])
newest = pytest.mark.parametrize("persona", [NEWEST])
old_himmelblau = pytest.mark.parametrize("persona", [OLD_HIMMELBLAU])
new_himmelblau = pytest.mark.parametrize("persona", [NEW_HIMMELBLAU])


@pytest.fixture
def fake_broker_config(persona: str) -> FakeConfig:
    return FakeConfig.model_validate({"persona": persona})


# Microsoft's: Entra refuses


@java
async def test_the_java_broker_passes_on_the_error_of_entra(ask: Asker, fake_broker: RunningFake) -> None:
    account = await ask.account()
    fake_broker.plant("mfa_expired", method="acquireTokenSilently")
    reply = await ask.silently(account)
    assert set(reply["brokerTokenResponse"]) == {"accessTokenType", "error", "expiresOn", "extendedExpiresOn"}
    assert error(reply).pop("context").startswith("AADSTS50078: ")
    assert error(reply) == {
        "diagnostics": {
            "raw_error_code": "invalid_grant",
            "exception_type": "com.microsoft.identity.common.exception.UiRequiredException",
            "oauth2_sub_error_code": "basic_action",
        },
        "errorCode": 0,
        "status": 2,
        "subStatus": 0,
        "tag": 0,
    }
    assert set(reply["telemetry"]) == {
        "broker_version",
        "ui_visible",
        "os_version",
        "http_event_count",
        "correlation_id",
        "error_location",
    }


ENTRA = (
    f"Recieved an error from AAD. Code: '{{}}' description: '(pii)' correlation id: '{CORRELATION_ID}' suberror: '{{}}'"
)


@each_in_cpp
@pytest.mark.parametrize(
    ("fault", "status", "code", "suberror"),
    [
        ("mfa_expired", 2, "invalid_grant", "basic_action"),
        ("silent_refused", 2, "interaction_required", "token_expired"),
        ("consent_missing", 2, "invalid_grant", "consent_required"),
        ("wrong_password", 2, "invalid_grant", ""),
        ("redirect_uri_unknown", 9, "invalid_request", ""),
        ("client_secret_required", 9, "invalid_client", ""),
    ],
)
async def test_the_cpp_brokers_hide_the_error_of_entra_that_a_fault_gives(
    ask: Asker, fake_broker: RunningFake, persona: str, fault: str, status: int, code: str, suberror: str
) -> None:
    account = await ask.account()
    fake_broker.plant(fault, method="acquireTokenSilently")
    reply = await ask.silently(account)
    assert error(reply)["context"] == ENTRA.format(code, suberror)
    assert "AADSTS" not in json.dumps(reply)
    assert error(reply)["status"] == status
    assert error(reply)["tag"] == {CPP: 595719680, NEWEST: 593819521}[persona]


@each_in_cpp
async def test_the_cpp_brokers_hide_an_error_of_the_fake_entra(ask: Asker) -> None:
    reply = await ask.silently(await ask.account(), requestedScopes=[f"{GRAPH}/a", "https://other.example/b"])
    assert error(reply)["context"] == ENTRA.format("invalid_request", "")


TELEMETRY_OF_2_5_2 = {
    "aad_request_sequence",
    "all_error_tags",
    "api_error_code",
    "api_error_context",
    "api_error_tag",
    "api_name",
    "api_status_code",
    "auth_flow",
    "auth_flow_last_error",
    "authority_type",
    "broker_app_used",
    "broker_broker_version",
    "broker_correlation_id",
    "broker_version",
    "client_id",
    "correlation_id",
    "ef",
}


@pytest.mark.parametrize("persona", [CPP])
async def test_a_failure_of_2_5_2_has_its_keys_and_telemetry(ask: Asker, fake_broker: RunningFake) -> None:
    account = await ask.account()
    fake_broker.plant("mfa_expired", method="acquireTokenSilently")
    reply = await ask.silently(account)
    assert set(reply["brokerTokenResponse"]) == {"error", "subError"}
    assert reply["brokerTokenResponse"]["subError"] == ""
    assert set(error(reply)) == {"context", "diagnostics", "errorCode", "status", "subStatus", "tag"}
    assert error(reply)["diagnostics"] is None
    telemetry = reply["telemetry"]
    assert {key: type(value) for key, value in telemetry.items()} == dict.fromkeys(telemetry, str)
    assert set(telemetry) == TELEMETRY_OF_2_5_2
    assert telemetry["broker_broker_version"] == "2.5.2|2.5.2|2.5.2"
    assert telemetry["all_error_tags"] == telemetry["api_error_tag"] == tag_name(595719680) == "965ya"
    assert telemetry["api_status_code"] == "StatusInternal::InteractionRequired"
    assert (telemetry["api_name"], telemetry["client_id"]) == ("acquireTokenSilently", CLIENT_ID)
    assert isinstance(json.loads(telemetry["ef"]), dict)


@newest
async def test_a_failure_of_3_0_has_its_keys(ask: Asker, fake_broker: RunningFake) -> None:
    account = await ask.account()
    fake_broker.plant("mfa_expired", method="acquireTokenSilently")
    reply = await ask.silently(account)
    assert set(reply) == {"brokerTokenResponse"}
    assert set(reply["brokerTokenResponse"]) == {"error"}
    assert set(error(reply)) == {"context", "errorCode", "status", "subStatus", "tag"}


@newest
async def test_fault_scopes_refused_has_the_status_and_text_of_3_0(ask: Asker, fake_broker: RunningFake) -> None:
    account = await ask.account()
    fake_broker.plant("scopes_refused", method="acquireTokenSilently")
    failure = error(await ask.silently(account, requestedScopes=["Files.ReadWrite"]))
    assert (failure["status"], failure["context"]) == (
        6,
        "Token response failed because declined scopes are present",
    )


@each_of_microsofts
async def test_fault_status_is_answered_with_its_own_fields(ask: Asker, fake_broker: RunningFake, persona: str) -> None:
    account = await ask.account()
    fake_broker.plant("status", status=13, context="Text.", tag=7, error_code=8, sub_status=9, sub_error="why")
    reply = await ask.silently(account)
    got = {key: value for key, value in error(reply).items() if key != "diagnostics"}
    assert got == {"context": "Text.", "errorCode": 8, "status": 13, "subStatus": 9, "tag": 7}
    assert reply["brokerTokenResponse"]["subError"] == "why"
    assert error(await ask("getAccounts", {}))["status"] == 13


@each_of_microsofts
async def test_the_java_broker_writes_the_error_of_cancel_under_a_capital_key(
    ask: Asker, fake_broker: RunningFake, persona: str
) -> None:
    fake_broker.plant("no_network")
    reply = await ask("cancelInteractiveFlow", {})
    assert set(reply) == {"Error" if persona == JAVA else "error"}


# Microsoft's: what is refused


@each_of_microsofts
@pytest.mark.parametrize(
    ("method", "given", "refused_by"),
    [
        ("acquireTokenSilently", 1, []),
        ("acquireTokenSilently", 8, [CPP, NEWEST]),
        ("acquireTokenSilently", 6, [CPP, NEWEST]),
        ("acquireTokenSilently", "1", [CPP, NEWEST]),
        ("acquireTokenInteractively", 6, []),
        ("acquireTokenInteractively", 1, [CPP]),
        ("acquireTokenInteractively", 8, [CPP, NEWEST]),
        ("acquirePrtSsoCookie", 8, []),
        ("acquirePrtSsoCookie", 1, [CPP, NEWEST]),
    ],
)
async def test_the_cpp_brokers_check_authorization_type(
    ask: Asker, persona: str, method: str, given: object, refused_by: list[str]
) -> None:
    account = await ask.account()
    url = "https://login.microsoftonline.com/"
    asked = parameters(account, authorizationType=given, ssoUrl=url)
    reply = await ask(method, {"account": account, "authParameters": asked, "ssoUrl": url})
    if persona in refused_by:
        assert error(reply)["status"] == 6
        assert "authorizationType" in error(reply)["context"]
    else:
        assert "error" not in reply.get("brokerTokenResponse", reply)


@each_of_microsofts
async def test_the_cpp_brokers_require_sso_url_in_auth_parameters(ask: Asker, persona: str) -> None:
    account = await ask.account()
    asked = parameters(account, authorizationType=8)
    reply = await ask("acquirePrtSsoCookie", {"account": account, "authParameters": asked, "ssoUrl": "https://x/"})
    assert ("error" in reply) == (persona != JAVA)
    if persona != JAVA:
        assert (error(reply)["status"], error(reply)["context"]) == (6, "The request lacks ssoUrl.")


@each_of_microsofts
async def test_an_unknown_account_is_account_not_found(ask: Asker) -> None:
    stranger = {**await ask.account(), "homeAccountId": "00000000-0000-0000-0000-00000000dead.x"}
    assert error(await ask.silently(stranger))["status"] == 19


@each_of_microsofts
async def test_microsofts_brokers_reject_an_unknown_tenant_and_malformed_claims(ask: Asker) -> None:
    elsewhere = "https://login.microsoftonline.com/no-such-tenant"
    assert error(await ask.silently(await ask.account(), authority=elsewhere))["status"] == 9
    assert error(await ask.silently(await ask.account(), decodedClaims="{"))["status"] == 9


# A broker, or an object, that is not there yet


@pytest.mark.parametrize(
    ("persona", "text"),
    [
        (OLD_HIMMELBLAU, "No such file or directory (os error 2)"),
        (NEW_HIMMELBLAU, "broker socket connect: No such file or directory (os error 2)"),
    ],
)
async def test_fault_starting_is_answered_with_the_text_of_each_himmelblau_release(
    ask: Asker, fake_broker: RunningFake, text: str
) -> None:
    fake_broker.plant("starting", times=1)
    assert await ask("getAccounts", {"clientId": CLIENT_ID}) == (FAILED, text)
    assert await ask.account()


@pytest.mark.parametrize("persona", [*MICROSOFT, *HIMMELBLAU])
async def test_fault_object_missing_is_answered_with_the_error_name_of_each_broker(
    ask: Asker, fake_broker: RunningFake, persona: str
) -> None:
    fake_broker.plant("object_missing", times=2)
    standard, of_java = "org.freedesktop.DBus.Error.UnknownObject", "org.freedesktop.dbus.errors.UnknownObject"
    for _ in range(2):
        name, _text = await ask("getAccounts", {"clientId": CLIENT_ID})
        assert name == (of_java if persona == JAVA else standard)
    assert await ask.account()
    fake_broker.plant("object_missing", times=1, name=of_java)
    assert (await ask("getAccounts", {"clientId": CLIENT_ID}))[0] == of_java


# A locked keyring, and a reply that is never delivered


@each_of_microsofts
async def test_fault_keyring_locked_hides_accounts_and_crashes_on_tokens(ask: Asker, fake_broker: RunningFake) -> None:
    account = await ask.account()
    fake_broker.plant("keyring_locked")
    assert await ask("getAccounts", {"clientId": CLIENT_ID}) == {"accounts": []}
    assert "linuxBrokerVersion" in await ask("getLinuxBrokerVersion", {})
    assert (await ask.silently(account))[0] == "org.freedesktop.DBus.Error.NoReply"


@each_himmelblau
async def test_fault_keyring_locked_does_not_affect_himmelblau(ask: Asker, fake_broker: RunningFake) -> None:
    fake_broker.plant("keyring_locked")
    assert response(await ask.silently(await ask.account()))


@pytest.mark.parametrize("persona", [NEWEST, NEW_HIMMELBLAU])
async def test_fault_full_block_makes_a_reply_of_whole_blocks(ask: Asker, fake_broker: RunningFake) -> None:
    fake_broker.plant("full_block", method="getAccounts")
    text = await ask.text("getAccounts", {"clientId": CLIENT_ID})
    assert len(text) % 1024 == 0 and json.loads(str(text))["accounts"]


@old_himmelblau
async def test_fault_full_block_blocks_himmelblau_3_1(ask: Asker, fake_broker: RunningFake) -> None:
    fake_broker.plant("full_block", method="getAccounts")
    calls = [asyncio.ensure_future(ask("getAccounts", ""))]
    await fake_broker.called("getAccounts")
    calls.append(asyncio.ensure_future(ask("getLinuxBrokerVersion", "")))
    calls.append(asyncio.ensure_future(ask.raw("org.freedesktop.DBus.Peer", "Ping")))
    await fake_broker.called("Ping")
    done, waiting = await asyncio.wait(calls, timeout=0.2)
    assert not done
    for call in waiting:
        call.cancel()


@each_of_microsofts
@pytest.mark.parametrize("request_text", ["{}", '{"error": {"status": 7}}'])
async def test_3_0_crashes_on_an_empty_cancel_request(ask: Asker, persona: str, request_text: str) -> None:
    reply = await ask("cancelInteractiveFlow", request_text)
    if persona == NEWEST and request_text == "{}":
        assert reply[0] == "org.freedesktop.DBus.Error.NoReply"
    else:
        assert reply == {}


@each_of_microsofts
@pytest.mark.parametrize("fault", ["no_network", "device_not_registered"])
async def test_failures_that_are_not_from_entra_have_tag_0(ask: Asker, fake_broker: RunningFake, fault: str) -> None:
    account = await ask.account()
    fake_broker.plant(fault, method="acquireTokenSilently")
    assert error(await ask.silently(account))["tag"] == 0
