"""``pymsalruntime`` in Python: the interface of version 0.20.7, as its ``PyMsalRuntime.pyi`` declares it.

Importing this module pings the broker, which starts it, and raises ``RuntimeError`` if none answers. Each function
starts a call and passes its result to the callback, on another thread. Functions can be called from any thread, also
from one with a running event loop. A call continues if its handle is not kept.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

from linuxbroker.call.transport import Timeouts
from linuxbroker.client import BrokerClient
from linuxbroker.errors import BrokerError
from linuxbroker.runtime import background, failures, operations
from linuxbroker.runtime.arguments import (
    AuthParameters,
    MSALRuntimeAuthParameters,
    check_callback,
    check_handle,
    check_type,
    snapshot_parameters,
)
from linuxbroker.runtime.enums import LogLevel, Response_Status, SsoPolicyType
from linuxbroker.runtime.logs import MSALRuntimeLogCallbackHandle, register_logging_callback, set_is_pii_enabled
from linuxbroker.runtime.results import (
    MSALRuntimeAccount,
    MSALRuntimeAuthResult,
    MSALRuntimeDiscoverAccountsResult,
    MSALRuntimeError,
    MSALRuntimeReadAccountResult,
    MSALRuntimeSignOutResult,
)
from linuxbroker.tokens.authority import is_uuid

__all__ = [
    "CallbackData",
    "LogLevel",
    "MSALRuntimeAccount",
    "MSALRuntimeAsyncHandle",
    "MSALRuntimeAuthParameters",
    "MSALRuntimeAuthResult",
    "MSALRuntimeDiscoverAccountsResult",
    "MSALRuntimeError",
    "MSALRuntimeLogCallbackHandle",
    "MSALRuntimeReadAccountResult",
    "MSALRuntimeSignOutResult",
    "Response_Status",
    "SsoPolicyType",
    "acquire_token_interactively",
    "acquire_token_silently",
    "discover_accounts",
    "get_console_window",
    "get_desktop_window",
    "get_sso_policy",
    "read_account_by_id",
    "register_logging_callback",
    "set_is_pii_enabled",
    "signin",
    "signin_interactively",
    "signin_silently",
    "signout_silently",
]

# The ping may have to start the broker, which can be a Java process. 25 s is the usual limit of D-Bus libraries.
_PING_SECONDS = 25.0
# The value of Microsoft's runtime on Linux, where a console has no window.
_ANY_WINDOW = 1


async def _ping() -> None:
    async with BrokerClient(operations.PLACEHOLDER_CLIENT_ID, timeouts=Timeouts(ping=_PING_SECONDS)) as client:
        await client.ping()


def _require_broker() -> None:
    try:
        return background.run(_ping)
    except BrokerError as error:
        reason = str(error)
    raise RuntimeError(
        f"ErrorTag: 507897694, ErrorCode: 0, ErrorContext: Broker cannot be initialized for MSALRuntime: {reason}, "
        f"ErrorStatus: {Response_Status.Status_ApiContractViolation}"
    )


_require_broker()


class CallbackData:
    """A callback that stores the result for a waiting thread.

    Args:
        is_interactive: not used.

    Attributes:
        signal: set when there is a result.
        result: the result, or None.
    """

    def __init__(self, is_interactive: bool = False) -> None:
        self.signal = threading.Event()
        self.result: Any = None

    def complete(self, result: Any) -> None:
        """Store the result; pass this method as the callback.

        Args:
            result: the result of the call.
        """
        self.result = result
        self.signal.set()


class MSALRuntimeAsyncHandle:
    """A handle for a pending call; only the runtime creates instances."""

    def __init__(self) -> None:
        self._call: background.Call | None = None

    def cancel_async_operation(self) -> None:
        """Cancel the call: the broker closes its window, and the callback receives the failure.

        It does nothing if the call has ended.

        Raises:
            RuntimeError: the handle has no call.
        """
        if self._call is None:
            raise RuntimeError(
                "ErrorTag: 540656075, ErrorCode: 0, ErrorContext: Invalid handle, "
                f"ErrorStatus: {Response_Status.Status_ApiContractViolation}"
            )
        self._call.cancel()


def read_account_by_id(
    accountid: str,
    correlationId: str,  # noqa: N803 - the name in the .pyi
    callback: Callable[[MSALRuntimeReadAccountResult], None],
) -> MSALRuntimeAsyncHandle:
    """Find an account.

    Args:
        accountid: the ID from ``MSALRuntimeAccount.get_account_id``.
        correlationId: a UUID that identifies the call in logs.
        callback: receives the result.

    Returns:
        A handle, to cancel the call.

    Raises:
        TypeError: an argument has the wrong type.
    """
    account_id = check_type("accountid", accountid, str)
    report = operations.Report("ReadAccountById", "", _correlation_id(correlationId))
    return _start(
        lambda: operations.read_account_by_id(account_id, report), MSALRuntimeReadAccountResult, report, callback
    )


def signin(
    parentWindowHandle: int,  # noqa: N803
    auth_params: MSALRuntimeAuthParameters,
    correlationId: str,  # noqa: N803
    accountHint: str | None,  # noqa: N803
    callback: Callable[[MSALRuntimeAuthResult], None],
) -> MSALRuntimeAsyncHandle:
    """Sign in without interaction if that is possible, else interactively.

    Args:
        parentWindowHandle: the X11 ID of the dialog's parent window.
        auth_params: the parameters of the token request.
        correlationId: a UUID that identifies the call in logs.
        accountHint: the UPN of the user to sign in, or None.
        callback: receives the result.

    Returns:
        A handle, to cancel the call.

    Raises:
        TypeError: an argument has the wrong type.
        RuntimeError: the handle cannot be that of a window.
    """
    parameters, window = _parameters(auth_params), check_handle(parentWindowHandle)
    hint = "" if accountHint is None else check_type("accountHint", accountHint, str)
    report = operations.Report("SignIn", parameters.client_id, _correlation_id(correlationId))
    return _start(
        lambda: operations.signin(window, parameters, hint, report),
        MSALRuntimeAuthResult,
        report,
        callback,
        is_sign_in=True,
    )


def signin_silently(
    auth_params: MSALRuntimeAuthParameters,
    correlationId: str,  # noqa: N803
    callback: Callable[[MSALRuntimeAuthResult], None],
) -> MSALRuntimeAsyncHandle:
    """Sign in without interaction.

    Args:
        auth_params: the parameters of the token request.
        correlationId: a UUID that identifies the call in logs.
        callback: receives the result.

    Returns:
        A handle, to cancel the call.

    Raises:
        TypeError: an argument has the wrong type.
    """
    parameters = _parameters(auth_params)
    report = operations.Report("SignInSilently", parameters.client_id, _correlation_id(correlationId))
    return _start(lambda: operations.signin_silently(parameters, report), MSALRuntimeAuthResult, report, callback)


def signin_interactively(
    parentWindowHandle: int,  # noqa: N803
    auth_params: MSALRuntimeAuthParameters,
    correlationId: str,  # noqa: N803
    accountHint: str | None,  # noqa: N803
    callback: Callable[[MSALRuntimeAuthResult], None],
) -> MSALRuntimeAsyncHandle:
    """Sign in interactively.

    Args:
        parentWindowHandle: the X11 ID of the dialog's parent window.
        auth_params: the parameters of the token request.
        correlationId: a UUID that identifies the call in logs.
        accountHint: not used, as in Microsoft's runtime on Linux.
        callback: receives the result.

    Returns:
        A handle, to cancel the call.

    Raises:
        TypeError: an argument has the wrong type.
        RuntimeError: the handle cannot be that of a window.
    """
    parameters, window = _parameters(auth_params), check_handle(parentWindowHandle)
    if accountHint is not None:
        check_type("accountHint", accountHint, str)
    report = operations.Report("SignInInteractively", parameters.client_id, _correlation_id(correlationId))
    return _start(
        lambda: operations.signin_interactively(window, parameters, report),
        MSALRuntimeAuthResult,
        report,
        callback,
        is_sign_in=True,
    )


def signout_silently(
    clientId: str,  # noqa: N803
    correlationId: str,  # noqa: N803
    account: MSALRuntimeAccount,
    callback: Callable[[MSALRuntimeSignOutResult], None],
) -> MSALRuntimeAsyncHandle:
    """Sign an account out of an application, in this process, until its next interactive sign-in.

    Args:
        clientId: the client ID of the application.
        correlationId: a UUID that identifies the call in logs.
        account: the account.
        callback: receives the result.

    Returns:
        A handle, to cancel the call.

    Raises:
        TypeError: an argument has the wrong type.
    """
    client_id, known = check_type("clientId", clientId, str), check_type("account", account, MSALRuntimeAccount)
    report = operations.Report("SignOut", "", _correlation_id(correlationId))
    return _start(
        lambda: operations.signout_silently(client_id, known, report), MSALRuntimeSignOutResult, report, callback
    )


def discover_accounts(
    clientId: str,  # noqa: N803
    correlationId: str,  # noqa: N803
    callback: Callable[[MSALRuntimeDiscoverAccountsResult], None],
) -> MSALRuntimeAsyncHandle:
    """List the accounts.

    Args:
        clientId: the client ID of the application.
        correlationId: a UUID that identifies the call in logs.
        callback: receives the result.

    Returns:
        A handle, to cancel the call.

    Raises:
        TypeError: an argument has the wrong type.
    """
    report = operations.Report(
        "DiscoverAccounts", check_type("clientId", clientId, str), _correlation_id(correlationId)
    )
    return _start(lambda: operations.discover_accounts(report), MSALRuntimeDiscoverAccountsResult, report, callback)


def acquire_token_silently(
    auth_params: MSALRuntimeAuthParameters,
    correlationId: str,  # noqa: N803
    account: MSALRuntimeAccount,
    callback: Callable[[MSALRuntimeAuthResult], None],
) -> MSALRuntimeAsyncHandle:
    """Get a token for an account without interaction.

    Args:
        auth_params: the parameters of the token request.
        correlationId: a UUID that identifies the call in logs.
        account: the account.
        callback: receives the result.

    Returns:
        A handle, to cancel the call.

    Raises:
        TypeError: an argument has the wrong type.
    """
    parameters, known = _parameters(auth_params), check_type("account", account, MSALRuntimeAccount)
    report = operations.Report("AcquireTokenSilently", parameters.client_id, _correlation_id(correlationId))
    return _start(
        lambda: operations.acquire_token_silently(parameters, known, report), MSALRuntimeAuthResult, report, callback
    )


def acquire_token_interactively(
    parentWindowHandle: int,  # noqa: N803
    auth_params: MSALRuntimeAuthParameters,
    correlationId: str,  # noqa: N803
    account: MSALRuntimeAccount,
    callback: Callable[[MSALRuntimeAuthResult], None],
) -> MSALRuntimeAsyncHandle:
    """Get a token for an account interactively.

    Args:
        parentWindowHandle: the X11 ID of the dialog's parent window.
        auth_params: the parameters of the token request.
        correlationId: a UUID that identifies the call in logs.
        account: the account.
        callback: receives the result.

    Returns:
        A handle, to cancel the call.

    Raises:
        TypeError: an argument has the wrong type.
        RuntimeError: the handle cannot be that of a window.
    """
    parameters, known = _parameters(auth_params), check_type("account", account, MSALRuntimeAccount)
    window = check_handle(parentWindowHandle)
    report = operations.Report("AcquireTokenInteractively", parameters.client_id, _correlation_id(correlationId))
    return _start(
        lambda: operations.acquire_token_interactively(window, parameters, known, report),
        MSALRuntimeAuthResult,
        report,
        callback,
        is_sign_in=True,
    )


def get_console_window() -> int:
    """The window handle of the console, a placeholder."""
    return _ANY_WINDOW


def get_desktop_window() -> int:
    """The window handle of the desktop, a placeholder."""
    return _ANY_WINDOW


def get_sso_policy() -> SsoPolicyType:
    """The policy for single sign-on: on Linux, always allowed."""
    return SsoPolicyType.AlwaysAllowed


def _start(
    work: Callable[[], Any], kind: Callable[..., Any], report: Any, callback: object, *, is_sign_in: bool = False
) -> MSALRuntimeAsyncHandle:
    to_result = operations.failure_handler(kind, report)
    canceled = failures.canceled_sign_in if is_sign_in else failures.canceled
    handle = MSALRuntimeAsyncHandle()
    handle._call = background.start(  # pyright: ignore[reportPrivateUsage]
        work, lambda: to_result(canceled()), to_result, check_callback(callback)
    )
    return handle


def _parameters(auth_params: object) -> AuthParameters:
    return snapshot_parameters(check_type("auth_params", auth_params, MSALRuntimeAuthParameters))


def _correlation_id(given: object) -> str:
    """The application's correlation ID, or a new one if that is not a UUID."""
    text = check_type("correlationId", given, str)
    return text.lower() if is_uuid(text) else str(uuid.uuid4())
