"""What is said on a fresh socket before it is a bus connection: the SASL exchange, line by line, without I/O.

Source: D-Bus specification, "Authentication Protocol".
"""

from __future__ import annotations

import os
from collections.abc import Generator

from linuxbroker.bus.errors import ConnectError

# Far more than any answer of a bus; an endless line without an end is refused.
MAX_LINE_BYTES = 16 * 1024
BEGIN = b"BEGIN\r\n"


def authentication(*, wants_descriptors: bool = False) -> Generator[bytes, bytes, bool]:
    """Authenticate as the process's own user; ``BEGIN`` is left to be said.

    Args:
        wants_descriptors: whether to ask for the passing of file descriptors.

    Yields:
        What to say. The answer, a line with its end, is sent in; nothing, where the peer closed the socket.

    Returns:
        Whether file descriptors are passed: they were asked for, and the peer agreed.

    Raises:
        ConnectError: the peer refused, closed, or answered nonsense.
    """
    user = os.geteuid()
    answer = yield b"\0AUTH EXTERNAL " + str(user).encode().hex().encode() + b"\r\n"
    if answer.startswith(b"REJECTED"):
        # In a user namespace the process sees another id than the bus does: without one the socket's counts.
        answer = yield b"AUTH EXTERNAL\r\n"
        if answer.rstrip() == b"DATA":
            answer = yield b"DATA\r\n"
        if not _is_ok(answer):
            raise ConnectError(f"the bus refused user id {user}; is it another user's bus?")
    if not _is_ok(answer):
        raise _no_bus(answer)
    if not wants_descriptors:
        return False
    answer = yield b"NEGOTIATE_UNIX_FD\r\n"
    agrees = answer.rstrip() == b"AGREE_UNIX_FD"
    if not agrees and not answer.startswith(b"ERROR"):
        raise _no_bus(answer)
    return agrees


def _is_ok(answer: bytes) -> bool:
    return answer.startswith(b"OK ") and answer.endswith(b"\r\n")


def _no_bus(answer: bytes) -> ConnectError:
    if not answer:
        return ConnectError("the peer closed the bus socket during the handshake")
    return ConnectError("the peer on the bus socket does not speak D-Bus")
