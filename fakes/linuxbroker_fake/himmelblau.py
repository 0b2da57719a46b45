"""The methods of Himmelblau's broker."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from .config import UserAction
from .directory import AccountRecord
from .entra import EntraError
from .faults import FAILED, BrokerFailure, DBusFailure, Failure, FaultKind
from .methods import BrokerCall, Desk
from .requests import Json, child, lenient, resource_asked
from .scopes import GRAPH, SIGN_IN_SCOPES
from .serde import ListOf, Optional, SerdeError, Shape, Struct, Text, parse

# The types that Himmelblau's daemon reads requests into, named as there, since serde's texts name them.
_ACCOUNT = Struct("AccountReq", {"username": Text()})
_AUTH_PARAMETERS = Struct(
    "AuthParametersReq",
    {"requestedScopes": ListOf(Text()), "clientId": Optional(Text()), "account": Optional(_ACCOUNT)},
)
_TOKEN = Struct("TokenReq", {"account": Optional(_ACCOUNT), "authParameters": _AUTH_PARAMETERS})
_SSO_COOKIE = Struct("SsoCookieReq", {"account": _ACCOUNT})

# Microsoft's own "Authentication Broker", for which Himmelblau asks where a request names no app.
_BROKER_CLIENT_ID = "29d9ed98-a469-4536-ade2-f981bc1d605e"
_PERSONAL_ACCOUNTS = "9188040d-6c67-4c5b-b112-36a304b66dad"  # their tenant; they get tokens, never cookies
_BEARER = 0
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S*")


@dataclass(frozen=True)
class HimmelblauRules:
    """How a release of Himmelblau reads requests.

    Attributes:
        asks: whether an interactive call asks the user, through pinentry, and one for a cookie may; else not.
        checks_redirect_uri: whether a ``redirectUri`` that is no URI, or has a fragment, is refused.
    """

    asks: bool = False
    checks_redirect_uri: bool = False

    def methods(self, desk: Desk) -> HimmelblauMethods:
        """Give the methods of a broker that goes by these rules."""
        return HimmelblauMethods(self, desk)


class HimmelblauMethods:
    """The five methods that it has; the other three are not implemented.

    Args:
        rules: how requests are read.
        desk: what the broker works with.
    """

    def __init__(self, rules: HimmelblauRules, desk: Desk) -> None:
        self._rules = rules
        self._desk = desk
        self._methods: dict[str, Callable[[BrokerCall], Awaitable[dict[str, Any]]]] = {
            "getAccounts": self._get_accounts,
            "getLinuxBrokerVersion": self._get_version,
            "acquireTokenSilently": self._acquire_token_silently,
            "acquireTokenInteractively": self._acquire_token_interactively,
            "acquirePrtSsoCookie": self._acquire_prt_sso_cookie,
        }

    async def answer(self, call: BrokerCall) -> dict[str, Any]:
        """Answer a call, as ``Methods`` says."""
        if call.member not in self._methods:
            raise _failed("Not implemented")
        return await self._methods[call.member](call)

    async def _get_accounts(self, _call: BrokerCall) -> dict[str, Any]:
        return self._desk.write.accounts([self._account_of_caller()])

    async def _get_version(self, _call: BrokerCall) -> dict[str, Any]:
        return self._desk.write.version()

    async def _acquire_token_silently(self, call: BrokerCall) -> dict[str, Any]:
        request = _read(call.text, _TOKEN)
        parameters = request["authParameters"]
        named = request["account"] or parameters["account"]
        if named is None:
            raise _failed("Missing account")
        account = self._account_named(named["username"])
        unread = child(lenient(call.text), "authParameters")  # keys that its types don't have
        if self._rules.checks_redirect_uri:
            _check_redirect_uri(unread.get("redirectUri"))
        client_id = str(parameters["clientId"] or _BROKER_CLIENT_ID)
        return self._token_reply(call, account, client_id, parameters["requestedScopes"], child(unread, "popParams"))

    async def _acquire_token_interactively(self, call: BrokerCall) -> dict[str, Any]:
        if self._rules.asks:
            await self._ask(call)
        return await self._acquire_token_silently(call)

    async def _acquire_prt_sso_cookie(self, call: BrokerCall) -> dict[str, Any]:
        account = self._account_named(_read(call.text, _SSO_COOKIE)["account"]["username"])
        if account.user.home_tenant == _PERSONAL_ACCOUNTS:
            raise _failed("Failed to fetch prt sso cookie")
        if self._rules.asks and self._desk.faults.refuses(account.username, GRAPH):
            await self._ask(call)
        sso_url = str(lenient(call.text).get("ssoUrl") or "")
        cookie = self._desk.entra.prt_cookie(account, sso_url)
        return self._desk.write.cookies(account, [("x-ms-RefreshTokenCredential", cookie)])

    async def _ask(self, call: BrokerCall) -> None:
        """Have pinentry ask the user whom the request names; an ``account`` at the root counts even if it is null."""
        request = lenient(call.text)
        place = request if "account" in request else child(request, "authParameters")
        username = child(place, "account").get("username")
        if not isinstance(username, str):
            raise DBusFailure(FAILED, "Missing account username in request")
        if call.is_struck_by(FaultKind.NO_DISPLAY):
            raise DBusFailure(FAILED, "No interactive prompt available: no graphical session or pinentry binary found")
        if await self._desk.screen.ask(call.sender, call.correlation_id) is UserAction.CANCEL:
            raise DBusFailure(FAILED, "Interactive authentication failed: PAM_ABORT")
        self._desk.faults.lift_refusals(username, resource_asked(request) or GRAPH)
        for account in self._desk.directory.find_accounts_by_upn(username)[:1]:
            self._desk.sessions.sign_in(account, _BROKER_CLIENT_ID)

    def _account_of_caller(self) -> AccountRecord:
        """The account of the Linux user who calls; the fake's is the first one that is signed in."""
        for account in self._desk.sessions.everyone():
            if account.realm == account.user.home_tenant:
                return account
        raise _failed("Unable to find account")

    def _account_named(self, username: str) -> AccountRecord:
        account = self._account_of_caller()
        if account.username.lower() != username.lower():
            raise _failed("Invalid request for user!")
        return account

    def _token_reply(
        self, call: BrokerCall, account: AccountRecord, client_id: str, scopes: list[str], pop: Json
    ) -> dict[str, Any]:
        """Proof of possession with a URL is ignored; a ``kid`` goes into the token, whose type stays bearer."""
        asked = scopes or SIGN_IN_SCOPES
        is_pop = str(pop.get("authenticationScheme") or "").casefold() == "pop"
        try:
            if is_pop and pop.get("kid"):
                token = self._desk.issuer.bound(account, client_id, asked, str(pop["kid"]))
            else:
                token = self._desk.issuer.bearer(account, client_id, asked)
            id_token = self._desk.entra.id_token(account, client_id)
        except EntraError:
            raise _failed("Failed to authenticate user") from None
        return self._desk.write.token(
            account,
            token,
            access_token=token.token,
            token_type=_BEARER,
            id_token=id_token,
            client_id=client_id,
            correlation_id=call.correlation_id,
            method=call.member,
        )


def _failed(text: str) -> BrokerFailure:
    return BrokerFailure(Failure(text, status=0, verbatim=True))


def _read(text: str, shape: Shape) -> Any:
    try:
        return parse(text, shape)
    except SerdeError as error:
        raise _failed(str(error)) from None


def _check_redirect_uri(uri: object) -> None:
    if isinstance(uri, str) and not _URI.fullmatch(uri):
        raise _failed("Invalid redirectUri")
    if isinstance(uri, str) and "#" in uri:
        raise _failed("Invalid redirectUri: fragment not allowed")
