"""Where does one D-Bus message end and the next begin? Pure code: bytes in, whole messages out."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from linuxbroker.bus.errors import BadMessageError

# D-Bus specification, "Message Format": no message is longer than 128 MiB, header included.
MAX_MESSAGE_BYTES = 128 * 1024 * 1024
# A longer message is judged by its header, before the rest of it is taken in.
LARGE_MESSAGE_BYTES = 256 * 1024
_FIXED_HEADER_BYTES = 16
_BYTE_ORDER = {ord("l"): "<", ord("B"): ">"}
_REPLY_SERIAL_FIELD, _UNIX_FDS_FIELD = 5, 9
_LENGTH_BYTES = {"s": 4, "o": 4, "g": 1}


class FrameReader:
    """Cuts a stream of bytes into D-Bus messages.

    Args:
        max_message_bytes: the stream ends at a message that announces more than this many bytes.
        skips: asked about each message of more than ``LARGE_MESSAGE_BYTES``, by its length and the serial number that
            it replies to (0 for none): whether to pass over it, which takes no memory.
    """

    def __init__(
        self, max_message_bytes: int = MAX_MESSAGE_BYTES, skips: Callable[[int, int], bool] | None = None
    ) -> None:
        self._max_message_bytes = max_message_bytes
        self._skips = skips
        self._buffer = bytearray()
        self._wanted = _FIXED_HEADER_BYTES
        self._judged = False
        self._to_skip = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take in what arrived and give the messages that it completes.

        Args:
            data: the bytes, cut anywhere.

        Returns:
            Each whole message, in order.

        Raises:
            BadMessageError: the stream is not D-Bus, or a message is too large. Nothing can be read after it.
        """
        self._buffer += data
        self._pass_over()
        while len(self._buffer) >= self._wanted:
            header_bytes, length = self._lengths()
            if length > LARGE_MESSAGE_BYTES and not self._judged:
                if len(self._buffer) < header_bytes <= LARGE_MESSAGE_BYTES:
                    self._wanted = header_bytes
                    return
                self._judged = True
                if self._skips is not None and self._skips(length, self._reply_serial(header_bytes)):
                    self._to_skip = length
                    self._start_over()
                    self._pass_over()
                    continue
            if len(self._buffer) < length:
                self._wanted = length
                return
            self._start_over()
            message = bytes(self._buffer[:length])
            del self._buffer[:length]
            yield message

    def _start_over(self) -> None:
        self._wanted, self._judged = _FIXED_HEADER_BYTES, False

    def _pass_over(self) -> None:
        skipped = min(self._to_skip, len(self._buffer))
        del self._buffer[:skipped]
        self._to_skip -= skipped

    def _reply_serial(self, header_bytes: int) -> int:
        if header_bytes > LARGE_MESSAGE_BYTES:
            return 0
        return reply_serial(bytes(self._buffer[:header_bytes]))

    def _lengths(self) -> tuple[int, int]:
        """How long the message's header and the whole message are, in bytes."""
        order = _BYTE_ORDER.get(self._buffer[0])
        if order is None or self._buffer[3] != 1:
            raise BadMessageError("the peer sent bytes that are not a D-Bus message")
        body_bytes, _serial, field_bytes = struct.unpack_from(f"{order}III", self._buffer, 4)
        header_bytes: int = _FIXED_HEADER_BYTES + field_bytes + (-field_bytes & 7)
        length: int = header_bytes + body_bytes
        if length > self._max_message_bytes:
            raise BadMessageError(
                f"the peer announced a message of {length:,} bytes; {self._max_message_bytes:,} allowed"
            )
        return header_bytes, length


def reply_serial(header: bytes) -> int:
    """Find out which call a message replies to, from its header alone.

    Args:
        header: a message's header, whole.

    Returns:
        The call's serial number; 0 where the header names none, or can't be read.
    """
    return _number(header, _REPLY_SERIAL_FIELD)


def unix_fds(header: bytes) -> int:
    """Find out how many file descriptors a message says that it comes with, from its header alone.

    Args:
        header: a message's header, whole.

    Returns:
        How many; 0 where the header says nothing of any, or can't be read.
    """
    return _number(header, _UNIX_FDS_FIELD)


def _number(header: bytes, field: int) -> int:
    """The header field of that code, which is a number; 0 for none. Source: D-Bus specification, "Header Fields"."""
    order = _BYTE_ORDER[header[0]]
    try:
        (field_bytes,) = struct.unpack_from(f"{order}I", header, 12)
        at, end = _FIXED_HEADER_BYTES, _FIXED_HEADER_BYTES + field_bytes
        while at < end:
            code, signature_bytes, kind = header[at], header[at + 1], chr(header[at + 2])
            if signature_bytes != 1:
                return 0
            at += 4
            if kind == "u":
                if code == field:
                    return int(struct.unpack_from(f"{order}I", header, at)[0])
                at += 4
            else:
                prefix = _LENGTH_BYTES[kind]
                at += prefix + int.from_bytes(header[at : at + prefix], "little" if order == "<" else "big") + 1
            at += -at & 7
    except (IndexError, KeyError, struct.error):
        pass
    return 0
