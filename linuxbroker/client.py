"""The client: a coroutine for each operation of the broker, typed values in and out."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from linuxbroker._version import __version__
from linuxbroker.bus import ClosedHereError
from linuxbroker.call import failures
from linuxbroker.call.caller import BrokerCaller
from linuxbroker.call.presence import Presence, watch_presence
from linuxbroker.call.sharing import SharedCalls
from linuxbroker.call.sign_in import SignIns
from linuxbroker.call.transport import BrokerTransport, Timeouts
from linuxbroker.call.trust.options import trust_options
from linuxbroker.call.trust.policy import TrustPolicy
from linuxbroker.errors import (
    NATIVE_CLIENT_REDIRECT_URI,
    BrokerError,
    BrokerResponseError,
    InvalidArgumentError,
)
from linuxbroker.redaction.secrets import hidden
from linuxbroker.results import PrtSsoCookie, TokenResult
from linuxbroker.tokens import matching, validation
from linuxbroker.tokens.accounts import home_record, named, pick_account, users_of, without_personal
from linuxbroker.tokens.authority import host_of, preferred_host, sovereign_host, tenant_of
from linuxbroker.tokens.pop import PopAuthScheme
from linuxbroker.tokens.reply import expiry_of, token_result, token_type_of
from linuxbroker.tokens.request import TokenOptions, for_account, for_user, token_request
from linuxbroker.tokens.scopes import declined_scopes
from linuxbroker.wire import models
from linuxbroker.wire.calls import Answer, CallContext, CallOptions
from linuxbroker.wire.proxy import Broker1Proxy

if TYPE_CHECKING:
    from linuxbroker.wire.models import AuthorizationType, AuthParameters

DEFAULT_AUTHORITY = "https://login.microsoftonline.com/common"
MAX_REPLY_BYTES = 16 * 1024 * 1024
MAX_REPLY_DEPTH = 64

RequestT = TypeVar("RequestT", bound="models.WireModel")
ReplyT = TypeVar("ReplyT", bound="models.Reply")


class BrokerClient:
    """Signs the user in, and gets tokens, through the identity broker on the session bus.

    Creating one sends nothing; the first call connects, and starts the broker if it is not running. Use it as an async
    context manager, or call ``aclose``. Clients on one event loop share a connection. Every method may raise
    ``InvalidArgumentError`` (nothing was sent), a ``BrokerResponseError`` (the broker returned an error) or a
    ``BrokerUnreachableError`` (there is no usable reply).

    Args:
        client_id: the app registration's "Application (client) ID", a UUID.
        authority: ``https://HOST/TENANT``, where TENANT is a tenant ID, ``common``, ``organizations`` or ``consumers``.
        redirect_uri: the app's registered redirect URI; default the broker's own.
        client_capabilities: what the application can do, as for MSAL. ``["CP1"]`` says that it answers claims
            challenges: only then does a resource with continuous access evaluation, such as Microsoft Graph, challenge
            it when a token is revoked. Every token request carries them.
        bus_address: a D-Bus address; default DBUS_SESSION_BUS_ADDRESS, or ``unix:path=$XDG_RUNTIME_DIR/bus`` if that
            is not set.
        timeouts: the time limits.
        max_reply_bytes: the largest reply that is accepted, in bytes; default 16 MiB. More of a longer one than 256 KiB
            is not kept.
        max_reply_depth: how deeply the JSON objects and arrays of a reply may be nested; default 64, at most 200.
        trust: what is done, before each call, if the bus belongs to another user who is not root, or if the process
            that owns the broker's bus name is not a known broker that root alone can change. ``off`` does not look at
            the process, and sends no password, no token to renew and no sign-in over such a bus; ``warn`` also logs a
            warning (logger ``linuxbroker.trust``); ``strict`` sends nothing at all. What is not sent raises
            ``UntrustedBrokerError``. What this cannot protect from: linuxbroker/README.md, "Security".
        trusted_programs: absolute paths of programs that ``trust`` accepts as brokers, besides Microsoft's and
            Himmelblau's; links that root alone can change are followed. Each must belong to root. To name an
            interpreter (Python, Java) is to trust every program that it runs.
        allow_bus_of_other_user: whether a bus of another user is used like one's own, as by root with ``sudo`` and the
            user's DBUS_SESSION_BUS_ADDRESS. That user can then read all that is sent.

    Raises:
        InvalidArgumentError: an argument is invalid.
    """

    def __init__(
        self,
        client_id: str,
        *,
        authority: str = DEFAULT_AUTHORITY,
        redirect_uri: str = NATIVE_CLIENT_REDIRECT_URI,
        client_capabilities: Sequence[str] | None = None,
        bus_address: str | None = None,
        timeouts: Timeouts | None = None,
        max_reply_bytes: int = MAX_REPLY_BYTES,
        max_reply_depth: int = MAX_REPLY_DEPTH,
        trust: TrustPolicy = "off",
        trusted_programs: Sequence[str | os.PathLike[str]] = (),
        allow_bus_of_other_user: bool = False,
    ) -> None:
        self.client_id = validation.client_id(client_id)
        self.authority = validation.authority(authority)
        self.redirect_uri = validation.text("redirect_uri", redirect_uri)
        self.client_capabilities = validation.client_capabilities(client_capabilities)
        self.timeouts = Timeouts() if timeouts is None else validation.instance("timeouts", timeouts, Timeouts)
        if bus_address is not None:
            validation.text("bus_address", bus_address, empty=True)
        options = trust_options(trust, trusted_programs, allow_bus_of_other_user)
        self.trust = options.policy
        self._transport = BrokerTransport(bus_address, self.timeouts, validation.reply_limit(max_reply_bytes), options)
        self._proxy = Broker1Proxy(BrokerCaller(self._transport, validation.reply_depth(max_reply_depth)))
        self._shared_tokens: SharedCalls[TokenResult] = SharedCalls()
        self._sign_ins = SignIns(self._transport, self._proxy, self.timeouts)
        self._owner_that_wants_account = ""

    async def __aenter__(self) -> BrokerClient:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Release the connection once canceled sign-ins have ended; a later call opens one again."""
        try:
            await self._sign_ins.withdrawn()
        finally:
            self._transport.close()

    @property
    def waiting_sign_ins(self) -> int:
        """How many sign-ins wait until the user has completed another one; 0 if no loop is running.

        A broker's cancel names no sign-in, and ends all of a connection. So the clients of one event loop and bus,
        which share a connection, have one sign-in open at a time; each has ``Timeouts.interactive`` for waiting, and
        again for the user. Source: PROTOCOL.md, CL-17.
        """
        try:
            return self._transport.bus().waiting_sign_ins
        except RuntimeError:
            return 0

    async def get_accounts(self, *, correlation_id: str | UUID | None = None) -> list[models.Account]:
        """List the accounts that are signed in to the broker.

        Args:
            correlation_id: UUID that identifies the call in logs; default a new one.

        Returns:
            The accounts, in the broker's order; ``environment`` shows the cloud's preferred login host.

        Raises:
            BrokerError: as the class says.
        """
        accounts = await self._list_accounts(validation.correlation_id(correlation_id))
        return [account.in_environment(preferred_host(account.environment)) for account in accounts]

    async def get_account(
        self, username: str, tenant: str | None = None, *, correlation_id: str | UUID | None = None
    ) -> models.Account | None:
        """Find one account.

        Args:
            username: its UPN, in any case; a user whose name is spelled exactly so is preferred.
            tenant: the tenant ID of the account; default the home tenant's record, if any. A work account is preferred
                to a personal one of the same name unless the client's authority is ``common`` or ``consumers``.
            correlation_id: UUID that identifies the call in logs; default a new one.

        Returns:
            The account, or None if there is no such account.

        Raises:
            BrokerError: as the class says.
        """
        validation.text("username", username)
        if tenant is not None:
            validation.text("tenant", tenant)
        accounts = await self.get_accounts(correlation_id=correlation_id)
        return pick_account(accounts, username, tenant, authority_tenant=tenant_of(self.authority))

    async def acquire_token_silent(
        self,
        scopes: Sequence[str],
        account: models.Account | None = None,
        *,
        authority: str | None = None,
        claims_challenge: str | None = None,
        client_capabilities: Sequence[str] | None = None,
        auth_scheme: PopAuthScheme | None = None,
        access_token_to_renew: str | None = None,
        extra_query_parameters: Mapping[str, str] | None = None,
        correlation_id: str | UUID | None = None,
    ) -> TokenResult:
        """Get a token without the user.

        Equal requests that are in flight at the same time are sent once, and share the result and its correlation ID.
        A request with a claims challenge, a token to renew, a proof of possession or a correlation ID is always sent;
        client capabilities alone are not a challenge.

        Args:
            scopes: the scopes to request; not ``openid``, ``profile`` or ``offline_access``.
            account: the account, from ``get_accounts``; default that of the only user who is signed in, or, if there
                are several, the one that the broker chooses.
            authority: replaces the client's.
            claims_challenge: the claims challenge from the resource, decoded: the text of a JSON object.
            client_capabilities: replace the client's.
            auth_scheme: for a proof-of-possession token.
            access_token_to_renew: the token that the resource refused; the broker gets a new one.
            extra_query_parameters: added to the request to Entra; ``token_type`` and ``key_id`` for an SSH certificate.
            correlation_id: UUID that identifies the call in logs; default a new one.

        Returns:
            The token.

        Raises:
            InteractionRequiredError: the user has to sign in, or there is no account.
            DeclinedScopesError: not all of the scopes were granted.
            BrokerError: as the class says.
        """
        options = TokenOptions(
            claims_challenge=claims_challenge,
            client_capabilities=client_capabilities,
            auth_scheme=auth_scheme,
            access_token_to_renew=access_token_to_renew,
            extra_query_parameters=extra_query_parameters,
        )
        del claims_challenge, access_token_to_renew, extra_query_parameters
        request = self._request(models.AuthorizationType.CACHED_REFRESH_TOKEN, scopes, options, authority)
        if account is not None:
            request = for_account(request, validation.account(account))
        acquire = self._silent_token if account else self._silent_token_of_only_user
        is_own = bool(options.claims_challenge or request.access_token_to_renew or request.pop_params)
        if is_own or correlation_id is not None:
            return await acquire(request, correlation_id)
        return await self._shared_tokens.run(request.to_json(), partial(acquire, request, None))

    async def sign_in_silent(
        self,
        scopes: Sequence[str],
        *,
        login_hint: str | None = None,
        parent_window_handle: int | None = None,
        authority: str | None = None,
        claims_challenge: str | None = None,
        auth_scheme: PopAuthScheme | None = None,
        extra_query_parameters: Mapping[str, str] | None = None,
        correlation_id: str | UUID | None = None,
    ) -> TokenResult:
        """Sign a user in without asking: the one that the hint names, else the only account that the broker lists.

        Without a hint, and with no or several accounts, the broker chooses. Unlike ``acquire_token_silent`` this sends
        the authority as it is.

        Args:
            scopes: the scopes to request; not ``openid``, ``profile`` or ``offline_access``.
            login_hint: the UPN of the user; the broker's accounts are not listed then.
            parent_window_handle: the X11 window ID of the application, if it has one.
            authority: replaces the client's.
            claims_challenge: the claims challenge from the resource, decoded: the text of a JSON object.
            auth_scheme: for a proof-of-possession token.
            extra_query_parameters: added to the request to Entra.
            correlation_id: UUID that identifies the call in logs; default a new one.

        Returns:
            The token.

        Raises:
            InteractionRequiredError: the user has to sign in.
            DeclinedScopesError: not all of the scopes were granted.
            BrokerError: as the class says. Source: PROTOCOL.md, "acquireTokenSilently", SF-01, SF-07 and SF-08.
        """
        options = TokenOptions(
            claims_challenge=claims_challenge,
            auth_scheme=auth_scheme,
            extra_query_parameters=extra_query_parameters,
        )
        del claims_challenge, extra_query_parameters
        request = self._request(models.AuthorizationType.CACHED_REFRESH_TOKEN, scopes, options, authority)
        if parent_window_handle is not None:
            window = models.ParentWindow(handle=validation.window_handle(parent_window_handle))
            request = request.model_copy(update={"parent_window": window})
        username = "" if login_hint is None else validation.text("login_hint", login_hint)
        correlation = validation.correlation_id(correlation_id)
        account = None if username else await self._only_record(correlation)
        request = for_account(request, account, keep_authority=True) if account else for_user(request, username)
        return await self._silent_token(request, correlation)

    async def acquire_token_interactive(
        self,
        scopes: Sequence[str],
        *,
        account: models.Account | None = None,
        prompt: str | None = None,
        login_hint: str | None = None,
        parent_window_handle: int | None = None,
        authority: str | None = None,
        claims_challenge: str | None = None,
        client_capabilities: Sequence[str] | None = None,
        auth_scheme: PopAuthScheme | None = None,
        access_token_to_renew: str | None = None,
        extra_query_parameters: Mapping[str, str] | None = None,
        onboarding_blob: str | None = None,
        correlation_id: str | UUID | None = None,
    ) -> TokenResult:
        """Have the broker ask the user, and get a token.

        Waits for the user for ``timeouts.interactive`` seconds, by default without a limit. Canceling the task tells
        the broker to close its window.

        Args:
            scopes: the scopes to request; not ``openid``, ``profile`` or ``offline_access``.
            account: the account that signs in, from ``get_accounts``; default the user chooses.
            prompt: ``select_account``, ``login``, ``consent``, ``none``, or None to leave it to Entra. With
                ``select_account`` neither account nor login hint is passed on.
            login_hint: a UPN to prefill.
            parent_window_handle: the X11 window ID that the dialog belongs to; default none.
            authority: replaces the client's.
            claims_challenge: the claims challenge from the resource, decoded: the text of a JSON object.
            client_capabilities: replace the client's.
            auth_scheme: for a proof-of-possession token.
            access_token_to_renew: the token that the resource refused.
            extra_query_parameters: added to the request to Entra.
            onboarding_blob: the application's telemetry, the text of a JSON object (PROTOCOL.md, "authParameters").
            correlation_id: UUID that identifies the call in logs; default a new one.

        Returns:
            The token.

        Raises:
            UserCanceledError: the user closed the window.
            DeclinedScopesError: not all of the scopes were granted.
            BrokerTimeoutError: the user did not complete the sign-in within ``timeouts.interactive`` seconds.
            BrokerError: as the class says.
        """
        options = TokenOptions(
            claims_challenge=claims_challenge,
            client_capabilities=client_capabilities,
            auth_scheme=auth_scheme,
            access_token_to_renew=access_token_to_renew,
            extra_query_parameters=extra_query_parameters,
            onboarding_blob=onboarding_blob,
        )
        del claims_challenge, access_token_to_renew, extra_query_parameters, onboarding_blob
        request = self._request(models.AuthorizationType.INTERACTIVE, scopes, options, authority)
        window = models.ParentWindow(handle=validation.window_handle(parent_window_handle))
        prompt = validation.prompt(prompt)
        request = request.model_copy(update={"parent_window": window, **({"prompt": prompt} if prompt else {})})
        if account is not None:
            for_account(request, validation.account(account))
        if login_hint is not None:
            validation.text("login_hint", login_hint)
        correlation = validation.correlation_id(correlation_id)
        if prompt == "select_account":
            return await self._sign_in_anyone(request.model_copy(update={"is_sign_in": True}), correlation)
        if account is not None:
            return await self._sign_in(for_account(request, account), correlation)
        return await self._sign_in_anyone_or_only_user(request, login_hint or "", correlation)

    async def _sign_in_anyone(self, request: AuthParameters, correlation_id: str) -> TokenResult:
        """Have the broker ask whoever is there, and remember one that must be told the account."""
        try:
            return await self._sign_in(request, correlation_id)
        except BrokerResponseError as error:
            if failures.wants_account(error):
                self._owner_that_wants_account = await self._transport.owner()
            raise

    async def _sign_in_anyone_or_only_user(
        self, request: AuthParameters, login_hint: str, correlation_id: str
    ) -> TokenResult:
        """Have the broker ask whoever is there; one that must be told the account is told the only user's."""
        refusal: BrokerResponseError | None = None
        if not self._owner_that_wants_account or self._owner_that_wants_account != await self._transport.owner():
            try:
                return await self._sign_in_anyone(for_user(request, login_hint), correlation_id)
            except BrokerResponseError as error:
                if not failures.wants_account(error):
                    raise
                refusal = error
        account = await self._only_user(login_hint, request.authority, correlation_id)
        if account is not None:
            return await self._sign_in(for_account(request, account), correlation_id)
        if refusal is not None:
            raise refusal
        return await self._sign_in(for_user(request, login_hint), correlation_id)

    async def acquire_token_by_username_password(
        self,
        username: str,
        password: str,
        scopes: Sequence[str],
        *,
        authority: str | None = None,
        claims_challenge: str | None = None,
        auth_scheme: PopAuthScheme | None = None,
        extra_query_parameters: Mapping[str, str] | None = None,
        correlation_id: str | UUID | None = None,
    ) -> TokenResult:
        """Get a token for a user name and password. Never sent twice.

        Args:
            username: the UPN.
            password: the password; it is sent to the broker alone.
            scopes: the scopes to request.
            authority: replaces the client's.
            claims_challenge: the claims challenge from the resource, decoded: the text of a JSON object.
            auth_scheme: for a proof-of-possession token.
            extra_query_parameters: added to the request to Entra.
            correlation_id: UUID that identifies the call in logs; default a new one.

        Returns:
            The token.

        Raises:
            InteractionRequiredError: the password is wrong, or is not enough.
            BrokerError: as the class says.
        """
        options = TokenOptions(
            claims_challenge=claims_challenge,
            auth_scheme=auth_scheme,
            extra_query_parameters=extra_query_parameters,
            password=hidden(password),
        )
        del claims_challenge, password, extra_query_parameters
        validation.text("username", username)
        validation.text("password", options.password)
        request = self._request(models.AuthorizationType.USERNAME_PASSWORD, scopes, options, authority)
        return await self._silent_token(for_user(request, username), correlation_id)

    async def acquire_prt_sso_cookie(
        self,
        account: models.Account,
        sso_url: str | None = None,
        *,
        scopes: Sequence[str] = ("https://graph.microsoft.com/.default",),
        authority: str | None = None,
        correlation_id: str | UUID | None = None,
    ) -> list[PrtSsoCookie]:
        """Get the cookies that sign the user in to Entra's login page in a browser.

        Args:
            account: the account, from ``get_accounts``.
            sso_url: the https URL of the login page that they will be sent to, with its ``sso_nonce``; default the
                login host of the account's cloud, or of the authority.
            scopes: required by the protocol.
            authority: replaces the client's; the account's own login host replaces that of another cloud.
            correlation_id: UUID that identifies the call in logs; default a new one.

        Returns:
            Each cookie, with the name of its HTTP request header.

        Raises:
            BrokerError: as the class says.
        """
        validation.account(account)
        base = self._authority(authority)
        if sovereign := sovereign_host(account.environment):
            base = f"https://{sovereign}/{tenant_of(base)}"
        sso_url = hidden(f"https://{host_of(base)}/" if sso_url is None else sso_url)
        asked = self._request(models.AuthorizationType.PRT_SSO_COOKIE, scopes, TokenOptions(), base)
        asked = for_account(asked, account, keep_authority=True)
        asked = asked.model_copy(update={"sso_url": validation.https_url("sso_url", sso_url)})
        request = models.AcquirePrtSsoCookieRequest(account=account, auth_parameters=asked, sso_url=sso_url)
        answer = await self._call(self._proxy.acquire_prt_sso_cookie, request, correlation_id, account.username)
        if matching.names_other_account(answer.reply.account, account):
            raise failures.mismatched("a cookie of another account", "that one", answer.call)
        return [PrtSsoCookie(item.cookie_name, item.cookie_content) for item in answer.reply.cookie_items or ()]

    async def generate_signed_http_request(
        self, account: models.Account, auth_scheme: PopAuthScheme, *, correlation_id: str | UUID | None = None
    ) -> str:
        """Sign one HTTP request with the device's proof-of-possession key.

        Args:
            account: the account, from ``get_accounts``.
            auth_scheme: the request to sign.
            correlation_id: UUID that identifies the call in logs; default a new one.

        Returns:
            The signed HTTP request, a JWT for ``Authorization: pop …``.

        Raises:
            UnsupportedOperationError: the broker does not implement this method.
            BrokerError: as the class says.
        """
        validation.account(account)
        if validation.instance("auth_scheme", auth_scheme, PopAuthScheme).url is None:
            raise InvalidArgumentError("auth_scheme has no request to sign; set its http_method and url")
        signed = auth_scheme.to_wire(account.home_account_id).model_copy(update={"authentication_scheme": "pop"})
        request = models.GenerateSignedHttpRequestRequest(client_id=self.client_id, pop_params=signed)
        answer = await self._call(self._proxy.generate_signed_http_request, request, correlation_id, account.username)
        return answer.reply.signed_http_request or ""

    async def remove_account(self, account: models.Account, *, correlation_id: str | UUID | None = None) -> None:
        """Sign an account out of this application.

        Args:
            account: the account, from ``get_accounts``.
            correlation_id: UUID that identifies the call in logs; default a new one.

        Raises:
            UnsupportedOperationError: the broker does not implement this method.
            BrokerError: as the class says.
        """
        request = models.RemoveAccountRequest(client_id=self.client_id, account=validation.account(account))
        await self._call(self._proxy.remove_account, request, correlation_id, account.username)

    async def get_linux_broker_version(self, *, correlation_id: str | UUID | None = None) -> str:
        """Ask the broker for its version.

        Args:
            correlation_id: UUID that identifies the call in logs; default a new one.

        Returns:
            The version, such as ``2.5.2``.

        Raises:
            BrokerError: as the class says.
        """
        request = models.GetLinuxBrokerVersionRequest(msal_cpp_version=__version__)
        answer = await self._call(self._proxy.get_linux_broker_version, request, correlation_id)
        return answer.reply.linux_broker_version or ""

    async def ping(self) -> None:
        """Ask the broker for a sign of life; starts it if it is not running.

        Raises:
            BrokerError: it did not answer ``org.freedesktop.DBus.Peer.Ping`` within ``timeouts.ping`` seconds, or may
                not be asked (``trust``). Source: PROTOCOL.md, "Transport".
        """
        try:
            return await self._transport.ping()
        except failures.CAUSES as error:
            failure = failures.from_cause(error, CallContext("Ping"))
        raise failure

    async def is_available(self) -> bool:
        """Find out whether there is a broker that answers; starts it if it is not running.

        Returns:
            Whether it answered ``org.freedesktop.DBus.Peer.Ping`` within ``timeouts.ping`` seconds, and may be asked
            (``trust``).
            Source: PROTOCOL.md, "Transport".

        Raises:
            BrokerDisconnectedError: the client was closed during the call.
        """
        try:
            await self._transport.ping()
            return True
        except ClosedHereError as error:
            failure = failures.from_cause(error, CallContext("Ping"))
        except failures.CAUSES:
            return False
        raise failure

    async def watch(self) -> AsyncGenerator[Presence, None]:
        """Watch whether the broker runs, without starting it.

        Yields:
            ``Presence.ONLINE`` or ``Presence.OFFLINE``: the current state, then each change.

        Raises:
            BrokerUnreachableError: the bus can't be reached, ended, or is not trusted.
        """
        try:
            async with aclosing(watch_presence(self._transport, self.timeouts)) as presences:
                async for presence in presences:
                    yield presence
            return
        except failures.CAUSES as error:
            failure = failures.from_cause(error, CallContext("watch"))
        raise failure

    def _request(
        self, kind: AuthorizationType, scopes: Sequence[str], options: TokenOptions, authority: str | None
    ) -> AuthParameters:
        return token_request(
            kind,
            scopes,
            options,
            client_id=self.client_id,
            redirect_uri=self.redirect_uri,
            client_capabilities=self.client_capabilities,
            authority=self._authority(authority),
        )

    def _authority(self, override: str | None) -> str:
        return self.authority if override is None else validation.authority(override)

    async def _silent_token_of_only_user(
        self, request: AuthParameters, correlation_id: str | UUID | None
    ) -> TokenResult:
        correlation = validation.correlation_id(correlation_id)
        account = await self._only_signed_in(correlation)
        request = for_account(request, account, keep_authority=True) if account else for_user(request, "")
        return await self._silent_token(request, correlation)

    async def _silent_token(self, request: AuthParameters, correlation_id: str | UUID | None) -> TokenResult:
        has_password = request.authorization_type is models.AuthorizationType.USERNAME_PASSWORD
        answer = await self._call(
            self._proxy.acquire_token_silently,
            models.AcquireTokenSilentlyRequest(auth_parameters=request),
            correlation_id,
            request.username or "",
            sent_once=has_password,
            for_own_bus=has_password or bool(request.access_token_to_renew),
        )
        return _checked_token(answer, request)

    async def _sign_in(self, request: AuthParameters, correlation_id: str) -> TokenResult:
        """Have the broker ask the user."""
        assert request.parent_window is not None
        answer = await self._sign_ins.call(
            models.AcquireTokenInteractivelyRequest(
                auth_parameters=request, parent_window_handle=request.parent_window.handle
            ),
            correlation_id,
        )
        return _checked_token(answer, request)

    async def _call(
        self,
        method: Callable[[RequestT, CallOptions], Awaitable[Answer[ReplyT]]],
        request: RequestT,
        correlation_id: str | UUID | None,
        username: str = "",
        *,
        sent_once: bool = False,
        for_own_bus: bool = False,
    ) -> Answer[ReplyT]:
        """Call a method of the broker that waits for no person."""
        correlation = validation.correlation_id(correlation_id)
        options = CallOptions(self.timeouts.call, correlation, username, sent_once=sent_once, for_own_bus=for_own_bus)
        return await method(request, options)

    async def _list_accounts(self, correlation_id: str | UUID | None) -> Sequence[models.Account]:
        # The runtime puts the client id here; it must not be empty (PROTOCOL.md, "getAccounts").
        request = models.GetAccountsRequest(client_id=self.client_id, redirect_uri=self.client_id)
        answer = await self._call(self._proxy.get_accounts, request, correlation_id)
        return answer.reply.accounts or ()

    async def _only_signed_in(self, correlation_id: str) -> models.Account | None:
        """The account of the only user who is signed in; None if there are several, of whom the broker chooses."""
        accounts = await self._list_accounts(correlation_id)
        if not accounts:
            raise failures.no_account(CallContext("acquireTokenSilently", correlation_id))
        return home_record(accounts) if len(users_of(accounts)) == 1 else None

    async def _only_record(self, correlation_id: str) -> models.Account | None:
        """The only record that the broker lists; None if it lists others, or none."""
        try:
            records = await self._list_accounts(correlation_id)
        except BrokerError:
            return None
        return records[0] if len(records) == 1 else None

    async def _only_user(self, login_hint: str, authority: str, correlation_id: str) -> models.Account | None:
        """The account of the only user whom the broker lists, or whom the hint names; None if the hint names nobody."""
        accounts = await self._list_accounts(correlation_id)
        if login_hint:
            accounts = without_personal(named(accounts, login_hint), tenant_of(authority))
            if not accounts:
                return None
        elif not accounts:
            raise failures.no_account(CallContext("acquireTokenInteractively", correlation_id))
        if len(users := users_of(accounts)) > 1:
            raise failures.account_required(users, CallContext("acquireTokenInteractively", correlation_id))
        return home_record(accounts)


def _checked_token(answer: Answer[models.AcquireTokenReply], request: AuthParameters) -> TokenResult:
    """The token of a reply, which is for the account, the tenant and the scopes that were requested."""
    response, call = answer.reply.broker_token_response, answer.call
    assert response is not None
    if (token_type := token_type_of(response)) is None:
        raise failures.unusable_reply("accessTokenType is neither 0 nor 1", call)
    if (expires_on := expiry_of(response)) is None:
        raise failures.unusable_reply("token without an expiry time", call)
    result = token_result(
        response,
        token_type=token_type,
        expires_on=expires_on,
        requested_scopes=request.requested_scopes,
        account=request.account,
        login_host=host_of(request.authority),
        telemetry=failures.redacted_telemetry(answer.reply),
        correlation_id=call.correlation_id,
    )
    if matching.is_other_kind(response.access_token_type, request):
        raise failures.other_kind(response.access_token_type, call)
    if (other := matching.other_account(response, request, result.id_token_claims)) is not None:
        raise failures.mismatched(f"a token of {other}", "that account", call)
    if (other := matching.other_tenant(response, request, result.id_token_claims)) is not None:
        raise failures.mismatched(f"a token of tenant {other}", tenant_of(request.authority), call)
    if declined := declined_scopes(request.requested_scopes, result.scopes):
        raise failures.scopes_declined(declined, result, call)
    return result
