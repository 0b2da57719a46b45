"""The methods of Microsoft's brokers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .claims_challenge import parse_claims_challenge
from .config import UserAction
from .directory import AccountRecord
from .entra import MintedToken
from .faults import BrokerFailure, CrashRequested, Failure, FaultKind
from .methods import BrokerCall, Desk
from .requests import (
    Json,
    account_in,
    child,
    parse_request,
    pop_target,
    requested_scopes,
    required_object,
    required_text,
    unacceptable,
)
from .scopes import resource_of

_USERNAME_PASSWORD = 3
_BEARER, _POP = 0, 1
# What needs the keyring: 3.0 lists no accounts where it is locked, or ends (brokers.md).
_METHODS_WITHOUT_KEYRING = frozenset({"getLinuxBrokerVersion", "cancelInteractiveFlow"})
_PROMPTS_WITHOUT_WINDOW = frozenset({"", "none"})


@dataclass(frozen=True)
class MicrosoftRules:
    """How one of Microsoft's brokers reads requests.

    Attributes:
        canceled: what a sign-in answers whose window was closed.
        authorization_types: the values of ``authorizationType`` that fit each method; None: it is not checked.
        sso_url_in_parameters: whether a cookie request needs ``ssoUrl`` in ``authParameters`` too.
        answers_from_prt: whether an interactive call needs no window where only the silent one was refused.
        dies_of_empty_cancel: whether ``cancelInteractiveFlow`` with an empty request ends the broker.
    """

    canceled: Failure
    authorization_types: Mapping[str, frozenset[int]] | None = None
    sso_url_in_parameters: bool = False
    answers_from_prt: bool = False
    dies_of_empty_cancel: bool = False

    def methods(self, desk: Desk) -> MicrosoftMethods:
        """Give the methods of a broker that goes by these rules."""
        return MicrosoftMethods(self, desk)


class MicrosoftMethods:
    """The eight methods.

    Args:
        rules: how requests are read.
        desk: what the broker works with.
    """

    def __init__(self, rules: MicrosoftRules, desk: Desk) -> None:
        self._rules = rules
        self._desk = desk
        self._methods: dict[str, Callable[[BrokerCall, Json], Awaitable[dict[str, Any]]]] = {
            "getAccounts": self._get_accounts,
            "getLinuxBrokerVersion": self._get_version,
            "acquireTokenSilently": self._acquire_token_silently,
            "acquireTokenInteractively": self._acquire_token_interactively,
            "acquirePrtSsoCookie": self._acquire_prt_sso_cookie,
            "generateSignedHttpRequest": self._generate_signed_http_request,
            "removeAccount": self._remove_account,
            "cancelInteractiveFlow": self._cancel_interactive_flow,
        }

    async def answer(self, call: BrokerCall) -> dict[str, Any]:
        """Answer a call, as ``Methods`` says."""
        request = parse_request(call.text)
        if call.is_struck_by(FaultKind.KEYRING_LOCKED) and call.member not in _METHODS_WITHOUT_KEYRING:
            if call.member == "getAccounts":
                return self._desk.write.accounts([])
            raise CrashRequested
        return await self._methods[call.member](call, request)

    async def _get_accounts(self, _call: BrokerCall, request: Json) -> dict[str, Any]:
        return self._desk.write.accounts(self._desk.sessions.accounts(str(request.get("clientId") or "")))

    async def _get_version(self, _call: BrokerCall, _request: Json) -> dict[str, Any]:
        return self._desk.write.version()

    async def _acquire_token_silently(self, call: BrokerCall, request: Json) -> dict[str, Any]:
        parameters = required_object(request, "authParameters")
        client_id = self._checked_client(call, parameters)
        if parameters.get("authorizationType") == _USERNAME_PASSWORD:
            account = self._password_account(parameters)
            self._desk.sessions.sign_in(account, client_id)
        else:
            account = self._account_to_sign_in(request, client_id)
            challenge = parse_claims_challenge(str(parameters.get("decodedClaims") or ""))
            if self._desk.sessions.must_sign_in_again(account.username) and challenge.wants_new_token:
                raise BrokerFailure(
                    Failure(
                        "AADSTS50173: The grant was revoked; sign in again.",
                        oauth_error="invalid_grant",
                        sub_error="token_expired",
                        from_entra=True,
                    )
                )
        return self._token_reply(call, account, client_id, parameters)

    async def _acquire_token_interactively(self, call: BrokerCall, request: Json) -> dict[str, Any]:
        parameters = required_object(request, "authParameters")
        client_id = self._checked_client(call, parameters)
        account = self._account_with_prt(request, client_id)
        if account is None:
            if call.is_struck_by(FaultKind.NO_DISPLAY):
                raise CrashRequested
            if await self._desk.screen.ask(call.sender, call.correlation_id) is UserAction.CANCEL:
                raise BrokerFailure(self._rules.canceled)
            account = self._interactive_account(request, parameters)
            self._desk.faults.lift_refusals(account.username, resource_of(requested_scopes(parameters)))
            self._desk.sessions.sign_in(account, client_id)
        return self._token_reply(call, account, client_id, parameters)

    async def _acquire_prt_sso_cookie(self, call: BrokerCall, request: Json) -> dict[str, Any]:
        parameters = required_object(request, "authParameters")
        if self._rules.sso_url_in_parameters:
            required_text(parameters, "ssoUrl")
        account = self._account_of(request, self._checked_client(call, parameters))
        sso_url = str(request.get("ssoUrl") or parameters.get("ssoUrl") or "")
        entra = self._desk.entra
        cookies = [
            ("x-ms-RefreshTokenCredential", entra.prt_cookie(account, sso_url)),
            ("x-ms-DeviceCredential", entra.device_cookie(sso_url)),
        ]
        return self._desk.write.cookies(account, cookies)

    async def _generate_signed_http_request(self, _call: BrokerCall, request: Json) -> dict[str, Any]:
        client_id = required_text(request, "clientId")
        pop = required_object(request, "popParams")
        account = self._desk.directory.find_account(str(pop.get("homeAccountId", "")))
        if account is None or not self._desk.sessions.is_signed_in(account, client_id):
            raise BrokerFailure(Failure("The account is not known to the broker.", status=19))
        scope = f"https://{pop_target(pop)[0]}/.default"
        token = self._desk.issuer.bound(account, client_id, [scope], self._desk.entra.pop_key_thumbprint())
        return {"signedHttpRequest": self._sign(token, pop)}

    async def _remove_account(self, _call: BrokerCall, request: Json) -> dict[str, Any]:
        client_id = required_text(request, "clientId")
        self._desk.sessions.sign_out(self._account_of(request, client_id), client_id)
        return {}

    async def _cancel_interactive_flow(self, call: BrokerCall, request: Json) -> dict[str, Any]:
        if self._rules.dies_of_empty_cancel and not request:
            raise CrashRequested
        self._desk.screen.close_windows_of(call.sender)
        return {}

    def _checked_client(self, call: BrokerCall, parameters: Json) -> str:
        client_id = required_text(parameters, "clientId")
        self._check_authorization_type(call.member, parameters.get("authorizationType"))
        self._desk.entra.check_app(client_id, required_text(parameters, "redirectUri"))
        self._desk.entra.tenant_of_authority(required_text(parameters, "authority"))
        return client_id

    def _check_authorization_type(self, member: str, given: object) -> None:
        """A type that does not fit the method is refused from 2.0.2 on; one that is not there is not (brokers.md)."""
        types = self._rules.authorization_types
        fits = types is None or given is None or (isinstance(given, int) and given in types[member])
        if not fits:
            raise unacceptable(f"The authorizationType {given!r} does not fit {member}.")

    def _account_of(self, request: Json, client_id: str) -> AccountRecord:
        """The account that a request names, which must be signed in."""
        wanted = account_in(request)
        if not wanted:
            raise unacceptable("The request names no account.")
        account = self._find(wanted)
        if account is None:
            raise BrokerFailure(Failure("The account is not known to the broker.", status=19))
        if not self._desk.sessions.is_signed_in(account, client_id):
            raise BrokerFailure(Failure("The account has signed out of this app.", status=13))
        return account

    def _account_to_sign_in(self, request: Json, client_id: str) -> AccountRecord:
        """The account of a silent request; one that leaves the choice to the broker gets the first in a home tenant."""
        parameters = child(request, "authParameters")
        if account_in(request) or not parameters.get("isSignIn"):
            return self._account_of(request, client_id)
        wanted = str(parameters.get("username") or "").casefold()
        for account in self._desk.sessions.accounts(client_id):
            if account.realm == account.user.home_tenant and wanted in ("", account.username.casefold()):
                return account
        raise BrokerFailure(Failure("Nobody is signed in."))

    def _account_with_prt(self, request: Json, client_id: str) -> AccountRecord | None:
        """The account of an interactive request that the PRT answers without a window; its silent call then works."""
        parameters = child(request, "authParameters")
        account = self._find(account_in(request))
        if (
            not self._rules.answers_from_prt
            or account is None
            or not self._desk.sessions.is_signed_in(account, client_id)
            or str(parameters.get("prompt") or "") not in _PROMPTS_WITHOUT_WINDOW
        ):
            return None
        resource = resource_of(requested_scopes(parameters))
        return account if self._desk.faults.lift_refusals(account.username, resource) else None

    def _find(self, wanted: Json) -> AccountRecord | None:
        """Find the account that a request names, also by few keys."""
        realm = str(wanted.get("realm") or "") or None
        if home_account_id := wanted.get("homeAccountId"):
            return self._desk.directory.find_account(str(home_account_id), realm)
        for account in self._desk.directory.find_accounts_by_upn(str(wanted.get("username") or "")):
            if account.realm == (realm or account.user.home_tenant):
                return account
        return None

    def _password_account(self, parameters: Json) -> AccountRecord:
        tenant = self._desk.entra.tenant_of_authority(str(parameters["authority"]))
        return self._desk.entra.sign_in_with_password(
            required_text(parameters, "username"),
            required_text(parameters, "password"),
            tenant.id if tenant else None,
        )

    def _interactive_account(self, request: Json, parameters: Json) -> AccountRecord:
        account = self._find(account_in(request))
        if account is not None:
            return account
        tenant = self._desk.entra.tenant_of_authority(str(parameters["authority"]))
        upn = str(parameters.get("username") or self._desk.screen.user.upn or self._desk.directory.users[0].upn)
        return self._desk.entra.find_account_in(upn, tenant.id if tenant else None)

    def _token_reply(
        self, call: BrokerCall, account: AccountRecord, client_id: str, parameters: Json
    ) -> dict[str, Any]:
        account = self._in_tenant_of_authority(account, parameters)
        scopes = requested_scopes(parameters)
        claims = str(parameters.get("decodedClaims") or "")
        pop = child(parameters, "popParams")
        scheme = str(pop.get("authenticationScheme") or "").casefold()
        is_bound = scheme != "bearer" and bool(pop.get("uriHost") or scheme)
        if is_bound:
            kid = str(pop.get("kid") or self._desk.entra.pop_key_thumbprint())
            token = self._desk.issuer.bound(account, client_id, scopes, kid, claims=claims)
        else:
            renew = bool(parameters.get("accessTokenToRenew"))
            token = self._desk.issuer.bearer(account, client_id, scopes, claims=claims, renew=renew)
        return self._desk.write.token(
            account,
            token,
            access_token=self._sign(token, pop) if is_bound and pop.get("uriHost") else token.token,
            token_type=_POP if is_bound else _BEARER,
            id_token=self._desk.entra.id_token(account, client_id),
            client_id=client_id,
            correlation_id=call.correlation_id,
            method=call.member,
        )

    def _in_tenant_of_authority(self, account: AccountRecord, parameters: Json) -> AccountRecord:
        """The user in the tenant that the request is made to: whose record was named plays no part there."""
        tenant = self._desk.entra.tenant_of_authority(str(parameters["authority"]))
        if tenant is None or tenant.id == account.realm:
            return account
        return self._desk.entra.find_account_in(account.username, tenant.id)

    def _sign(self, token: MintedToken, pop: Json) -> str:
        host, path = pop_target(pop)
        return self._desk.entra.signed_http_request(
            token.token,
            method=str(pop.get("httpMethod") or "GET"),
            host=host,
            path=path,
            nonce=str(pop.get("nonce") or ""),
            client_claims=str(pop.get("clientClaims") or ""),
        )
