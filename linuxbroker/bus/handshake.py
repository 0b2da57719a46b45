"""The SASL handshake of a D-Bus connection, line by line, without I/O.

Source: D-Bus specification, "Authentication Protocol".
"""

from __future__ import annotations

import os
from collections.abc import Generator

from linuxbroker.bus.errors import ConnectError

# Far longer than any line that a bus sends.
MAX_LINE_BYTES = 16 * 1024
BEGIN = b"BEGIN\r\n"


def authentication(*, pass_descriptors: bool = False) -> Generator[bytes, bytes, bool]:
    """Authenticate as the process's user; the caller sends ``BEGIN`` afterwards.

    Args:
        pass_descriptors: whether to request file descriptor passing.

    Yields:
        The bytes to send. Send in the peer's answer: a line including its end, or empty if the peer closed the socket.

    Returns:
        Whether file descriptors are passed: requested, and agreed to by the peer.

    Raises:
        ConnectError: the peer rejected the user, closed the socket or sent an invalid answer.
    """
    user = os.geteuid()
    answer = yield b"\0AUTH EXTERNAL " + str(user).encode().hex().encode() + b"\r\n"
    if answer.startswith(b"REJECTED"):
        # In a user namespace the process's ID differs from the one the bus sees; without an ID the socket's is used.
        answer = yield b"AUTH EXTERNAL\r\n"
        if answer.rstrip() == b"DATA":
            answer = yield b"DATA\r\n"
        if not _is_ok(answer):
            raise ConnectError(f"the bus rejected user ID {user}; it may belong to another user")
    if not _is_ok(answer):
        raise _invalid_answer(answer)
    if not pass_descriptors:
        return False
    answer = yield b"NEGOTIATE_UNIX_FD\r\n"
    agrees = answer.rstrip() == b"AGREE_UNIX_FD"
    if not agrees and not answer.startswith(b"ERROR"):
        raise _invalid_answer(answer)
    return agrees


def _is_ok(answer: bytes) -> bool:
    return answer.startswith(b"OK ") and answer.endswith(b"\r\n")


def _invalid_answer(answer: bytes) -> ConnectError:
    if not answer:
        return ConnectError("the peer closed the bus socket during the handshake")
    return ConnectError("the peer on the bus socket does not implement D-Bus")
