"""The framing of D-Bus messages, without I/O: bytes in, whole messages out."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from linuxbroker.bus.errors import BadMessageError

# D-Bus specification, "Message Format": no message is longer than 128 MiB, header included.
MAX_MESSAGE_BYTES = 128 * 1024 * 1024
# For a longer message, the limits are checked as soon as its header is there.
LARGE_MESSAGE_BYTES = 256 * 1024
_FIXED_HEADER_BYTES = 16
_BYTE_ORDER = {ord("l"): "<", ord("B"): ">"}
_REPLY_SERIAL_FIELD, _UNIX_FDS_FIELD = 5, 9
_LENGTH_BYTES = {"s": 4, "o": 4, "g": 1}


class FrameReader:
    """Cuts a stream of bytes into D-Bus messages.

    Args:
        max_message_bytes: a longer message is an error, after which nothing can be read.
        skips: called for each message of more than ``LARGE_MESSAGE_BYTES`` with its length and the serial number it
            replies to (0 for none); if true, the message is discarded as it arrives, without using memory.
    """

    def __init__(
        self, max_message_bytes: int = MAX_MESSAGE_BYTES, skips: Callable[[int, int], bool] | None = None
    ) -> None:
        self._max_message_bytes = max_message_bytes
        self._skips = skips
        self._buffer = bytearray()
        self._bytes_needed = _FIXED_HEADER_BYTES
        self._size_checked = False
        self._to_skip = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add received bytes and get the messages that they complete.

        Args:
            data: the bytes, split anywhere.

        Returns:
            Each whole message, in order.

        Raises:
            BadMessageError: the bytes are not D-Bus, or a message is too large. Nothing can be read afterwards.
        """
        self._buffer += data
        self._discard()
        while len(self._buffer) >= self._bytes_needed:
            header_bytes, length = self._lengths()
            if length > LARGE_MESSAGE_BYTES and not self._size_checked:
                if len(self._buffer) < header_bytes <= LARGE_MESSAGE_BYTES:
                    self._bytes_needed = header_bytes
                    return
                self._size_checked = True
                if self._skips is not None and self._skips(length, self._reply_serial(header_bytes)):
                    self._to_skip = length
                    self._begin_message()
                    self._discard()
                    continue
            if len(self._buffer) < length:
                self._bytes_needed = length
                return
            self._begin_message()
            message = bytes(self._buffer[:length])
            del self._buffer[:length]
            yield message

    def _begin_message(self) -> None:
        self._bytes_needed, self._size_checked = _FIXED_HEADER_BYTES, False

    def _discard(self) -> None:
        skipped = min(self._to_skip, len(self._buffer))
        del self._buffer[:skipped]
        self._to_skip -= skipped

    def _reply_serial(self, header_bytes: int) -> int:
        if header_bytes > LARGE_MESSAGE_BYTES:
            return 0
        return reply_serial(bytes(self._buffer[:header_bytes]))

    def _lengths(self) -> tuple[int, int]:
        """The lengths of the message's header and of the whole message, in bytes."""
        order = _BYTE_ORDER.get(self._buffer[0])
        if order is None or self._buffer[3] != 1:
            raise BadMessageError("the peer sent bytes that are not a D-Bus message")
        body_bytes, _serial, field_bytes = struct.unpack_from(f"{order}III", self._buffer, 4)
        header_bytes: int = _FIXED_HEADER_BYTES + field_bytes + (-field_bytes & 7)
        length: int = header_bytes + body_bytes
        if length > self._max_message_bytes:
            raise BadMessageError(f"message of {length:,} bytes exceeds the limit of {self._max_message_bytes:,} bytes")
        return header_bytes, length


def reply_serial(header: bytes) -> int:
    """Get the serial number of the call that a message replies to.

    Args:
        header: the complete header of a message.

    Returns:
        The serial number; 0 if the header contains none or is invalid.
    """
    return _uint32_field(header, _REPLY_SERIAL_FIELD)


def unix_fds(header: bytes) -> int:
    """Get the number of file descriptors that a message's header announces.

    Args:
        header: the complete header of a message.

    Returns:
        The number; 0 if the header contains none or is invalid.
    """
    return _uint32_field(header, _UNIX_FDS_FIELD)


def _uint32_field(header: bytes, field: int) -> int:
    """The value of a header field of type ``u``; 0 if there is none. Source: D-Bus specification, "Header Fields"."""
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
