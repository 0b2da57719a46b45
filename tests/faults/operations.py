"""The operations of a client: those that may be repeated, and those that must not be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from linuxbroker import Account, BrokerClient, PopAuthScheme
from tests.constants import GRAPH

ADA = Account(
    home_account_id="00000000-0000-0000-0000-0000000000a1.00000000-0000-0000-0000-0000000000f1",
    realm="00000000-0000-0000-0000-0000000000f1",
    username="ada@contoso.example",
    environment="login.windows.net",
)
PASSWORD = "not-a-real-password-ada"
SIGNED = PopAuthScheme(http_method="GET", url="https://graph.microsoft.com/v1.0/me")


@dataclass(frozen=True)
class Operation:
    """An operation of a client.

    Attributes:
        method: the method of the broker that it calls, and no other.
        call: does it.
    """

    method: str
    call: Callable[[BrokerClient], Awaitable[Any]]


REPEATABLE = {
    "accounts": Operation("getAccounts", lambda client: client.get_accounts()),
    "version": Operation("getLinuxBrokerVersion", lambda client: client.get_linux_broker_version()),
    "silent": Operation("acquireTokenSilently", lambda client: client.acquire_token_silent(GRAPH, ADA)),
    "cookie": Operation("acquirePrtSsoCookie", lambda client: client.acquire_prt_sso_cookie(ADA)),
    "signed": Operation("generateSignedHttpRequest", lambda client: client.generate_signed_http_request(ADA, SIGNED)),
}
NOT_REPEATABLE = {
    "interactive": Operation("acquireTokenInteractively", lambda client: client.acquire_token_interactive(GRAPH)),
    "password": Operation(
        "acquireTokenSilently",
        lambda client: client.acquire_token_by_username_password(ADA.username, PASSWORD, GRAPH),
    ),
    "sign-out": Operation("removeAccount", lambda client: client.remove_account(ADA)),
}
OPERATIONS = {**REPEATABLE, **NOT_REPEATABLE}
