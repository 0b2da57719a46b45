"""Whose are the file descriptors that come in with messages? The call's that asked for them; nobody else's ever stay.

Any process on the bus can send descriptors, with any message. They are let in only while a call waits for some; at
all other times the kernel closes them (unix(7), "SCM_RIGHTS"). While one waits, no read goes beyond the end of a
message, so that what comes in belongs to the message under way (D-Bus specification, "UNIX_FDS").
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

# With an answer of a bus comes one. The kernel closes those for which there is no room.
_MOST_DESCRIPTORS = 16
_ROOM_BYTES = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array("i").itemsize)


class Descriptors:
    """File descriptors of this process, which are closed at the end of a ``with`` block.

    Attributes:
        numbers: the descriptors, in the order in which a message's body counts them.
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
            # One that can't be closed in order, as its sender's file system may have it, is closed all the same.
            with contextlib.suppress(OSError):
                os.close(self.numbers.pop())


class DescriptorReader(FrameReader):
    """Reads from a socket on which descriptors may come, and cuts what it read into messages.

    Args:
        sock: where to read.
        skips: as for ``FrameReader``.
    """

    def __init__(self, sock: socket.socket, skips: Callable[[int, int], bool]) -> None:
        super().__init__(skips=skips)
        self._sock = sock
        self._waiting = 0
        self._arrived = Descriptors()

    def begin(self) -> None:
        """Let descriptors in: one more call waits for some."""
        self._waiting += 1

    def end(self) -> None:
        """Let descriptors in no more, unless another call waits for some."""
        self._waiting -= 1
        if not self._waiting:
            self.close()

    def receive(self, size: int) -> bytes:
        """Read from the socket, to the end of the message under way at most if a call waits for descriptors.

        Args:
            size: the most bytes to read.

        Returns:
            The bytes; none at the end of the stream.

        Raises:
            OSError: as ``socket.recv`` does.
        """
        if not self._waiting:
            return self._sock.recv(size)
        if self._to_skip:
            return self._sock.recv(min(size, self._to_skip))
        # At least one: whole messages are left where a handler of one before them raised.
        missing = max(1, min(size, self._wanted - len(self._buffer)))
        data, controls, _, _ = self._sock.recvmsg(missing, _ROOM_BYTES, socket.MSG_CMSG_CLOEXEC)
        for level, kind, content in controls:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._arrived.numbers += array("i", content)
        if len(self._arrived.numbers) > _MOST_DESCRIPTORS:
            self._arrived.close()
        return data

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take in what arrived and give the messages that it completes, as ``FrameReader`` does.

        Args:
            data: the bytes.

        Returns:
            Each whole message. When the next one is asked for, the descriptors that nobody took are closed.

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

    def hand_over(self, message: bytes, to: Descriptors) -> None:
        """Give away the descriptors that came with the message that was cut last.

        Args:
            message: the message.
            to: where they go; it holds none yet.

        Raises:
            BadMessageError: they are not as many as the message says.
        """
        announced, came = unix_fds(message), len(self._arrived.numbers)
        if announced != came:
            raise BadMessageError(
                f"the bus announced {announced} file descriptors, and {came} came; if there were none left for this "
                "process, raise its limit of open files (ulimit -n)"
            )
        to.numbers += self._arrived.numbers
        self._arrived.numbers.clear()

    def close(self) -> None:
        """Close the descriptors that nobody took."""
        self._arrived.close()
