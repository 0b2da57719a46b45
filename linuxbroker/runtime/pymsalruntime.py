"""What is ``pymsalruntime``, in Python? The interface of version 0.20.7, as its ``PyMsalRuntime.pyi`` declares it.

Importing this module asks, once, whether there is a broker, which starts it, and raises ``RuntimeError`` where none
answers. Each function takes the call, and gives the result to the callback, on another thread; it can be called from
any thread, beside a running event loop too. A handle need not be kept for the callback to come.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable
from typing import Any

from linuxbroker.call.transport import Timeouts
from linuxbroker.client import BrokerClient
from linuxbroker.errors import BrokerError
from linuxbroker.runtime import background, operations, refusals
from linuxbroker.runtime.answers import (
    MSALRuntimeAccount,
    MSALRuntimeAuthResult,
    MSALRuntimeDiscoverAccountsResult,
    MSALRuntimeError,
    MSALRuntimeReadAccountResult,
    MSALRuntimeSignOutResult,
)
from linuxbroker.runtime.arguments import (
    MSALRuntimeAuthParameters,
    asked_with,
    checked,
    checked_callback,
    checked_handle,
)
from linuxbroker.runtime.logs import MSALRuntimeLogCallbackHandle, register_logging_callback, set_is_pii_enabled
from linuxbroker.runtime.values import LogLevel, Response_Status, SsoPolicyType

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

# The broker may have to be started, a Java process perhaps; as long as any D-Bus library waits for a reply.
_PING_SECONDS = 25.0
# What Microsoft's runtime gives on Linux, where there is no such thing as a console's window.
_ANY_WINDOW = 1
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


async def _ping() -> None:
    async with BrokerClient(operations.PLACEHOLDER_CLIENT_ID, timeouts=Timeouts(ping=_PING_SECONDS)) as client:
        await client.ping()


def _look_for_broker() -> None:
    try:
        return background.run(_ping)
    except BrokerError as error:
        reason = str(error)
    raise RuntimeError(
        f"ErrorTag: 507897694, ErrorCode: 0, ErrorContext: Broker cannot be initialized for MSALRuntime: {reason}, "
        f"ErrorStatus: {Response_Status.Status_ApiContractViolation}"
    )


_look_for_broker()


class CallbackData:
    """A callback that keeps the result for a thread that waits for it.

    Args:
        is_interactive: taken as it is, and not used.

    Attributes:
        signal: is set when the result is there.
        result: the result, or None.
    """

    def __init__(self, is_interactive: bool = False) -> None:
        self.signal = threading.Event()
        self.result: Any = None

    def complete(self, result: Any) -> None:
        """Take the result: the callback.

        Args:
            result: of the call.
        """
        self.result = result
        self.signal.set()


class MSALRuntimeAsyncHandle:
    """A call that is under way; the runtime makes them."""

    def __init__(self) -> None:
        self._call: background.Call | None = None

    def cancel_async_operation(self) -> None:
        """Cancel the call: the broker closes its window, and the callback gets the failure.

        Nothing happens where the call has ended.

        Raises:
            RuntimeError: there is no call.
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
        accountid: as ``MSALRuntimeAccount.get_account_id`` gave it.
        correlationId: a UUID for the logs.
        callback: gets the result.

    Returns:
        A handle, to cancel the call.

    Raises:
        TypeError: an argument is of another type.
    """
    account_id = checked("accountid", accountid, str)
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
    """Sign in: without the user if that can be done, else with.

    Args:
        parentWindowHandle: the X11 window that the broker's belongs to.
        auth_params: what the token is asked for with.
        correlationId: a UUID for the logs.
        accountHint: the UPN of who is to sign in, or None.
        callback: gets the result.

    Returns:
        A handle, to cancel the call.

    Raises:
        TypeError: an argument is of another type.
        RuntimeError: the handle is no window's.
    """
    asked, window = _asked(auth_params), checked_handle(parentWindowHandle)
    hint = "" if accountHint is None else checked("accountHint", accountHint, str)
    report = operations.Report("SignIn", asked.client_id, _correlation_id(correlationId))
    return _start(
        lambda: operations.signin(window, asked, hint, report), MSALRuntimeAuthResult, report, callback, asks=True
    )


def signin_silently(
    auth_params: MSALRuntimeAuthParameters,
    correlationId: str,  # noqa: N803
    callback: Callable[[MSALRuntimeAuthResult], None],
) -> MSALRuntimeAsyncHandle:
    """Sign in without the user.

    Args:
        auth_params: what the token is asked for with.
        correlationId: a UUID for the logs.
        callback: gets the result.

    Returns:
        A handle, to cancel the call.

    Raises:
        TypeError: an argument is of another type.
    """
    asked = _asked(auth_params)
    report = operations.Report("SignInSilently", asked.client_id, _correlation_id(correlationId))
    return _start(lambda: operations.signin_silently(asked, report), MSALRuntimeAuthResult, report, callback)


def signin_interactively(
    parentWindowHandle: int,  # noqa: N803
    auth_params: MSALRuntimeAuthParameters,
    correlationId: str,  # noqa: N803
    accountHint: str | None,  # noqa: N803
    callback: Callable[[MSALRuntimeAuthResult], None],
) -> MSALRuntimeAsyncHandle:
    """Sign in with the user.

    Args:
        parentWindowHandle: the X11 window that the broker's belongs to.
        auth_params: what the token is asked for with.
        correlationId: a UUID for the logs.
        accountHint: taken, and not used, as Microsoft's runtime does on Linux.
        callback: gets the result.

    Returns:
        A handle, to cancel the call.

    Raises:
        TypeError: an argument is of another type.
        RuntimeError: the handle is no window's.
    """
    asked, window = _asked(auth_params), checked_handle(parentWindowHandle)
    if accountHint is not None:
        checked("accountHint", accountHint, str)
    report = operations.Report("SignInInteractively", asked.client_id, _correlation_id(correlationId))
    return _start(
        lambda: operations.signin_interactively(window, asked, report),
        MSALRuntimeAuthResult,
        report,
        callback,
        asks=True,
    )


def signout_silently(
    clientId: str,  # noqa: N803
    correlationId: str,  # noqa: N803
    account: MSALRuntimeAccount,
    callback: Callable[[MSALRuntimeSignOutResult], None],
) -> MSALRuntimeAsyncHandle:
    """Sign an account out of an application, for this process, until it signs in with the user.

    Args:
        clientId: the application's client id.
        correlationId: a UUID for the logs.
        account: which.
        callback: gets the result.

    Returns:
        A handle, to cancel the call.

    Raises:
        TypeError: an argument is of another type.
    """
    client_id, known = checked("clientId", clientId, str), checked("account", account, MSALRuntimeAccount)
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
        clientId: the application's client id.
        correlationId: a UUID for the logs.
        callback: gets the result.

    Returns:
        A handle, to cancel the call.

    Raises:
        TypeError: an argument is of another type.
    """
    report = operations.Report("DiscoverAccounts", checked("clientId", clientId, str), _correlation_id(correlationId))
    return _start(lambda: operations.discover_accounts(report), MSALRuntimeDiscoverAccountsResult, report, callback)


def acquire_token_silently(
    auth_params: MSALRuntimeAuthParameters,
    correlationId: str,  # noqa: N803
    account: MSALRuntimeAccount,
    callback: Callable[[MSALRuntimeAuthResult], None],
) -> MSALRuntimeAsyncHandle:
    """Get a token for an account without the user.

    Args:
        auth_params: what the token is asked for with.
        correlationId: a UUID for the logs.
        account: whose token.
        callback: gets the result.

    Returns:
        A handle, to cancel the call.

    Raises:
        TypeError: an argument is of another type.
    """
    asked, known = _asked(auth_params), checked("account", account, MSALRuntimeAccount)
    report = operations.Report("AcquireTokenSilently", asked.client_id, _correlation_id(correlationId))
    return _start(
        lambda: operations.acquire_token_silently(asked, known, report), MSALRuntimeAuthResult, report, callback
    )


def acquire_token_interactively(
    parentWindowHandle: int,  # noqa: N803
    auth_params: MSALRuntimeAuthParameters,
    correlationId: str,  # noqa: N803
    account: MSALRuntimeAccount,
    callback: Callable[[MSALRuntimeAuthResult], None],
) -> MSALRuntimeAsyncHandle:
    """Get a token for an account, with the user.

    Args:
        parentWindowHandle: the X11 window that the broker's belongs to.
        auth_params: what the token is asked for with.
        correlationId: a UUID for the logs.
        account: whose token.
        callback: gets the result.

    Returns:
        A handle, to cancel the call.

    Raises:
        TypeError: an argument is of another type.
        RuntimeError: the handle is no window's.
    """
    asked, known = _asked(auth_params), checked("account", account, MSALRuntimeAccount)
    window = checked_handle(parentWindowHandle)
    report = operations.Report("AcquireTokenInteractively", asked.client_id, _correlation_id(correlationId))
    return _start(
        lambda: operations.acquire_token_interactively(window, asked, known, report),
        MSALRuntimeAuthResult,
        report,
        callback,
        asks=True,
    )


def get_console_window() -> int:
    """The window of the console: a number that stands for none in particular."""
    return _ANY_WINDOW


def get_desktop_window() -> int:
    """The window of the desktop: a number that stands for none in particular."""
    return _ANY_WINDOW


def get_sso_policy() -> SsoPolicyType:
    """Whether single sign-on may be used: on Linux, always."""
    return SsoPolicyType.AlwaysAllowed


def _start(
    work: Callable[[], Any], kind: Callable[..., Any], report: Any, callback: object, *, asks: bool = False
) -> MSALRuntimeAsyncHandle:
    failed = operations.failed_with(kind, report)
    ended = refusals.canceled_sign_in if asks else refusals.canceled
    handle = MSALRuntimeAsyncHandle()
    handle._call = background.start(  # pyright: ignore[reportPrivateUsage]
        work, lambda: failed(ended()), failed, checked_callback(callback)
    )
    return handle


def _asked(auth_params: object) -> Any:
    return asked_with(checked("auth_params", auth_params, MSALRuntimeAuthParameters))


def _correlation_id(given: object) -> str:
    """The application's correlation id; a new one in place of one that is no UUID."""
    text = checked("correlationId", given, str)
    return text.lower() if _UUID.fullmatch(text) else str(uuid.uuid4())
