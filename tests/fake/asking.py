"""A client of the fake broker on plain dbus-next, independent of linuxbroker."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from dbus_next import Message, MessageType
from dbus_next.aio import MessageBus

from tests.constants import CLIENT_ID

NAME = "com.microsoft.identity.broker1"
PATH = "/com/microsoft/identity/broker1"
INTERFACE = "com.microsoft.identity.Broker1"
REDIRECT = "https://login.microsoftonline.com/common/oauth2/nativeclient"
GRAPH = "https://graph.microsoft.com"
CORRELATION_ID = "5e2f8c1a-7b94-4d36-9a60-3c8f1e7d2b45"
ADA, GRACE = "ada@contoso.example", "grace@fabrikam.example"
CONTOSO, FABRIKAM = "00000000-0000-0000-0000-0000000000f1", "00000000-0000-0000-0000-0000000000f2"

JAVA, CPP, NEWEST = "microsoft-2.0.1", "microsoft-2.5.2", "microsoft-3.0.2"
OLD_HIMMELBLAU, NEW_HIMMELBLAU = "himmelblau-3.1", "himmelblau-4.0"
MICROSOFT, HIMMELBLAU = [JAVA, CPP, NEWEST], [OLD_HIMMELBLAU, NEW_HIMMELBLAU]

FAILED = "org.freedesktop.DBus.Error.Failed"
UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"


class Asker:
    """A connection to the fake's bus.

    Args:
        bus: the connection.
    """

    def __init__(self, bus: MessageBus) -> None:
        self.bus = bus

    async def raw(
        self, interface: str, member: str, signature: str = "", *body: Any, path: str = PATH, name: str = NAME
    ) -> Message:
        reply = await self.bus.call(Message(name, path, interface, member, signature=signature, body=list(body)))
        assert reply is not None
        return reply

    async def text(self, member: str, request: object) -> str | tuple[str, str]:
        """The text that a broker method answers; the name and the text of a D-Bus error."""
        text = request if isinstance(request, str) else json.dumps(request)
        reply = await self.raw(INTERFACE, member, "sss", "0.0", CORRELATION_ID, text)
        if reply.message_type is MessageType.ERROR:
            return str(reply.error_name), str(reply.body[0])
        return str(reply.body[0])

    async def __call__(self, member: str, request: object) -> Any:
        """What a broker method answers, decoded; an empty text, or a D-Bus error, as it is."""
        text = await self.text(member, request)
        return json.loads(text) if text and isinstance(text, str) else text

    async def account(self) -> Any:
        """The first account that is listed."""
        return (await self("getAccounts", {"clientId": CLIENT_ID, "redirectUri": REDIRECT}))["accounts"][0]

    async def silently(self, account: Any, **more: Any) -> Any:
        """A silent call."""
        return await self("acquireTokenSilently", {"authParameters": parameters(account, **more)})

    async def interactively(self, account: Any, **more: Any) -> Any:
        """An interactive call."""
        asked = parameters(account, **{"authorizationType": 6, **more})
        return await self("acquireTokenInteractively", {"authParameters": asked, "parentWindowHandle": 0})

    async def cookie(self, account: Any) -> Any:
        """A request for a cookie."""
        url = "https://login.microsoftonline.com/?sso_nonce=N"
        asked = parameters(account, authorizationType=8, ssoUrl=url)
        return await self("acquirePrtSsoCookie", {"account": account, "authParameters": asked, "ssoUrl": url})


@asynccontextmanager
async def asker(address: str) -> AsyncGenerator[Asker, None]:
    """Connect to a bus."""
    connected = await MessageBus(bus_address=address).connect()
    yield Asker(connected)
    connected.disconnect()
    await connected.wait_for_disconnect()
    connected._sock.close()
    connected._stream.close()


def parameters(account: Any, **more: Any) -> dict[str, Any]:
    """``authParameters`` of a request."""
    return {
        "account": account,
        "authority": "https://login.microsoftonline.com/common",
        "authorizationType": 1,
        "clientId": CLIENT_ID,
        "redirectUri": REDIRECT,
        "requestedScopes": [f"{GRAPH}/.default"],
        **more,
    }


def response(reply: Any) -> Any:
    """``brokerTokenResponse`` of a reply that has a token."""
    assert "accessToken" in reply["brokerTokenResponse"], reply
    return reply["brokerTokenResponse"]


def error(reply: Any) -> Any:
    """The error of a reply that has one."""
    return reply.get("brokerTokenResponse", reply)["error"]


def bare_error(text: str) -> dict[str, Any]:
    """A failure as Himmelblau 4.0 writes it."""
    return {"error": {"context": text, "status": 0, "subStatus": 0}}
