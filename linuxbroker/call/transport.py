"""Calls of the broker's interface over a shared connection: time limits, retries, and the trust policy."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING

from linuxbroker.bus import (
    BusError,
    CallTimeoutError,
    ClosedHereError,
    Connection,
    DisconnectedError,
    Message,
    MessageKind,
    RemoteError,
    SharedBus,
    shared_bus,
)
from linuxbroker.call import causes
from linuxbroker.call.trust.peer import untrusted_bus_error
from linuxbroker.call.trust.policy import TrustOptions, UntrustedError
from linuxbroker.redaction.secrets import HiddenText
from linuxbroker.tokens import validation
from linuxbroker.wire.calls import CallOptions
from linuxbroker.wire.names import BROKER_BUS_NAME, BROKER_INTERFACE, BROKER_OBJECT_PATH
from linuxbroker.wire.reading import MalformedReplyError

if TYPE_CHECKING:
    from linuxbroker.call.trust.guard import Guard

_log = logging.getLogger("linuxbroker.trust")

_TRUST_OFF = TrustOptions()
# A starting broker sends no signal when it is ready, so it is called again after pauses that grow up to the maximum.
_MIN_PAUSE_SECONDS = 0.05
_MAX_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Timeouts:
    """Time limits in seconds; None means no limit.

    Attributes:
        connect: connecting to the bus.
        call: each non-interactive call, retries included.
        interactive: a sign-in, in which the broker waits for the user.
        ping: the call of ``is_available``.
        cancel: cancelling a sign-in; applied twice, to the request to cancel and to the end of the sign-in.
        start_up: calling a broker again that reports that it is starting, if the call is repeatable.

    Raises:
        InvalidArgumentError: a limit is not a number, or is negative.
    """

    connect: float | None = 5.0
    call: float | None = 60.0
    interactive: float | None = None
    ping: float | None = 5.0
    cancel: float | None = 5.0
    start_up: float | None = 10.0

    def __post_init__(self) -> None:
        for field in fields(self):
            validation.time_limit(field.name, getattr(self, field.name))


class BrokerTransport:
    """Calls the broker over the running loop's shared connection to a bus.

    Args:
        bus_address: a D-Bus address; None for the session bus.
        timeouts: the time limits.
        max_reply_bytes: the maximum size of a reply in bytes; a longer one is an error.
        trust: the policy for a bus or an owner of the broker's name that is not trusted; default off.
    """

    def __init__(
        self, bus_address: str | None, timeouts: Timeouts, max_reply_bytes: int, trust: TrustOptions = _TRUST_OFF
    ) -> None:
        self._bus_address = bus_address
        self._timeouts = timeouts
        self._max_reply_bytes = max_reply_bytes
        self._trust = trust
        self._guard = None if trust.policy == "off" else _make_guard(trust)
        self._warned_of_bus = ""

    async def call(
        self,
        member: str,
        write_arguments: Callable[[], tuple[str, str, str]],
        options: CallOptions,
        *,
        repeatable: bool = False,
    ) -> str:
        """Call a method of the broker's interface.

        Args:
            member: the method.
            write_arguments: returns its arguments, all strings, when they can be sent; called again for a retry.
            options: the options of the call.
            repeatable: whether it is retried if the bus or the broker exits during the call; default no.

        Returns:
            The reply, a text whose ``repr`` hides it.

        Raises:
            BusError: there is no reply.
            UntrustedError: it was not sent, as the bus or the broker is not trusted.
            MalformedReplyError: the reply is not a string.
        """
        reply = await self._send(_broker_call(member), options, repeatable, write_arguments, self._max_reply_bytes)
        if reply.signature != "s":
            raise MalformedReplyError("not a string")
        return HiddenText(reply.body[0])

    async def ping(self) -> None:
        """Ping the broker, which starts it if it is not running.

        Raises:
            BusError: there is no reply.
            UntrustedError: it was not called, as the trust policy is strict.
        """
        message = Message(
            MessageKind.CALL,
            destination=BROKER_BUS_NAME,
            path=BROKER_OBJECT_PATH,
            interface="org.freedesktop.DBus.Peer",
            member="Ping",
        )
        await self._send(message, CallOptions(limit=self._timeouts.ping), repeatable=True)

    async def owner(self) -> str:
        """Query the owner of the broker's name.

        Returns:
            The owner's unique name; empty if there is none, or the bus does not report it.
        """
        try:
            connection = await self.connection()
            (owner,) = await connection.call_bus("GetNameOwner", "s", BROKER_BUS_NAME, limit=self._timeouts.call)
        except (BusError, UntrustedError):
            return ""
        return str(owner)

    async def connection(self, *, for_own_bus: bool = False) -> Connection:
        """Get the open connection to the bus, after checking whose bus it is.

        Args:
            for_own_bus: as in ``CallOptions``; default no.

        Returns:
            The connection.

        Raises:
            BusError: the bus is unavailable.
            UntrustedError: the bus belongs to another user who is not root, and the policy or the call forbids it.
        """
        connection = await self.bus().connection(self, limit=self._timeouts.connect)
        failure = None if self._trust.allow_bus_of_other_user else untrusted_bus_error(connection.peer_uid)
        if failure is None:
            return connection
        if for_own_bus or self._trust.policy == "strict":
            raise failure
        if self._trust.policy == "warn" and self._warned_of_bus != failure.reason:
            self._warned_of_bus = failure.reason
            _log.warning("%s", failure)
        return connection

    def bus(self) -> SharedBus:
        """Get the running loop's shared bus, without connecting it."""
        return shared_bus(self._bus_address, pass_descriptors=self._guard is not None)

    def close(self) -> None:
        """Release the running loop's connection; it is closed with its last user."""
        self.bus().release(self)

    async def _send(
        self,
        to_name: Message,
        options: CallOptions,
        repeatable: bool,
        write_body: Callable[[], Sequence[str]] | None = None,
        max_reply_bytes: int | None = None,
    ) -> Message:
        """Send a call, and retry it if that is safe; the time limit includes all retries."""
        clock = asyncio.get_running_loop().time
        waited, pause, lost = 0.0, _MIN_PAUSE_SECONDS, None
        while True:
            connection = await self.connection(for_own_bus=options.for_own_bus)
            began, message = clock(), to_name
            try:
                limit = None if options.limit is None else max(0.0, options.limit - waited)
                if self._guard is not None:
                    message, limit = await self._guard.resolve_destination(connection, to_name, limit)
                return await connection.call(
                    message,
                    limit=limit,
                    write_body=write_body,
                    max_reply_bytes=max_reply_bytes,
                    on_send=options.on_send,
                    only_from="" if message is to_name else message.destination,
                )
            except CallTimeoutError as error:
                failure: BusError = CallTimeoutError(options.limit or error.limit)
            except RemoteError as error:
                # The bus reports this of a unique name whose connection has ended.
                owner_left = message is not to_name and _is_absent(error)
                text = f"the owner of {to_name.destination} disconnected from the bus"
                failure = DisconnectedError(text) if owner_left else error
            except BusError as error:
                failure = error
            waited += clock() - began
            if options.sent_once or not (repeatable or _had_no_effect(failure)):
                raise failure
            if isinstance(failure, RemoteError) and causes.is_starting(failure):
                if waited + pause > _min_limit(self._timeouts.start_up, options.limit):
                    raise failure
                await asyncio.sleep(pause)
                waited, pause = waited + pause, min(2 * pause, _MAX_PAUSE_SECONDS)
            elif lost is None and _was_lost(failure):
                lost = failure
            elif isinstance(lost, RemoteError) and _is_absent(failure):
                raise lost  # the broker exited, and the bus did not restart it
            else:
                if isinstance(lost, RemoteError) and isinstance(failure, RemoteError):
                    failure.is_repetition = True
                raise failure


def _make_guard(trust: TrustOptions) -> Guard:
    from linuxbroker.call.trust.guard import Guard  # not imported for the many clients without one

    return Guard(strict=trust.policy == "strict", programs=trust.programs)


@cache
def _broker_call(member: str) -> Message:
    return Message(
        MessageKind.CALL,
        destination=BROKER_BUS_NAME,
        path=BROKER_OBJECT_PATH,
        interface=BROKER_INTERFACE,
        member=member,
        signature="sss",
    )


def _is_absent(failure: BusError) -> bool:
    """Whether nothing owns the name that the call was sent to."""
    return isinstance(failure, RemoteError) and causes.cause_of_remote(failure) is causes.ABSENT


def _had_no_effect(failure: BusError) -> bool:
    """Whether the broker has not yet exported its object on the bus, so that the call had no effect."""
    return isinstance(failure, RemoteError) and causes.is_object_missing(failure)


def _was_lost(failure: BusError) -> bool:
    """Whether the bus or the broker exited during the call, and this process did not close the connection."""
    if isinstance(failure, RemoteError):
        return causes.cause_of_remote(failure) is causes.EXITED
    return isinstance(failure, DisconnectedError) and not isinstance(failure, ClosedHereError)


def _min_limit(*limits: float | None) -> float:
    return min((limit for limit in limits if limit is not None), default=float("inf"))
