"""The conformance driver of the library: linuxbroker-fake conformance -- python tests/conformance/driver.py.

Its protocol is in CONFORMANCE.md.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from linuxbroker import (
    Account,
    BrokerClient,
    BrokerDisconnectedError,
    BrokerError,
    BrokerNotInstalledError,
    BrokerProtocolError,
    BrokerResponseError,
    BrokerStartError,
    BrokerTimeoutError,
    BrokerUnreachableError,
    DeclinedScopesError,
    PopAuthScheme,
    Timeouts,
    TokenResult,
    UnsupportedOperationError,
)

Json = dict[str, Any]

FAMILIES: list[tuple[type[BrokerError], str]] = [
    (DeclinedScopesError, "declined"),
    (UnsupportedOperationError, "unsupported"),
    (BrokerResponseError, "broker"),
    (BrokerProtocolError, "malformed"),
    (BrokerDisconnectedError, "disconnected"),
    (BrokerTimeoutError, "timeout"),
    (BrokerStartError, "start"),
    (BrokerNotInstalledError, "absent"),
    (BrokerUnreachableError, "unreachable"),  # the last: those above are kinds of it
]
# One for each configuration, for the driver's life: a client remembers of a broker what it wants (PROTOCOL.md, IN-07).
CLIENTS: dict[str, BrokerClient] = {}


def client_for(line: Json) -> BrokerClient:
    """Return the client for the configuration in a line."""
    limit, capabilities = line.get("timeLimit", 60.0), line.get("clientCapabilities")
    key = json.dumps([line["clientId"], line["authority"], line["redirectUri"], limit, capabilities])
    if key not in CLIENTS:
        more: Json = {"client_capabilities": capabilities} if capabilities else {}
        CLIENTS[key] = BrokerClient(
            line["clientId"],
            authority=line["authority"],
            redirect_uri=line["redirectUri"],
            timeouts=Timeouts(call=limit, start_up=0),
            **more,
        )
    return CLIENTS[key]


class Call:
    """One operation that the runner requested."""

    def __init__(self, line: Json) -> None:
        self.line = line
        self.client = client_for(line)

    @property
    def account(self) -> Account | None:
        given = self.line.get("account")
        return Account.model_validate(given) if given else None

    @property
    def scheme(self) -> PopAuthScheme | None:
        pop = self.line.get("pop")
        if pop is None:
            return None
        return PopAuthScheme(
            pop.get("httpMethod"), pop.get("url"), pop.get("nonce"), pop.get("clientClaims"), pop.get("kid")
        )

    def token_options(self) -> Json:
        """Return the arguments that all token operations of the library have in common."""
        options: Json = {
            "claims_challenge": self.line.get("claims"),
            "auth_scheme": self.scheme,
            "extra_query_parameters": self.line.get("extraQueryParameters"),
        }
        if self.line.get("accessTokenToRenew"):
            options["access_token_to_renew"] = self.line["accessTokenToRenew"]
        return options

    async def get_accounts(self) -> Json:
        return {"accounts": [_account(account) for account in await self.client.get_accounts()]}

    async def find_account(self) -> Json:
        found = await self.client.get_account(self.line["username"], self.line.get("tenant"))
        return {"account": _account(found) if found else None}

    async def version(self) -> Json:
        return {"version": await self.client.get_linux_broker_version()}

    async def silent(self) -> Json:
        return _token(await self.client.acquire_token_silent(self.line["scopes"], self.account, **self.token_options()))

    async def interactive(self) -> Json:
        return _token(
            await self.client.acquire_token_interactive(
                self.line["scopes"],
                account=self.account,
                prompt=self.line.get("prompt"),
                login_hint=self.line.get("loginHint"),
                parent_window_handle=self.line.get("parentWindowHandle"),
                **self.token_options(),
            )
        )

    async def password(self) -> Json:
        line = self.line
        return _token(
            await self.client.acquire_token_by_username_password(
                line["username"], line["password"], line["scopes"], **self.token_options()
            )
        )

    async def cookies(self) -> Json:
        assert self.account is not None
        cookies = await self.client.acquire_prt_sso_cookie(
            self.account, self.line["ssoUrl"], scopes=self.line["scopes"]
        )
        return {"cookies": [{"name": cookie.name, "content": cookie.content} for cookie in cookies]}

    async def sign(self) -> Json:
        assert self.account is not None and self.scheme is not None
        return {"signedHttpRequest": await self.client.generate_signed_http_request(self.account, self.scheme)}

    async def remove(self) -> Json:
        assert self.account is not None
        await self.client.remove_account(self.account)
        return {"removed": True}

    async def available(self) -> Json:
        return {"available": await self.client.is_available()}

    async def watch(self) -> Json:
        async for presence in self.client.watch():
            _say({"id": self.line["id"], "presence": presence.value})
        return {}


OPERATIONS: Mapping[str, Callable[[Call], Awaitable[Json]]] = {
    "getAccounts": Call.get_accounts,
    "findAccount": Call.find_account,
    "getLinuxBrokerVersion": Call.version,
    "acquireTokenSilently": Call.silent,
    "acquireTokenInteractively": Call.interactive,
    "acquireTokenByUsernamePassword": Call.password,
    "acquirePrtSsoCookie": Call.cookies,
    "generateSignedHttpRequest": Call.sign,
    "removeAccount": Call.remove,
    "isAvailable": Call.available,
    "watchPresence": Call.watch,
}


async def answer(line: Json) -> None:
    """Run one operation and write its outcome."""
    call = Call(line)
    try:
        outcome = await OPERATIONS[line["operation"]](call)
    except BrokerError as error:
        outcome = {"error": _error(error)}
    except asyncio.CancelledError:
        outcome = {"canceled": True}
    _say({"id": line["id"], "outcome": outcome})


async def main() -> None:
    """Handle lines until standard input ends."""
    stdin = asyncio.StreamReader(limit=64 * 1024 * 1024)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    running: dict[str, asyncio.Task[None]] = {}
    # Held open so that the calls share one connection.
    async with BrokerClient("00000000-0000-0000-0000-000000000000"):
        while text := await stdin.readline():
            line: Json = json.loads(text)
            if line["operation"] == "cancel":
                running[line["cancels"]].cancel()
            else:
                running[line["id"]] = asyncio.ensure_future(answer(line))
    for client in CLIENTS.values():
        await client.aclose()


def _say(line: Json) -> None:
    print(json.dumps(line), flush=True)


def _account(account: Account) -> Json:
    written: Json = json.loads(account.to_json())
    return written


def _token(result: TokenResult) -> Json:
    return {
        "token": {
            "accessToken": result.access_token,
            "tokenType": result.token_type,
            "expiresOn": int(result.expires_on.timestamp()),
            "scopes": list(result.scopes),
            "idToken": result.id_token,
            "account": _account(result.account) if result.account else None,
        }
    }


def _error(error: BrokerError) -> Json:
    family = next((name for kind, name in FAMILIES if isinstance(error, kind)), type(error).__name__)
    said: Json = {"family": family, "message": str(error)}
    if isinstance(error, BrokerResponseError):
        said |= {
            "status": error.status.wire_name,
            "tag": error.tag_name,
            "codes": list(error.aadsts_codes),
            "subError": error.sub_error,
            "context": error.context,
        }
    if isinstance(error, DeclinedScopesError):
        said["declinedScopes"] = list(error.declined_scopes)
    return said


if __name__ == "__main__":
    asyncio.run(main())
