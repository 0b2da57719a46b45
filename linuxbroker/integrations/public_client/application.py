"""MSAL's ``PublicClientApplication`` with coroutines, over D-Bus if a broker serves the authority."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from linuxbroker.integrations.public_client import accounts
from linuxbroker.integrations.public_client.arguments import (
    from_msal_scheme,
    request_data,
    scope_list,
    to_msal_scheme,
)
from linuxbroker.integrations.public_client.blocking import on_loop, run_blocking
from linuxbroker.integrations.public_client.broker_flows import TokenRequest
from linuxbroker.integrations.public_client.msal_application import msal
from linuxbroker.integrations.public_client.msal_flows import MsalFlows
from linuxbroker.redaction.secrets import HiddenFields, hidden
from linuxbroker.tokens import validation
from linuxbroker.tokens.accounts import folded
from linuxbroker.tokens.authority import host_of
from linuxbroker.tokens.claims import merge_claims

logger = logging.getLogger(__name__)

_WINDOW_HANDLE_REQUIRED = (
    "parent_window_handle is required if a broker answers: pass the X11 window ID, or "
    "PublicClientApplication.CONSOLE_WINDOW_HANDLE for an application without a window"
)


class PublicClientApplication(MsalFlows):
    """MSAL Python's ``PublicClientApplication``, with coroutines for its methods.

    It accepts the arguments of MSAL 1.39 and returns MSAL's dicts. On Linux it calls the broker over D-Bus; on Windows,
    macOS and WSL it passes the flags to MSAL, which has its own broker support there. If no broker serves an authority
    or a flow, or none answers, it uses MSAL's flows without a broker. Creating one does no I/O. Use it as an async
    context manager, or call ``aclose``, to close its connections.

    Args:
        client_id: the "Application (client) ID" of the app registration.
        client_credential: None; a public client has no credential.
        enable_broker_on_windows, enable_broker_on_mac, enable_broker_on_linux, enable_broker_on_wsl: whether to use
            the broker of that platform.
        authority: ``https://HOST/TENANT``; default ``https://login.microsoftonline.com/common``.
        oidc_authority: the authority of any OpenID Connect provider, instead of ``authority``; no broker serves it.
        client_capabilities: such as ``["CP1"]``, for claims challenges.
        token_cache: an ``msal.TokenCache`` for the flows without a broker; the broker's tokens are not added to it.
        http_client: the HTTP client of the flows without a broker; default one of ``requests``.
        enable_pii_log: passed to MSAL; this library logs no personal data.
        validate_authority, verify, proxies, timeout, client_claims, app_name, app_version, azure_region,
            exclude_scopes, http_cache, instance_discovery, allow_broker: as in MSAL.
        bus_address: the D-Bus address of the bus; default the session bus.
        timeouts: the time limits of calls to the broker; default ``Timeouts(ping=60)``: 60 s for its first answer.
        trust, trusted_programs, allow_bus_of_other_user: as for ``BrokerClient``; with ``strict``, a broker that is not
            trusted counts as none.

    Raises:
        ValueError: an argument is invalid.
        ImportError: a flag requires a package that is not installed; the message names it.
    """

    CONSOLE_WINDOW_HANDLE: object = msal.PublicClientApplication.CONSOLE_WINDOW_HANDLE
    DEVICE_FLOW_CORRELATION_ID: str = msal.PublicClientApplication.DEVICE_FLOW_CORRELATION_ID

    async def acquire_token_interactive(
        self,
        scopes: Sequence[str],
        prompt: str | None = None,
        login_hint: str | None = None,
        domain_hint: str | None = None,
        claims_challenge: str | None = None,
        timeout: float | None = None,
        port: int | None = None,
        extra_scopes_to_consent: Sequence[str] | None = None,
        max_age: int | None = None,
        parent_window_handle: object | None = None,
        on_before_launching_ui: Callable[..., object] | None = None,
        auth_scheme: object | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Sign the user in. As in MSAL, a silent request comes first unless the prompt rules it out.

        Canceling the task makes the broker close its window. In the browser flow, no window opens after that, but an
        open one stays.

        Args:
            scopes: the scopes to request, without ``openid``, ``profile`` and ``offline_access``.
            prompt: ``none``, ``login``, ``consent``, ``select_account`` (which ignores a login hint), or None.
            login_hint: the UPN of the user to sign in.
            domain_hint: as in MSAL; not used with the broker.
            claims_challenge: the claims challenge of a resource, a JSON object as text.
            timeout: the time limit of the sign-in in seconds; None for no limit.
            port: the port of the redirect URI in the browser flow.
            extra_scopes_to_consent: as in MSAL; not used with the broker.
            max_age: the time in seconds since the last sign-in after which the user must sign in again.
            parent_window_handle: the X11 ID of the dialog's parent window, or ``CONSOLE_WINDOW_HANDLE``; required if a
                broker answers.
            on_before_launching_ui: called with ``ui="broker"`` or ``ui="browser"`` before a window opens, on the
                event loop's thread.
            auth_scheme: ``msal.PopAuthScheme``, or this library's ``PopAuthScheme``, for a proof-of-possession token.
            kwargs: ``data``, a mapping of extra parameters of the request to Entra, and MSAL's other arguments.

        Returns:
            MSAL's dict, with ``access_token`` or ``error``.

        Raises:
            ValueError: an argument is invalid; ``RedirectUriError`` if the app registration lacks the broker's redirect
                URI.
        """
        claims_challenge, kwargs = hidden(claims_challenge), HiddenFields(kwargs)
        data = request_data(kwargs)
        flows = await self._broker(data)
        if flows is None:
            abandoned = threading.Event()
            try:
                return await self._call_msal(
                    "acquire_token_interactive",
                    scope_list(scopes),
                    prompt=prompt,
                    login_hint=login_hint,
                    domain_hint=domain_hint,
                    claims_challenge=claims_challenge,
                    timeout=timeout,
                    port=port,
                    extra_scopes_to_consent=extra_scopes_to_consent,
                    max_age=max_age,
                    parent_window_handle=parent_window_handle,
                    # MSAL calls it before it opens a window, which an abandoned call must not do.
                    on_before_launching_ui=on_loop(on_before_launching_ui or _no_callback, abandoned),
                    auth_scheme=to_msal_scheme(auth_scheme),
                    **kwargs,
                )
            finally:
                abandoned.set()
        if parent_window_handle is None:
            raise ValueError(_WINDOW_HANDLE_REQUIRED)
        if extra_scopes_to_consent:
            logger.warning("ignoring extra_scopes_to_consent: not supported by the broker")
        query = {"max_age": max_age, **self._validation_query()}
        if kwargs.get("enable_msa_passthrough"):
            query["msal_request_type"] = "consumer_passthrough"
        handle = None if parent_window_handle is self.CONSOLE_WINDOW_HANDLE else parent_window_handle
        return await flows.interactive(
            self._token_request(scopes, claims_challenge, auth_scheme, HiddenFields({**data, **query})),
            prompt=prompt,
            login_hint=login_hint or None,
            parent_window_handle=cast("int | None", handle),
            timeout=timeout,
            before_sign_in=lambda: on_before_launching_ui and on_before_launching_ui(ui="broker"),
        )

    async def acquire_token_silent(
        self,
        scopes: Sequence[str],
        account: Mapping[str, Any] | None,
        authority: str | None = None,
        force_refresh: bool | None = False,
        claims_challenge: str | None = None,
        forwarded_client_claims: str | None = None,
        auth_scheme: object | None = None,
        **kwargs: Any,
    ) -> dict[str, Any] | None:
        """Get a token without user interaction.

        Args:
            scopes: the scopes to request.
            account: the account, from ``get_accounts``; None gives no token.
            authority: overrides the application's authority.
            force_refresh: whether to bypass MSAL's token cache; a broker is called in any case.
            claims_challenge: the claims challenge of a resource, a JSON object as text.
            forwarded_client_claims: the application's own claims, a JSON object as text.
            auth_scheme: ``msal.PopAuthScheme``, or this library's ``PopAuthScheme``, for a proof-of-possession token.
            kwargs: ``data``, as for ``acquire_token_interactive``.

        Returns:
            MSAL's dict with ``access_token``; None if there is no token.

        Raises:
            ValueError: as for ``acquire_token_interactive``.
        """
        claims_challenge, forwarded_client_claims = hidden(claims_challenge), hidden(forwarded_client_claims)
        kwargs = HiddenFields(kwargs)
        result = await self.acquire_token_silent_with_error(
            scopes,
            account,
            authority,
            force_refresh,
            claims_challenge,
            forwarded_client_claims,
            auth_scheme,
            **kwargs,
        )
        return None if result is None or "error" in result else result

    async def acquire_token_silent_with_error(
        self,
        scopes: Sequence[str],
        account: Mapping[str, Any] | None,
        authority: str | None = None,
        force_refresh: bool | None = False,
        claims_challenge: str | None = None,
        forwarded_client_claims: str | None = None,
        auth_scheme: object | None = None,
        **kwargs: Any,
    ) -> dict[str, Any] | None:
        """Get a token without user interaction, or the reason why there is none.

        Args:
            scopes, account, authority, force_refresh, claims_challenge, forwarded_client_claims, auth_scheme, kwargs:
                as for ``acquire_token_silent``.

        Returns:
            MSAL's dict, with ``access_token`` or ``error``; None if neither the broker nor the token cache has the
            account.

        Raises:
            ValueError: as for ``acquire_token_interactive``.
        """
        claims_challenge, forwarded_client_claims = hidden(claims_challenge), hidden(forwarded_client_claims)
        kwargs = HiddenFields(kwargs)
        if not account:
            return None
        accounts.check(account)
        data = request_data(kwargs)
        flows = await self._broker(data)
        if flows is not None and accounts.is_broker_account(account):
            claims = merge_claims(claims_challenge, forwarded_client_claims)
            result = await flows.silent(self._token_request(scopes, claims, auth_scheme, data, authority), account)
            if result is not None or not await self._is_cached(account):
                return result
        msal_result: dict[str, Any] | None = await self._call_msal(
            "acquire_token_silent_with_error",
            scope_list(scopes),
            account,
            authority=authority,
            force_refresh=force_refresh,
            claims_challenge=claims_challenge,
            forwarded_client_claims=forwarded_client_claims,
            auth_scheme=to_msal_scheme(auth_scheme),
            **kwargs,
        )
        return msal_result

    async def acquire_token_by_username_password(
        self,
        username: str,
        password: str,
        scopes: Sequence[str],
        claims_challenge: str | None = None,
        auth_scheme: object | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Get a token for a user name and password; Microsoft advises against it for public clients.

        Args:
            username: the UPN.
            password: the password. It is sent to the broker only or, without a broker, to where MSAL sends it.
            scopes: the scopes to request.
            claims_challenge: the claims challenge of a resource, a JSON object as text.
            auth_scheme: ``msal.PopAuthScheme``, or this library's ``PopAuthScheme``, for a proof-of-possession token.
            kwargs: ``data``, as for ``acquire_token_interactive``.

        Returns:
            MSAL's dict, with ``access_token`` or ``error``.

        Raises:
            ValueError: as for ``acquire_token_interactive``.
        """
        password, claims_challenge, kwargs = hidden(password), hidden(claims_challenge), HiddenFields(kwargs)
        data = request_data(kwargs)
        flows = await self._broker(data)
        if flows is None:
            return await self._call_msal(
                "acquire_token_by_username_password",
                username,
                password,
                scope_list(scopes),
                claims_challenge=claims_challenge,
                auth_scheme=to_msal_scheme(auth_scheme),
                **kwargs,
            )
        warnings.warn(
            "Signing in with a password is deprecated for public clients; see https://aka.ms/msal-ropc-migration",
            DeprecationWarning,
            stacklevel=2,
        )
        query = HiddenFields({**data, **self._validation_query()})
        request = self._token_request(scopes, claims_challenge, auth_scheme, query)
        return await flows.username_password(request, username, password)

    async def get_accounts(self, username: str | None = None) -> list[dict[str, Any]]:
        """List the accounts that ``acquire_token_silent`` can get tokens for.

        Args:
            username: a UPN, in any case, to list the accounts of one user only.

        Returns:
            MSAL's dicts: the broker's accounts, one for each tenant that a user is known in (``realm``), then those
            that flows without a broker added to the token cache.

        Raises:
            BrokerError: the broker did not list the accounts.
        """
        flows = await self._broker()
        if flows is None:
            return cast("list[dict[str, Any]]", await self._msal.call("get_accounts", username))
        broker_accounts = await flows.accounts(username)
        known = {account["home_account_id"] for account in broker_accounts}
        other_accounts = [
            account
            for account in await self._cached_accounts()
            if account["home_account_id"] not in known
            and (not username or folded(str(account["username"])) == folded(username))
        ]
        return broker_accounts + other_accounts

    async def remove_account(self, account: Mapping[str, Any]) -> None:
        """Sign a user out of this application, in every tenant that the user is known in.

        Args:
            account: one of the user's accounts, from ``get_accounts``.

        Raises:
            BrokerError: the broker did not sign the user out.
        """
        accounts.check(account)
        flows = await self._broker()
        # In MSAL's order: the broker signs the user out even if the token cache's login host cannot be reached.
        try:
            if flows is not None and accounts.is_broker_account(account):
                await flows.remove(account)
        finally:
            if flows is None or await self._is_cached(account):
                await self._msal.call("remove_account", account)

    async def is_pop_supported(self) -> bool:
        """Find out whether proof-of-possession tokens can be requested, on Linux too.

        Returns:
            Whether a broker answers; False once it refused such a token to this application. Brokers do not report
            whether they support it, and Himmelblau does not.
        """
        if self._msal_has_broker:
            return bool(await self._msal.call("is_pop_supported"))
        flows = await self._broker()
        return flows is not None and not flows.has_refused_pop

    def _validation_query(self) -> dict[str, object]:
        return {} if self._validates_authority else {"validateAuthority": "no"}

    def _token_request(
        self,
        scopes: Sequence[str],
        claims: str | None,
        auth_scheme: object | None,
        query: Mapping[str, object],
        authority: str | None = None,
    ) -> TokenRequest:
        return TokenRequest(
            scopes=scopes,
            claims=validation.claims_challenge(claims),
            auth_scheme=from_msal_scheme(auth_scheme),
            query=hidden({key: str(value) for key, value in query.items() if value is not None}),
            authority=authority,
        )

    async def _cached_accounts(self) -> list[dict[str, Any]]:
        # Searching a cache may read a file or a keyring.
        host = host_of(self._client.authority) if self._client else ""
        return await run_blocking(lambda: accounts.cached_accounts(self.token_cache, host))

    async def _is_cached(self, account: Mapping[str, Any]) -> bool:
        home = account.get("home_account_id")
        return any(cached["home_account_id"] == home for cached in await self._cached_accounts())


def _no_callback(**_: object) -> None:
    """Stand for the callback of an application that has none."""
