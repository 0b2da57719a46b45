"""What does each of the runtime's functions do? A coroutine for each, on ``BrokerClient``, with its rules.

The rules are those that Microsoft's runtime was seen to keep (PROTOCOL.md, from "Methods" on): which account is sent,
what is refused before anything is sent, and when a silent sign-in goes on to ask the user.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import uuid
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from linuxbroker._version import __version__
from linuxbroker.client import BrokerClient
from linuxbroker.errors import (
    AccountRequiredError,
    AccountUnusableError,
    BrokerError,
    BrokerResponseError,
    BrokerUnreachableError,
    InteractionRequiredError,
    InvalidArgumentError,
    NoAccountError,
    UnsupportedOperationError,
)
from linuxbroker.results import TokenResult
from linuxbroker.runtime import refusals
from linuxbroker.runtime.answers import (
    MSALRuntimeAccount,
    MSALRuntimeAuthResult,
    MSALRuntimeDiscoverAccountsResult,
    MSALRuntimeReadAccountResult,
    MSALRuntimeSignOutResult,
    Token,
    account_behind,
)
from linuxbroker.runtime.arguments import Asked
from linuxbroker.runtime.install import client_options
from linuxbroker.runtime.logs import emit
from linuxbroker.runtime.memory import Memory, fields_json
from linuxbroker.runtime.refusals import RefusedError, failure_of
from linuxbroker.runtime.values import LogLevel
from linuxbroker.tokens import validation
from linuxbroker.tokens.accounts import folded, pick_account
from linuxbroker.tokens.authority import host_of, preferred_host
from linuxbroker.tokens.pop import PopAuthScheme
from linuxbroker.tokens.reply import account_from_claims
from linuxbroker.tokens.scopes import RESERVED_SCOPES
from linuxbroker.wire.models import Account, Status

_log = logging.getLogger("linuxbroker.runtime")

# For listing accounts before any application has named itself; a valid UUID that is nobody's.
PLACEHOLDER_CLIENT_ID = "00000000-0000-0000-0000-000000000001"
_CONSUMERS = "consumers"
_USERNAME, _PASSWORD = "MSALRuntime_Username", "MSALRuntime_Password"
_CODES_OF_THE_USER = (InteractionRequiredError, AccountUnusableError, AccountRequiredError)

_memory = Memory()
_clients: dict[tuple[str, str], BrokerClient] = {}


def _forget_the_parents_call() -> None:
    _memory.interactive = False


os.register_at_fork(after_in_child=_forget_the_parents_call)


@dataclass
class Report:
    """What a call's telemetry will say.

    Attributes:
        api_name: the runtime's name for the function.
        client_id: the application's, or the empty string.
        correlation_id: the call's.
        broker_used: whether the broker was asked.
    """

    api_name: str
    client_id: str
    correlation_id: str
    broker_used: bool = False

    def telemetry(self, status: Status | None = None) -> dict[str, str]:
        """Write the telemetry.

        Args:
            status: the outcome where the call failed.

        Returns:
            The keys that Microsoft's runtime gives.
        """
        failed = (
            {}
            if status is None
            else {
                "api_error_context": "Error context redacted, value may be written to log.",
                "api_status_code": f"StatusInternal::{status.wire_name}",
            }
        )
        return {
            "DATA LIMITED": "Full MSALRuntime telemetry not yet implemented",
            **failed,
            "api_name": self.api_name,
            "broker_app_used": _flag(self.broker_used),
            **({"client_id": self.client_id} if self.client_id else {}),
            "correlation_id": self.correlation_id,
            "is_successful": _flag(status is None),
            "msal_version": __version__,
            "msalruntime_version": __version__,
        }


@dataclass(frozen=True)
class _Request:
    """A request for a token whose arguments were found to be right."""

    client: BrokerClient
    scopes: list[str]
    authority: str
    username: str | None
    password: str | None
    options: dict[str, Any]
    report: Report
    asked: Asked

    @property
    def is_for_consumers(self) -> bool:
        return urlsplit(self.authority).path.strip("/").casefold() == _CONSUMERS


def failed_with(result: Callable[..., Any], report: Report) -> Callable[[BaseException], Any]:
    """Make what turns an exception into the result of a call.

    Args:
        result: the class of the result.
        report: of the call.

    Returns:
        A function from the exception to the result.
    """

    def failed(error: BaseException) -> Any:
        status, shown = failure_of(error)
        if not isinstance(error, (RefusedError, BrokerError)):
            _log.error("%s failed: %s", report.api_name, type(error).__name__)
        emit(
            LogLevel.ERROR,
            f"[{report.correlation_id}] {report.api_name} failed: {status.wire_name}, error code "
            f"{shown.get_error_code()}, tag {shown.get_tag()}, context '{shown.get_context()}'",
        )
        return result(report.telemetry(status), shown)

    return failed


async def discover_accounts(report: Report) -> MSALRuntimeDiscoverAccountsResult:
    """List the accounts: one for each user, of the home tenant. A broker that can't say has none."""
    if not report.client_id:
        raise refusals.client_id_missing_in_discovery()
    _memory.client_id = report.client_id
    shown = [_memory.learn_from_list(account) for account in await _listed(report, report.client_id)]
    return MSALRuntimeDiscoverAccountsResult(_done(report), accounts=shown)


async def read_account_by_id(account_id: str, report: Report) -> MSALRuntimeReadAccountResult:
    """Find an account: one that this process saw, else one that the broker lists."""
    found = _memory.find(account_id)
    if found is None:
        for account in await _listed(report, _memory.client_id or PLACEHOLDER_CLIENT_ID):
            shown = _memory.learn_from_list(account)
            found = shown if shown.get_account_id() == account_id else found
    if found is None:
        raise refusals.account_unknown(account_id)
    return MSALRuntimeReadAccountResult(_done(report), account=found)


async def signout_silently(client_id: str, account: MSALRuntimeAccount, report: Report) -> MSALRuntimeSignOutResult:
    """Sign an account out of an application, as far as this process goes: the broker is not told."""
    _memory.sign_out(client_id, account.get_home_account_id())
    return MSALRuntimeSignOutResult(_done(report))


async def signin_silently(asked: Asked, report: Report) -> MSALRuntimeAuthResult:
    """Sign in without the user: with user name and password where they are given, else whom the broker knows."""
    if _PASSWORD in asked.additional:
        report.api_name = "AcquireTokenUsernamePassword"
    request = _request(asked, report)
    if request.password is not None:
        return _result(request, await _sign_in_with_password(request))
    if request.is_for_consumers:
        raise refusals.no_personal_account()
    return _result(request, await _sign_in_silently(request))


async def signin_interactively(window: int, asked: Asked, report: Report) -> MSALRuntimeAuthResult:
    """Have the broker ask the user, whoever that is."""
    request = _interactive_request(asked, report)
    with _asking():
        return _result(request, await _ask(request, window), interactive=True)


async def signin(window: int, asked: Asked, hint: str, report: Report) -> MSALRuntimeAuthResult:
    """Sign in without the user if that can be done, and with the user otherwise."""
    request = _interactive_request(asked, report)
    with _asking():
        # The broker has work accounts only: without the user none of them is one for consumers.
        result = None if request.is_for_consumers else await _signed_in_silently(request, window, hint)
        if result and (not hint or (result.account and folded(result.account.username) == folded(hint))):
            return _result(request, result)
        return _result(request, await _ask(request, window, hint), interactive=True)


async def _signed_in_silently(request: _Request, window: int, hint: str) -> TokenResult | None:
    """Sign in without the user; None where the user has to be asked."""
    try:
        return await _sign_in_silently(request, window, hint)
    except NoAccountError:
        raise  # nobody can sign in here
    except _CODES_OF_THE_USER:
        return None


async def acquire_token_silently(asked: Asked, account: MSALRuntimeAccount, report: Report) -> MSALRuntimeAuthResult:
    """Get a token for an account without the user."""
    request = _request(asked, report)
    known = _account_for(request, account)
    if _memory.is_signed_out(asked.client_id, known.home_account_id):
        raise refusals.account_signed_out()
    if request.is_for_consumers:
        raise refusals.no_personal_refresh_token()
    await _greet(request)
    report.broker_used = True
    getting = request.client.acquire_token_silent(
        request.scopes,
        known,
        authority=request.authority,
        access_token_to_renew=asked.access_token_to_renew or None,
        **request.options,
    )
    return _result(request, await _token(request, getting))


async def acquire_token_interactively(
    window: int, asked: Asked, account: MSALRuntimeAccount, report: Report
) -> MSALRuntimeAuthResult:
    """Get a token for an account, with the user."""
    request = _interactive_request(asked, report)
    known = _account_for(request, account)
    with _asking():
        return _result(request, await _ask(request, window, account=known), interactive=True)


def _request(asked: Asked, report: Report) -> _Request:
    """Check the arguments, in the order in which Microsoft's runtime complains of them."""
    if not asked.client_id:
        raise refusals.client_id_missing()
    _memory.client_id = asked.client_id
    authority = _authority(asked.authority)
    try:
        claims = validation.claims_challenge(asked.claims)
    except InvalidArgumentError:
        raise refusals.claims_malformed(asked.claims) from None
    query = {key: value for key, value in asked.additional.items() if key}
    username, password = query.pop(_USERNAME, None), query.pop(_PASSWORD, None)
    for name in query:
        if name in validation.RESERVED_PARAMETERS:
            raise refusals.parameter_reserved(name)
    if "req_cnf" in query:
        try:
            validation.ssh_key_id(query)
        except InvalidArgumentError:
            raise refusals.key_id_missing() from None
    scopes = [scope for text in asked.scopes for scope in text.split()]
    scopes = [scope for scope in dict.fromkeys(scopes) if scope.casefold() not in RESERVED_SCOPES]
    if not scopes:
        raise refusals.scopes_missing()
    options = {
        "claims_challenge": claims or None,
        "auth_scheme": _pop_scheme(asked),
        "extra_query_parameters": query,
        "correlation_id": report.correlation_id,
    }
    return _Request(_client(asked), scopes, authority, username, password, options, report, asked)


def _interactive_request(asked: Asked, report: Report) -> _Request:
    if _memory.interactive:
        raise refusals.already_asking()
    if asked.client_id and not asked.redirect_uri:
        raise refusals.redirect_uri_missing()
    return _request(asked, report)


def _authority(given: str) -> str:
    """The authority under its login host's preferred name. Source: PROTOCOL.md, "authority", AU-01."""
    try:
        parts = urlsplit(given)
        named = parts.scheme in ("https", "http") and bool(parts.hostname)
    except ValueError:
        raise refusals.authority_missing() from None
    if not named:
        raise refusals.authority_missing()
    checked = validation.authority(parts._replace(scheme="https").geturl())
    return checked.replace(host_of(checked), preferred_host(host_of(checked)), 1)


def _pop_scheme(asked: Asked) -> PopAuthScheme | None:
    pop = asked.pop
    if pop is None:
        return None
    url = f"https://{pop.uri_host}{pop.uri_path}"
    if (parts := urlsplit(url)).netloc != pop.uri_host or parts.path != pop.uri_path:
        raise InvalidArgumentError("a proof of possession needs uri_host to be a host, and uri_path a path and no more")
    return PopAuthScheme(http_method=pop.http_method, url=url, nonce=pop.nonce)


def _client(asked: Asked) -> BrokerClient:
    """The client of an application: one for as long as the process lives, with its connection."""
    key = (asked.client_id, asked.redirect_uri)
    if key not in _clients:
        _clients[key] = BrokerClient(asked.client_id, redirect_uri=asked.redirect_uri, **client_options())
    return _clients[key]


def _account_for(request: _Request, account: MSALRuntimeAccount) -> Account:
    """An account as it goes to the broker: in the environment of the authority (PROTOCOL.md, SF-02)."""
    return account_behind(account).in_environment(preferred_host(account.get_environment()))


async def _greet(request: _Request) -> None:
    """Ask for the broker's version before a token that is bound to a key (PROTOCOL.md, QP-08)."""
    if "req_cnf" in request.options["extra_query_parameters"]:
        request.report.broker_used = True
        await request.client.get_linux_broker_version(correlation_id=request.report.correlation_id)


async def _listed(report: Report, client_id: str) -> list[Account]:
    """The record of each user that is shown: the home tenant's, else the first. None where the broker can't say."""
    report.broker_used = True
    try:
        accounts = await _any_client(client_id).get_accounts(correlation_id=report.correlation_id)
    except (BrokerResponseError, BrokerUnreachableError) as error:
        _, shown = failure_of(error)
        emit(LogLevel.WARNING, f"[{report.correlation_id}] the broker lists no accounts: {shown.get_context()}")
        return []
    users = dict.fromkeys(account.home_account_id for account in accounts)
    records = ([account for account in accounts if account.home_account_id == user] for user in users)
    return [found for of_user in records if (found := pick_account(of_user, of_user[0].username))]


def _any_client(client_id: str) -> BrokerClient:
    for (known, _), client in _clients.items():
        if known == client_id:
            return client
    return _client(Asked(client_id, "", redirect_uri=client_id))


async def _sign_in_with_password(request: _Request) -> TokenResult:
    if not request.username:
        raise refusals.username_missing()
    if not request.password:
        raise refusals.password_missing()
    await _greet(request)
    request.report.broker_used = True
    getting = request.client.acquire_token_by_username_password(
        request.username, request.password, request.scopes, authority=request.authority, **request.options
    )
    return await _token(request, getting)


async def _sign_in_silently(request: _Request, window: int | None = None, hint: str = "") -> TokenResult:
    await _greet(request)
    request.report.broker_used = True
    getting = request.client.sign_in_silent(
        request.scopes,
        login_hint=hint or None,
        parent_window_handle=window,
        authority=request.authority,
        **request.options,
    )
    return await _token(request, getting)


async def _ask(request: _Request, window: int, hint: str = "", account: Account | None = None) -> TokenResult:
    await _greet(request)
    request.report.broker_used = True
    getting = request.client.acquire_token_interactive(
        request.scopes,
        account=account,
        login_hint=hint or None,
        parent_window_handle=window,
        authority=request.authority,
        access_token_to_renew=request.asked.access_token_to_renew or None,
        onboarding_blob=_onboarding_blob(),
        **request.options,
    )
    return await _token(request, getting)


async def _token(request: _Request, getting: Awaitable[TokenResult]) -> TokenResult:
    """Wait for a token; that there is none bound to an HTTP request is said as Microsoft's runtime says it."""
    try:
        return await getting
    except UnsupportedOperationError as error:
        if request.asked.pop is None or error.dbus_error:
            raise
    raise refusals.pop_unavailable()


@contextlib.contextmanager
def _asking() -> Generator[None]:
    """Let one sign-in at a time ask the user, as Microsoft's runtime does: ``_interactive_request`` refuses others."""
    _memory.interactive = True
    try:
        yield
    finally:
        _memory.interactive = False


def _result(request: _Request, result: TokenResult, *, interactive: bool = False) -> MSALRuntimeAuthResult:
    account = account_from_claims(result.id_token_claims, result.client_info) or result.account
    if account is None:
        raise refusals.account_missing()
    account = account.in_environment(host_of(request.authority))
    _memory.learn_from_token(account, result.id_token_claims)
    if interactive:
        _memory.sign_in(request.asked.client_id, account.home_account_id)
    token = Token(
        access_token=result.access_token,
        is_pop=request.asked.pop is not None,
        expires_on=int(result.expires_on.timestamp()),
        granted_scopes=result.scopes,
        raw_id_token=result.id_token,
        id_token=json.dumps(dict(result.id_token_claims)) if result.id_token_claims else "",
    )
    shown = MSALRuntimeAccount(account, fields_json(result.id_token_claims))
    return MSALRuntimeAuthResult(_done(request.report), account=shown, token=token)


def _done(report: Report) -> dict[str, str]:
    emit(LogLevel.INFO, f"[{report.correlation_id}] {report.api_name} is done")
    return report.telemetry()


def _onboarding_blob() -> str:
    """What Microsoft's runtime tells of the way to a sign-in. Source: PROTOCOL.md, "authParameters", AP-11."""
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps(
        {
            "onboarding_mode": "brokered",
            "schema_version": "1.0.0",
            "session_correlation_id": str(uuid.uuid4()),
            "steps_list": [{"step_id": "AuthenticationStarted", "ts": now}],
        },
        separators=(",", ":"),
    )


def _flag(value: bool) -> str:
    return "true" if value else "false"
