"""Opening a connection: the alternatives of an address in turn, connecting a socket, authentication."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

from linuxbroker.bus import address as addresses
from linuxbroker.bus.errors import BusError, ConnectError, RemoteError
from linuxbroker.bus.handshake import BEGIN, MAX_LINE_BYTES, authentication
from linuxbroker.redaction import texts

_BACKLOG_PAUSE_SECONDS = 0.01

T = TypeVar("T")


async def open_first(address: str, attempt: Callable[[bytes], Awaitable[T]], *, limit: float | None) -> T:
    """Try the alternatives of an address, one after the other.

    Args:
        address: a D-Bus address.
        attempt: opens a connection to a socket address.
        limit: seconds for all of them together; None for no limit. A silent one does not use up the time of the next.

    Returns:
        The result of the first attempt that succeeds.

    Raises:
        AddressError: no alternative is usable.
        ConnectError: no alternative led to a bus within the limit.
    """
    failures: list[str] = []
    try:
        return await asyncio.wait_for(_try_in_turn(addresses.unix_sockets(address, failures), attempt, failures), limit)
    except asyncio.TimeoutError:
        failures.append(f"no reply within {limit:g} s")
    except ConnectError:
        pass
    raise ConnectError(f"cannot connect to the bus at {texts.brief(address)}: {'; '.join(failures)}")


async def connect(sock: socket.socket, address: bytes) -> None:
    """Connect a non-blocking socket, polling while the listener's queue is full: the kernel signals no free place.

    Args:
        sock: the socket.
        address: the address of its peer.

    Raises:
        OSError: nothing listens at the address.
    """
    while True:
        try:
            sock.connect(address)
            return
        except BlockingIOError:
            await asyncio.sleep(_BACKLOG_PAUSE_SECONDS)


async def authenticate(sock: socket.socket, *, pass_descriptors: bool = False) -> bool:
    """Authenticate as the process's user and begin the message stream.

    Args:
        sock: a connected, non-blocking socket.
        pass_descriptors: whether to request file descriptor passing.

    Returns:
        Whether file descriptors are passed: requested, and agreed to by the peer.

    Raises:
        ConnectError: the peer rejected the user, closed the socket or does not implement D-Bus.
        OSError: the socket failed.
    """
    loop = asyncio.get_running_loop()
    exchange = authentication(pass_descriptors=pass_descriptors)
    to_send = next(exchange)
    while True:
        await loop.sock_sendall(sock, to_send)
        answer = await _read_line(loop, sock)
        try:
            to_send = exchange.send(answer)
        except StopIteration as end:
            await loop.sock_sendall(sock, BEGIN)
            return bool(end.value)


async def _try_in_turn(candidates: list[bytes], attempt: Callable[[bytes], Awaitable[T]], failures: list[str]) -> T:
    for candidate in candidates:
        is_last = candidate == candidates[-1]
        limit = None if is_last else addresses.ALTERNATIVE_TIMEOUT_SECONDS
        try:
            return await asyncio.wait_for(attempt(candidate), limit)
        except asyncio.TimeoutError:
            failures.append("timed out")
        except (BusError, OSError) as error:
            failures.append(_failure_reason(error))
    raise ConnectError("no alternative of the address led to a bus")


def _failure_reason(error: BusError | OSError) -> str:
    """Why an alternative did not lead to a bus, with the bus's own error text: no secret was sent to it yet."""
    if isinstance(error, RemoteError):
        return f"{error.name}: {texts.shown(error.text)}"
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


async def _read_line(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> bytes:
    """Read a line, or the beginning of one that is too long; empty if the peer closed the socket."""
    line = b""
    while not line.endswith(b"\r\n") and len(line) <= MAX_LINE_BYTES:
        received = await loop.sock_recv(sock, 4096)
        if not received:
            return b""
        line += received
    return line
