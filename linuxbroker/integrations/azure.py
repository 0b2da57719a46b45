"""How do the clients of the Azure SDK sign in through the broker? A credential for them (extra ``azure``)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, cast

from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import AuthenticationRecord, AuthenticationRequiredError, CredentialUnavailableError

from linuxbroker import failures, validation
from linuxbroker.accounts import folded, pick_account
from linuxbroker.authority import host_of, is_known_host, is_tenant, known_host, preferred_host
from linuxbroker.claims import add_cp1
from linuxbroker.client import BrokerClient
from linuxbroker.errors import (
    AccountUnusableError,
    BrokerDisconnectedError,
    BrokerError,
    BrokerProtocolError,
    BrokerResponseError,
    BrokerTimeoutError,
    BrokerUnreachableError,
    InteractionRequiredError,
    NoAccountError,
    NoDisplayError,
)
from linuxbroker.integrations.public_client import PublicClientApplication
from linuxbroker.models import Account
from linuxbroker.pop import PopAuthScheme
from linuxbroker.redaction import hidden
from linuxbroker.results import TokenResult
from linuxbroker.transport import Timeouts
from linuxbroker.trust.policy import TrustPolicy

# The Azure CLI's, which azure-identity and azure-identity-broker sign in to unless told otherwise.
DEVELOPER_CLIENT_ID = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
# The next three are azure-identity's, too.
_DEFAULT_TENANT = "organizations"
_DEFAULT_AUTHORITY = "login.microsoftonline.com"
_DEFAULT_SCOPES = {
    "login.microsoftonline.com": ("https://management.core.windows.net//.default",),
    "login.microsoftonline.us": ("https://management.core.usgovcloudapi.net//.default",),
    "login.partner.microsoftonline.cn": ("https://management.core.chinacloudapi.cn//.default",),
}
_MULTI_TENANT = ("common", "organizations", "consumers")


@dataclass(frozen=True)
class _Wanted:
    """One request for a token, checked.

    Attributes:
        scopes: what for.
        tenant: a tenant id or domain, or ``organizations`` and the like.
        authority: the login host with that tenant.
        claims: those that a resource challenged with.
        capabilities: those of the client of the SDK.
        auth_scheme: for a proof-of-possession token.
    """

    scopes: tuple[str, ...]
    tenant: str
    authority: str
    claims: str | None = field(repr=False)
    capabilities: tuple[str, ...]
    auth_scheme: PopAuthScheme | None


class BrokerCredential:
    """A credential of the Azure SDK's async clients that gets its tokens from the identity broker.

    It satisfies ``azure.core``'s ``AsyncTokenCredential`` and ``AsyncSupportsTokenInfo``. The options are those of
    ``azure-identity-broker``'s ``InteractiveBrowserBrokerCredential``. A token is got silently for the account that
    the options, or the last sign-in, choose; where nobody is chosen, or the broker wants the user, the user is asked.
    Creating one sends nothing. No token is kept: the broker does that.

    Args:
        client_id: the app registration's "Application (client) ID"; the Azure CLI's unless given.
        tenant_id: the tenant to sign in to; ``organizations`` unless given.
        authority: the login host, such as ``login.microsoftonline.us``; else AZURE_AUTHORITY_HOST, else Azure's own.
        login_hint: the UPN of the account.
        authentication_record: the account, from ``authenticate``; its client id and authority go before those given.
            As it may have been kept in a file, its authority must be one of Azure's login hosts, or the one given.
        use_default_broker_account: whether the account of the broker's choice is used without asking.
        disable_automatic_authentication: whether ``AuthenticationRequiredError`` is raised in place of asking.
        additionally_allowed_tenants: what a request's ``tenant_id`` may be, besides ``tenant_id``; ``*`` is any.
        parent_window_handle: the X11 window id that the dialog belongs to; None, or
            ``msal.PublicClientApplication.CONSOLE_WINDOW_HANDLE``, for an application without one.
        timeout: seconds that a person is given to sign in; None is no limit.
        bus_address: a D-Bus address, in place of the session bus's.
        trust, trusted_programs, allow_bus_of_other_user: as for ``BrokerClient``.

    Raises:
        ValueError: an argument can't be right.
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
        self._tenant = _checked_tenant(tenant_id or _DEFAULT_TENANT)
        self._host = _login_host(authority or os.environ.get("AZURE_AUTHORITY_HOST") or _DEFAULT_AUTHORITY)
        if authentication_record is not None:
            self._host = _host_of_record(authentication_record, self._host)
        self._allowed_tenants = frozenset(additionally_allowed_tenants or ())
        self._username = authentication_record.username if authentication_record else login_hint
        self._home_account_id = authentication_record.home_account_id if authentication_record else ""
        self._use_default_account = use_default_broker_account
        self._may_ask = not disable_automatic_authentication
        has_window = parent_window_handle is not PublicClientApplication.CONSOLE_WINDOW_HANDLE
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
        """Give the connection to the bus back; a later request opens one again."""
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
            scopes: what the token is for, at least one.
            claims: the text of the JSON object that a resource challenged with.
            tenant_id: a tenant other than the credential's own.
            enable_cae: whether the client can handle continuous access evaluation.
            kwargs: ``pop``, for a proof-of-possession token: a mapping with ``resource_request_method``,
                ``resource_request_url`` and ``nonce``. Others are passed over.

        Returns:
            The token, and when it expires in epoch seconds.

        Raises:
            CredentialUnavailableError: there is no bus, no broker that answers, or none that can serve this user: it
                has no account for them, or no graphical session to ask them in.
            AuthenticationRequiredError: the user would have to be asked, and may not be; see ``authenticate``.
            ClientAuthenticationError: anything else went wrong.
            ValueError: there is no scope, or the tenant is no tenant.
        """
        claims, pop = hidden(claims), hidden(kwargs.pop("pop", None))
        info = await self._get(self._wanted(scopes, claims, tenant_id, enable_cae, pop))
        return AccessToken(info.token, info.expires_on)

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """Get a token with its type; the clients of the Azure SDK prefer this.

        Args:
            scopes: what the token is for, at least one.
            options: ``claims``, ``tenant_id``, ``enable_cae`` and ``pop``, as for ``get_token``.

        Returns:
            The token; its type is ``Bearer`` or ``pop``.

        Raises:
            ClientAuthenticationError: as for ``get_token``, and the others there.
        """
        given = cast("Mapping[str, Any]", hidden(options or {}))
        del options
        return await self._get(
            self._wanted(
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
        """Ask the user to sign in; the credential stays with who does.

        Args:
            scopes: such as those of an ``AuthenticationRequiredError``; Azure Resource Manager's unless given.
            claims: such as those of an ``AuthenticationRequiredError``.
            tenant_id: a tenant other than the credential's own.
            enable_cae: whether the client can handle continuous access evaluation.
            kwargs: as for ``get_token``.

        Returns:
            Who signed in; no secret is in it, so that it can be kept for the next start.

        Raises:
            CredentialUnavailableError: there is no bus, no broker that answers, or no scope known for the cloud.
            ClientAuthenticationError: anything else went wrong.
        """
        claims, pop = hidden(claims), hidden(kwargs.pop("pop", None))
        for_scopes = tuple(scopes or ()) or _DEFAULT_SCOPES.get(preferred_host(self._host))
        if for_scopes is None:
            raise CredentialUnavailableError(message="name scopes: those of this cloud are not known here")
        wanted = self._wanted(for_scopes, claims, tenant_id, enable_cae, pop)
        try:
            account = await self._find_account(wanted.tenant)
        except BrokerError as error:
            if not _sign_in_may_mend(error):
                raise _sdk_error(error) from error
            account = None
        account = (await self._ask(wanted, account)).account
        if account is None:
            raise ClientAuthenticationError(message="Authentication failed: the broker does not say who signed in")
        return AuthenticationRecord(
            tenant_id=account.realm if is_tenant(account.realm) else wanted.tenant,
            client_id=self._broker.client_id,
            authority=known_host(account.environment, self._host),
            home_account_id=account.home_account_id,
            username=account.username,
        )

    async def _get(self, wanted: _Wanted) -> AccessTokenInfo:
        account: Account | None = None
        reason: BrokerError | None = None
        try:
            account = await self._find_account(wanted.tenant)
            if account is not None or (self._use_default_account and self._username is None):
                token = await self._broker.acquire_token_silent(
                    wanted.scopes,
                    account,
                    authority=wanted.authority,
                    claims_challenge=wanted.claims,
                    client_capabilities=wanted.capabilities,
                    auth_scheme=wanted.auth_scheme,
                )
                self._stay_with(account or token.account)
                return _token_info(token)
        except BrokerError as error:
            if not _sign_in_may_mend(error):
                raise _sdk_error(error) from error
            reason = error
        if self._may_ask:
            return _token_info(await self._ask(wanted, account))
        why = f"{self._username} is not signed in to the broker." if self._username else "No account is chosen."
        raise AuthenticationRequiredError(
            wanted.scopes,
            message=f"The user has to sign in: call authenticate. {reason or why}",
            claims=wanted.claims,
        ) from reason

    async def _ask(self, wanted: _Wanted, account: Account | None) -> TokenResult:
        chosen = account is not None or self._username is not None
        try:
            try:
                token = await self._sign_in(wanted, account, None if chosen else "select_account")
            except BrokerResponseError as error:
                if chosen or not failures.wants_account(error):
                    raise
                # Himmelblau has no choice of accounts to offer: without the prompt its only user is asked.
                token = await self._sign_in(wanted, account, None)
        except BrokerError as error:
            raise _sdk_error(error, asked=True) from error
        # With an account it is that account's token, or an error; with a login hint the user may have chosen another.
        self._stay_with(account or token.account)
        return token

    async def _sign_in(self, wanted: _Wanted, account: Account | None, prompt: str | None) -> TokenResult:
        return await self._broker.acquire_token_interactive(
            wanted.scopes,
            account=account,
            prompt=prompt,
            login_hint=self._username,
            parent_window_handle=self._parent_window_handle,
            authority=wanted.authority,
            claims_challenge=wanted.claims,
            client_capabilities=wanted.capabilities,
            auth_scheme=wanted.auth_scheme,
        )

    async def _find_account(self, tenant: str) -> Account | None:
        """The record that is chosen, in the tenant if there is one, else at home; None where nobody is."""
        if self._username is None:
            return None
        accounts = await self._broker.get_accounts()
        if self._home_account_id:
            home = folded(self._home_account_id)
            accounts = [account for account in accounts if folded(account.home_account_id) == home]
        username = accounts[0].username if accounts and self._home_account_id else self._username
        return pick_account(accounts, username, tenant) or pick_account(accounts, username, authority_tenant=tenant)

    def _stay_with(self, account: Account | None) -> None:
        """Ask for the same account from now on, as azure-identity does."""
        if account is not None and (account.home_account_id or account.username):
            self._username, self._home_account_id = account.username, account.home_account_id

    def _wanted(
        self, scopes: Iterable[str], claims: str | None, tenant_id: str | None, enable_cae: bool, pop: object
    ) -> _Wanted:
        scopes = tuple(scopes)
        if not scopes:
            raise ValueError("name at least one scope, such as https://graph.microsoft.com/.default")
        tenant = self._allowed_tenant(tenant_id)
        try:
            return _Wanted(
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
                message=f"The credential may not get tokens for tenant {tenant_id}: add it, or '*' for any tenant, to "
                "additionally_allowed_tenants."
            )
        return _checked_tenant(tenant_id)


def _checked_tenant(tenant: str) -> str:
    if not is_tenant(tenant) and tenant.lower() not in _MULTI_TENANT:
        raise ValueError("tenant_id is neither a tenant id nor a domain")
    return tenant


def _login_host(authority: str) -> str:
    url = authority if "://" in authority else f"https://{authority}"
    return host_of(validation.https_url("authority", url.rstrip(" /")))


def _host_of_record(record: AuthenticationRecord, configured: str) -> str:
    """The login host of a record: nobody but the application names one that is not Azure's."""
    host = _login_host(record.authority or configured)
    if not is_known_host(host) and host.lower() != configured.lower():
        raise ValueError(
            "authentication_record is invalid: its authority is none of Azure's login hosts; "
            "for one of your own give the same as authority"
        )
    return host


def _auth_scheme(pop: object) -> PopAuthScheme | None:
    if not pop:
        return None
    if not isinstance(pop, Mapping):
        # azure-identity-broker takes True for a token that is bound to an mTLS connection.
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


def _sign_in_may_mend(error: BrokerError) -> bool:
    """Whether to ask the user; not where the broker has no account for them, and a chain has other credentials."""
    return isinstance(error, (InteractionRequiredError, AccountUnusableError)) and not isinstance(error, NoAccountError)


def _sdk_error(error: BrokerError, *, asked: bool = False) -> ClientAuthenticationError:
    """Give the SDK's exception for one of ours; a chain moves on from a broker that can't serve this user here.

    Args:
        error: ours.
        asked: whether the user was asked: a broker that goes silent then was there.
    """
    if isinstance(error, (NoAccountError, NoDisplayError)):
        return CredentialUnavailableError(message=f"The identity broker can't be used here: {error}")
    was_there = isinstance(error, BrokerProtocolError) or (
        asked and isinstance(error, (BrokerTimeoutError, BrokerDisconnectedError))
    )
    if isinstance(error, BrokerUnreachableError) and not was_there:
        return CredentialUnavailableError(message=f"The identity broker is not available: {error}")
    return ClientAuthenticationError(message=f"Authentication failed: {error}")
