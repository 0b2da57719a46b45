"""Does each persona of the fake differ from the others just as the table "Brokers in the field" says?

The fake is asked with plain dbus-next here: a client that is not ours.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from dbus_next import Message, MessageType
from dbus_next.aio import MessageBus

from linuxbroker_fake import FakeConfig, RunningFake

NAME = "com.microsoft.identity.broker1"
PATH = "/com/microsoft/identity/broker1"
CLIENT_ID = "11111111-2222-4333-8444-555555555555"
REDIRECT = "https://login.microsoftonline.com/common/oauth2/nativeclient"
JAVA, CPP, HIMMELBLAU = "microsoft-2.0.1", "microsoft-2.5.2", "himmelblau"

each_broker = pytest.mark.parametrize("persona", [JAVA, CPP, HIMMELBLAU])


@pytest.fixture
def fake_broker_config(persona: str) -> FakeConfig:
    return FakeConfig.model_validate({"persona": persona})


@pytest.fixture
async def bus(fake_broker: RunningFake) -> AsyncIterator[MessageBus]:
    connected = await MessageBus(bus_address=fake_broker.address).connect()
    yield connected
    connected.disconnect()
    await connected.wait_for_disconnect()
    connected._sock.close()
    connected._stream.close()


async def _raw(bus: MessageBus, interface: str, member: str, signature: str = "", *body: Any) -> Message:
    call = Message(NAME, PATH, interface, member, signature=signature, body=list(body))
    reply = await bus.call(call)
    assert reply is not None
    return reply


async def _call(bus: MessageBus, member: str, request: object) -> Any:
    """A broker method's reply, decoded; a D-Bus error as a pair of its name and text."""
    text = json.dumps(request)
    reply = await _raw(bus, "com.microsoft.identity.Broker1", member, "sss", "0.0", "c", text)
    if reply.message_type is MessageType.ERROR:
        return reply.error_name, reply.body[0]
    return json.loads(reply.body[0])


async def _account(bus: MessageBus) -> Any:
    reply = await _call(bus, "getAccounts", {"clientId": CLIENT_ID, "redirectUri": REDIRECT})
    return reply["accounts"][0]


def _parameters(account: Any, **more: Any) -> dict[str, Any]:
    return {
        "account": account,
        "authority": "https://login.microsoftonline.com/common",
        "authorizationType": 1,
        "clientId": CLIENT_ID,
        "redirectUri": REDIRECT,
        "requestedScopes": ["https://graph.microsoft.com/.default"],
        **more,
    }


@each_broker
async def test_introspection(bus: MessageBus, persona: str) -> None:
    reply = await _raw(bus, "org.freedesktop.DBus.Introspectable", "Introspect")
    if persona == CPP:
        assert reply.message_type is MessageType.ERROR
        assert reply.body[0].startswith("No such interface")
    else:
        assert 'interface name="com.microsoft.identity.Broker1"' in reply.body[0]


@each_broker
async def test_ping_and_properties_are_answered(bus: MessageBus) -> None:
    assert (await _raw(bus, "org.freedesktop.DBus.Peer", "Ping")).message_type is MessageType.METHOD_RETURN
    got = await _raw(bus, "org.freedesktop.DBus.Properties", "GetAll", "s", "com.microsoft.identity.Broker1")
    assert (got.signature, got.body) == ("a{sv}", [{}])


@each_broker
async def test_the_keys_of_accounts(bus: MessageBus, persona: str) -> None:
    keys = set(await _account(bus))
    assert keys >= {
        "homeAccountId",
        "localAccountId",
        "environment",
        "realm",
        "username",
        "name",
        "givenName",
        "passwordExpiry",
    }
    assert ({"familyName", "clientInfo"} & keys == set()) == (persona == HIMMELBLAU)


@each_broker
async def test_the_shape_of_cookies(bus: MessageBus, persona: str) -> None:
    account = await _account(bus)
    url = "https://login.microsoftonline.com/?sso_nonce=N"
    request = {
        "account": account,
        "authParameters": _parameters(account, authorizationType=8, ssoUrl=url),
        "ssoUrl": url,
    }
    reply = await _call(bus, "acquirePrtSsoCookie", request)
    if persona == CPP:
        assert [item["cookieName"] for item in reply["cookieItems"]] == [
            "x-ms-RefreshTokenCredential",
            "x-ms-DeviceCredential",
        ]
    else:
        assert reply["cookieName"] == "x-ms-RefreshTokenCredential"
        assert set(reply) == {"account", "cookieName", "cookieContent"}


@each_broker
async def test_the_shape_of_failures(bus: MessageBus, fake_broker: RunningFake, persona: str) -> None:
    account = await _account(bus)
    fake_broker.plant("mfa_expired", method="acquireTokenSilently")
    reply = await _call(bus, "acquireTokenSilently", {"authParameters": _parameters(account)})
    if persona == HIMMELBLAU:
        name, text = reply
        assert name == "org.freedesktop.DBus.Error.Failed"
        assert "AADSTS50078" in text
        return
    assert set(reply) == {"brokerTokenResponse", "telemetry"}
    response, error = reply["brokerTokenResponse"], reply["brokerTokenResponse"]["error"]
    assert set(response) == {"error", "accessTokenType", "expiresOn", "extendedExpiresOn", "subError"}
    assert set(error) == {"context", "diagnostics", "errorCode", "status", "subStatus", "tag"}
    assert error["status"] == 2
    if persona == JAVA:
        assert set(error["diagnostics"]) == {"raw_error_code", "exception_type", "oauth2_sub_error_code"}
        assert error["tag"] == 0
    else:
        assert error["diagnostics"] is None
        assert reply["telemetry"]["all_error_tags"] == "965ya"
        assert reply["telemetry"]["api_status_code"] == "StatusInternal::InteractionRequired"
    assert reply["telemetry"]["broker_version"] == persona.removeprefix("microsoft-")


@each_broker
@pytest.mark.parametrize("method", ["removeAccount", "generateSignedHttpRequest", "cancelInteractiveFlow"])
async def test_the_methods_that_a_broker_lacks(bus: MessageBus, persona: str, method: str) -> None:
    account = await _account(bus)
    pop = {
        "uriHost": "graph.microsoft.com",
        "uriPath": "/",
        "httpMethod": "GET",
        "homeAccountId": account["homeAccountId"],
    }
    reply = await _call(bus, method, {"clientId": CLIENT_ID, "account": account, "popParams": pop})
    if persona == HIMMELBLAU:
        assert reply == ("org.freedesktop.DBus.Error.Failed", "Not implemented")
    else:
        assert isinstance(reply, dict) and "error" not in reply


@each_broker
async def test_the_keys_of_tokens(bus: MessageBus, persona: str) -> None:
    account = await _account(bus)
    reply = await _call(bus, "acquireTokenSilently", {"authParameters": _parameters(account)})
    response = reply["brokerTokenResponse"]
    assert ("account" in response) == (persona != HIMMELBLAU)
    assert response["accessTokenType"] == 0
    assert response["expiresOn"] > 10**12
    assert (response["extendedExpiresOn"] < 10**12) == (persona == HIMMELBLAU)


@each_broker
async def test_the_account_of_another_user(bus: MessageBus, persona: str) -> None:
    stranger = {**await _account(bus), "homeAccountId": "00000000-0000-0000-0000-00000000dead.x"}
    reply = await _call(bus, "acquireTokenSilently", {"authParameters": _parameters(stranger)})
    if persona == HIMMELBLAU:
        assert reply == ("org.freedesktop.DBus.Error.Failed", "Invalid request for user!")
    else:
        assert reply["brokerTokenResponse"]["error"]["status"] == 19


@each_broker
async def test_the_account_may_stand_at_the_root_of_the_request(bus: MessageBus) -> None:
    account = await _account(bus)
    parameters = {key: value for key, value in _parameters(account).items() if key != "account"}
    reply = await _call(bus, "acquireTokenSilently", {"account": account, "authParameters": parameters})
    assert reply["brokerTokenResponse"]["accessToken"]


@pytest.mark.parametrize("persona", [HIMMELBLAU])
async def test_a_daemon_that_is_starting(bus: MessageBus, fake_broker: RunningFake) -> None:
    fake_broker.plant("starting", times=1)
    first = await _call(bus, "getAccounts", {"clientId": CLIENT_ID, "redirectUri": REDIRECT})
    assert first[1].startswith("broker socket connect")
    assert await _account(bus)


@pytest.mark.parametrize("persona", [CPP])
@pytest.mark.parametrize("request_text", ["", "[]", "not json", "{}", '{"clientId": ""}'])
async def test_a_malformed_request_is_an_error_object(bus: MessageBus, request_text: str) -> None:
    reply = await _raw(bus, "com.microsoft.identity.Broker1", "getAccounts", "sss", "0.0", "c", request_text)
    assert json.loads(reply.body[0])["error"]["status"] == 6


@pytest.mark.parametrize("persona", [CPP])
async def test_a_wrong_signature_is_a_dbus_error(bus: MessageBus) -> None:
    reply = await _raw(bus, "com.microsoft.identity.Broker1", "getAccounts", "s", "{}")
    assert reply.error_name == "org.freedesktop.DBus.Error.InvalidArgs"
