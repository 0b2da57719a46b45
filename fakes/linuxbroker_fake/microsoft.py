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
from .methods import Backend, BrokerCall
from .requests import (
    Json,
    account_of,
    child,
    contract_violation,
    parse_request,
    pop_target,
    requested_scopes,
    required_object,
    required_text,
)
from .scopes import resource_of

_USERNAME_PASSWORD = 3
_BEARER, _POP = 0, 1
# The other methods need the keyring: if it is locked, 3.0 lists no accounts, or exits (PROTOCOL.md, MB-08).
_METHODS_WITHOUT_KEYRING = frozenset({"getLinuxBrokerVersion", "cancelInteractiveFlow"})
_PROMPTS_WITHOUT_WINDOW = frozenset({"", "none"})


@dataclass(frozen=True)
class MicrosoftRules:
    """Differences between Microsoft's brokers (PROTOCOL.md, "Microsoft's brokers").

    Attributes:
        canceled: the failure of a sign-in whose window was closed.
        authorization_types: the accepted values of ``authorizationType`` for each method; None: all are accepted.
        sso_url_in_parameters: whether a cookie request requires ``ssoUrl`` in ``authParameters`` too.
        skips_window_after_refusal: whether an interactive call opens no window if only the silent call was refused.
        crashes_on_empty_cancel: whether ``cancelInteractiveFlow`` with an empty request ends the broker.
    """

    canceled: Failure
    authorization_types: Mapping[str, frozenset[int]] | None = None
    sso_url_in_parameters: bool = False
    skips_window_after_refusal: bool = False
    crashes_on_empty_cancel: bool = False

    def methods(self, backend: Backend) -> MicrosoftMethods:
        """Return the methods of a broker with these rules."""
        return MicrosoftMethods(self, backend)


class MicrosoftMethods:
    """The eight methods of Microsoft's brokers.

    Args:
        rules: the differences of the release.
        backend: what the methods work with.
    """

    def __init__(self, rules: MicrosoftRules, backend: Backend) -> None:
        self._rules = rules
        self._backend = backend
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
        """Answer a call; see ``Methods.answer``."""
        request = parse_request(call.text)
        if call.has_fault(FaultKind.KEYRING_LOCKED) and call.member not in _METHODS_WITHOUT_KEYRING:
            if call.member == "getAccounts":
                return self._backend.replies.accounts([])
            raise CrashRequested
        return await self._methods[call.member](call, request)

    async def _get_accounts(self, _call: BrokerCall, request: Json) -> dict[str, Any]:
        return self._backend.replies.accounts(self._backend.sessions.accounts(str(request.get("clientId") or "")))

    async def _get_version(self, _call: BrokerCall, _request: Json) -> dict[str, Any]:
        return self._backend.replies.version()

    async def _acquire_token_silently(self, call: BrokerCall, request: Json) -> dict[str, Any]:
        parameters = required_object(request, "authParameters")
        client_id = self._check_client(call, parameters)
        if parameters.get("authorizationType") == _USERNAME_PASSWORD:
            account = self._password_account(parameters)
            self._backend.sessions.sign_in(account, client_id)
        else:
            account = self._account_to_sign_in(request, client_id)
            challenge = parse_claims_challenge(str(parameters.get("decodedClaims") or ""))
            if self._backend.sessions.must_sign_in_again(account.username) and challenge.requires_new_token:
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
        client_id = self._check_client(call, parameters)
        account = self._account_with_prt(request, client_id)
        if account is None:
            if call.has_fault(FaultKind.NO_DISPLAY):
                raise CrashRequested
            if await self._backend.screen.ask(call.sender, call.correlation_id) is UserAction.CANCEL:
                raise BrokerFailure(self._rules.canceled)
            account = self._interactive_account(request, parameters)
            self._backend.faults.lift_refusals(account.username, resource_of(requested_scopes(parameters)))
            self._backend.sessions.sign_in(account, client_id)
        return self._token_reply(call, account, client_id, parameters)

    async def _acquire_prt_sso_cookie(self, call: BrokerCall, request: Json) -> dict[str, Any]:
        parameters = required_object(request, "authParameters")
        if self._rules.sso_url_in_parameters:
            required_text(parameters, "ssoUrl")
        account = self._account_of(request, self._check_client(call, parameters))
        sso_url = str(request.get("ssoUrl") or parameters.get("ssoUrl") or "")
        entra = self._backend.entra
        cookies = [
            ("x-ms-RefreshTokenCredential", entra.prt_cookie(account, sso_url)),
            ("x-ms-DeviceCredential", entra.device_cookie(sso_url)),
        ]
        return self._backend.replies.cookies(account, cookies)

    async def _generate_signed_http_request(self, _call: BrokerCall, request: Json) -> dict[str, Any]:
        client_id = required_text(request, "clientId")
        pop = required_object(request, "popParams")
        account = self._backend.directory.find_account(str(pop.get("homeAccountId", "")))
        if account is None or not self._backend.sessions.is_signed_in(account, client_id):
            raise BrokerFailure(Failure("The account is not known to the broker.", status=19))
        scope = f"https://{pop_target(pop)[0]}/.default"
        token = self._backend.issuer.bound(account, client_id, [scope], self._backend.entra.pop_key_thumbprint())
        return {"signedHttpRequest": self._sign(token, pop)}

    async def _remove_account(self, _call: BrokerCall, request: Json) -> dict[str, Any]:
        client_id = required_text(request, "clientId")
        self._backend.sessions.sign_out(self._account_of(request, client_id), client_id)
        return {}

    async def _cancel_interactive_flow(self, call: BrokerCall, request: Json) -> dict[str, Any]:
        if self._rules.crashes_on_empty_cancel and not request:
            raise CrashRequested
        self._backend.screen.close_windows_of(call.sender)
        return {}

    def _check_client(self, call: BrokerCall, parameters: Json) -> str:
        client_id = required_text(parameters, "clientId")
        self._check_authorization_type(call.member, parameters.get("authorizationType"))
        self._backend.entra.check_app(client_id, required_text(parameters, "redirectUri"))
        self._backend.entra.tenant_of_authority(required_text(parameters, "authority"))
        return client_id

    def _check_authorization_type(self, member: str, given: object) -> None:
        """Reject a type that does not fit the method, as from 2.0.2 on (MB-02); a missing type is accepted."""
        types = self._rules.authorization_types
        is_accepted = types is None or given is None or (isinstance(given, int) and given in types[member])
        if not is_accepted:
            raise contract_violation(f"The authorizationType {given!r} does not fit {member}.")

    def _account_of(self, request: Json, client_id: str) -> AccountRecord:
        """Return the account of a request, which must be signed in."""
        account_json = account_of(request)
        if not account_json:
            raise contract_violation("The request has no account.")
        account = self._find(account_json)
        if account is None:
            raise BrokerFailure(Failure("The account is not known to the broker.", status=19))
        if not self._backend.sessions.is_signed_in(account, client_id):
            raise BrokerFailure(Failure("The account has signed out of this app.", status=13))
        return account

    def _account_to_sign_in(self, request: Json, client_id: str) -> AccountRecord:
        """Return the account of a silent request; if it leaves the choice to the broker, the first in a home tenant."""
        parameters = child(request, "authParameters")
        if account_of(request) or not parameters.get("isSignIn"):
            return self._account_of(request, client_id)
        username = str(parameters.get("username") or "").casefold()
        for account in self._backend.sessions.accounts(client_id):
            if account.realm == account.user.home_tenant and username in ("", account.username.casefold()):
                return account
        raise BrokerFailure(Failure("Nobody is signed in."))

    def _account_with_prt(self, request: Json, client_id: str) -> AccountRecord | None:
        """The account of an interactive request that the PRT answers without a window; its silent call then works."""
        parameters = child(request, "authParameters")
        account = self._find(account_of(request))
        if (
            not self._rules.skips_window_after_refusal
            or account is None
            or not self._backend.sessions.is_signed_in(account, client_id)
            or str(parameters.get("prompt") or "") not in _PROMPTS_WITHOUT_WINDOW
        ):
            return None
        resource = resource_of(requested_scopes(parameters))
        return account if self._backend.faults.lift_refusals(account.username, resource) else None

    def _find(self, wanted: Json) -> AccountRecord | None:
        """Find the account that a request names, also by few keys."""
        realm = str(wanted.get("realm") or "") or None
        if home_account_id := wanted.get("homeAccountId"):
            return self._backend.directory.find_account(str(home_account_id), realm)
        for account in self._backend.directory.find_accounts_by_upn(str(wanted.get("username") or "")):
            if account.realm == (realm or account.user.home_tenant):
                return account
        return None

    def _password_account(self, parameters: Json) -> AccountRecord:
        tenant = self._backend.entra.tenant_of_authority(str(parameters["authority"]))
        return self._backend.entra.sign_in_with_password(
            required_text(parameters, "username"),
            required_text(parameters, "password"),
            tenant.id if tenant else None,
        )

    def _interactive_account(self, request: Json, parameters: Json) -> AccountRecord:
        account = self._find(account_of(request))
        if account is not None:
            return account
        tenant = self._backend.entra.tenant_of_authority(str(parameters["authority"]))
        upn = str(parameters.get("username") or self._backend.screen.user.upn or self._backend.directory.users[0].upn)
        return self._backend.entra.find_account_in(upn, tenant.id if tenant else None)

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
            kid = str(pop.get("kid") or self._backend.entra.pop_key_thumbprint())
            token = self._backend.issuer.bound(account, client_id, scopes, kid, claims=claims)
        else:
            renew = bool(parameters.get("accessTokenToRenew"))
            token = self._backend.issuer.bearer(account, client_id, scopes, claims=claims, renew=renew)
        return self._backend.replies.token(
            account,
            token,
            access_token=self._sign(token, pop) if is_bound and pop.get("uriHost") else token.token,
            token_type=_POP if is_bound else _BEARER,
            id_token=self._backend.entra.id_token(account, client_id),
            client_id=client_id,
            correlation_id=call.correlation_id,
            method=call.member,
        )

    def _in_tenant_of_authority(self, account: AccountRecord, parameters: Json) -> AccountRecord:
        """Return the user's account in the tenant of the authority, whichever account the request has."""
        tenant = self._backend.entra.tenant_of_authority(str(parameters["authority"]))
        if tenant is None or tenant.id == account.realm:
            return account
        return self._backend.entra.find_account_in(account.username, tenant.id)

    def _sign(self, token: MintedToken, pop: Json) -> str:
        host, path = pop_target(pop)
        return self._backend.entra.signed_http_request(
            token.token,
            method=str(pop.get("httpMethod") or "GET"),
            host=host,
            path=path,
            nonce=str(pop.get("nonce") or ""),
            client_claims=str(pop.get("clientClaims") or ""),
        )
