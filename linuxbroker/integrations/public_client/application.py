"""What does an MSAL application look like with coroutines? MSAL's interface, over D-Bus where the broker serves it."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, cast
from urllib.parse import urlsplit

from linuxbroker import validation
from linuxbroker.accounts import folded
from linuxbroker.authority import host_of
from linuxbroker.claims import merge_claims
from linuxbroker.client import DEFAULT_AUTHORITY, BrokerClient
from linuxbroker.integrations.public_client import accounts
from linuxbroker.integrations.public_client.blocking import on_loop, run_blocking
from linuxbroker.integrations.public_client.broker_flows import BrokerFlows, Wanted
from linuxbroker.integrations.public_client.eligibility import (
    BrokerFlags,
    Platform,
    is_served,
    require_package,
    this_platform,
)
from linuxbroker.integrations.public_client.msal_application import LazyMsalApplication, msal
from linuxbroker.pop import PopAuthScheme
from linuxbroker.redaction import Concealed, HiddenFields, hidden
from linuxbroker.transport import Timeouts
from linuxbroker.trust.policy import TrustPolicy

logger = logging.getLogger(__name__)

# As for other calls: the broker that answers may have to be started first, which takes some machines 20 s.
_TIMEOUTS = Timeouts(ping=60.0)
_HANDLE_WANTED = (
    "parent_window_handle is required once an application opts in to the broker: give the X11 id of its window, or "
    "PublicClientApplication.CONSOLE_WINDOW_HANDLE for an application without one"
)


class PublicClientApplication:
    """MSAL Python's ``PublicClientApplication``, with coroutines for its methods.

    It takes what MSAL 1.39 takes, and gives MSAL's dicts. On Linux the broker is asked over D-Bus; on Windows, macOS
    and WSL the flags go to MSAL, whose own broker support serves them. Where no broker serves an authority or a flow,
    or none answers, MSAL's flows without a broker are used. Creating one does no I/O. Use it as an async context
    manager, or call ``aclose``, to give its connections back.

    Args:
        client_id: the app registration's "Application (client) ID".
        client_credential: None; a public client has no credential.
        enable_broker_on_windows, enable_broker_on_mac, enable_broker_on_linux, enable_broker_on_wsl: whether to use
            the broker of that platform.
        authority: ``https://HOST/TENANT``; ``https://login.microsoftonline.com/common`` unless given.
        oidc_authority: in its place, the authority of any OpenID Connect provider; no broker serves it.
        client_capabilities: such as ``["CP1"]``, for claims challenges.
        token_cache: an ``msal.TokenCache`` for the flows without a broker; the broker's tokens are not put in it.
        http_client: for the flows without a broker; one of ``requests`` unless given.
        enable_pii_log: handed to MSAL; what this library logs holds no personal data.
        validate_authority, verify, proxies, timeout, client_claims, app_name, app_version, azure_region,
            exclude_scopes, http_cache, instance_discovery, allow_broker: as MSAL has them.
        bus_address: a D-Bus address in place of the session bus's.
        timeouts: the time limits of calls to the broker; 60 s for it to answer the first time unless given.
        trust, trusted_programs, allow_bus_of_other_user: as for ``BrokerClient``; with ``strict``, a broker that is not
            to be trusted counts as none.

    Raises:
        ValueError: an argument can't be right.
        ImportError: a flag needs a package that is not installed; the text says which.
    """

    CONSOLE_WINDOW_HANDLE: object = msal.PublicClientApplication.CONSOLE_WINDOW_HANDLE
    DEVICE_FLOW_CORRELATION_ID: str = msal.PublicClientApplication.DEVICE_FLOW_CORRELATION_ID

    def __init__(
        self,
        client_id: str,
        client_credential: None = None,
        *,
        enable_broker_on_windows: bool | None = None,
        enable_broker_on_mac: bool | None = None,
        enable_broker_on_linux: bool | None = None,
        enable_broker_on_wsl: bool | None = None,
        authority: object | None = None,
        validate_authority: bool = True,
        token_cache: Any = None,
        http_client: Any = None,
        verify: bool | str = True,
        proxies: Mapping[str, str] | None = None,
        timeout: float | None = None,
        client_claims: Mapping[str, Any] | None = None,
        app_name: str | None = None,
        app_version: str | None = None,
        client_capabilities: Sequence[str] | None = None,
        azure_region: str | None = None,
        exclude_scopes: list[str] | None = None,
        http_cache: Any = None,
        instance_discovery: bool | str | None = None,
        allow_broker: bool | None = None,
        enable_pii_log: bool | None = None,
        oidc_authority: str | None = None,
        bus_address: str | None = None,
        timeouts: Timeouts | None = None,
        trust: TrustPolicy = "off",
        trusted_programs: Sequence[str | os.PathLike[str]] = (),
        allow_bus_of_other_user: bool = False,
    ) -> None:
        if client_credential is not None:
            raise ValueError("client_credential must be None: a public client has no credential")
        # An empty text is no authority, as with MSAL: it is what an unset variable of the environment reads as.
        authority, oidc_authority = authority or None, oidc_authority or None
        if authority is not None and oidc_authority is not None:
            raise ValueError("give authority or oidc_authority, not both")
        if exclude_scopes and "openid" in exclude_scopes:
            raise ValueError("exclude_scopes can't name openid: MSAL can't do without it")
        capabilities = list(validation.client_capabilities(client_capabilities)) or None
        self.client_id = client_id
        self.token_cache: Any = msal.TokenCache() if token_cache is None else token_cache
        self._validates_authority = validate_authority and instance_discovery is not False
        flags = BrokerFlags(
            windows=bool(enable_broker_on_windows or allow_broker),
            wsl=bool(enable_broker_on_wsl),
            mac=bool(enable_broker_on_mac),
            linux=bool(enable_broker_on_linux),
        )
        authority_text = None if authority is None else str(authority)
        place = this_platform()
        served = flags.opts_in(place) and is_served(authority_text, oidc_authority)
        self._msal_has_broker = served and place is not Platform.LINUX
        self._client: BrokerClient | None = None
        self._flows: BrokerFlows | None = None
        self._answered: bool | None = None
        self._answering = threading.Lock()
        if self._msal_has_broker:
            require_package(place)
        elif served:
            self._client = BrokerClient(
                client_id,
                authority=_for_broker(authority_text),
                client_capabilities=capabilities,
                bus_address=bus_address,
                timeouts=_TIMEOUTS if timeouts is None else timeouts,
                trust=trust,
                trusted_programs=trusted_programs,
                allow_bus_of_other_user=allow_bus_of_other_user,
            )
            self._flows = BrokerFlows(self._client)
        options: dict[str, Any] = {
            "authority": authority,
            "validate_authority": validate_authority,
            "token_cache": self.token_cache,
            "http_client": http_client,
            "verify": verify,
            "proxies": proxies,
            "timeout": timeout,
            "client_claims": client_claims,
            "app_name": app_name,
            "app_version": app_version,
            "client_capabilities": capabilities,
            "azure_region": azure_region,
            "exclude_scopes": exclude_scopes,
            "http_cache": http_cache,
            "instance_discovery": instance_discovery,
            "allow_broker": allow_broker,
            "enable_pii_log": enable_pii_log,
            "oidc_authority": oidc_authority,
        }
        if self._msal_has_broker:
            options |= {
                "enable_broker_on_windows": enable_broker_on_windows,
                "enable_broker_on_mac": enable_broker_on_mac,
                "enable_broker_on_linux": enable_broker_on_linux,
                "enable_broker_on_wsl": enable_broker_on_wsl,
            }
        self._msal = LazyMsalApplication(client_id, options)

    async def __aenter__(self) -> PublicClientApplication:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give the connections to the bus and to the login host back; a later call opens them again.

        A call to the broker that is under way fails, or raises ``BrokerDisconnectedError``.
        """
        try:
            await self._msal.close()
        finally:
            if self._client is not None:
                await self._client.aclose()

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
        """Sign the user in; the broker is tried silently first, as MSAL does, unless a prompt forbids it.

        Cancelling the task has the broker close its window. In the flow by browser no window opens after that; one
        that is open stays.

        Args:
            scopes: what the token is for; not ``openid``, ``profile`` or ``offline_access``.
            prompt: ``none``, ``login``, ``consent``, ``select_account`` (with which a login hint is left out), or None.
            login_hint: the UPN of the user who is to sign in.
            domain_hint: as MSAL has it; not used with the broker.
            claims_challenge: the text of the JSON object that a resource challenged with.
            timeout: seconds that the user is given; None is no limit.
            port: of the redirect URI in the flow by browser.
            extra_scopes_to_consent: as MSAL has them; not used with the broker.
            max_age: seconds since the user signed in last, above which they must again.
            parent_window_handle: the X11 window id that the dialog belongs to, or ``CONSOLE_WINDOW_HANDLE``; required
                with the broker.
            on_before_launching_ui: called with ``ui="broker"`` or ``ui="browser"`` before a window opens, on the
                event loop's thread.
            auth_scheme: ``msal.PopAuthScheme``, or this library's ``PopAuthScheme``, for a proof-of-possession token.
            kwargs: ``data``, a mapping of extra parameters for the request to Entra; the others of MSAL's.

        Returns:
            MSAL's dict: with ``access_token``, or with ``error``.

        Raises:
            ValueError: an argument can't be right; ``RedirectUriError`` where the app registration lacks the
                broker's redirect URI.
        """
        claims_challenge, kwargs = hidden(claims_challenge), HiddenFields(kwargs)
        data = _data(kwargs)
        flows = await self._broker(data)
        if flows is None:
            given_up = threading.Event()
            try:
                return await self._by_msal(
                    "acquire_token_interactive",
                    _listed(scopes),
                    prompt=prompt,
                    login_hint=login_hint,
                    domain_hint=domain_hint,
                    claims_challenge=claims_challenge,
                    timeout=timeout,
                    port=port,
                    extra_scopes_to_consent=extra_scopes_to_consent,
                    max_age=max_age,
                    parent_window_handle=parent_window_handle,
                    # MSAL calls it before it opens a window: the last chance to keep it from that.
                    on_before_launching_ui=on_loop(on_before_launching_ui or _no_callback, given_up),
                    auth_scheme=_msals_scheme(auth_scheme),
                    **kwargs,
                )
            finally:
                given_up.set()
        if parent_window_handle is None:
            raise ValueError(_HANDLE_WANTED)
        if extra_scopes_to_consent:
            logger.warning("extra_scopes_to_consent is left out: the broker has nothing of the kind")
        query = {"max_age": max_age, **self._validation_query()}
        if kwargs.get("enable_msa_passthrough"):
            query["msal_request_type"] = "consumer_passthrough"
        handle = None if parent_window_handle is self.CONSOLE_WINDOW_HANDLE else parent_window_handle
        return await flows.interactive(
            self._wanted(scopes, claims_challenge, auth_scheme, HiddenFields({**data, **query})),
            prompt=prompt,
            login_hint=login_hint or None,
            parent_window_handle=cast("int | None", handle),
            timeout=timeout,
            before_asking=lambda: on_before_launching_ui and on_before_launching_ui(ui="broker"),
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
        """Get a token without the user; None where that fails.

        Args:
            scopes: what the token is for.
            account: whose token, from ``get_accounts``; with None there is no token.
            authority: in place of the application's.
            force_refresh: whether MSAL's token cache is passed over; the broker is asked in any case.
            claims_challenge: the text of the JSON object that a resource challenged with.
            forwarded_client_claims: the text of a JSON object of claims of the application's own.
            auth_scheme: ``msal.PopAuthScheme``, or this library's ``PopAuthScheme``, for a proof-of-possession token.
            kwargs: ``data``, as for ``acquire_token_interactive``.

        Returns:
            MSAL's dict with ``access_token``, or None.

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
        """Get a token without the user, or learn why there is none.

        Args:
            scopes, account, authority, force_refresh, claims_challenge, forwarded_client_claims, auth_scheme, kwargs:
                as for ``acquire_token_silent``.

        Returns:
            MSAL's dict, with ``access_token`` or ``error``; None where neither the broker nor the token cache has the
            account.

        Raises:
            ValueError: as for ``acquire_token_interactive``.
        """
        claims_challenge, forwarded_client_claims = hidden(claims_challenge), hidden(forwarded_client_claims)
        kwargs = HiddenFields(kwargs)
        if not account:
            return None
        accounts.check(account)
        data = _data(kwargs)
        flows = await self._broker(data)
        if flows is not None and accounts.is_brokers(account):
            claims = merge_claims(claims_challenge, forwarded_client_claims)
            result = await flows.silent(self._wanted(scopes, claims, auth_scheme, data, authority), account)
            if result is not None or not await self._is_cached(account):
                return result
        by_msal: dict[str, Any] | None = await self._by_msal(
            "acquire_token_silent_with_error",
            _listed(scopes),
            account,
            authority=authority,
            force_refresh=force_refresh,
            claims_challenge=claims_challenge,
            forwarded_client_claims=forwarded_client_claims,
            auth_scheme=_msals_scheme(auth_scheme),
            **kwargs,
        )
        return by_msal

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
            password: the password. It goes to the broker and nowhere else, or, without one, where MSAL sends it.
            scopes: what the token is for.
            claims_challenge: the text of the JSON object that a resource challenged with.
            auth_scheme: ``msal.PopAuthScheme``, or this library's ``PopAuthScheme``, for a proof-of-possession token.
            kwargs: ``data``, as for ``acquire_token_interactive``.

        Returns:
            MSAL's dict: with ``access_token``, or with ``error``.

        Raises:
            ValueError: as for ``acquire_token_interactive``.
        """
        password, claims_challenge, kwargs = hidden(password), hidden(claims_challenge), HiddenFields(kwargs)
        data = _data(kwargs)
        flows = await self._broker(data)
        if flows is None:
            return await self._by_msal(
                "acquire_token_by_username_password",
                username,
                password,
                _listed(scopes),
                claims_challenge=claims_challenge,
                auth_scheme=_msals_scheme(auth_scheme),
                **kwargs,
            )
        warnings.warn(
            "Signing in with a password is deprecated for public clients; see https://aka.ms/msal-ropc-migration",
            DeprecationWarning,
            stacklevel=2,
        )
        query = HiddenFields({**data, **self._validation_query()})
        wanted = self._wanted(scopes, claims_challenge, auth_scheme, query)
        return await flows.username_password(wanted, username, password)

    async def get_accounts(self, username: str | None = None) -> list[dict[str, Any]]:
        """List the accounts that ``acquire_token_silent`` can get tokens for.

        Args:
            username: only this UPN's, in any case.

        Returns:
            MSAL's dicts: the broker's accounts, one for each tenant that a user is known in (``realm``), then those
            that flows without a broker left in the token cache.

        Raises:
            BrokerError: the broker does not list them.
        """
        flows = await self._broker()
        if flows is None:
            return cast("list[dict[str, Any]]", await self._msal.call("get_accounts", username))
        brokers = await flows.accounts(username)
        known = {account["home_account_id"] for account in brokers}
        others = [
            account
            for account in await self._cached_accounts()
            if account["home_account_id"] not in known
            and (not username or folded(str(account["username"])) == folded(username))
        ]
        return brokers + others

    async def remove_account(self, account: Mapping[str, Any]) -> None:
        """Sign a user out of this application, in every tenant that they are known in.

        Args:
            account: one of theirs, from ``get_accounts``.

        Raises:
            BrokerError: the broker did not do it.
        """
        accounts.check(account)
        flows = await self._broker()
        # In MSAL's order: the broker has signed the user out even if the token cache's login host can't be reached.
        try:
            if flows is not None and accounts.is_brokers(account):
                await flows.remove(account)
        finally:
            if flows is None or await self._is_cached(account):
                await self._msal.call("remove_account", account)

    async def is_pop_supported(self) -> bool:
        """Find out whether proof-of-possession tokens may be asked for, on Linux too.

        Returns:
            Whether a broker answers. Brokers can't be asked whether they support it, and Himmelblau does not: once a
            request of this application for such a token was refused, False.
        """
        if self._msal_has_broker:
            return bool(await self._msal.call("is_pop_supported"))
        flows = await self._broker()
        return flows is not None and not flows.has_refused_pop

    async def initiate_device_flow(
        self, scopes: Sequence[str] | None = None, *, claims_challenge: str | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Start a sign-in on another device; no broker serves this flow.

        Args:
            scopes: what the token is for.
            claims_challenge: the text of the JSON object that a resource challenged with.
            kwargs: MSAL's others.

        Returns:
            MSAL's flow, with ``message`` to show the user; or a dict with ``error``.

        Raises:
            ValueError: an argument can't be right.
        """
        claims_challenge, kwargs = hidden(claims_challenge), HiddenFields(kwargs)
        return await self._by_msal(
            "initiate_device_flow",
            _listed(scopes),
            claims_challenge=claims_challenge,
            **kwargs,
        )

    async def acquire_token_by_device_flow(
        self, flow: dict[str, Any], claims_challenge: str | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Wait for the sign-in on the other device. Cancelling the task ends the polling.

        Args:
            flow: from ``initiate_device_flow``.
            claims_challenge: the text of the JSON object that a resource challenged with.
            kwargs: MSAL's others, such as ``exit_condition``.

        Returns:
            MSAL's dict: with ``access_token``, or with ``error``.
        """
        begun, claims_challenge, kwargs = Concealed(flow), hidden(claims_challenge), HiddenFields(kwargs)
        del flow
        ended = threading.Event()
        given: Callable[[dict[str, Any]], bool] = kwargs.pop("exit_condition", _has_expired)

        def is_over(current: dict[str, Any]) -> bool:
            concealed = Concealed(current)
            del current
            return ended.is_set() or given(concealed.value)

        try:
            return await self._by_msal(
                "acquire_token_by_device_flow",
                begun.value,
                claims_challenge=claims_challenge,
                exit_condition=is_over,
                **kwargs,
            )
        finally:
            ended.set()

    async def initiate_auth_code_flow(
        self,
        scopes: Sequence[str],
        redirect_uri: str | None = None,
        state: str | None = None,
        prompt: str | None = None,
        login_hint: str | None = None,
        domain_hint: str | None = None,
        claims_challenge: str | None = None,
        max_age: int | None = None,
        response_mode: str | None = None,
    ) -> dict[str, Any]:
        """Start a sign-in with an authorization code; no broker serves this flow.

        Args:
            scopes, redirect_uri, state, prompt, login_hint, domain_hint, claims_challenge, max_age, response_mode: as
                MSAL has them.

        Returns:
            MSAL's flow, with ``auth_uri`` to send the user to.

        Raises:
            ValueError: an argument can't be right.
        """
        state, claims_challenge = hidden(state), hidden(claims_challenge)
        return await self._by_msal(
            "initiate_auth_code_flow",
            _listed(scopes),
            redirect_uri=redirect_uri,
            state=state,
            prompt=prompt,
            login_hint=login_hint,
            domain_hint=domain_hint,
            claims_challenge=claims_challenge,
            max_age=max_age,
            response_mode=response_mode,
        )

    async def acquire_token_by_auth_code_flow(
        self,
        auth_code_flow: dict[str, Any],
        auth_response: Mapping[str, Any],
        scopes: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Redeem the authorization code that the user came back with.

        Args:
            auth_code_flow: from ``initiate_auth_code_flow``.
            auth_response: the parameters of the redirect.
            scopes: a subset of those of the flow.
            kwargs: MSAL's others.

        Returns:
            MSAL's dict: with ``access_token``, or with ``error``.

        Raises:
            ValueError: the response does not belong to the flow.
        """
        begun, response, kwargs = Concealed(auth_code_flow), HiddenFields(auth_response), HiddenFields(kwargs)
        del auth_code_flow, auth_response
        return await self._by_msal(
            "acquire_token_by_auth_code_flow",
            begun.value,
            dict(response),
            _listed(scopes),
            **kwargs,
        )

    async def get_authorization_request_url(
        self,
        scopes: Sequence[str],
        login_hint: str | None = None,
        state: str | None = None,
        redirect_uri: str | None = None,
        response_type: str = "code",
        prompt: str | None = None,
        nonce: str | None = None,
        domain_hint: str | None = None,
        claims_challenge: str | None = None,
        **kwargs: Any,
    ) -> str:
        """Make the address to send the user to; MSAL advises ``initiate_auth_code_flow`` in its place.

        Args:
            scopes, login_hint, state, redirect_uri, response_type, prompt, nonce, domain_hint, claims_challenge,
                kwargs: as MSAL has them.

        Returns:
            The address.

        Raises:
            ValueError: an argument can't be right.
        """
        state, nonce, claims_challenge = hidden(state), hidden(nonce), hidden(claims_challenge)
        kwargs = HiddenFields(kwargs)
        url: object = await self._by_msal(
            "get_authorization_request_url",
            _listed(scopes),
            login_hint=login_hint,
            state=state,
            redirect_uri=redirect_uri,
            response_type=response_type,
            prompt=prompt,
            nonce=nonce,
            domain_hint=domain_hint,
            claims_challenge=claims_challenge,
            **kwargs,
        )
        return cast("str", url)

    async def acquire_token_by_authorization_code(
        self,
        code: str,
        scopes: Sequence[str],
        redirect_uri: str | None = None,
        nonce: str | None = None,
        claims_challenge: str | None = None,
        forwarded_client_claims: str | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Redeem an authorization code; MSAL advises ``acquire_token_by_auth_code_flow`` in its place.

        Args:
            code: the code.
            scopes: what the token is for.
            redirect_uri, nonce, claims_challenge, forwarded_client_claims, kwargs: as MSAL has them.

        Returns:
            MSAL's dict: with ``access_token``, or with ``error``.

        Raises:
            ValueError: an argument can't be right.
        """
        code, nonce, claims_challenge = hidden(code), hidden(nonce), hidden(claims_challenge)
        forwarded_client_claims, kwargs = hidden(forwarded_client_claims), HiddenFields(kwargs)
        return await self._by_msal(
            "acquire_token_by_authorization_code",
            code,
            _listed(scopes),
            redirect_uri=redirect_uri,
            nonce=nonce,
            claims_challenge=claims_challenge,
            forwarded_client_claims=forwarded_client_claims,
            **kwargs,
        )

    async def acquire_token_by_refresh_token(
        self, refresh_token: str, scopes: Sequence[str], **kwargs: Any
    ) -> dict[str, Any]:
        """Redeem a refresh token from elsewhere; no broker serves this flow.

        Args:
            refresh_token: the token.
            scopes: what the token is for.
            kwargs: MSAL's others.

        Returns:
            MSAL's dict: with ``access_token``, or with ``error``.
        """
        refresh_token, kwargs = hidden(refresh_token), HiddenFields(kwargs)
        return await self._by_msal("acquire_token_by_refresh_token", refresh_token, _listed(scopes), **kwargs)

    async def _broker(self, data: Mapping[str, Any] | None = None) -> BrokerFlows | None:
        """The flows by broker; None where this library's broker does not serve the application or the request."""
        if self._client is None or (data or {}).get("token_type") in ("ssh-cert", "pop"):
            return None
        if self._answered is None:
            answers = await self._client.is_available()
            with self._answering:
                is_first = self._answered is None
                if is_first:
                    self._answered = answers
            if is_first and not answers:
                logger.warning(
                    "No identity broker that may be asked answers on the session bus: this application goes on without "
                    "one. "
                    "Install microsoft-identity-broker or Himmelblau, and run the program in the user's session."
                )
        return self._flows if self._answered else None

    def _validation_query(self) -> dict[str, object]:
        return {} if self._validates_authority else {"validateAuthority": "no"}

    async def _by_msal(self, method: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        called = self._msal.call(method, *args, **kwargs)
        del args, kwargs  # there may be secrets among them, and what is called may raise
        return cast("dict[str, Any]", await called)

    def _wanted(
        self,
        scopes: Sequence[str],
        claims: str | None,
        auth_scheme: object | None,
        query: Mapping[str, object],
        authority: str | None = None,
    ) -> Wanted:
        return Wanted(
            scopes=scopes,
            claims=validation.claims_challenge(claims),
            auth_scheme=_auth_scheme(auth_scheme),
            query=hidden({key: str(value) for key, value in query.items() if value is not None}),
            authority=authority,
        )

    async def _cached_accounts(self) -> list[dict[str, Any]]:
        # A cache may read a file or a keyring whenever it is searched.
        host = host_of(self._client.authority) if self._client else ""
        return await run_blocking(lambda: accounts.cached(self.token_cache, host))

    async def _is_cached(self, account: Mapping[str, Any]) -> bool:
        home = account.get("home_account_id")
        return any(cached["home_account_id"] == home for cached in await self._cached_accounts())


def _data(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The extra parameters of a request, which MSAL takes as ``data``."""
    data: Concealed[object] = Concealed(kwargs.get("data") or {})
    is_mapping = isinstance(data.value, Mapping)
    if not is_mapping:
        raise ValueError(f"data must be a dict of extra parameters, not {type(data.value).__name__}")
    return HiddenFields(cast("Mapping[str, Any]", data.value))


def _no_callback(**_: object) -> None:
    """Nobody wants to know of a window."""


def _is_list(value: object) -> bool:
    return value is None or (isinstance(value, Iterable) and not isinstance(value, (str, bytes)))


def _listed(scopes: Sequence[str] | None) -> list[str] | None:
    """The scopes as MSAL takes them; a text in place of a list would be taken for a list of its letters."""
    if not _is_list(scopes):
        raise ValueError('scopes must be a list of str, such as ["https://graph.microsoft.com/User.Read"]')
    return None if scopes is None else list(scopes)


def _has_expired(flow: Mapping[str, Any]) -> bool:
    expires_at = flow.get("expires_at", 0)
    del flow  # it has a secret in it
    return float(expires_at) < time.time()


def _for_broker(authority: str | None) -> str:
    """The authority as MSAL names it to a broker: the host, and the first part of the path."""
    if authority is None:
        return DEFAULT_AUTHORITY
    parts = urlsplit(authority)
    tenant = parts.path.strip("/").partition("/")[0]
    return f"{parts.scheme}://{parts.hostname or ''}/{tenant}"


def _msals_scheme(scheme: object | None) -> Any:
    """The scheme as MSAL knows it, where MSAL's own broker gets the token."""
    if not isinstance(scheme, PopAuthScheme):
        return scheme
    return msal.PopAuthScheme((scheme.http_method or "").upper(), scheme.url, scheme.nonce)


def _auth_scheme(scheme: object | None) -> PopAuthScheme | None:
    if scheme is None or isinstance(scheme, PopAuthScheme):
        return scheme
    if not isinstance(scheme, msal.PopAuthScheme):
        raise ValueError(f"auth_scheme must be a PopAuthScheme, not {type(scheme).__name__}")
    theirs = cast("Any", scheme)
    return PopAuthScheme(http_method=theirs._http_method, url=theirs._url.geturl(), nonce=theirs._nonce)
