"""How does a fresh socket become a bus connection? The SASL exchange, before the first message."""

from __future__ import annotations

import asyncio
import os
import socket

from linuxbroker.bus.errors import ConnectError

# Far more than any answer of a bus; an endless line without an end is refused.
_MAX_LINE_BYTES = 16 * 1024


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
    user = str(os.geteuid()).encode().hex()
    await loop.sock_sendall(sock, b"\0AUTH EXTERNAL " + user.encode() + b"\r\n")
    answer = await _read_line(loop, sock)
    if answer.startswith(b"REJECTED"):
        raise ConnectError(f"the bus refused user id {os.geteuid()}; is it another user's bus?")
    if not answer.startswith(b"OK "):
        raise ConnectError("the peer on the bus socket does not speak D-Bus")
    passes_descriptors = False
    if wants_descriptors:
        await loop.sock_sendall(sock, b"NEGOTIATE_UNIX_FD\r\n")
        answer = await _read_line(loop, sock)
        passes_descriptors = answer.rstrip() == b"AGREE_UNIX_FD"
        if not passes_descriptors and not answer.startswith(b"ERROR"):
            raise ConnectError("the peer on the bus socket does not speak D-Bus")
    await loop.sock_sendall(sock, b"BEGIN\r\n")
    return passes_descriptors


async def _read_line(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\r\n"):
        received = await loop.sock_recv(sock, 4096)
        if not received:
            raise ConnectError("the peer closed the bus socket during the handshake")
        line += received
        if len(line) > _MAX_LINE_BYTES:
            raise ConnectError("the peer on the bus socket does not speak D-Bus")
    return line
