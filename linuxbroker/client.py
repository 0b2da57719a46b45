"""What can an application ask of the broker? A coroutine for each operation, typed values in and out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Hashable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from types import TracebackType
from typing import Any, TypeVar
from uuid import UUID

from linuxbroker import failures, models, token_match, validation
from linuxbroker._version import __version__
from linuxbroker.accounts import home_record, named, pick_account, users_of, without_personal
from linuxbroker.authority import (
    authority_for_realm,
    host_of,
    is_commercial,
    preferred_host,
    sovereign_host,
    tenant_of,
)
from linuxbroker.bus import BusError, ClosedHereError
from linuxbroker.codec import EmptyReplyError, MalformedReplyError
from linuxbroker.errors import (
    NATIVE_CLIENT_REDIRECT_URI,
    BrokerError,
    BrokerResponseError,
    InvalidArgumentError,
)
from linuxbroker.failures import CallContext
from linuxbroker.models.status import Status
from linuxbroker.pop import PopAuthScheme
from linuxbroker.presence import Presence, watch_presence
from linuxbroker.proxy import Broker1Proxy
from linuxbroker.redaction import Concealed, HiddenFields, hidden
from linuxbroker.results import PrtSsoCookie, TokenResult, UnusableToken, token_result
from linuxbroker.scopes import declined_scopes
from linuxbroker.sharing import SharedCalls
from linuxbroker.token_parameters import token_parameters
from linuxbroker.transport import BrokerTransport, CallOptions, Timeouts
from linuxbroker.trust.policy import TrustPolicy, UntrustedError

DEFAULT_AUTHORITY = "https://login.microsoftonline.com/common"
MAX_REPLY_BYTES = 16 * 1024 * 1024
MAX_REPLY_DEPTH = 64

ReplyT = TypeVar("ReplyT", bound="models.Reply")


class BrokerClient:
    """Signs the user in, and gets tokens, through the identity broker on the session bus.

    Creating one sends nothing; the first call connects, and starts the broker if it is not running. Use it as an async
    context manager, or call ``aclose``. Clients on one event loop share a connection. Every method may raise
    ``InvalidArgumentError`` (nothing was sent), a ``BrokerResponseError`` (the broker said no) or a
    ``BrokerUnreachableError`` (it said nothing usable).

    Args:
        client_id: the app registration's "Application (client) ID", a UUID.
        authority: ``https://HOST/TENANT``, where TENANT is a tenant id, ``common``, ``organizations`` or ``consumers``.
        redirect_uri: the app's redirect URI; the broker's own unless the app has registered another.
        client_capabilities: what the application can do, as for MSAL. ``["CP1"]`` says that it answers claims
            challenges: only then does a resource with continuous access evaluation, such as Microsoft Graph, challenge
            it when a token is revoked. Every token is asked for with them.
        bus_address: a D-Bus address; else DBUS_SESSION_BUS_ADDRESS, else ``unix:path=$XDG_RUNTIME_DIR/bus``.
        timeouts: the time limits.
        max_reply_bytes: a reply larger than this many bytes is refused, without being taken in.
        max_reply_depth: a reply whose JSON objects and arrays are nested more deeply than this is refused; up to 200.
        trust: what is done, before each call, about a bus of another user who is not root, and about a process that
            owns the broker's bus name and is no program of a broker, or one that others than root can change: ``off``
            does not look at the process, and does not send a password, a token to renew or a sign-in over such a bus;
            ``warn`` logs a warning (logger ``linuxbroker.trust``) besides; ``strict`` sends nothing at all. What is not
            sent raises ``UntrustedBrokerError``. See the README, "Security", for what that can't protect from.
        trusted_programs: absolute paths of programs that ``trust`` takes for a broker besides Microsoft's and
            Himmelblau's, links that root alone can change included. They must belong to root like those. An interpreter
            (Python, Java) is trusted with every program that it runs, whoever wrote it.
        allow_bus_of_other_user: whether a bus of another user is used like one's own: by root, say, with ``sudo`` and
            the user's DBUS_SESSION_BUS_ADDRESS. That user can then read all that is sent.

    Raises:
        InvalidArgumentError: an argument can't be right.
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
        options = validation.trust_options(trust, trusted_programs, allow_bus_of_other_user)
        self.trust = options.policy
        self._transport = BrokerTransport(bus_address, self.timeouts, validation.reply_limit(max_reply_bytes), options)
        self._proxy = Broker1Proxy(self._transport, validation.reply_depth(max_reply_depth))
        self._shared_tokens: SharedCalls[TokenResult] = SharedCalls()
        self._cancellations: set[asyncio.Task[None]] = set()
        self._owner_that_wants_account = ""

    async def __aenter__(self) -> BrokerClient:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give the connection back once cancelled sign-ins have ended; a later call opens one again."""
        # A copy first: another thread's loop may add to the set.
        running = [task for task in tuple(self._cancellations) if task.get_loop() is asyncio.get_running_loop()]
        try:
            if running:
                await asyncio.wait(running)
        finally:
            self._transport.close()

    @property
    def waiting_sign_ins(self) -> int:
        """How many sign-ins wait until the user is done with another one.

        A broker's cancel names no sign-in, and ends those of a whole connection. So the clients of one event loop and
        bus, which share a connection, ask the user for one sign-in after the other; each has its
        ``Timeouts.interactive`` for waiting, and again for the user. 0 where no loop runs. Source: PROTOCOL.md, CL-17.
        """
        try:
            return self._transport.bus().waiting_sign_ins
        except RuntimeError:
            return 0

    async def get_accounts(self, *, correlation_id: str | UUID | None = None) -> list[models.Account]:
        """List the accounts that are signed in to the broker.

        Args:
            correlation_id: a UUID for the logs; a new one unless given.

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
            username: its UPN, in any case; a user whose name is spelled exactly so goes before others.
            tenant: the tenant id that the record must be in; the home tenant's record is preferred without, and a work
                account to a personal one of the same name unless the client's authority is ``common`` or ``consumers``.
            correlation_id: a UUID for the logs; a new one unless given.

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

        Equal requests that are in flight at the same time share one call of the broker, its result and its correlation
        id. A request with a claims challenge, a token to renew, a proof of possession or a correlation id never does;
        client capabilities alone are no challenge.

        Args:
            scopes: what the token is for; not ``openid``, ``profile`` or ``offline_access``.
            account: whose token, from ``get_accounts``; without one, that of the only user who is signed in, or, where
                there are several, of the one that the broker chooses.
            authority: in place of the client's.
            claims_challenge: the text of the JSON object that a resource challenged with.
            client_capabilities: in place of the client's.
            auth_scheme: for a proof-of-possession token.
            access_token_to_renew: the token that the resource refused: asks for a fresh one.
            extra_query_parameters: for the request to Entra; ``token_type`` and ``key_id`` for an SSH certificate.
            correlation_id: a UUID for the logs; a new one unless given.

        Returns:
            The token.

        Raises:
            InteractionRequiredError: the user has to sign in, or there is no account.
            DeclinedScopesError: not all of the scopes were granted.
            BrokerError: as the class says.
        """
        claims, access_token_to_renew = Concealed(claims_challenge), hidden(access_token_to_renew)
        del claims_challenge
        extra_query_parameters = hidden(extra_query_parameters)
        base = self._authority(authority)
        if account is not None:
            _check_cloud(validation.account(account), base)
        parameters = self._silent_parameters(
            scopes, claims, client_capabilities, auth_scheme, access_token_to_renew, extra_query_parameters
        )
        parameters["authority"] = base if account is None else authority_for_realm(base, account.realm)
        correlation = validation.correlation_id(correlation_id)
        alone = bool(claims.value or parameters["access_token_to_renew"] or parameters["pop_params"])
        if alone or correlation_id is not None:
            acquiring = self._acquire_for(account, parameters, correlation)
            del claims, parameters  # of ten thousand calls that wait, no more is kept than each needs
            return await acquiring
        acquire = partial(self._acquire_for, account, parameters, correlation)
        return await self._shared_tokens.run(_what_is_asked_for(parameters, account), acquire)

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
        """Sign a user in without asking: the one whom the hint names, else the only record that the broker lists.

        Where there is no hint and not just one record, or the broker can't list any, it chooses. Unlike
        ``acquire_token_silent`` this sends the authority as it is.

        Args:
            scopes: what the token is for; not ``openid``, ``profile`` or ``offline_access``.
            login_hint: the UPN that the broker is to choose by; no accounts are listed then.
            parent_window_handle: the X11 window id of the application, where it has one.
            authority: in place of the client's.
            claims_challenge: the text of the JSON object that a resource challenged with.
            auth_scheme: for a proof-of-possession token.
            extra_query_parameters: for the request to Entra.
            correlation_id: a UUID for the logs; a new one unless given.

        Returns:
            The token.

        Raises:
            InteractionRequiredError: the user has to sign in.
            DeclinedScopesError: not all of the scopes were granted.
            BrokerError: as the class says. Source: PROTOCOL.md, "acquireTokenSilently", SF-01, SF-07 and SF-08.
        """
        claims, extra_query_parameters = Concealed(claims_challenge), hidden(extra_query_parameters)
        del claims_challenge
        parameters = self._silent_parameters(scopes, claims, None, auth_scheme, None, extra_query_parameters)
        parameters["authority"] = self._authority(authority)
        if parent_window_handle is not None:
            parameters["parent_window"] = models.ParentWindow(handle=validation.window_handle(parent_window_handle))
        username = "" if login_hint is None else validation.text("login_hint", login_hint)
        correlation = validation.correlation_id(correlation_id)
        account = None if username else await self._only_record(correlation)
        if account is None:
            parameters["is_sign_in"] = True
        else:
            username = account.username
        return await self._acquire_silently(parameters, account, username, correlation)

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

        Waits for the user for ``timeouts.interactive`` seconds, by default for as long as it takes. Cancelling the task
        tells the broker to close its window.

        Args:
            scopes: what the token is for; not ``openid``, ``profile`` or ``offline_access``.
            account: who signs in, from ``get_accounts``; without one, the user chooses.
            prompt: ``select_account``, ``login``, ``consent``, ``none``, or None to leave it to Entra. With
                ``select_account`` neither account nor login hint is passed on.
            login_hint: a UPN to fill in.
            parent_window_handle: the X11 window id that the dialog belongs to; None for none.
            authority: in place of the client's.
            claims_challenge: the text of the JSON object that a resource challenged with.
            client_capabilities: in place of the client's.
            auth_scheme: for a proof-of-possession token.
            access_token_to_renew: the token that the resource refused.
            extra_query_parameters: for the request to Entra.
            onboarding_blob: the application's telemetry, the text of a JSON object (PROTOCOL.md, "authParameters").
            correlation_id: a UUID for the logs; a new one unless given.

        Returns:
            The token.

        Raises:
            UserCanceledError: the user closed the window.
            DeclinedScopesError: not all of the scopes were granted.
            BrokerTimeoutError: the user did not sign in within ``timeouts.interactive`` seconds.
            BrokerError: as the class says.
        """
        claims, access_token_to_renew = Concealed(claims_challenge), hidden(access_token_to_renew)
        del claims_challenge
        extra_query_parameters, onboarding_blob = hidden(extra_query_parameters), hidden(onboarding_blob)
        base, handle = self._authority(authority), validation.window_handle(parent_window_handle)
        prompt = validation.prompt(prompt)
        if account is not None:
            _check_cloud(validation.account(account), base)
        if login_hint is not None:
            validation.text("login_hint", login_hint)
        parameters = token_parameters(
            models.AuthorizationType.INTERACTIVE,
            scopes,
            client_id=self.client_id,
            redirect_uri=self.redirect_uri,
            claims_challenge=claims,
            client_capabilities=self._capabilities(client_capabilities),
            auth_scheme=auth_scheme,
            access_token_to_renew=access_token_to_renew,
            extra_query_parameters=extra_query_parameters,
        )
        parameters |= {"parent_window": models.ParentWindow(handle=handle), "authority": base}
        if onboarding_blob is not None:
            parameters["onboarding_blob"] = validation.text("onboarding_blob", onboarding_blob)
        if prompt is not None:
            parameters["prompt"] = prompt
        correlation = validation.correlation_id(correlation_id)
        if prompt == "select_account":
            return await self._ask_user_to_choose(parameters, correlation)
        if account is not None:
            return await self._ask_user(_of_account(parameters, account), correlation)
        return await self._ask_anyone(parameters, login_hint or "", correlation)

    async def _ask_user_to_choose(self, parameters: HiddenFields, correlation_id: str) -> TokenResult:
        try:
            return await self._ask_user(parameters, correlation_id)
        except BrokerResponseError as error:
            if failures.wants_account(error):
                self._owner_that_wants_account = await self._transport.owner()
            raise

    async def _ask_anyone(self, parameters: HiddenFields, login_hint: str, correlation_id: str) -> TokenResult:
        """Have the broker ask whoever is there; one that must be told the account is told the only user's."""
        if self._owner_that_wants_account and self._owner_that_wants_account == await self._transport.owner():
            account = await self._only_user(login_hint, parameters["authority"], correlation_id)
            if account is not None:
                return await self._ask_user(_of_account(parameters, account), correlation_id)
        try:
            return await self._ask_user(
                HiddenFields({**parameters, "account": None, "username": login_hint}), correlation_id
            )
        except BrokerResponseError as error:
            if not failures.wants_account(error):
                raise
            refusal = error
        account = await self._only_user(login_hint, parameters["authority"], correlation_id)
        if account is None:
            raise refusal
        self._owner_that_wants_account = await self._transport.owner()
        return await self._ask_user(_of_account(parameters, account), correlation_id)

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

    async def _ask_user(self, parameters: HiddenFields, correlation_id: str) -> TokenResult:
        """Have the broker ask the user for what the parameters say; without an account they are a sign-in."""
        asked = models.AuthParameters(**parameters)
        if asked.account is None:
            asked = asked.model_copy(update={"is_sign_in": True})
        else:
            _check_cloud(asked.account, asked.authority)
        assert asked.parent_window is not None
        request = models.AcquireTokenInteractivelyRequest(
            auth_parameters=asked, parent_window_handle=asked.parent_window.handle
        )
        call = CallContext("acquireTokenInteractively", correlation_id, asked.username or "", request)
        reply = await self._send_interactive(request, call)
        return self._token(reply, request.auth_parameters, call)

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
            password: the password; it goes to the broker and nowhere else.
            scopes: what the token is for.
            authority: in place of the client's.
            claims_challenge: the text of the JSON object that a resource challenged with.
            auth_scheme: for a proof-of-possession token.
            extra_query_parameters: for the request to Entra.
            correlation_id: a UUID for the logs; a new one unless given.

        Returns:
            The token.

        Raises:
            InteractionRequiredError: the password is wrong, or is not enough.
            BrokerError: as the class says.
        """
        claims, password = Concealed(claims_challenge), hidden(password)
        del claims_challenge
        extra_query_parameters = hidden(extra_query_parameters)
        validation.text("username", username)
        validation.text("password", password)
        parameters = token_parameters(
            models.AuthorizationType.USERNAME_PASSWORD,
            scopes,
            client_id=self.client_id,
            redirect_uri=self.redirect_uri,
            claims_challenge=claims,
            client_capabilities=self.client_capabilities,
            auth_scheme=auth_scheme,
            extra_query_parameters=extra_query_parameters,
        )
        request = models.AcquireTokenSilentlyRequest(
            auth_parameters=models.AuthParameters(
                **parameters,
                account=None,
                username=username,
                password=password,
                is_sign_in=True,
                authority=self._authority(authority),
            )
        )
        call = CallContext("acquireTokenSilently", validation.correlation_id(correlation_id), username, request)
        options = CallOptions(self.timeouts.call, sent_once=True, for_own_bus=True)
        reply = await self._send(self._proxy.acquire_token_silently, request, call, options)
        return self._token(reply, request.auth_parameters, call)

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
            account: whose, from ``get_accounts``.
            sso_url: the https URL of the login host that they will be sent to, whose ``sso_nonce`` is bound in; default
                the login host of the account's cloud, else of the authority.
            scopes: required by the protocol.
            authority: in place of the client's; another cloud's login host gives way to the account's own.
            correlation_id: a UUID for the logs; a new one unless given.

        Returns:
            Every cookie, with the name of the HTTP request header that it goes into.

        Raises:
            BrokerError: as the class says.
        """
        validation.account(account)
        base = self._authority(authority)
        if sovereign := sovereign_host(account.environment):
            base = f"https://{sovereign}/{tenant_of(base)}"
        sso_url = hidden(f"https://{host_of(base)}/" if sso_url is None else sso_url)
        parameters = token_parameters(
            models.AuthorizationType.PRT_SSO_COOKIE, scopes, client_id=self.client_id, redirect_uri=self.redirect_uri
        )
        request = models.AcquirePrtSsoCookieRequest(
            account=account,
            auth_parameters=models.AuthParameters(
                **parameters,
                account=account,
                username=account.username,
                authority=base,
                sso_url=validation.https_url("sso_url", sso_url),
            ),
            sso_url=sso_url,
        )
        call = CallContext("acquirePrtSsoCookie", validation.correlation_id(correlation_id), account.username, request)
        options = CallOptions(self.timeouts.call, repeatable=True)
        reply = await self._send(self._proxy.acquire_prt_sso_cookie, request, call, options)
        cookies = [PrtSsoCookie(item.cookie_name, item.cookie_content) for item in reply.cookie_items or ()]
        if not cookies:
            raise failures.nonsense("it reports success, but holds no cookie", call)
        if token_match.names_other_account(reply.account, account):
            raise failures.mismatched("a cookie of another account", "that one", call)
        return cookies

    async def generate_signed_http_request(
        self, account: models.Account, auth_scheme: PopAuthScheme, *, correlation_id: str | UUID | None = None
    ) -> str:
        """Sign one HTTP request with the device's proof-of-possession key.

        Args:
            account: on whose behalf, from ``get_accounts``.
            auth_scheme: the request to sign.
            correlation_id: a UUID for the logs; a new one unless given.

        Returns:
            The signed HTTP request, a JWT for ``Authorization: pop …``.

        Raises:
            UnsupportedOperationError: this broker can't.
            BrokerError: as the class says.
        """
        validation.account(account)
        if validation.instance("auth_scheme", auth_scheme, PopAuthScheme).url is None:
            raise InvalidArgumentError("auth_scheme names no request to sign; give it http_method and url")
        signed = auth_scheme.to_wire(account.home_account_id).model_copy(update={"authentication_scheme": "pop"})
        request = models.GenerateSignedHttpRequestRequest(client_id=self.client_id, pop_params=signed)
        call = CallContext(
            "generateSignedHttpRequest", validation.correlation_id(correlation_id), account.username, request
        )
        options = CallOptions(self.timeouts.call, repeatable=True)
        reply = await self._send(self._proxy.generate_signed_http_request, request, call, options)
        if not reply.signed_http_request:
            raise failures.nonsense("it reports success, but holds no signed request", call)
        return reply.signed_http_request

    async def remove_account(self, account: models.Account, *, correlation_id: str | UUID | None = None) -> None:
        """Sign an account out of this application.

        Args:
            account: which, from ``get_accounts``.
            correlation_id: a UUID for the logs; a new one unless given.

        Raises:
            UnsupportedOperationError: this broker can't.
            BrokerError: as the class says.
        """
        request = models.RemoveAccountRequest(client_id=self.client_id, account=validation.account(account))
        call = CallContext("removeAccount", validation.correlation_id(correlation_id), account.username, request)
        await self._send(self._proxy.remove_account, request, call, CallOptions(self.timeouts.call))

    async def get_linux_broker_version(self, *, correlation_id: str | UUID | None = None) -> str:
        """Ask the broker for its version.

        Args:
            correlation_id: a UUID for the logs; a new one unless given.

        Returns:
            Such as ``2.5.2``.

        Raises:
            BrokerError: as the class says.
        """
        call = CallContext("getLinuxBrokerVersion", validation.correlation_id(correlation_id))
        request = models.GetLinuxBrokerVersionRequest(msal_cpp_version=__version__)
        options = CallOptions(self.timeouts.call, repeatable=True)
        reply = await self._send(self._proxy.get_linux_broker_version, request, call, options)
        if not reply.linux_broker_version:
            raise failures.nonsense("it holds no version", call)
        return reply.linux_broker_version

    async def is_available(self) -> bool:
        """Find out whether there is a broker that answers; starts it if it is not running.

        Returns:
            Whether it answered ``org.freedesktop.DBus.Peer.Ping`` within ``timeouts.ping`` seconds, and may be asked
            (``trust``).
            Source: PROTOCOL.md, "Transport".

        Raises:
            BrokerDisconnectedError: the client was closed meanwhile, so that there is no telling.
        """
        try:
            await self._transport.ping()
            return True
        except ClosedHereError as error:
            failure = failures.from_bus(error, CallContext("Ping"))
        except (BusError, UntrustedError):
            return False
        raise failure

    async def watch(self) -> AsyncGenerator[Presence, None]:
        """Follow the broker's coming and going, without starting it.

        Yields:
            ``Presence.ONLINE`` or ``Presence.OFFLINE``: the state now, then each change.

        Raises:
            BrokerUnreachableError: the bus can't be reached, ended, or is not trusted.
        """
        try:
            async with aclosing(watch_presence(self._transport, self.timeouts)) as presences:
                async for presence in presences:
                    yield presence
            return
        except BusError as error:
            failure: BrokerError = failures.from_bus(error, CallContext("watch"))
        except UntrustedError as error:
            failure = failures.untrusted(error, CallContext("watch"))
        raise failure

    def _silent_parameters(
        self,
        scopes: Sequence[str],
        claims_challenge: Concealed[str | None],
        client_capabilities: Sequence[str] | None,
        auth_scheme: PopAuthScheme | None,
        access_token_to_renew: str | None,
        extra_query_parameters: Mapping[str, str] | None,
    ) -> HiddenFields:
        return token_parameters(
            models.AuthorizationType.CACHED_REFRESH_TOKEN,
            scopes,
            client_id=self.client_id,
            redirect_uri=self.redirect_uri,
            claims_challenge=claims_challenge,
            client_capabilities=self._capabilities(client_capabilities),
            auth_scheme=auth_scheme,
            access_token_to_renew=access_token_to_renew,
            extra_query_parameters=extra_query_parameters,
        )

    async def _acquire_silently(
        self, parameters: Mapping[str, Any], account: models.Account | None, username: str, correlation_id: str
    ) -> TokenResult:
        if account is not None:
            _check_cloud(account, parameters["authority"])
        request = models.AcquireTokenSilentlyRequest(
            auth_parameters=models.AuthParameters(**parameters, account=account, username=username)
        )
        del parameters
        call = CallContext("acquireTokenSilently", correlation_id, username, request)
        renews = bool(request.auth_parameters.access_token_to_renew)
        options = CallOptions(self.timeouts.call, repeatable=True, for_own_bus=renews)
        reply = await self._send(self._proxy.acquire_token_silently, request, call, options)
        return self._token(reply, request.auth_parameters, call)

    def _capabilities(self, override: Sequence[str] | None) -> tuple[str, ...]:
        return self.client_capabilities if override is None else validation.client_capabilities(override)

    def _authority(self, override: str | None) -> str:
        return self.authority if override is None else validation.authority(override)

    def _acquire_for(
        self, account: models.Account | None, parameters: HiddenFields, correlation_id: str
    ) -> Coroutine[Any, Any, TokenResult]:
        if account is None:
            return self._choose_and_acquire_silently(parameters, correlation_id)
        return self._acquire_silently(parameters, account, account.username, correlation_id)

    async def _choose_and_acquire_silently(self, parameters: HiddenFields, correlation_id: str) -> TokenResult:
        account = await self._sole_account(correlation_id)
        if account is None:
            parameters["is_sign_in"] = True
        return await self._acquire_silently(parameters, account, account.username if account else "", correlation_id)

    async def _list_accounts(self, correlation_id: str) -> Sequence[models.Account]:
        call = CallContext("getAccounts", correlation_id)
        # The runtime puts the client id here; it must not be empty (PROTOCOL.md, "getAccounts").
        request = models.GetAccountsRequest(client_id=self.client_id, redirect_uri=self.client_id)
        options = CallOptions(self.timeouts.call, repeatable=True)
        reply = await self._send(self._proxy.get_accounts, request, call, options)
        if reply.accounts is None:
            raise failures.nonsense("it holds no list of accounts", call)
        return reply.accounts

    async def _sole_account(self, correlation_id: str) -> models.Account | None:
        """The one account that is signed in; None where there are several, among which the broker chooses."""
        accounts = await self._list_accounts(correlation_id)
        if not accounts:
            raise failures.no_account(CallContext("acquireTokenSilently", correlation_id))
        several = len({account.home_account_id for account in accounts}) > 1
        return None if several else home_record(accounts)

    async def _only_record(self, correlation_id: str) -> models.Account | None:
        """The one record that is listed; None where there are others, or no list is to be had."""
        try:
            records = await self._list_accounts(correlation_id)
        except BrokerError:
            return None
        return records[0] if len(records) == 1 else None

    async def _send(
        self,
        method: Callable[..., Awaitable[ReplyT]],
        request: models.WireModel,
        call: CallContext,
        options: CallOptions,
    ) -> ReplyT:
        # What goes wrong below is raised from here, not from the except blocks: its context could quote the reply.
        outcome = await self._attempt(method, request, call, options)
        if isinstance(outcome, BrokerError):
            raise outcome
        return outcome

    async def _attempt(
        self,
        method: Callable[..., Awaitable[ReplyT]],
        request: models.WireModel,
        call: CallContext,
        options: CallOptions,
    ) -> ReplyT | BrokerError:
        try:
            reply = await method(request, correlation_id=call.correlation_id, options=options)
        except BusError as error:
            return failures.from_bus(error, call)
        except UntrustedError as error:
            return failures.untrusted(error, call)
        except EmptyReplyError:
            return failures.from_silence(call)
        except MalformedReplyError as error:
            return failures.nonsense(str(error), call)
        return failures.from_reply(reply, call) or reply

    async def _send_interactive(
        self, request: models.AcquireTokenInteractivelyRequest, call: CallContext
    ) -> models.AcquireTokenReply:
        # A broker closes all windows of a connection when one of its sign-ins is cancelled: they are asked one by one.
        async with self._transport.bus().sign_in_turn(self.timeouts.interactive) as is_ours:
            if not is_ours:
                raise failures.sign_in_not_begun(self.timeouts.interactive or 0.0, call)
            return await self._send_sign_in(request, call)

    async def _send_sign_in(
        self, request: models.AcquireTokenInteractivelyRequest, call: CallContext
    ) -> models.AcquireTokenReply:
        sent = asyncio.Event()
        options = CallOptions(limit=None, for_own_bus=True, on_send=sent.set)
        sign_in = asyncio.ensure_future(self._send(self._proxy.acquire_token_interactively, request, call, options))
        try:
            await asyncio.wait({sign_in}, timeout=self.timeouts.interactive)
        except asyncio.CancelledError:
            await self._withdraw(sign_in, sent.is_set())
            raise
        if not sign_in.done():
            await self._withdraw(sign_in, sent.is_set())
            raise failures.sign_in_timed_out(self.timeouts.interactive or 0.0, call)
        return sign_in.result()

    async def _withdraw(self, sign_in: asyncio.Future[models.AcquireTokenReply], sent: bool) -> None:
        """End a sign-in that nobody waits for: have the broker close its window, if it could have opened one."""
        if sign_in.done() and not sign_in.cancelled():
            sign_in.exception()  # looked at: nobody is left to raise it to
            return
        if not sent:
            sign_in.cancel()
            return
        cancellation = asyncio.ensure_future(self._cancel_interactive(sign_in))
        self._cancellations.add(cancellation)
        cancellation.add_done_callback(self._cancellations.discard)
        self._transport.bus().keep_turn(cancellation)  # who cancels again does not wait for it, the next sign-in does
        await asyncio.shield(cancellation)

    async def _cancel_interactive(self, sign_in: asyncio.Future[models.AcquireTokenReply]) -> None:
        """Tell the broker, then wait for the sign-in's own reply, as the runtime does; each for ``timeouts.cancel``."""
        call = CallContext("cancelInteractiveFlow", validation.correlation_id(None))
        # What Microsoft's runtime says when it cancels (PROTOCOL.md, "cancelInteractiveFlow").
        reason = models.BrokerErrorBody(
            context="The InteractiveRequest was canceled on behalf of the user",
            diagnostics=None,
            error_code=0,
            status=Status.USER_CANCELED,
            sub_status=0,
            tag=579379414,
        )
        request = models.CancelInteractiveFlowRequest(error=reason)
        options = CallOptions(self.timeouts.cancel)
        try:
            answer = await self._attempt(self._proxy.cancel_interactive_flow, request, call, options)
            if not isinstance(answer, BrokerError):
                await asyncio.wait({sign_in}, timeout=self.timeouts.cancel)
        finally:
            sign_in.cancel()
            await asyncio.gather(sign_in, return_exceptions=True)

    def _token(self, reply: models.AcquireTokenReply, asked: models.AuthParameters, call: CallContext) -> TokenResult:
        result = token_result(
            reply.broker_token_response,
            requested_scopes=asked.requested_scopes,
            account=asked.account,
            login_host=host_of(asked.authority),
            telemetry=failures.redacted_telemetry(reply),
            correlation_id=call.correlation_id,
        )
        if isinstance(result, UnusableToken):
            raise failures.nonsense(result.reason, call)
        response = reply.broker_token_response
        assert response is not None
        if token_match.is_other_kind(response.access_token_type, asked):
            raise failures.other_kind(response.access_token_type, call)
        if (other := token_match.other_account(response, asked, result.id_token_claims)) is not None:
            raise failures.mismatched(f"a token of {other}", "that account", call)
        if (other := token_match.other_tenant(response, asked, result.id_token_claims)) is not None:
            raise failures.mismatched(f"a token of tenant {other}", tenant_of(asked.authority), call)
        if declined := declined_scopes(asked.requested_scopes, result.scopes):
            raise failures.scopes_declined(declined, result, call)
        return result


def _check_cloud(account: models.Account, authority: str) -> None:
    """Refuse an account of a sovereign cloud at an authority of the commercial one, which does not know it."""
    sovereign = sovereign_host(account.environment)
    if sovereign and is_commercial(authority):
        raise InvalidArgumentError(
            "authority is invalid for this account, which is of another cloud: use "
            f"https://{sovereign}/{tenant_of(authority)}"
        )


def _of_account(parameters: HiddenFields, account: models.Account) -> HiddenFields:
    """The parameters of an interactive request, for an account (PROTOCOL.md, IF-01 and QP-05)."""
    query: Mapping[str, str] = parameters["additional_query_parameters_for_authorization"]
    return HiddenFields(
        {
            **parameters,
            "account": account,
            "username": account.username,
            "authority": authority_for_realm(parameters["authority"], account.realm),
            "additional_query_parameters_for_authorization": {**query, "hsu": "1"},
        }
    )


def _what_is_asked_for(parameters: Mapping[str, Any], account: models.Account | None) -> Hashable:
    """What two silent requests of one client, without a challenge or proof of possession, have in common when equal."""
    query: Mapping[str, str] = parameters["additional_query_parameters_for_authorization"]
    return (
        *(parameters[name] for name in ("client_id", "redirect_uri", "authority", "decoded_claims")),
        tuple(parameters["requested_scopes"]),
        frozenset(query.items()),
        account and account.to_json(),
    )
