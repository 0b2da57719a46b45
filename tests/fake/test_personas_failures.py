"""The rows of brokers.md on failures of Microsoft's brokers, and on brokers that are not ready or can't work."""

from __future__ import annotations

import asyncio
import json

import pytest

from linuxbroker.models import tag_name
from linuxbroker_fake import FakeConfig, RunningFake
from tests.fake.asking import (
    CLIENT_ID,
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
async def test_the_java_broker_quotes_entra(ask: Asker, fake_broker: RunningFake) -> None:
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
        ("client_secret_wanted", 9, "invalid_client", ""),
    ],
)
async def test_the_brokers_in_cpp_hide_what_entra_says(
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
async def test_entras_own_refusals_are_hidden_too(ask: Asker) -> None:
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
async def test_the_keys_of_a_failure_of_2_5_2(ask: Asker, fake_broker: RunningFake) -> None:
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
async def test_the_keys_of_a_failure_of_3_0(ask: Asker, fake_broker: RunningFake) -> None:
    account = await ask.account()
    fake_broker.plant("mfa_expired", method="acquireTokenSilently")
    reply = await ask.silently(account)
    assert set(reply) == {"brokerTokenResponse"}
    assert set(reply["brokerTokenResponse"]) == {"error"}
    assert set(error(reply)) == {"context", "errorCode", "status", "subStatus", "tag"}


@newest
async def test_3_0_refuses_scopes_by_itself(ask: Asker, fake_broker: RunningFake) -> None:
    account = await ask.account()
    fake_broker.plant("scopes_refused", method="acquireTokenSilently")
    failure = error(await ask.silently(account, requestedScopes=["Files.ReadWrite"]))
    assert (failure["status"], failure["context"]) == (
        6,
        "Token response failed because declined scopes are present",
    )


@each_of_microsofts
async def test_a_planted_failure_is_told_as_it_is(ask: Asker, fake_broker: RunningFake, persona: str) -> None:
    account = await ask.account()
    fake_broker.plant("status", status=13, context="Text.", tag=7, error_code=8, sub_status=9, sub_error="why")
    reply = await ask.silently(account)
    got = {key: value for key, value in error(reply).items() if key != "diagnostics"}
    assert got == {"context": "Text.", "errorCode": 8, "status": 13, "subStatus": 9, "tag": 7}
    assert reply["brokerTokenResponse"]["subError"] == "why"
    assert error(await ask("getAccounts", {}))["status"] == 13


@each_of_microsofts
async def test_the_key_of_an_error_of_cancel(ask: Asker, fake_broker: RunningFake, persona: str) -> None:
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
async def test_the_type_must_fit_the_method(
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
async def test_a_cookie_needs_the_url_in_the_parameters(ask: Asker, persona: str) -> None:
    account = await ask.account()
    asked = parameters(account, authorizationType=8)
    reply = await ask("acquirePrtSsoCookie", {"account": account, "authParameters": asked, "ssoUrl": "https://x/"})
    assert ("error" in reply) == (persona != JAVA)
    if persona != JAVA:
        assert (error(reply)["status"], error(reply)["context"]) == (6, "The request lacks ssoUrl.")


@each_of_microsofts
async def test_the_account_of_another_user(ask: Asker) -> None:
    stranger = {**await ask.account(), "homeAccountId": "00000000-0000-0000-0000-00000000dead.x"}
    assert error(await ask.silently(stranger))["status"] == 19


@each_of_microsofts
async def test_microsofts_brokers_heed_the_authority_and_the_claims(ask: Asker) -> None:
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
async def test_a_daemon_that_is_starting(ask: Asker, fake_broker: RunningFake, text: str) -> None:
    fake_broker.plant("starting", times=1)
    assert await ask("getAccounts", {"clientId": CLIENT_ID}) == (FAILED, text)
    assert await ask.account()


@pytest.mark.parametrize("persona", [*MICROSOFT, *HIMMELBLAU])
async def test_an_object_that_comes_later_than_its_name(ask: Asker, fake_broker: RunningFake, persona: str) -> None:
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
async def test_a_locked_keyring(ask: Asker, fake_broker: RunningFake) -> None:
    account = await ask.account()
    fake_broker.plant("keyring_locked")
    assert await ask("getAccounts", {"clientId": CLIENT_ID}) == {"accounts": []}
    assert "linuxBrokerVersion" in await ask("getLinuxBrokerVersion", {})
    assert (await ask.silently(account))[0] == "org.freedesktop.DBus.Error.NoReply"


@each_himmelblau
async def test_himmelblau_has_no_keyring(ask: Asker, fake_broker: RunningFake) -> None:
    fake_broker.plant("keyring_locked")
    assert response(await ask.silently(await ask.account()))


@pytest.mark.parametrize("persona", [NEWEST, NEW_HIMMELBLAU])
async def test_a_reply_of_full_blocks_is_delivered(ask: Asker, fake_broker: RunningFake) -> None:
    fake_broker.plant("full_block", method="getAccounts")
    text = await ask.text("getAccounts", {"clientId": CLIENT_ID})
    assert len(text) % 1024 == 0 and json.loads(str(text))["accounts"]


@old_himmelblau
async def test_a_reply_of_full_blocks_silences_himmelblau_3_1(ask: Asker, fake_broker: RunningFake) -> None:
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
async def test_an_empty_cancel_takes_3_0_off_the_bus(ask: Asker, persona: str, request_text: str) -> None:
    reply = await ask("cancelInteractiveFlow", request_text)
    if persona == NEWEST and request_text == "{}":
        assert reply[0] == "org.freedesktop.DBus.Error.NoReply"
    else:
        assert reply == {}


@each_of_microsofts
@pytest.mark.parametrize("fault", ["no_network", "device_not_registered"])
async def test_only_failures_at_entra_have_the_tag_of_entra(ask: Asker, fake_broker: RunningFake, fault: str) -> None:
    account = await ask.account()
    fake_broker.plant(fault, method="acquireTokenSilently")
    assert error(await ask.silently(account))["tag"] == 0
