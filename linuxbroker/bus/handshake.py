"""How does a fresh socket become a bus connection? The SASL exchange, carried out on the running loop."""

from __future__ import annotations

import asyncio
import socket

from linuxbroker.bus.sasl import BEGIN, MAX_LINE_BYTES, authentication


async def authenticate(sock: socket.socket, *, wants_descriptors: bool = False) -> bool:
    """Authenticate as the process's own user.

    Args:
        sock: a connected, non-blocking socket.
        wants_descriptors: whether to ask for the passing of file descriptors.

    Returns:
        Whether file descriptors are passed: they were asked for, and the peer agreed.

    Raises:
        ConnectError: the peer refused, closed, or answered nonsense.
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


async def _read_line(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> bytes:
    """A line, or the beginning of one that is too long; nothing, where the peer closed the socket."""
    line = b""
    while not line.endswith(b"\r\n") and len(line) <= MAX_LINE_BYTES:
        received = await loop.sock_recv(sock, 4096)
        if not received:
            return b""
        line += received
    return line
