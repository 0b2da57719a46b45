"""The runtime's functions as coroutines on ``BrokerClient``, with the rules of Microsoft's runtime.

The rules were observed (PROTOCOL.md, from "Methods" on): which account is sent, what fails before anything is sent, and
when a silent sign-in continues interactively.
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
from linuxbroker.runtime import failures
from linuxbroker.runtime.account_cache import AccountCache, additional_fields
from linuxbroker.runtime.arguments import AuthParameters
from linuxbroker.runtime.enums import LogLevel
from linuxbroker.runtime.failures import LocalError, to_runtime_error
from linuxbroker.runtime.install import client_options
from linuxbroker.runtime.logs import emit
from linuxbroker.runtime.results import (
    MSALRuntimeAccount,
    MSALRuntimeAuthResult,
    MSALRuntimeDiscoverAccountsResult,
    MSALRuntimeReadAccountResult,
    MSALRuntimeSignOutResult,
    Token,
    unwrap_account,
)
from linuxbroker.tokens import validation
from linuxbroker.tokens.accounts import folded, pick_account
from linuxbroker.tokens.authority import host_of, preferred_host
from linuxbroker.tokens.pop import PopAuthScheme
from linuxbroker.tokens.reply import account_from_claims
from linuxbroker.tokens.scopes import RESERVED_SCOPES
from linuxbroker.wire.models import Account, Status

_log = logging.getLogger("linuxbroker.runtime")

# For listing accounts before an application has named its client ID: a valid UUID that no application has.
PLACEHOLDER_CLIENT_ID = "00000000-0000-0000-0000-000000000001"
_CONSUMERS = "consumers"
_USERNAME, _PASSWORD = "MSALRuntime_Username", "MSALRuntime_Password"
_SIGN_IN_ERRORS = (InteractionRequiredError, AccountUnusableError, AccountRequiredError)

_cache = AccountCache()
_clients: dict[tuple[str, str], BrokerClient] = {}


def _reset_after_fork() -> None:
    _cache.interactive = False


os.register_at_fork(after_in_child=_reset_after_fork)


@dataclass
class Report:
    """The data for the telemetry of a call.

    Attributes:
        api_name: the runtime's name for the function.
        client_id: the client ID of the application, or the empty string.
        correlation_id: the correlation ID of the call.
        broker_used: whether the broker was called.
    """

    api_name: str
    client_id: str
    correlation_id: str
    broker_used: bool = False

    def telemetry(self, status: Status | None = None) -> dict[str, str]:
        """Make the telemetry.

        Args:
            status: the status of a failure; None for success.

        Returns:
            The keys of Microsoft's runtime.
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
    """A token request with checked arguments."""

    client: BrokerClient
    scopes: list[str]
    authority: str
    username: str | None
    password: str | None
    options: dict[str, Any]
    report: Report
    parameters: AuthParameters

    @property
    def is_for_consumers(self) -> bool:
        return urlsplit(self.authority).path.strip("/").casefold() == _CONSUMERS


def failure_handler(result: Callable[..., Any], report: Report) -> Callable[[BaseException], Any]:
    """Make the function that converts an exception to the result of a call.

    Args:
        result: the class of the result.
        report: the report of the call.

    Returns:
        The function.
    """

    def handle(error: BaseException) -> Any:
        status, runtime_error = to_runtime_error(error)
        if not isinstance(error, (LocalError, BrokerError)):
            _log.error("%s failed: %s", report.api_name, type(error).__name__)
        emit(
            LogLevel.ERROR,
            f"[{report.correlation_id}] {report.api_name} failed: {status.wire_name}, error code "
            f"{runtime_error.get_error_code()}, tag {runtime_error.get_tag()}, context "
            f"'{runtime_error.get_context()}'",
        )
        return result(report.telemetry(status), runtime_error)

    return handle


async def discover_accounts(report: Report) -> MSALRuntimeDiscoverAccountsResult:
    """List the accounts, one for each user, of the home tenant; none if the broker does not list them."""
    if not report.client_id:
        raise failures.client_id_missing_in_discovery()
    _cache.client_id = report.client_id
    accounts = [_cache.add_listed(account) for account in await _list_users(report, report.client_id)]
    return MSALRuntimeDiscoverAccountsResult(_succeed(report), accounts=accounts)


async def read_account_by_id(account_id: str, report: Report) -> MSALRuntimeReadAccountResult:
    """Find an account in the cache, or else among those that the broker lists."""
    found = _cache.find(account_id)
    if found is None:
        for account in await _list_users(report, _cache.client_id or PLACEHOLDER_CLIENT_ID):
            listed = _cache.add_listed(account)
            found = listed if listed.get_account_id() == account_id else found
    if found is None:
        raise failures.account_unknown(account_id)
    return MSALRuntimeReadAccountResult(_succeed(report), account=found)


async def signout_silently(client_id: str, account: MSALRuntimeAccount, report: Report) -> MSALRuntimeSignOutResult:
    """Sign an account out of an application in this process; the broker is not called."""
    _cache.sign_out(client_id, account.get_home_account_id())
    return MSALRuntimeSignOutResult(_succeed(report))


async def signin_silently(parameters: AuthParameters, report: Report) -> MSALRuntimeAuthResult:
    """Sign in without interaction: with user name and password if they are set, else with the broker's user."""
    if _PASSWORD in parameters.additional:
        report.api_name = "AcquireTokenUsernamePassword"
    request = _request(parameters, report)
    if request.password is not None:
        return _result(request, await _sign_in_with_password(request))
    if request.is_for_consumers:
        raise failures.no_personal_account()
    return _result(request, await _sign_in_silently(request))


async def signin_interactively(window: int, parameters: AuthParameters, report: Report) -> MSALRuntimeAuthResult:
    """Sign in interactively, without a hint."""
    request = _interactive_request(parameters, report)
    with _single_sign_in():
        return _result(request, await _sign_in_interactively(request, window), interactive=True)


async def signin(window: int, parameters: AuthParameters, hint: str, report: Report) -> MSALRuntimeAuthResult:
    """Sign in without interaction if that is possible, else interactively."""
    request = _interactive_request(parameters, report)
    with _single_sign_in():
        # The broker has work accounts only, and none of them fits the authority of personal accounts.
        result = None if request.is_for_consumers else await _try_silently(request, window, hint)
        if result and (not hint or (result.account and folded(result.account.username) == folded(hint))):
            return _result(request, result)
        return _result(request, await _sign_in_interactively(request, window, hint), interactive=True)


async def _try_silently(request: _Request, window: int, hint: str) -> TokenResult | None:
    """Sign in without interaction; None if interaction is required."""
    try:
        return await _sign_in_silently(request, window, hint)
    except NoAccountError:
        raise  # a sign-in would fail too
    except _SIGN_IN_ERRORS:
        return None


async def acquire_token_silently(
    parameters: AuthParameters, account: MSALRuntimeAccount, report: Report
) -> MSALRuntimeAuthResult:
    """Get a token for an account without interaction."""
    request = _request(parameters, report)
    known = _account_for(request, account)
    if _cache.is_signed_out(parameters.client_id, known.home_account_id):
        raise failures.account_signed_out()
    if request.is_for_consumers:
        raise failures.no_personal_refresh_token()
    await _query_version_first(request)
    report.broker_used = True
    call = request.client.acquire_token_silent(
        request.scopes,
        known,
        authority=request.authority,
        access_token_to_renew=parameters.access_token_to_renew or None,
        **request.options,
    )
    return _result(request, await _token(request, call))


async def acquire_token_interactively(
    window: int, parameters: AuthParameters, account: MSALRuntimeAccount, report: Report
) -> MSALRuntimeAuthResult:
    """Get a token for an account interactively."""
    request = _interactive_request(parameters, report)
    known = _account_for(request, account)
    with _single_sign_in():
        return _result(request, await _sign_in_interactively(request, window, account=known), interactive=True)


def _request(parameters: AuthParameters, report: Report) -> _Request:
    """Check the parameters, in the order of Microsoft's runtime."""
    if not parameters.client_id:
        raise failures.client_id_missing()
    _cache.client_id = parameters.client_id
    authority = _authority(parameters.authority)
    try:
        claims = validation.claims_challenge(parameters.claims)
    except InvalidArgumentError:
        raise failures.claims_malformed(parameters.claims) from None
    query = {key: value for key, value in parameters.additional.items() if key}
    username, password = query.pop(_USERNAME, None), query.pop(_PASSWORD, None)
    for name in query:
        if name in validation.RESERVED_PARAMETERS:
            raise failures.parameter_reserved(name)
    if "req_cnf" in query:
        try:
            validation.ssh_key_id(query)
        except InvalidArgumentError:
            raise failures.key_id_missing() from None
    scopes = [scope for text in parameters.scopes for scope in text.split()]
    scopes = [scope for scope in dict.fromkeys(scopes) if scope.casefold() not in RESERVED_SCOPES]
    if not scopes:
        raise failures.scopes_missing()
    options = {
        "claims_challenge": claims or None,
        "auth_scheme": _pop_scheme(parameters),
        "extra_query_parameters": query,
        "correlation_id": report.correlation_id,
    }
    return _Request(_client(parameters), scopes, authority, username, password, options, report, parameters)


def _interactive_request(parameters: AuthParameters, report: Report) -> _Request:
    if _cache.interactive:
        raise failures.sign_in_in_progress()
    if parameters.client_id and not parameters.redirect_uri:
        raise failures.redirect_uri_missing()
    return _request(parameters, report)


def _authority(given: str) -> str:
    """The authority with the preferred name of its login host. Source: PROTOCOL.md, "authority", AU-01."""
    try:
        parts = urlsplit(given)
        named = parts.scheme in ("https", "http") and bool(parts.hostname)
    except ValueError:
        raise failures.authority_missing() from None
    if not named:
        raise failures.authority_missing()
    checked = validation.authority(parts._replace(scheme="https").geturl())
    return checked.replace(host_of(checked), preferred_host(host_of(checked)), 1)


def _pop_scheme(parameters: AuthParameters) -> PopAuthScheme | None:
    pop = parameters.pop
    if pop is None:
        return None
    url = f"https://{pop.uri_host}{pop.uri_path}"
    if (parts := urlsplit(url)).netloc != pop.uri_host or parts.path != pop.uri_path:
        raise InvalidArgumentError("proof of possession requires uri_host to be a host and uri_path to be a path only")
    return PopAuthScheme(http_method=pop.http_method, url=url, nonce=pop.nonce)


def _client(parameters: AuthParameters) -> BrokerClient:
    """The client of an application, which is kept, with its connection, for the life of the process."""
    key = (parameters.client_id, parameters.redirect_uri)
    if key not in _clients:
        _clients[key] = BrokerClient(parameters.client_id, redirect_uri=parameters.redirect_uri, **client_options())
    return _clients[key]


def _account_for(request: _Request, account: MSALRuntimeAccount) -> Account:
    """The account to send to the broker: in the environment of the authority (PROTOCOL.md, SF-02)."""
    return unwrap_account(account).in_environment(preferred_host(account.get_environment()))


async def _query_version_first(request: _Request) -> None:
    """Query the broker's version before a request for a token bound to a key (PROTOCOL.md, QP-08)."""
    if "req_cnf" in request.options["extra_query_parameters"]:
        request.report.broker_used = True
        await request.client.get_linux_broker_version(correlation_id=request.report.correlation_id)


async def _list_users(report: Report, client_id: str) -> list[Account]:
    """List a record of each user, of the home tenant or else the first; none if the broker does not list accounts."""
    report.broker_used = True
    try:
        accounts = await _client_of(client_id).get_accounts(correlation_id=report.correlation_id)
    except (BrokerResponseError, BrokerUnreachableError) as error:
        _, runtime_error = to_runtime_error(error)
        emit(LogLevel.WARNING, f"[{report.correlation_id}] could not list accounts: {runtime_error.get_context()}")
        return []
    users = dict.fromkeys(account.home_account_id for account in accounts)
    records = ([account for account in accounts if account.home_account_id == user] for user in users)
    return [found for of_user in records if (found := pick_account(of_user, of_user[0].username))]


def _client_of(client_id: str) -> BrokerClient:
    for (known, _), client in _clients.items():
        if known == client_id:
            return client
    return _client(AuthParameters(client_id, "", redirect_uri=client_id))


async def _sign_in_with_password(request: _Request) -> TokenResult:
    if not request.username:
        raise failures.username_missing()
    if not request.password:
        raise failures.password_missing()
    await _query_version_first(request)
    request.report.broker_used = True
    call = request.client.acquire_token_by_username_password(
        request.username, request.password, request.scopes, authority=request.authority, **request.options
    )
    return await _token(request, call)


async def _sign_in_silently(request: _Request, window: int | None = None, hint: str = "") -> TokenResult:
    await _query_version_first(request)
    request.report.broker_used = True
    call = request.client.sign_in_silent(
        request.scopes,
        login_hint=hint or None,
        parent_window_handle=window,
        authority=request.authority,
        **request.options,
    )
    return await _token(request, call)


async def _sign_in_interactively(
    request: _Request, window: int, hint: str = "", account: Account | None = None
) -> TokenResult:
    await _query_version_first(request)
    request.report.broker_used = True
    call = request.client.acquire_token_interactive(
        request.scopes,
        account=account,
        login_hint=hint or None,
        parent_window_handle=window,
        authority=request.authority,
        access_token_to_renew=request.parameters.access_token_to_renew or None,
        onboarding_blob=_onboarding_blob(),
        **request.options,
    )
    return await _token(request, call)


async def _token(request: _Request, call: Awaitable[TokenResult]) -> TokenResult:
    """Wait for a token; fail as Microsoft's runtime does if the broker makes no proof-of-possession token."""
    try:
        return await call
    except UnsupportedOperationError as error:
        if request.parameters.pop is None or error.dbus_error:
            raise
    raise failures.pop_unavailable()


@contextlib.contextmanager
def _single_sign_in() -> Generator[None]:
    """Allow one interactive sign-in at a time, as Microsoft's runtime does: ``_interactive_request`` rejects others."""
    _cache.interactive = True
    try:
        yield
    finally:
        _cache.interactive = False


def _result(request: _Request, result: TokenResult, *, interactive: bool = False) -> MSALRuntimeAuthResult:
    account = account_from_claims(result.id_token_claims, result.client_info) or result.account
    if account is None:
        raise failures.account_missing()
    account = account.in_environment(host_of(request.authority))
    _cache.add_from_token(account, result.id_token_claims)
    if interactive:
        _cache.sign_in(request.parameters.client_id, account.home_account_id)
    token = Token(
        access_token=result.access_token,
        is_pop=request.parameters.pop is not None,
        expires_on=int(result.expires_on.timestamp()),
        granted_scopes=result.scopes,
        raw_id_token=result.id_token,
        id_token=json.dumps(dict(result.id_token_claims)) if result.id_token_claims else "",
    )
    runtime_account = MSALRuntimeAccount(account, additional_fields(result.id_token_claims))
    return MSALRuntimeAuthResult(_succeed(request.report), account=runtime_account, token=token)


def _succeed(report: Report) -> dict[str, str]:
    emit(LogLevel.INFO, f"[{report.correlation_id}] {report.api_name} succeeded")
    return report.telemetry()


def _onboarding_blob() -> str:
    """The steps towards a sign-in, as Microsoft's runtime reports them. Source: PROTOCOL.md, AP-11."""
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
