"""File descriptors that arrive with messages: passed to the call that requested them, otherwise closed.

Any process on the bus can send descriptors, with any message. They are accepted only while a call waits for some; at
all other times the kernel closes them (unix(7), "SCM_RIGHTS"). While a call waits, no read goes beyond the end of a
message, so that received descriptors belong to the current message (D-Bus specification, "UNIX_FDS").
"""

from __future__ import annotations

import contextlib
import os
import socket
from array import array
from collections.abc import Callable, Iterator
from types import TracebackType

from linuxbroker.bus.errors import BadMessageError
from linuxbroker.bus.frames import FrameReader, unix_fds

# A reply of the bus carries one. The kernel closes those that exceed the buffer.
_MAX_DESCRIPTORS = 16
_ANCILLARY_BYTES = socket.CMSG_SPACE(_MAX_DESCRIPTORS * array("i").itemsize)


class Descriptors:
    """File descriptors that are closed at the end of a ``with`` block.

    Attributes:
        numbers: the descriptors; the body of a message refers to them by index.
    """

    def __init__(self) -> None:
        self.numbers: list[int] = []

    def __enter__(self) -> Descriptors:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close them all."""
        while self.numbers:
            # A descriptor is closed even if close() fails, as the sender's file system may cause it to.
            with contextlib.suppress(OSError):
                os.close(self.numbers.pop())


class DescriptorReader(FrameReader):
    """Reads bytes and descriptors from a socket, and cuts the bytes into messages.

    Args:
        sock: the socket to read from.
        skips: as for ``FrameReader``.
    """

    def __init__(self, sock: socket.socket, skips: Callable[[int, int], bool]) -> None:
        super().__init__(skips=skips)
        self._sock = sock
        self._waiting_calls = 0
        self._received = Descriptors()

    def allow(self) -> None:
        """Accept descriptors for one more waiting call."""
        self._waiting_calls += 1

    def disallow(self) -> None:
        """End ``allow`` for one call; with the last one, descriptors are no longer accepted."""
        self._waiting_calls -= 1
        if not self._waiting_calls:
            self.close()

    def receive(self, size: int) -> bytes:
        """Read from the socket; while a call waits for descriptors, not beyond the end of the current message.

        Args:
            size: the maximum number of bytes.

        Returns:
            The bytes; empty at the end of the stream.

        Raises:
            OSError: as ``socket.recv`` does.
        """
        if not self._waiting_calls:
            return self._sock.recv(size)
        if self._to_skip:
            return self._sock.recv(min(size, self._to_skip))
        # At least 1: complete messages remain in the buffer if a handler of an earlier one raised.
        missing = max(1, min(size, self._bytes_needed - len(self._buffer)))
        data, controls, _, _ = self._sock.recvmsg(missing, _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC)
        for level, kind, content in controls:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._received.numbers += array("i", content)
        if len(self._received.numbers) > _MAX_DESCRIPTORS:
            self._received.close()
        return data

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add received bytes and get the messages that they complete, as ``FrameReader`` does.

        Args:
            data: the bytes.

        Returns:
            Each whole message. Descriptors not taken by ``take`` are closed before the next one.

        Raises:
            BadMessageError: as ``FrameReader.feed`` does.
        """
        for message in super().feed(data):
            try:
                yield message
            finally:
                self.close()
        if self._to_skip:
            self.close()

    def take(self, message: bytes, to: Descriptors) -> None:
        """Move the descriptors of the current message to the call that requested them.

        Args:
            message: the message that ``feed`` returned last.
            to: receives them; empty before.

        Raises:
            BadMessageError: their number is not the one that the message announces.
        """
        announced, received = unix_fds(message), len(self._received.numbers)
        if announced != received:
            raise BadMessageError(
                f"expected {announced} file descriptors, received {received}; the limit of open files "
                "(ulimit -n) may be too low"
            )
        to.numbers += self._received.numbers
        self._received.numbers.clear()

    def close(self) -> None:
        """Close the descriptors that were not taken."""
        self._received.close()
