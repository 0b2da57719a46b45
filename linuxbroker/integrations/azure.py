"""A credential for the async clients of the Azure SDK (extra ``azure``)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, cast

try:
    from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions
    from azure.core.exceptions import ClientAuthenticationError
    from azure.identity import AuthenticationRecord, AuthenticationRequiredError, CredentialUnavailableError
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"linuxbroker.integrations.azure requires {error.name}: pip install 'linuxbroker[azure]'",
        name=error.name,
        path=error.path,
    ) from error

from linuxbroker.call import failures
from linuxbroker.call.transport import Timeouts
from linuxbroker.call.trust.policy import TrustPolicy
from linuxbroker.client import BrokerClient
from linuxbroker.errors import (
    AccountRequiredError,
    AccountUnusableError,
    BrokerDisconnectedError,
    BrokerError,
    BrokerProtocolError,
    BrokerResponseError,
    BrokerTimeoutError,
    BrokerUnreachableError,
    InteractionRequiredError,
    MismatchedTokenError,
    NoAccountError,
    NoDisplayError,
    UntrustedBrokerError,
)
from linuxbroker.redaction.secrets import hidden
from linuxbroker.results import TokenResult
from linuxbroker.tokens import validation
from linuxbroker.tokens.accounts import folded, pick_account
from linuxbroker.tokens.authority import host_of, is_known_host, is_tenant, known_host, preferred_host
from linuxbroker.tokens.claims import add_cp1
from linuxbroker.tokens.pop import PopAuthScheme
from linuxbroker.wire.models import Account

# For an application without a window, as MSAL's constant of this name, which is accepted too.
CONSOLE_WINDOW_HANDLE: object = object()
# The client ID of the Azure CLI, the default of azure-identity and azure-identity-broker.
DEVELOPER_CLIENT_ID = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
# The next three are the defaults of azure-identity, too.
_DEFAULT_TENANT = "organizations"
_DEFAULT_AUTHORITY = "login.microsoftonline.com"
_DEFAULT_SCOPES = {
    "login.microsoftonline.com": ("https://management.core.windows.net//.default",),
    "login.microsoftonline.us": ("https://management.core.usgovcloudapi.net//.default",),
    "login.partner.microsoftonline.cn": ("https://management.core.chinacloudapi.cn//.default",),
}
_MULTI_TENANT = ("common", "organizations", "consumers")
# The client's exceptions advise its own methods; these sentences name the credential's.
_ADVICE: Mapping[type[BrokerResponseError], str] = {
    InteractionRequiredError: "Sign the user in with authenticate.",
    AccountUnusableError: "Sign in again with authenticate.",
    MismatchedTokenError: "Use a tenant that the broker serves, or sign the user in with authenticate.",
    AccountRequiredError: "Set login_hint or authentication_record.",
}


@dataclass(frozen=True)
class _CredentialRequest:
    """A checked token request.

    Attributes:
        scopes: the scopes to request.
        tenant: a tenant ID or domain, or ``organizations`` and the like.
        authority: the login host with that tenant.
        claims: the claims challenge of a resource.
        capabilities: the capabilities of the SDK's client.
        auth_scheme: the scheme of a proof-of-possession token.
    """

    scopes: tuple[str, ...]
    tenant: str
    authority: str
    claims: str | None = field(repr=False)
    capabilities: tuple[str, ...]
    auth_scheme: PopAuthScheme | None


class BrokerCredential:
    """A credential for the Azure SDK's async clients that gets tokens from the identity broker.

    It implements ``azure.core``'s ``AsyncTokenCredential`` and ``AsyncSupportsTokenInfo``. Its options are those of
    ``azure-identity-broker``'s ``InteractiveBrowserBrokerCredential``. It gets a token silently for the account that
    the options or the last sign-in select. If no account is selected, or the broker requires the user, it starts a
    sign-in. Creating one sends nothing. It stores no token: the broker caches them.

    Args:
        client_id: the "Application (client) ID" of the app registration; default the Azure CLI's.
        tenant_id: the tenant to sign in to; default ``organizations``.
        authority: the login host, such as ``login.microsoftonline.us``; default AZURE_AUTHORITY_HOST, or else that of
            Azure's public cloud.
        login_hint: the UPN of the account.
        authentication_record: the account, from ``authenticate``; its client ID and authority override the arguments.
            As it may come from a file, its authority must be one of Azure's login hosts, or ``authority``.
        use_default_broker_account: whether to use the broker's default account without a sign-in.
        disable_automatic_authentication: whether to raise ``AuthenticationRequiredError`` instead of signing in.
        additionally_allowed_tenants: allowed values of a request's ``tenant_id``, besides ``tenant_id``; ``*`` for any.
        parent_window_handle: the X11 ID of the dialog's parent window; None, ``CONSOLE_WINDOW_HANDLE`` or
            ``msal.PublicClientApplication.CONSOLE_WINDOW_HANDLE`` for an application without a window.
        timeout: the time limit of a sign-in in seconds, default 300; None for no limit.
        bus_address: the D-Bus address of the bus; default the session bus.
        trust, trusted_programs, allow_bus_of_other_user: as for ``BrokerClient``.

    Raises:
        ValueError: an argument is invalid.
    """

    def __init__(
        self,
        *,
        client_id: str = DEVELOPER_CLIENT_ID,
        tenant_id: str | None = None,
        authority: str | None = None,
        login_hint: str | None = None,
        authentication_record: AuthenticationRecord | None = None,
        use_default_broker_account: bool = False,
        disable_automatic_authentication: bool = False,
        additionally_allowed_tenants: Sequence[str] | None = (),
        parent_window_handle: object | None = None,
        timeout: float | None = 300,
        bus_address: str | None = None,
        trust: TrustPolicy = "off",
        trusted_programs: Sequence[str | os.PathLike[str]] = (),
        allow_bus_of_other_user: bool = False,
    ) -> None:
        if authentication_record is not None:
            client_id, tenant_id = authentication_record.client_id, tenant_id or authentication_record.tenant_id
        if login_hint is not None:
            validation.text("login_hint", login_hint)
        validation.time_limit("timeout", timeout)
        if isinstance(additionally_allowed_tenants, str):
            raise ValueError('additionally_allowed_tenants must be a list of str, such as ["*"]')
        self._tenant = _check_tenant(tenant_id or _DEFAULT_TENANT)
        self._host = _login_host(authority or os.environ.get("AZURE_AUTHORITY_HOST") or _DEFAULT_AUTHORITY)
        if authentication_record is not None:
            self._host = _host_of_record(authentication_record, self._host)
        self._allowed_tenants = frozenset(additionally_allowed_tenants or ())
        self._username = authentication_record.username if authentication_record else login_hint
        self._home_account_id = authentication_record.home_account_id if authentication_record else ""
        self._use_default_account = use_default_broker_account
        self._interaction_allowed = not disable_automatic_authentication
        has_window = not _is_console(parent_window_handle)
        self._parent_window_handle = validation.window_handle(parent_window_handle if has_window else None)
        self._broker = BrokerClient(
            client_id,
            authority=f"https://{self._host}/{self._tenant}",
            bus_address=bus_address,
            timeouts=Timeouts(interactive=timeout),
            trust=trust,
            trusted_programs=trusted_programs,
            allow_bus_of_other_user=allow_bus_of_other_user,
        )

    async def __aenter__(self) -> BrokerCredential:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection to the bus; a later request opens it again."""
        await self._broker.aclose()

    async def get_token(
        self,
        *scopes: str,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **kwargs: Any,
    ) -> AccessToken:
        """Get a token; the clients of the Azure SDK call this.

        Args:
            scopes: the scopes to request, at least one.
            claims: the claims challenge of a resource, a JSON object as text.
            tenant_id: a tenant other than the credential's own.
            enable_cae: whether the client can handle continuous access evaluation.
            kwargs: ``pop``, for a proof-of-possession token: a mapping with ``resource_request_method``,
                ``resource_request_url`` and ``nonce``. Others are ignored.

        Returns:
            The token, and its expiry time in seconds since the epoch.

        Raises:
            CredentialUnavailableError: there is no bus, no trusted broker answers, or the broker cannot serve this
                user: it has no account for the user, or no graphical session for a sign-in.
            AuthenticationRequiredError: a sign-in is required, but disabled; see ``authenticate``.
            ClientAuthenticationError: the request failed for another reason.
            ValueError: there is no scope, or the tenant is invalid.
        """
        claims, pop = hidden(claims), hidden(kwargs.pop("pop", None))
        info = await self._get(self._request(scopes, claims, tenant_id, enable_cae, pop))
        return AccessToken(info.token, info.expires_on)

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """Get a token with its type; the clients of the Azure SDK prefer this.

        Args:
            scopes: the scopes to request, at least one.
            options: ``claims``, ``tenant_id``, ``enable_cae`` and ``pop``, as for ``get_token``.

        Returns:
            The token; its type is ``Bearer`` or ``pop``.

        Raises:
            ClientAuthenticationError: as for ``get_token``, as are the other exceptions.
        """
        given = cast("Mapping[str, Any]", hidden(options or {}))
        del options
        return await self._get(
            self._request(
                scopes, given.get("claims"), given.get("tenant_id"), bool(given.get("enable_cae")), given.get("pop")
            )
        )

    async def authenticate(
        self,
        *,
        scopes: Iterable[str] | None = None,
        claims: str | None = None,
        tenant_id: str | None = None,
        enable_cae: bool = False,
        **kwargs: Any,
    ) -> AuthenticationRecord:
        """Sign the user in; the credential uses that account from then on.

        Args:
            scopes: such as those of an ``AuthenticationRequiredError``; default Azure Resource Manager's.
            claims: such as those of an ``AuthenticationRequiredError``.
            tenant_id: a tenant other than the credential's own.
            enable_cae: whether the client can handle continuous access evaluation.
            kwargs: as for ``get_token``.

        Returns:
            The account that signed in; it contains no secret and can be stored for the next start.

        Raises:
            CredentialUnavailableError: there is no bus, no trusted broker answers, or the cloud has no default scopes.
            ClientAuthenticationError: the sign-in failed for another reason.
        """
        claims, pop = hidden(claims), hidden(kwargs.pop("pop", None))
        for_scopes = tuple(scopes or ()) or _DEFAULT_SCOPES.get(preferred_host(self._host))
        if for_scopes is None:
            raise CredentialUnavailableError(message="no default scopes for this cloud; pass scopes")
        request = self._request(for_scopes, claims, tenant_id, enable_cae, pop)
        try:
            account = await self._find_account(request.tenant)
        except BrokerError as error:
            if not _needs_sign_in(error):
                raise _sdk_error(error) from error
            account = None
        account = (await self._authenticate(request, account)).account
        if account is None:
            raise ClientAuthenticationError(message="Authentication failed: the broker did not return an account")
        return AuthenticationRecord(
            tenant_id=account.realm if is_tenant(account.realm) else request.tenant,
            client_id=self._broker.client_id,
            authority=known_host(account.environment, self._host),
            home_account_id=account.home_account_id,
            username=account.username,
        )

    async def _get(self, request: _CredentialRequest) -> AccessTokenInfo:
        account: Account | None = None
        reason: BrokerError | None = None
        try:
            account = await self._find_account(request.tenant)
            if account is not None or (self._use_default_account and self._username is None):
                token = await self._broker.acquire_token_silent(
                    request.scopes,
                    account,
                    authority=request.authority,
                    claims_challenge=request.claims,
                    client_capabilities=request.capabilities,
                    auth_scheme=request.auth_scheme,
                )
                self._remember_account(account or token.account)
                return _token_info(token)
        except BrokerError as error:
            if not _needs_sign_in(error):
                raise _sdk_error(error) from error
            reason = error
        if self._interaction_allowed:
            return _token_info(await self._authenticate(request, account))
        if reason is not None:
            details = _message(reason)
        elif self._username:
            details = f"{self._username} is not signed in to the broker. Sign the user in with authenticate."
        else:
            details = "No account is selected. Sign the user in with authenticate."
        raise AuthenticationRequiredError(
            request.scopes, message=f"Sign-in required: {details}", claims=request.claims
        ) from reason

    async def _authenticate(self, request: _CredentialRequest, account: Account | None) -> TokenResult:
        is_selected = account is not None or self._username is not None
        try:
            try:
                token = await self._sign_in(request, account, None if is_selected else "select_account")
            except BrokerResponseError as error:
                if is_selected or not failures.wants_account(error):
                    raise
                # Himmelblau cannot offer a choice of accounts; without the prompt it signs in its only user.
                token = await self._sign_in(request, account, None)
        except BrokerError as error:
            raise _sdk_error(error, during_sign_in=True) from error
        # With an account the token is that account's; with a login hint the user may have chosen another one.
        self._remember_account(account or token.account)
        return token

    async def _sign_in(self, request: _CredentialRequest, account: Account | None, prompt: str | None) -> TokenResult:
        return await self._broker.acquire_token_interactive(
            request.scopes,
            account=account,
            prompt=prompt,
            login_hint=self._username,
            parent_window_handle=self._parent_window_handle,
            authority=request.authority,
            claims_challenge=request.claims,
            client_capabilities=request.capabilities,
            auth_scheme=request.auth_scheme,
        )

    async def _find_account(self, tenant: str) -> Account | None:
        """Find the selected user's record in the tenant, or else in the home tenant; None if no user is selected."""
        if self._username is None:
            return None
        accounts = await self._broker.get_accounts()
        if self._home_account_id:
            home = folded(self._home_account_id)
            accounts = [account for account in accounts if folded(account.home_account_id) == home]
        username = accounts[0].username if accounts and self._home_account_id else self._username
        return pick_account(accounts, username, tenant) or pick_account(accounts, username, authority_tenant=tenant)

    def _remember_account(self, account: Account | None) -> None:
        """Use the same account from now on, as azure-identity does."""
        if account is not None and (account.home_account_id or account.username):
            self._username, self._home_account_id = account.username, account.home_account_id

    def _request(
        self, scopes: Iterable[str], claims: str | None, tenant_id: str | None, enable_cae: bool, pop: object
    ) -> _CredentialRequest:
        scopes = tuple(scopes)
        if not scopes:
            raise ValueError("at least one scope is required, such as https://graph.microsoft.com/.default")
        tenant = self._allowed_tenant(tenant_id)
        try:
            return _CredentialRequest(
                scopes=scopes,
                tenant=tenant,
                authority=f"https://{self._host}/{tenant}",
                claims=claims if validation.claims_challenge(claims, "claims") else None,
                capabilities=add_cp1() if enable_cae else (),
                auth_scheme=_auth_scheme(pop),
            )
        except BrokerError as error:
            raise _sdk_error(error) from error

    def _allowed_tenant(self, tenant_id: str | None) -> str:
        if not tenant_id or tenant_id == self._tenant or os.environ.get("AZURE_IDENTITY_DISABLE_MULTITENANTAUTH"):
            return self._tenant
        if self._allowed_tenants.isdisjoint((tenant_id, "*")):
            raise ClientAuthenticationError(
                message=f"Tenant {tenant_id} is not allowed for this credential. Add it, or '*' for any tenant, to "
                "additionally_allowed_tenants."
            )
        return _check_tenant(tenant_id)


def _check_tenant(tenant: str) -> str:
    if not is_tenant(tenant) and tenant.lower() not in _MULTI_TENANT:
        raise ValueError("tenant_id must be a tenant ID or a domain")
    return tenant


def _is_console(window_handle: object) -> bool:
    if window_handle is CONSOLE_WINDOW_HANDLE:
        return True
    msal: Any = sys.modules.get("msal")  # only a program that imported MSAL can pass MSAL's constant
    return msal is not None and window_handle is msal.PublicClientApplication.CONSOLE_WINDOW_HANDLE


def _login_host(authority: str) -> str:
    url = authority if "://" in authority else f"https://{authority}"
    return host_of(validation.https_url("authority", url.rstrip(" /")))


def _host_of_record(record: AuthenticationRecord, configured: str) -> str:
    """The login host of a record; only the application itself can choose one that is not Azure's."""
    host = _login_host(record.authority or configured)
    if not is_known_host(host) and host.lower() != configured.lower():
        raise ValueError(
            "authentication_record is invalid: its authority is not one of Azure's login hosts; "
            "for another host, pass the same authority"
        )
    return host


def _auth_scheme(pop: object) -> PopAuthScheme | None:
    if not pop:
        return None
    if not isinstance(pop, Mapping):
        # In azure-identity-broker, True requests a token that is bound to an mTLS connection.
        raise ClientAuthenticationError(
            message="pop must be a mapping with resource_request_method, resource_request_url and nonce"
        )
    request = cast("Mapping[str, Any]", pop)
    return PopAuthScheme(
        http_method=request.get("resource_request_method", ""),
        url=request.get("resource_request_url", ""),
        nonce=request.get("nonce"),
    )


def _token_info(token: TokenResult) -> AccessTokenInfo:
    return AccessTokenInfo(token.access_token, int(token.expires_on.timestamp()), token_type=token.token_type)


def _needs_sign_in(error: BrokerError) -> bool:
    """Whether a sign-in may help; not if the broker has no account for the user: a chain then tries the next one."""
    return isinstance(error, (InteractionRequiredError, AccountUnusableError)) and not isinstance(error, NoAccountError)


def _message(error: BrokerError) -> str:
    """The message of an error, with advice that fits the credential."""
    text = str(error)
    for kind, advice in _ADVICE.items():
        if isinstance(error, kind) and error.advice == kind.advice:
            return text.removesuffix(kind.advice) + advice if text.endswith(kind.advice) else text
    return text


def _sdk_error(error: BrokerError, *, during_sign_in: bool = False) -> ClientAuthenticationError:
    """Make the SDK's exception; a chain tries its next credential if the broker cannot serve this user.

    Args:
        error: the client's exception.
        during_sign_in: whether a sign-in was started: a broker that does not answer then was available before.
    """
    text = _message(error)
    if isinstance(error, (NoAccountError, NoDisplayError)):
        return CredentialUnavailableError(message=f"The identity broker cannot be used: {text}")
    if isinstance(error, UntrustedBrokerError):
        return CredentialUnavailableError(message=f"The identity broker is not trusted: {text}")
    was_available = isinstance(error, BrokerProtocolError) or (
        during_sign_in and isinstance(error, (BrokerTimeoutError, BrokerDisconnectedError))
    )
    if isinstance(error, BrokerUnreachableError) and not was_available:
        return CredentialUnavailableError(message=f"The identity broker is not available: {text}")
    return ClientAuthenticationError(message=f"Authentication failed: {text}")
