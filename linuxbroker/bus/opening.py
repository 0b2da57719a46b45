"""The opening of a connection: the alternatives of an address in turn, a connected socket, authentication."""

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
        attempt: opens one, given its socket address.
        limit: seconds for all of them; None for no limit. One that is silent leaves time for the next.

    Returns:
        What the first attempt that succeeded gave.

    Raises:
        AddressError: there is no alternative that can be used.
        ConnectError: no alternative led to a bus in time.
    """
    failures: list[str] = []
    try:
        return await asyncio.wait_for(_open_first(addresses.unix_sockets(address, failures), attempt, failures), limit)
    except asyncio.TimeoutError:
        failures.append(f"no answer within {limit:g} s")
    except ConnectError:
        pass
    raise ConnectError(f"cannot connect to the bus at {texts.brief(address)}: {'; '.join(failures)}")


async def connect(sock: socket.socket, address: bytes) -> None:
    """Connect a non-blocking socket; while the listener's queue is full the kernel offers nothing to wait for.

    Args:
        sock: the socket.
        address: its peer's.

    Raises:
        OSError: nobody listens there.
    """
    while True:
        try:
            sock.connect(address)
            return
        except BlockingIOError:
            await asyncio.sleep(_BACKLOG_PAUSE_SECONDS)


async def authenticate(sock: socket.socket, *, wants_descriptors: bool = False) -> bool:
    """Authenticate as the process's own user.

    Args:
        sock: a connected, non-blocking socket.
        wants_descriptors: whether to ask for the passing of file descriptors.

    Returns:
        Whether file descriptors are passed: they were asked for, and the peer agreed.

    Raises:
        ConnectError: the peer refused, closed, or does not speak D-Bus.
        OSError: the socket failed.
    """
    loop = asyncio.get_running_loop()
    exchange = authentication(wants_descriptors=wants_descriptors)
    said = next(exchange)
    while True:
        await loop.sock_sendall(sock, said)
        answer = await _read_line(loop, sock)
        try:
            said = exchange.send(answer)
        except StopIteration as end:
            await loop.sock_sendall(sock, BEGIN)
            return bool(end.value)


async def _open_first(candidates: list[bytes], attempt: Callable[[bytes], Awaitable[T]], failures: list[str]) -> T:
    for candidate in candidates:
        is_last = candidate == candidates[-1]
        limit = None if is_last else addresses.SECONDS_BEFORE_THE_NEXT
        try:
            return await asyncio.wait_for(attempt(candidate), limit)
        except asyncio.TimeoutError:
            failures.append("no answer in time")
        except (BusError, OSError) as error:
            failures.append(_reason(error))
    raise ConnectError("no alternative of the address led to a bus")


def _reason(error: BusError | OSError) -> str:
    """Why an alternative did not lead to a bus; with the bus's own words, to which nothing was sent yet."""
    if isinstance(error, RemoteError):
        return f"{error.name}: {texts.shown(error.text)}"
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


async def _read_line(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> bytes:
    """A line, or the beginning of one that is too long; nothing if the peer closed the socket."""
    line = b""
    while not line.endswith(b"\r\n") and len(line) <= MAX_LINE_BYTES:
        received = await loop.sock_recv(sock, 4096)
        if not received:
            return b""
        line += received
    return line
