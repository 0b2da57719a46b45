"""What does the fake broker answer to each method? The broker itself, without the bus."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from linuxbroker_fake.claims_challenge import parse_claims_challenge
from linuxbroker_fake.config import FakeConfig, UserAction
from linuxbroker_fake.directory import AccountRecord
from linuxbroker_fake.entra import Entra, EntraError, MintedToken
from linuxbroker_fake.faults import BrokerFailure, DBusFailure, Failure, Fault, FaultKind, FaultPlan
from linuxbroker_fake.interaction import Screen
from linuxbroker_fake.journal import Journal
from linuxbroker_fake.personas import PERSONAS
from linuxbroker_fake.replies import ReplyWriter
from linuxbroker_fake.resource import check_not_revoked, claims_challenge
from linuxbroker_fake.sessions import Sessions, TokenKey, account_key

_FAILED = "org.freedesktop.DBus.Error.Failed"
_USERNAME_PASSWORD = 3

Json = Mapping[str, Any]


class CrashRequested(Exception):
    """A planted fault wants the broker to die in the middle of a call."""


class RawReply(Exception):
    """A planted fault answers with a text, or a number, of its own."""

    def __init__(self, signature: str, value: Any) -> None:
        super().__init__(signature)
        self.signature = signature
        self.value = value


class FakeBroker:
    """A broker over a fake Entra, to be put on a bus with ``serve``.

    Args:
        config: how it is set up.
        clock: gives the time in epoch seconds.
    """

    def __init__(self, config: FakeConfig | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self.config = config or FakeConfig()
        self.persona = PERSONAS[self.config.persona]
        self.directory = self.config.directory
        self.entra = Entra(self.directory, clock)
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Return to the state at the start: faults, sessions, journal and the person; the keys stay."""
        self.faults = FaultPlan(self.config.faults)
        self.sessions = Sessions(self.directory, self.config.signed_in, self._clock)
        self.screen = Screen(self.config.user)
        self.journal = Journal()
        self._write = ReplyWriter(self.persona)

    def plant(self, kind: FaultKind | str, **details: Any) -> None:
        """Make something go wrong.

        Args:
            kind: what; a ``FaultKind`` or its value.
            details: the other fields of ``Fault``: which calls, how often, what exactly.

        Raises:
            pydantic.ValidationError: there is no such fault.
        """
        self.faults.plant(Fault(kind=FaultKind(kind), **details))

    def revoke(self, upn: str, *, sign_in_again: bool = False) -> str:
        """Revoke a user's tokens so far, as continuous access evaluation does.

        Args:
            upn: the user.
            sign_in_again: whether a new token takes an interactive sign-in.

        Returns:
            The claims challenge that a resource gives a client that has declared ``cp1``, JSON text.
        """
        return claims_challenge(self.sessions.revoke(upn, sign_in_again=sign_in_again))

    def verify_access_token(self, token: str) -> dict[str, Any]:
        """Check an access token as a resource does.

        Args:
            token: the token.

        Returns:
            Its claims.

        Raises:
            RevokedTokenError: it was revoked; says whether the client is to meet a claims challenge. A ``ValueError``.
            ValueError: it is not valid, or has expired.
        """
        claims = self.entra.verify_access_token(token)
        upn = str(claims.get("upn") or claims.get("preferred_username") or "")
        check_not_revoked(claims, self.sessions.revoked_before(upn))
        return claims

    async def handle(self, member: str, correlation_id: str, request_text: str, *, sender: str = "") -> str:
        """Answer a call of the broker's interface.

        Args:
            member: the method.
            correlation_id: the call's second argument.
            request_text: its third.
            sender: the caller's unique bus name.

        Returns:
            The reply, JSON text.

        Raises:
            DBusFailure: the answer is a D-Bus error.
            RawReply: a planted fault answers with something of its own.
            CrashRequested: a planted fault kills the broker.
        """
        try:
            request = _request_of(request_text)
            account = self._account_named(request)
            fault = await self.strike(member, account)
            if member in self.persona.missing_methods:
                raise DBusFailure(_FAILED, "Not implemented")
            methods: dict[str, Callable[[Json, str, str], Awaitable[Json]]] = {
                "getAccounts": self._get_accounts,
                "getLinuxBrokerVersion": self._get_version,
                "acquireTokenSilently": self._acquire_token_silently,
                "acquireTokenInteractively": self._acquire_token_interactively,
                "acquirePrtSsoCookie": self._acquire_prt_sso_cookie,
                "generateSignedHttpRequest": self._generate_signed_http_request,
                "removeAccount": self._remove_account,
                "cancelInteractiveFlow": self._cancel_interactive_flow,
            }
            reply = await methods[member](request, correlation_id, sender)
            if fault is not None and fault.kind is FaultKind.SCOPES_DECLINED:
                reply = self._write.with_scopes_declined(reply, fault.scopes)
            return json.dumps(reply)
        except EntraError as error:
            failure = Failure(
                error.description,
                status=9 if error.oauth_error in ("invalid_request", "unauthorized_client") else 2,
                sub_error=error.suberror,
                oauth_error=error.oauth_error,
            )
        except BrokerFailure as error:
            failure = error.failure
        if self.persona.failures_are_dbus_errors:
            raise DBusFailure(_FAILED, failure.context)
        return json.dumps(self._write.failure(member, failure, correlation_id))

    async def strike(self, member: str, account: str | None) -> Fault | None:
        """Let the fault that is planted for a call do its work.

        Args:
            member: the method that is called.
            account: the UPN that the call is about, if any.

        Returns:
            The fault that struck and leaves the call to be answered, or None.

        Raises:
            BrokerFailure: the answer is a failure.
            DBusFailure: the answer is a D-Bus error.
            RawReply: the answer is one of its own.
            CrashRequested: the broker dies.
        """
        fault = self.faults.strike(member, account)
        if fault is None:
            return None
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if failure := fault.failure():
            raise BrokerFailure(failure)
        if fault.kind is FaultKind.HANG:
            await asyncio.get_running_loop().create_future()
        elif fault.kind is FaultKind.CRASH:
            raise CrashRequested
        elif fault.kind is FaultKind.STARTING:
            raise DBusFailure(_FAILED, self.persona.start_up_failure)
        elif fault.kind is FaultKind.DBUS_ERROR:
            raise DBusFailure(fault.name, fault.context)
        elif fault.kind is FaultKind.RAW_REPLY:
            raise RawReply("s", fault.reply)
        elif fault.kind is FaultKind.REPLY_NOT_TEXT:
            raise RawReply("u", 42)
        return fault

    async def _get_accounts(self, request: Json, _correlation_id: str, _sender: str) -> Json:
        client_id = _required(request, "clientId")
        _required(request, "redirectUri")
        accounts = self.sessions.accounts(client_id)
        return {"accounts": [self._write.account(account) for account in accounts]}

    async def _get_version(self, _request: Json, _correlation_id: str, _sender: str) -> Json:
        return {"linuxBrokerVersion": self.persona.version}

    async def _acquire_token_silently(self, request: Json, correlation_id: str, _sender: str) -> Json:
        parameters = _object(request, "authParameters")
        client_id = self._checked_client(parameters)
        if parameters.get("authorizationType") == _USERNAME_PASSWORD:
            account = self._password_account(parameters)
            self.sessions.sign_in(account, client_id)
        else:
            account = self._account_to_sign_in(request, client_id)
            challenge = parse_claims_challenge(str(parameters.get("decodedClaims") or ""))
            if self.sessions.must_sign_in_again(account.username) and challenge.wants_new_token:
                raise BrokerFailure(
                    Failure("AADSTS50173: The grant was revoked; sign in again.", sub_error="token_expired")
                )
        return self._token_reply(account, client_id, parameters, correlation_id)

    async def _acquire_token_interactively(self, request: Json, correlation_id: str, sender: str) -> Json:
        parameters = _object(request, "authParameters")
        client_id = self._checked_client(parameters)
        action = await self.screen.ask(sender, correlation_id)
        if action is UserAction.CANCEL:
            raise BrokerFailure(Failure("User canceled the sign-in.", status=7, oauth_error=""))
        account = self._interactive_account(request, parameters)
        self.sessions.sign_in(account, client_id)
        return self._token_reply(account, client_id, parameters, correlation_id)

    async def _acquire_prt_sso_cookie(self, request: Json, _correlation_id: str, _sender: str) -> Json:
        parameters = _object(request, "authParameters")
        account = self._account_of(request, self._checked_client(parameters))
        sso_url = str(request.get("ssoUrl") or parameters.get("ssoUrl") or "")
        cookies = [("x-ms-RefreshTokenCredential", self.entra.prt_cookie(account, sso_url))]
        if not self.persona.flat_cookie:
            cookies.append(("x-ms-DeviceCredential", self.entra.device_cookie(sso_url)))
        return self._write.cookies(account, cookies)

    async def _generate_signed_http_request(self, request: Json, _correlation_id: str, _sender: str) -> Json:
        client_id = _required(request, "clientId")
        pop = _object(request, "popParams")
        account = self.directory.find_account(str(pop.get("homeAccountId", "")))
        if account is None or not self.sessions.is_signed_in(account, client_id):
            raise BrokerFailure(Failure("The account is not known to the broker.", status=19, oauth_error=""))
        scope = f"https://{_pop_target(pop)[0]}/.default"
        token = self.entra.access_token(account, client_id, [scope], cnf_kid=self.entra.pop_key_thumbprint())
        return {"signedHttpRequest": self._sign(token, pop)}

    async def _remove_account(self, request: Json, _correlation_id: str, _sender: str) -> Json:
        client_id = _required(request, "clientId")
        self.sessions.sign_out(self._account_of(request, client_id), client_id)
        return {}

    async def _cancel_interactive_flow(self, _request: Json, _correlation_id: str, sender: str) -> Json:
        self.screen.close_windows_of(sender)
        return {}

    def _checked_client(self, parameters: Json) -> str:
        client_id = _required(parameters, "clientId")
        self.entra.check_app(client_id, _required(parameters, "redirectUri"))
        self.entra.tenant_of_authority(_required(parameters, "authority"))
        return client_id

    def _account_named(self, request: Json) -> str | None:
        """The UPN that a call is about, for matching faults."""
        parameters = _child(request, "authParameters")
        for place in (request, parameters):
            if username := _child(place, "account").get("username"):
                return str(username)
        if home_account_id := _child(request, "popParams").get("homeAccountId"):
            found = self.directory.find_account(str(home_account_id))
            return found.username if found else None
        return str(parameters.get("username") or "") or None

    def _account_of(self, request: Json, client_id: str) -> AccountRecord:
        """The account that a request names, which must be signed in."""
        wanted = _account_in(request)
        if not wanted:
            raise BrokerFailure(Failure("The request names no account.", status=6, oauth_error=""))
        account = self._find(wanted)
        if account is not None and self.sessions.is_signed_in(account, client_id):
            return account
        if self.persona.only_callers_account:
            raise DBusFailure(_FAILED, "Invalid request for user!")
        if account is None:
            raise BrokerFailure(Failure("The account is not known to the broker.", status=19, oauth_error=""))
        raise BrokerFailure(Failure("The account has signed out of this app.", status=13, oauth_error=""))

    def _account_to_sign_in(self, request: Json, client_id: str) -> AccountRecord:
        """The account of a silent request; one that leaves the choice to the broker gets the first in a home tenant."""
        parameters = _child(request, "authParameters")
        if _account_in(request) or not parameters.get("isSignIn"):
            return self._account_of(request, client_id)
        wanted = str(parameters.get("username") or "").casefold()
        for account in self.sessions.accounts(client_id):
            if account.realm == account.user.home_tenant and wanted in ("", account.username.casefold()):
                return account
        raise BrokerFailure(Failure("Nobody is signed in.", oauth_error=""))

    def _find(self, wanted: Json) -> AccountRecord | None:
        return self.directory.find_account(str(wanted.get("homeAccountId", "")), str(wanted.get("realm") or "") or None)

    def _password_account(self, parameters: Json) -> AccountRecord:
        tenant = self.entra.tenant_of_authority(str(parameters["authority"]))
        return self.entra.sign_in_with_password(
            _required(parameters, "username"), _required(parameters, "password"), tenant.id if tenant else None
        )

    def _interactive_account(self, request: Json, parameters: Json) -> AccountRecord:
        account = self._find(_account_in(request))
        if account is not None:
            return account
        tenant = self.entra.tenant_of_authority(str(parameters["authority"]))
        upn = str(parameters.get("username") or self.screen.user.upn or self.directory.users[0].upn)
        return self.entra.find_account_in(upn, tenant.id if tenant else None)

    def _token_reply(self, account: AccountRecord, client_id: str, parameters: Json, correlation_id: str) -> Json:
        scopes = _scopes_of(parameters)
        pop = _child(parameters, "popParams")
        bound = bool(pop.get("uriHost") or pop.get("authenticationScheme"))
        token = self._token(account, client_id, scopes, parameters, pop if bound else None)
        access_token = self._sign(token, pop) if pop.get("uriHost") else token.token
        return self._write.token(
            account,
            token,
            access_token=access_token,
            pop=bound,
            id_token=self.entra.id_token(account, client_id),
            correlation_id=correlation_id,
        )

    def _token(
        self, account: AccountRecord, client_id: str, scopes: Sequence[str], parameters: Json, pop: Json | None
    ) -> MintedToken:
        claims = str(parameters.get("decodedClaims") or "")
        if pop is not None:
            kid = str(pop.get("kid") or self.entra.pop_key_thumbprint())
            return self.entra.access_token(account, client_id, scopes, claims=claims, cnf_kid=kid)
        challenge = parse_claims_challenge(claims)
        key = TokenKey(
            account_key(account),
            client_id,
            frozenset(scope.casefold() for scope in scopes),
            frozenset(challenge.xms_cc),
        )
        renew = challenge.wants_new_token or parameters.get("accessTokenToRenew")
        cached = None if renew else self.sessions.cached_token(key)
        if cached is not None:
            return cached
        token = self.entra.access_token(account, client_id, scopes, claims=claims)
        self.sessions.keep_token(key, token)
        return token

    def _sign(self, token: MintedToken, pop: Json) -> str:
        host, path = _pop_target(pop)
        return self.entra.signed_http_request(
            token.token,
            method=str(pop.get("httpMethod") or "GET"),
            host=host,
            path=path,
            nonce=str(pop.get("nonce") or ""),
            client_claims=str(pop.get("clientClaims") or ""),
        )


def _request_of(text: str) -> Json:
    request: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        request = json.loads(text)
    if not isinstance(request, dict):
        raise BrokerFailure(Failure("The request is not a JSON object.", status=6, oauth_error=""))
    return cast("Json", request)


def _required(values: Json, key: str) -> str:
    value = values.get(key)
    if not isinstance(value, str) or not value:
        raise BrokerFailure(Failure(f"The request lacks {key}.", status=6, oauth_error=""))
    return value


def _child(values: Json, key: str) -> Json:
    """The object under a key, an empty one where there is none."""
    value = values.get(key)
    return cast("Json", value) if isinstance(value, Mapping) else {}


def _object(values: Json, key: str) -> Json:
    if not isinstance(values.get(key), Mapping):
        raise BrokerFailure(Failure(f"The request lacks {key}.", status=6, oauth_error=""))
    return _child(values, key)


def _account_in(request: Json) -> Json:
    """The account of a request, at its root or in its parameters: the root first, as Himmelblau reads it."""
    return _child(request, "account") or _child(_child(request, "authParameters"), "account")


def _scopes_of(parameters: Json) -> list[str]:
    scopes: Any = parameters.get("requestedScopes")
    if not isinstance(scopes, list) or not scopes:
        raise BrokerFailure(Failure("The request lacks requestedScopes.", status=6, oauth_error=""))
    return [str(scope) for scope in cast("list[object]", scopes)]


def _pop_target(pop: Json) -> tuple[str, str]:
    """The host and path to sign for: some clients put the whole URL into ``uriHost`` (PROTOCOL.md, "popParams")."""
    host, path = str(pop.get("uriHost") or ""), str(pop.get("uriPath") or "")
    if "://" in host:
        host, slash, rest = host.partition("://")[2].partition("/")
        path = path or slash + rest
    return host, path
