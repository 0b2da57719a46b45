"""The public exceptions, made of what a call ended with. What becomes which exception is in ``causes``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from math import isfinite
from typing import Any

from linuxbroker import errors
from linuxbroker.bus import BusError, RemoteError
from linuxbroker.call import causes, surroundings
from linuxbroker.call.causes import Cause
from linuxbroker.call.trust.policy import UntrustedError
from linuxbroker.redaction import texts
from linuxbroker.redaction.secrets import Secrets, redact
from linuxbroker.results import TokenResult
from linuxbroker.wire import models
from linuxbroker.wire.calls import CallContext
from linuxbroker.wire.models.status import Status, sub_error
from linuxbroker.wire.reading import EmptyReplyError, MalformedReplyError

_DECLINED = re.compile(r"scopes are present: ?'([^']*)'")
# Of telemetry and diagnostics; brokers give some twenty.
_MAX_DETAILS = 1000

# What a call raises in place of giving a reply.
CAUSES = (BusError, UntrustedError, MalformedReplyError)


def from_cause(error: BusError | UntrustedError | MalformedReplyError, call: CallContext) -> errors.BrokerError:
    """Turn what a call raised into what the application sees.

    Args:
        error: one of ``CAUSES``.
        call: the call that failed.

    Returns:
        The exception to raise; not within the ``except`` block, so that nothing of the reply is in its context.
    """
    if isinstance(error, RemoteError):
        return _from_remote(error, call)
    if isinstance(error, EmptyReplyError) and (silence := causes.SILENCES.get(call.method)):
        return _response(silence, call, empty_reply=True)
    cause = causes.cause_of_exception(error)
    if not isinstance(error, UntrustedError):
        return _unreachable(cause, call, str(error))
    failure = _unreachable(replace(cause, advice=error.advice), call, str(error))
    assert isinstance(failure, errors.UntrustedBrokerError)
    failure.pid, failure.uid = error.pid, error.uid
    failure.executable, failure.reason = error.executable, error.reason
    return failure


def unusable_reply(reason: str, call: CallContext) -> errors.BrokerError:
    """Make the failure of a reply that cannot be used.

    Args:
        reason: what is wrong with it; nothing from the reply itself.
        call: the call that it answers.

    Returns:
        The exception to raise.
    """
    return _unreachable(causes.UNUSABLE_REPLY, call, reason)


def _from_remote(error: RemoteError, call: CallContext) -> errors.BrokerError:
    text = redact(error.text, call.secrets)
    said = f"{text} ({error.name})" if text else error.name
    cause = causes.cause_of_remote(error)
    if issubclass(cause.error_class, errors.BrokerResponseError):
        return _response(cause, call, context=said, dbus_error=error.name)
    if cause is causes.NOT_STARTED and (unit := causes.masked_unit(error)):
        unmask = f"Its unit is masked: allow it with 'systemctl --user unmask {unit}'."
        cause = replace(cause, advice=f"{unmask} {cause.advice}")
    if cause is causes.EXITED:
        again = f"So did the one that the bus started next. {cause.advice} {causes.WHERE_TO_LOOK}"
        cause = replace(cause, advice=again if error.is_repetition else f"The next call restarts it. {cause.advice}")
    return _unreachable(cause, call, said, who="identity broker" if error.sender.startswith(":") else "bus")


def _unreachable(cause: Cause, call: CallContext, said: str, *, who: str = "") -> errors.BrokerError:
    """Make the exception of a call that got no usable reply; ``said`` is fit to be shown."""
    text = cause.text.format(said=said, who=who, not_done=errors.NOT_DONE.get(call.method, ""))
    by_surroundings = (surroundings.sandbox_advice(), surroundings.sudo_advice()) if cause.by_surroundings else ()
    text = " ".join(filter(None, (text, *by_surroundings, cause.advice)))
    account = f" for {call.shown_username}" if call.username else ""
    correlation = f" (correlation ID {call.correlation_id})" if call.correlation_id else ""
    assert issubclass(cause.error_class, errors.BrokerUnreachableError)
    return cause.error_class(
        f"{call.method}{account}: {text}{correlation}", method=call.method, correlation_id=call.correlation_id
    )


def _response(cause: Cause, call: CallContext, *, context: str = "", **details: Any) -> errors.BrokerResponseError:
    """Make the exception of a failure that the broker reported; ``context`` and ``details`` are fit to be shown."""
    assert issubclass(cause.error_class, errors.BrokerResponseError)
    if issubclass(cause.error_class, errors.DeclinedScopesError):
        found = _DECLINED.search(context)
        details |= {"declined_scopes": found[1].split() if found else [], "granted_scopes": ()}
    return cause.error_class(
        method=call.method,
        status=cause.status,
        context=context,
        correlation_id=call.correlation_id,
        username=call.shown_username,
        **details,
    )


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
    return _response(
        causes.cause_of_text(failure.context, Status(failure.status)),
        call,
        context=redact(failure.context, call.secrets),
        sub_status=failure.sub_status,
        error_code=failure.error_code,
        tag=failure.tag,
        sub_error=redact(reply.sub_error or sub_error(failure.context), call.secrets),
        diagnostics=_redacted(failure.diagnostics or {}, call),
        telemetry=_redacted(reply.telemetry, call),
    )


def sign_in_timed_out(limit: float, call: CallContext) -> errors.BrokerError:
    """Make the failure of a sign-in that the user did not complete in time.

    Args:
        limit: the limit in seconds.
        call: the call that was withdrawn.

    Returns:
        The exception to raise.
    """
    cause = replace(causes.NO_REPLY, advice="To allow more time, increase the time limit of interactive calls.")
    return _unreachable(cause, call, f"sign-in not completed within {limit:g} s")


def sign_in_not_begun(limit: float, call: CallContext) -> errors.BrokerError:
    """Make the failure of a sign-in that another one kept waiting for too long.

    Args:
        limit: the limit in seconds.
        call: the call that was not made.

    Returns:
        The exception to raise.
    """
    cause = replace(causes.NO_REPLY, advice="One sign-in is open at a time: complete or cancel that one first.")
    return _unreachable(cause, call, f"another sign-in of this program was open for {limit:g} s")


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
    """Whether an interactive call without an account may have been refused for that.

    Args:
        error: the failure.

    Returns:
        True if the broker says so, or gives no reason at all, as Himmelblau up to 3.1 does.
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
    """Make the failure of a token of another kind than requested.

    Args:
        token_type: the reply's ``accessTokenType``.
        call: the call that it answers.

    Returns:
        The exception to raise.
    """
    if token_type != 0:
        return unusable_reply("proof-of-possession token, although a bearer token was requested", call)
    said = "the broker returned a bearer token instead of a proof-of-possession token, which it does not support"
    return _response(causes.UNSUPPORTED, call, context=said)


def mismatched(got: str, requested: str, call: CallContext) -> errors.BrokerResponseError:
    """Make the failure of a token for another account or tenant than requested.

    Args:
        got: what the token is, from the reply.
        requested: what it should be.
        call: the call that it answers.

    Returns:
        The exception to raise. Source: PROTOCOL.md, "Whose token it is".
    """
    return _response(
        causes.MISMATCHED, call, context=f"the broker returned {redact(got, call.secrets)}, not of {requested}"
    )


def scopes_declined(declined: Sequence[str], result: TokenResult, call: CallContext) -> errors.DeclinedScopesError:
    """Make the failure of a token that lacks requested scopes.

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
        context=f"scopes not granted: {redact(' '.join(declined), call.secrets)}",
        telemetry=_redacted(result.telemetry, call),
        correlation_id=call.correlation_id,
        username=call.shown_username,
    )


def redacted_telemetry(reply: models.Reply) -> dict[str, Any]:
    """Redact the telemetry of a successful reply.

    Args:
        reply: a reply of any method.

    Returns:
        Its texts, finite numbers and booleans, one level deep; what looks like a secret is hidden.
    """
    return _redacted(reply.telemetry)


def _redacted(values: Mapping[str, Any], call: CallContext | None = None) -> dict[str, Any]:
    secrets = call.secrets if call else Secrets()
    kept: dict[str, Any] = {}
    for key, value in islice(values.items(), _MAX_DETAILS):
        if isinstance(value, str):
            kept[redact(key, secrets)] = redact(value, secrets)
        elif value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and isfinite(value)):
            kept[redact(key, secrets)] = value
    return kept
