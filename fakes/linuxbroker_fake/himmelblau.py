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
from .methods import Backend, BrokerCall
from .requests import Json, child, parse_leniently, requested_resource
from .scopes import GRAPH, SIGN_IN_SCOPES
from .serde import ListOf, Optional, SerdeError, Shape, Struct, Text, parse

# The types of requests in Himmelblau's daemon; serde's error texts contain their names.
_ACCOUNT = Struct("AccountReq", {"username": Text()})
_AUTH_PARAMETERS = Struct(
    "AuthParametersReq",
    {"requestedScopes": ListOf(Text()), "clientId": Optional(Text()), "account": Optional(_ACCOUNT)},
)
_TOKEN = Struct("TokenReq", {"account": Optional(_ACCOUNT), "authParameters": _AUTH_PARAMETERS})
_SSO_COOKIE = Struct("SsoCookieReq", {"account": _ACCOUNT})

# The app "Microsoft Authentication Broker", which Himmelblau uses if a request has no client ID.
_BROKER_CLIENT_ID = "29d9ed98-a469-4536-ade2-f981bc1d605e"
_PERSONAL_ACCOUNTS = "9188040d-6c67-4c5b-b112-36a304b66dad"  # their tenant; they get tokens but no cookies (HB-19)
_BEARER = 0
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S*")


@dataclass(frozen=True)
class HimmelblauRules:
    """Differences between releases of Himmelblau (PROTOCOL.md, "Himmelblau").

    Attributes:
        opens_dialog: whether interactive calls, and cookie requests if needed, open a pinentry dialog.
        checks_redirect_uri: whether a ``redirectUri`` that is not a URI, or has a fragment, is rejected.
    """

    opens_dialog: bool = False
    checks_redirect_uri: bool = False

    def methods(self, backend: Backend) -> HimmelblauMethods:
        """Return the methods of a broker with these rules."""
        return HimmelblauMethods(self, backend)


class HimmelblauMethods:
    """The five methods that Himmelblau implements.

    Args:
        rules: the differences of the release.
        backend: what the methods work with.
    """

    def __init__(self, rules: HimmelblauRules, backend: Backend) -> None:
        self._rules = rules
        self._backend = backend
        self._methods: dict[str, Callable[[BrokerCall], Awaitable[dict[str, Any]]]] = {
            "getAccounts": self._get_accounts,
            "getLinuxBrokerVersion": self._get_version,
            "acquireTokenSilently": self._acquire_token_silently,
            "acquireTokenInteractively": self._acquire_token_interactively,
            "acquirePrtSsoCookie": self._acquire_prt_sso_cookie,
        }

    async def answer(self, call: BrokerCall) -> dict[str, Any]:
        """Answer a call; see ``Methods.answer``."""
        if call.member not in self._methods:
            raise _failure("Not implemented")
        return await self._methods[call.member](call)

    async def _get_accounts(self, _call: BrokerCall) -> dict[str, Any]:
        return self._backend.replies.accounts([self._caller_account()])

    async def _get_version(self, _call: BrokerCall) -> dict[str, Any]:
        return self._backend.replies.version()

    async def _acquire_token_silently(self, call: BrokerCall) -> dict[str, Any]:
        request = _parse(call.text, _TOKEN)
        parameters = request["authParameters"]
        account_json = request["account"] or parameters["account"]
        if account_json is None:
            raise _failure("Missing account")
        account = self._account_by_username(account_json["username"])
        parameters_json = child(parse_leniently(call.text), "authParameters")  # for keys that the types above lack
        if self._rules.checks_redirect_uri:
            _check_redirect_uri(parameters_json.get("redirectUri"))
        client_id = str(parameters["clientId"] or _BROKER_CLIENT_ID)
        return self._token_reply(
            call, account, client_id, parameters["requestedScopes"], child(parameters_json, "popParams")
        )

    async def _acquire_token_interactively(self, call: BrokerCall) -> dict[str, Any]:
        if self._rules.opens_dialog:
            await self._open_dialog(call)
        return await self._acquire_token_silently(call)

    async def _acquire_prt_sso_cookie(self, call: BrokerCall) -> dict[str, Any]:
        account = self._account_by_username(_parse(call.text, _SSO_COOKIE)["account"]["username"])
        if account.user.home_tenant == _PERSONAL_ACCOUNTS:
            raise _failure("Failed to fetch prt sso cookie")
        if self._rules.opens_dialog and self._backend.faults.refuses(account.username, GRAPH):
            await self._open_dialog(call)
        sso_url = str(parse_leniently(call.text).get("ssoUrl") or "")
        cookie = self._backend.entra.prt_cookie(account, sso_url)
        return self._backend.replies.cookies(account, [("x-ms-RefreshTokenCredential", cookie)])

    async def _open_dialog(self, call: BrokerCall) -> None:
        """Open the dialog for the account of the request; an ``account`` at the root counts even if it is null."""
        request = parse_leniently(call.text)
        source = request if "account" in request else child(request, "authParameters")
        username = child(source, "account").get("username")
        if not isinstance(username, str):
            raise DBusFailure(FAILED, "Missing account username in request")
        if call.has_fault(FaultKind.NO_DISPLAY):
            raise DBusFailure(FAILED, "No interactive prompt available: no graphical session or pinentry binary found")
        if await self._backend.screen.ask(call.sender, call.correlation_id) is UserAction.CANCEL:
            raise DBusFailure(FAILED, "Interactive authentication failed: PAM_ABORT")
        self._backend.faults.lift_refusals(username, requested_resource(request) or GRAPH)
        for account in self._backend.directory.find_accounts_by_upn(username)[:1]:
            self._backend.sessions.sign_in(account, _BROKER_CLIENT_ID)

    def _caller_account(self) -> AccountRecord:
        """Return the account of the calling Linux user: in the fake, the first one that is signed in."""
        for account in self._backend.sessions.all_accounts():
            if account.realm == account.user.home_tenant:
                return account
        raise _failure("Unable to find account")

    def _account_by_username(self, username: str) -> AccountRecord:
        account = self._caller_account()
        if account.username.lower() != username.lower():
            raise _failure("Invalid request for user!")
        return account

    def _token_reply(
        self, call: BrokerCall, account: AccountRecord, client_id: str, scopes: list[str], pop: Json
    ) -> dict[str, Any]:
        """Return a token reply, always with the token type Bearer: of ``popParams``, only ``kid`` is used (HB-08)."""
        requested = scopes or SIGN_IN_SCOPES
        is_pop = str(pop.get("authenticationScheme") or "").casefold() == "pop"
        try:
            if is_pop and pop.get("kid"):
                token = self._backend.issuer.bound(account, client_id, requested, str(pop["kid"]))
            else:
                token = self._backend.issuer.bearer(account, client_id, requested)
            id_token = self._backend.entra.id_token(account, client_id)
        except EntraError:
            raise _failure("Failed to authenticate user") from None
        return self._backend.replies.token(
            account,
            token,
            access_token=token.token,
            token_type=_BEARER,
            id_token=id_token,
            client_id=client_id,
            correlation_id=call.correlation_id,
            method=call.member,
        )


def _failure(text: str) -> BrokerFailure:
    return BrokerFailure(Failure(text, status=0, verbatim=True))


def _parse(text: str, shape: Shape) -> Any:
    try:
        return parse(text, shape)
    except SerdeError as error:
        raise _failure(str(error)) from None


def _check_redirect_uri(uri: object) -> None:
    if isinstance(uri, str) and not _URI.fullmatch(uri):
        raise _failure("Invalid redirectUri")
    if isinstance(uri, str) and "#" in uri:
        raise _failure("Invalid redirectUri: fragment not allowed")
