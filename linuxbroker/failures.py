"""Which exception does a failure become? The one place where replies and bus errors turn into the public exceptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeVar

from linuxbroker import dbus_errors, errors
from linuxbroker.bus import (
    AddressError,
    BadMessageError,
    BusError,
    CallTimeoutError,
    ConnectError,
    DisconnectedError,
    RemoteError,
    ReplyTooLargeError,
)
from linuxbroker.dbus_errors import DBUS_ERROR, STARTING
from linuxbroker.models.status import Status, aadsts_codes
from linuxbroker.redaction import redact, secrets_in
from linuxbroker.results import TokenResult
from linuxbroker.trust.policy import UntrustedOwnerError

if TYPE_CHECKING:
    from linuxbroker.models import Reply, WireModel

_UNSUPPORTED = {
    DBUS_ERROR + name for name in ("UnknownMethod", "UnknownInterface", "UnknownObject", "NotSupported", "InvalidArgs")
}
_NO_ANSWER = {DBUS_ERROR + "Timeout"}
# Of telemetry and diagnostics; brokers give some twenty.
_MOST_DETAILS = 1000
# Himmelblau answers so for a method that it lacks (PROTOCOL.md, "Brokers in the field").
_NOT_IMPLEMENTED = "not implemented"
# The user can mend these by signing in: a session, a factor or a sign-in that is missing or has expired, a new
# password or consent that is wanted. Source: Entra's list of AADSTS error codes.
_INTERACTION_CODES = {
    f"AADSTS{code}"
    for code in (
        16000, 50055, 50058, 50072, 50074, 50076, 50078, 50079, 50126, 50132, 50133, 50144, 50158, 50173, 65001,
        70008, 70043, 70044, 700082, 700084,
    )
}  # fmt: skip
# Entra's two ways to say that the redirect URI is not registered (PROTOCOL.md, "MSAL Python on top").
_REDIRECT_URI_CODES = {"AADSTS50011", "AADSTS7000218"}

HOW_TO_INSTALL = (
    "Install Microsoft's with 'sudo apt install microsoft-identity-broker' or 'sudo dnf install "
    "microsoft-identity-broker' (from packages.microsoft.com), or Himmelblau (himmelblau-idm.org), and enrol the "
    "device (Company Portal: the package intune-portal)."
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
        request: what was sent, if anything.
    """

    method: str
    correlation_id: str = ""
    username: str = ""
    request: WireModel | None = None

    @cached_property
    def secrets(self) -> tuple[str, ...]:
        """The texts that were sent and must not be shown, whatever the broker says about them."""
        return () if self.request is None else tuple(secrets_in(self.request.out_of_sight()))


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
        text = f"there is no session bus to use: {error}. {HOW_TO_GET_A_BUS}"
        return _unreachable(errors.NoSessionBusError, text, call)
    if isinstance(error, CallTimeoutError):
        return _timed_out(f"no reply within {error.limit:g} s", call)
    if isinstance(error, DisconnectedError):
        return _unreachable(errors.BrokerDisconnectedError, f"{error}. Call again: the next call connects anew.", call)
    if isinstance(error, ReplyTooLargeError):
        return nonsense(f"{error} (max_reply_bytes)", call)
    if isinstance(error, BadMessageError):
        return _unreachable(errors.BrokerProtocolError, f"{error}.", call)
    return _unreachable(errors.BrokerUnreachableError, str(error), call)


def untrusted(error: UntrustedOwnerError, call: CallContext) -> errors.UntrustedBrokerError:
    """Make the failure of a call that was not sent, as its receiver is not trusted.

    Args:
        error: from ``linuxbroker.trust.policy``.
        call: the call that was not sent.

    Returns:
        The exception to raise.
    """
    # Where nothing was seen of the process, the id may be that of another one.
    end_it = f"end it (kill {error.owner.pid})" if error.doubt.executable else "end it"
    failure = _unreachable(
        errors.UntrustedBrokerError,
        f"nothing was sent: {error}. If you don't know that program, {end_it} and call again; if it is the broker that "
        "you want to use, choose trust='warn' or 'off' (--trust).",
        call,
    )
    failure.pid, failure.uid = error.owner.pid, error.owner.uid
    failure.executable, failure.reason = error.doubt.executable, error.doubt.reason
    return failure


def nonsense(reason: str, call: CallContext) -> errors.BrokerProtocolError:
    """Make the failure of a reply that can't be used.

    Args:
        reason: what is wrong with it; nothing that it holds.
        call: the call that it answers.

    Returns:
        The exception to raise.
    """
    text = f"the broker's reply can't be used: {reason}. Check that the broker is up to date ('linuxbroker version')."
    return _unreachable(errors.BrokerProtocolError, text, call)


def _from_remote(error: RemoteError, call: CallContext) -> errors.BrokerError:
    text = redact(error.text, call.secrets)
    if dbus_errors.is_absent(error):
        absent = f"no identity broker is installed on this machine, or none for this user. {HOW_TO_INSTALL}"
        return _unreachable(errors.BrokerNotInstalledError, absent, call)
    if dbus_errors.did_not_start(error):
        failed = (
            f"the identity broker is installed but did not start: {text} ({error.name}). "
            "See 'journalctl --user -u microsoft-identity-broker' or 'journalctl -b'."
        )
        return _unreachable(errors.BrokerStartError, failed, call)
    if dbus_errors.went_away(error):
        gone = f"the identity broker went away before it answered ({error.name}). Call again: the bus restarts it."
        return _unreachable(errors.BrokerDisconnectedError, gone, call)
    if error.name in _NO_ANSWER:
        return _timed_out(f"{text} ({error.name})", call)
    unsupported = error.name in _UNSUPPORTED or error.text.strip().casefold() == _NOT_IMPLEMENTED
    status = _status_of_text(text)
    return _failure_class(status, text, unsupported=unsupported)(
        method=call.method,
        status=status,
        context=f"{text} ({error.name})" if text else error.name,
        correlation_id=call.correlation_id,
        username=call.username,
        dbus_error=error.name,
    )


def _status_of_text(text: str) -> Status:
    """The status that a failure without one would have: a D-Bus error carries only a text."""
    if STARTING in text.casefold():
        return Status.TRANSIENT_ERROR
    if _INTERACTION_CODES.intersection(aadsts_codes(text)):
        return Status.INTERACTION_REQUIRED
    return Status.UNEXPECTED


def _timed_out(what: str, call: CallContext) -> errors.BrokerError:
    advice = "It may be starting, or waiting for a locked keyring; try again, or allow more time (Timeouts, --timeout)."
    return _unreachable(errors.BrokerTimeoutError, f"{what}. {advice}", call)


_Unreachable = TypeVar("_Unreachable", bound=errors.BrokerUnreachableError)


def _unreachable(kind: type[_Unreachable], text: str, call: CallContext) -> _Unreachable:
    who = f" for {call.username}" if call.username else ""
    known_as = f" (correlation id {call.correlation_id})" if call.correlation_id else ""
    return kind(f"{call.method}{who}: {text}{known_as}", method=call.method, correlation_id=call.correlation_id)


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


def sign_in_timed_out(limit: float, call: CallContext) -> errors.BrokerError:
    """Make the failure of a sign-in that the user did not complete in time.

    Args:
        limit: the limit in seconds.
        call: the call that was withdrawn.

    Returns:
        The exception to raise.
    """
    text = f"the user did not sign in within {limit:g} s; allow more time (Timeouts.interactive)."
    return _unreachable(errors.BrokerTimeoutError, text, call)


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


def scopes_declined(declined: Sequence[str], result: TokenResult, call: CallContext) -> errors.DeclinedScopesError:
    """Make the failure of a token that lacks scopes that were asked for.

    Args:
        declined: the scopes that it lacks.
        result: the token, of which only the scopes and the telemetry are kept.
        call: the call that it answers.

    Returns:
        The exception to raise; its status is the one that Microsoft's runtime gives (PROTOCOL.md, "Tokens").
    """
    return errors.DeclinedScopesError(
        declined_scopes=declined,
        granted_scopes=[redact(scope, call.secrets) for scope in result.scopes],
        method=call.method,
        status=Status.API_CONTRACT_VIOLATION,
        context=f"the token lacks scopes that were asked for: {redact(' '.join(declined), call.secrets)}",
        telemetry=_redacted(result.telemetry, call),
        correlation_id=call.correlation_id,
        username=call.username,
    )


def redacted_telemetry(reply: Reply) -> dict[str, Any]:
    """Give a successful reply's telemetry without anything that looks like a secret.

    Args:
        reply: a reply of any method.

    Returns:
        The telemetry, one level deep: values that are not texts, finite numbers or booleans are left out.
    """
    return _redacted(reply.telemetry)


def _redacted(values: Mapping[str, Any], call: CallContext | None = None) -> dict[str, Any]:
    secrets = call.secrets if call else ()
    kept: dict[str, Any] = {}
    for key, value in islice(values.items(), _MOST_DETAILS):
        if isinstance(value, str):
            kept[redact(key, secrets)] = redact(value, secrets)
        elif value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and isfinite(value)):
            kept[redact(key, secrets)] = value
    return kept
