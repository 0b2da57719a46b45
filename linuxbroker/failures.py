"""Which exception does a failure become? The one place where replies and bus errors turn into the public exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from linuxbroker import errors
from linuxbroker.bus import (
    AddressError,
    BadMessageError,
    BusError,
    CallTimeoutError,
    ConnectError,
    DisconnectedError,
    RemoteError,
)
from linuxbroker.models import Reply, Status
from linuxbroker.models.failure import aadsts_codes
from linuxbroker.redaction import redact

_DBUS = "org.freedesktop.DBus.Error."
_NOT_INSTALLED = {_DBUS + "ServiceUnknown", _DBUS + "NameHasNoOwner", _DBUS + "Spawn.ServiceNotFound"}
_UNSUPPORTED = {
    _DBUS + name for name in ("UnknownMethod", "UnknownInterface", "UnknownObject", "NotSupported", "InvalidArgs")
}
_WENT_AWAY = {_DBUS + "NoReply", _DBUS + "Disconnected"}
_NO_ANSWER = {_DBUS + "Timeout"}
# Himmelblau answers so for a method that it lacks (PROTOCOL.md, "Brokers in the field").
_NOT_IMPLEMENTED = "not implemented"
# Entra's two ways to say that the redirect URI is not registered (PROTOCOL.md, "MSAL Python on top").
_REDIRECT_URI_CODES = {"AADSTS50011", "AADSTS7000218"}

HOW_TO_INSTALL = (
    "Install Microsoft's with 'sudo apt install microsoft-identity-broker' or 'sudo dnf install microsoft-identity-broker' "
    "(from packages.microsoft.com), or Himmelblau (himmelblau-idm.org), and enrol the device (Company Portal: the package "
    "intune-portal)."
)
HOW_TO_GET_A_BUS = (
    "A desktop session has one; in a service or a container set XDG_RUNTIME_DIR to the user's runtime directory (as "
    "systemd does: /run/user/UID) or DBUS_SESSION_BUS_ADDRESS to the bus's address, or start the program with "
    "'dbus-run-session -- PROGRAM'."
)


@dataclass(frozen=True)
class CallContext:
    """What is known of a call when it fails.

    Attributes:
        method: the method's name on the wire.
        correlation_id: the call's correlation id.
        username: the UPN of the account concerned, or the empty string.
        secrets: texts that were sent and must not be shown.
    """

    method: str
    correlation_id: str = ""
    username: str = ""
    secrets: tuple[str, ...] = ()


def from_bus(error: BusError, call: CallContext) -> errors.BrokerError:
    """Turn what the bus module raised into what the application sees.

    Args:
        error: from ``linuxbroker.bus``.
        call: the call that failed.

    Returns:
        The exception to raise.
    """
    if isinstance(error, RemoteError):
        return _from_remote(error, call)
    if isinstance(error, (AddressError, ConnectError)):
        return errors.NoSessionBusError(f"{call.method}: there is no session bus to use: {error}. {HOW_TO_GET_A_BUS}")
    if isinstance(error, CallTimeoutError):
        return _timed_out(call, str(error))
    if isinstance(error, DisconnectedError):
        return errors.BrokerDisconnectedError(f"{call.method}: {error}. Call again: the next call connects anew.")
    if isinstance(error, BadMessageError):
        return errors.BrokerProtocolError(f"{call.method}: {error}.")
    return errors.BrokerUnreachableError(f"{call.method}: {error}")


def _from_remote(error: RemoteError, call: CallContext) -> errors.BrokerError:
    text = redact(error.text, call.secrets)
    if error.name in _NOT_INSTALLED:
        return errors.BrokerNotInstalledError(
            f"{call.method}: no identity broker is installed on this machine, or none for this user. {HOW_TO_INSTALL}"
        )
    if error.name.startswith(_DBUS + "Spawn.") or error.name == _DBUS + "TimedOut":
        return errors.BrokerStartError(
            f"{call.method}: the identity broker is installed but did not start: {text} ({error.name}). "
            "See 'journalctl --user -u microsoft-identity-broker' or 'journalctl -b'."
        )
    if error.name in _WENT_AWAY:
        return errors.BrokerDisconnectedError(
            f"{call.method}: the identity broker went away before it answered ({error.name}). Call again: the bus restarts it."
        )
    if error.name in _NO_ANSWER:
        return _timed_out(call, f"{text} ({error.name})")
    unsupported = error.name in _UNSUPPORTED or error.text.strip().casefold() == _NOT_IMPLEMENTED
    return _failure_class(Status.UNEXPECTED, text, unsupported=unsupported)(
        method=call.method,
        context=f"{text} ({error.name})" if text else error.name,
        correlation_id=call.correlation_id,
        username=call.username,
        dbus_error=error.name,
    )


def _timed_out(call: CallContext, what: str) -> errors.BrokerError:
    return errors.BrokerTimeoutError(
        f"{call.method}: {what} (correlation id {call.correlation_id}). The broker may be starting or waiting for a locked "
        "keyring; try again, or allow more time with Timeouts."
    )


def _failure_class(status: Status, context: str, *, unsupported: bool = False) -> type[errors.BrokerResponseError]:
    if unsupported:
        return errors.UnsupportedOperationError
    if _REDIRECT_URI_CODES.intersection(aadsts_codes(context)):
        return errors.RedirectUriError
    return errors.ERROR_CLASSES[status]


def from_reply(reply: Reply, call: CallContext) -> errors.BrokerResponseError | None:
    """Find the failure in a reply.

    Args:
        reply: a reply of any method, of any of the error shapes.
        call: the call that it answers.

    Returns:
        The exception to raise, or None where the reply holds no error.
    """
    failure = reply.failure
    if failure is None:
        return None
    status, context = Status(failure.status), redact(failure.context, call.secrets)
    return _failure_class(status, context)(
        method=call.method,
        status=status,
        context=context,
        sub_status=failure.sub_status,
        error_code=failure.error_code,
        tag=failure.tag,
        sub_error=redact(reply.sub_error, call.secrets),
        diagnostics=_redacted(failure.diagnostics or {}, call),
        telemetry=_redacted(reply.telemetry, call),
        correlation_id=call.correlation_id,
        username=call.username,
    )


def no_account(call: CallContext) -> errors.InteractionRequiredError:
    """Make the failure of a silent request for which the broker lists no account.

    Args:
        call: the call that could not be made.

    Returns:
        The exception to raise.
    """
    return errors.InteractionRequiredError(
        method=call.method,
        status=Status.INTERACTION_REQUIRED,
        context="no account is signed in to the broker",
        correlation_id=call.correlation_id,
    )


def redacted_telemetry(reply: Reply, call: CallContext) -> dict[str, Any]:
    """Give a reply's telemetry without anything that could be a secret.

    Args:
        reply: a reply of any method.
        call: the call that it answers.

    Returns:
        The telemetry, one level deep: values that are not texts, numbers or booleans are left out.
    """
    return _redacted(reply.telemetry, call)


def _redacted(values: Mapping[str, Any], call: CallContext) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, str):
            kept[redact(key)] = redact(value, call.secrets)
        elif value is None or isinstance(value, (bool, int, float)):
            kept[redact(key)] = value
    return kept
