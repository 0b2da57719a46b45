"""Which exception does a failure become? The one place where replies and bus errors turn into the public exceptions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from math import isfinite
from typing import Any, TypeVar

from linuxbroker import errors
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
from linuxbroker.call import dbus_errors, failure_texts, surroundings
from linuxbroker.call.dbus_errors import DBUS_ERROR
from linuxbroker.call.failure_texts import Meaning
from linuxbroker.call.trust.policy import UntrustedError
from linuxbroker.redaction import texts
from linuxbroker.redaction.secrets import Secrets, redact
from linuxbroker.results import TokenResult
from linuxbroker.wire import models
from linuxbroker.wire.calls import CallContext
from linuxbroker.wire.models.status import Status, sub_error
from linuxbroker.wire.reading import EmptyReplyError, MalformedReplyError

_DECLINED = re.compile(r"scopes are present: ?'([^']*)'")
_NO_ANSWER = {DBUS_ERROR + "Timeout"}
# Of telemetry and diagnostics; brokers give some twenty.
_MOST_DETAILS = 1000

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


# What a call raises instead of giving a reply.
CAUSES = (BusError, UntrustedError, MalformedReplyError)


def from_cause(error: BusError | UntrustedError | MalformedReplyError, call: CallContext) -> errors.BrokerError:
    """Turn what a call raised into what the application sees.

    Args:
        error: one of ``CAUSES``.
        call: the call that failed.

    Returns:
        The exception to raise; not within the ``except`` block, so that nothing of the reply is in its context.
    """
    if isinstance(error, BusError):
        return from_bus(error, call)
    if isinstance(error, UntrustedError):
        return untrusted(error, call)
    if isinstance(error, EmptyReplyError):
        return from_silence(call)
    return unusable_reply(str(error), call)


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
        advice = _sentences(surroundings.sandbox_advice(), surroundings.sudo_advice(), HOW_TO_GET_A_BUS)
        text = f"there is no session bus to use: {error}. {advice}"
        return _unreachable(errors.NoSessionBusError, text, call)
    if isinstance(error, CallTimeoutError):
        return _timed_out(f"no reply within {error.limit:g} s", call)
    if isinstance(error, DisconnectedError):
        return _unreachable(errors.BrokerDisconnectedError, f"{error}. Call again: the next call connects anew.", call)
    if isinstance(error, ReplyTooLargeError):
        return unusable_reply(f"{error} (max_reply_bytes)", call)
    if isinstance(error, BadMessageError):
        return _unreachable(errors.BrokerProtocolError, f"{error}.", call)
    return _unreachable(errors.BrokerUnreachableError, str(error), call)


def untrusted(error: UntrustedError, call: CallContext) -> errors.UntrustedBrokerError:
    """Make the failure of a call that was not sent, as who would get it is not trusted.

    Args:
        error: from ``linuxbroker.call.trust.policy``.
        call: the call that was not sent.

    Returns:
        The exception to raise.
    """
    failure = _unreachable(errors.UntrustedBrokerError, f"nothing was sent: {error}. {error.advice}", call)
    failure.pid, failure.uid = error.pid, error.uid
    failure.executable, failure.reason = error.executable, error.reason
    return failure


def unusable_reply(reason: str, call: CallContext) -> errors.BrokerProtocolError:
    """Make the failure of a reply that can't be used.

    Args:
        reason: what is wrong with it; nothing that it holds.
        call: the call that it answers.

    Returns:
        The exception to raise.
    """
    text = (
        f"the broker's reply can't be used: {reason}.{errors.NOT_DONE.get(call.method, '')} Check that the broker is "
        "up to date ('linuxbroker version')."
    )
    return _unreachable(errors.BrokerProtocolError, text, call)


def _from_remote(error: RemoteError, call: CallContext) -> errors.BrokerError:
    text = redact(error.text, call.secrets)
    said = f"{text} ({error.name})" if text else error.name
    if dbus_errors.is_absent(error):
        how = _sentences(surroundings.sandbox_advice(), surroundings.sudo_advice(), HOW_TO_INSTALL)
        absent = f"no identity broker is installed on this machine, or none for this user: {said}. {how}"
        return _unreachable(errors.BrokerNotInstalledError, absent, call)
    if dbus_errors.did_not_start(error):
        advice = dbus_errors.advice_for_start(error.name, text)
        failed = f"the identity broker is installed but did not start: {said}. {advice}"
        return _unreachable(errors.BrokerStartError, failed, call)
    if advice := dbus_errors.advice_for_refusal(error):
        who = "identity broker" if error.sender.startswith(":") else "bus"
        what_to_do = _sentences(surroundings.sandbox_advice(), surroundings.sudo_advice(), advice)
        refused = f"the {who} refused the call: {said}. {what_to_do}"
        return _unreachable(errors.BrokerUnreachableError, refused, call)
    if dbus_errors.went_away(error):
        gone = f"the identity broker went away before it answered: {said}. {_advice_on_leaving(error)}"
        return _unreachable(errors.BrokerDisconnectedError, gone, call)
    if error.name in _NO_ANSWER:
        return _timed_out(f"{text} ({error.name})", call)
    meaning = failure_texts.UNSUPPORTED if dbus_errors.is_unsupported(error) else failure_texts.meaning_of(error.text)
    return _failure(meaning, call, context=said, dbus_error=error.name)


def _sentences(*parts: str) -> str:
    return " ".join(filter(None, parts))


def _advice_on_leaving(error: RemoteError) -> str:
    ends_so = (
        "A broker without a display, or with a locked keyring, ends so: unlock the keyring, and tell the bus of the "
        "display with 'dbus-update-activation-environment --systemd DISPLAY WAYLAND_DISPLAY XAUTHORITY'."
    )
    if error.is_repetition:
        return f"So did the one that the bus started in its place. {ends_so} {dbus_errors.WHERE_TO_LOOK}"
    return f"Call again: the bus restarts it. {ends_so}"


def _timed_out(what: str, call: CallContext) -> errors.BrokerError:
    advice = "It may be starting, or waiting for a locked keyring; try again, or allow more time (Timeouts, --timeout)."
    return _unreachable(errors.BrokerTimeoutError, f"{what}. {advice}", call)


_Unreachable = TypeVar("_Unreachable", bound=errors.BrokerUnreachableError)


def _unreachable(kind: type[_Unreachable], text: str, call: CallContext) -> _Unreachable:
    who = f" for {call.shown_username}" if call.username else ""
    known_as = f" (correlation ID {call.correlation_id})" if call.correlation_id else ""
    return kind(f"{call.method}{who}: {text}{known_as}", method=call.method, correlation_id=call.correlation_id)


def _failure(meaning: Meaning, call: CallContext, *, context: str = "", **details: Any) -> errors.BrokerResponseError:
    """Make the exception for a failure of a call; ``context`` and ``details`` are fit to be shown."""
    kind = meaning.error_class
    if issubclass(kind, errors.DeclinedScopesError):
        details |= {"declined_scopes": _quoted_scopes(context), "granted_scopes": ()}
    return kind(
        method=call.method,
        status=meaning.status,
        context=context,
        correlation_id=call.correlation_id,
        username=call.shown_username,
        **details,
    )


def _quoted_scopes(context: str) -> list[str]:
    """The scopes that the broker names as declined."""
    found = _DECLINED.search(context)
    return found[1].split() if found else []


def from_reply(reply: models.Reply, call: CallContext) -> errors.BrokerError | None:
    """Find the failure in a reply.

    Args:
        reply: a reply of any method, of any of the error shapes.
        call: the call that it answers.

    Returns:
        The exception to raise, or None if the reply has no error in it and lacks nothing.
    """
    failure = reply.failure
    if failure is None:
        return unusable_reply(f"success without {reply.lacks}", call) if reply.lacks else None
    return _failure(
        failure_texts.meaning_of(failure.context, Status(failure.status)),
        call,
        context=redact(failure.context, call.secrets),
        sub_status=failure.sub_status,
        error_code=failure.error_code,
        tag=failure.tag,
        sub_error=redact(reply.sub_error or sub_error(failure.context), call.secrets),
        diagnostics=_redacted(failure.diagnostics or {}, call),
        telemetry=_redacted(reply.telemetry, call),
    )


def from_silence(call: CallContext) -> errors.BrokerError:
    """Make the failure of a call that was answered with the empty text.

    Args:
        call: the call that was answered so.

    Returns:
        The exception to raise: what the silence of Himmelblau up to 3.1 means (PROTOCOL.md, "Errors").
    """
    meaning = failure_texts.meaning_of_silence(call.method)
    return unusable_reply("it is empty", call) if meaning is None else _failure(meaning, call, empty_reply=True)


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


def sign_in_not_begun(limit: float, call: CallContext) -> errors.BrokerError:
    """Make the failure of a sign-in whose turn did not come in time.

    Args:
        limit: the limit in seconds.
        call: the call that was not made.

    Returns:
        The exception to raise.
    """
    text = f"another sign-in of this program was open for {limit:g} s, and one is asked at a time; end that one first."
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


def wants_account(error: errors.BrokerResponseError) -> bool:
    """Tell whether a sign-in that named nobody may have been refused for that.

    Args:
        error: the failure.

    Returns:
        True where the broker says so, and where it gives no reason at all, as Himmelblau up to 3.1 does.
    """
    return isinstance(error, errors.AccountRequiredError) or error.empty_reply


def account_required(usernames: Sequence[str], call: CallContext) -> errors.AccountRequiredError:
    """Make the failure of a sign-in that must name one of several users.

    Args:
        usernames: the users whom the broker lists.
        call: the call that failed.

    Returns:
        The exception to raise.
    """
    shown = [redact(username, call.secrets) for username in usernames]
    return errors.AccountRequiredError(
        usernames=shown,
        method=call.method,
        status=Status.API_CONTRACT_VIOLATION,
        context=f"the broker does not ask who signs in, and has several users: {texts.shown_list(shown)}",
        correlation_id=call.correlation_id,
    )


def other_kind(token_type: int, call: CallContext) -> errors.BrokerError:
    """Make the failure of a token that is of another kind than it was asked for.

    Args:
        token_type: the reply's ``accessTokenType``.
        call: the call that it answers.

    Returns:
        The exception to raise.
    """
    if token_type != 0:
        return unusable_reply("it holds a proof-of-possession token, and a bearer token was asked for", call)
    said = "the broker gave a bearer token in place of a proof-of-possession token, which it can't make"
    return _failure(failure_texts.UNSUPPORTED, call, context=said)


def mismatched(got: str, asked_for: str, call: CallContext) -> errors.BrokerResponseError:
    """Make the failure of a token that is for another account or tenant than it was asked for.

    Args:
        got: what the token is, from the reply.
        asked_for: what it should be.
        call: the call that it answers.

    Returns:
        The exception to raise. Source: PROTOCOL.md, "Whose token it is".
    """
    meaning = Meaning(Status.API_CONTRACT_VIOLATION, errors.MismatchedTokenError)
    return _failure(meaning, call, context=f"the broker gave {redact(got, call.secrets)}, not of {asked_for}")


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
        username=call.shown_username,
    )


def redacted_telemetry(reply: models.Reply) -> dict[str, Any]:
    """Give a successful reply's telemetry without anything that looks like a secret.

    Args:
        reply: a reply of any method.

    Returns:
        The telemetry, one level deep: values that are not texts, finite numbers or booleans are left out.
    """
    return _redacted(reply.telemetry)


def _redacted(values: Mapping[str, Any], call: CallContext | None = None) -> dict[str, Any]:
    secrets = call.secrets if call else Secrets()
    kept: dict[str, Any] = {}
    for key, value in islice(values.items(), _MOST_DETAILS):
        if isinstance(value, str):
            kept[redact(key, secrets)] = redact(value, secrets)
        elif value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and isfinite(value)):
            kept[redact(key, secrets)] = value
    return kept
