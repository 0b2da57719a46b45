"""Where does one D-Bus message end and the next begin? Pure code: bytes in, whole messages out."""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack_from

from linuxbroker.bus.errors import BadMessageError

# D-Bus specification, "Message Format": no message is longer than 128 MiB, header included.
MAX_MESSAGE_BYTES = 128 * 1024 * 1024
_FIXED_HEADER_BYTES = 16
_BYTE_ORDER = {ord("l"): "<", ord("B"): ">"}


class FrameReader:
    """Cuts a stream of bytes into D-Bus messages.

    Args:
        max_message_bytes: a message that announces more than this many bytes is refused before it is read.
    """

    def __init__(self, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._max_message_bytes = max_message_bytes
        self._buffer = bytearray()
        self._wanted = _FIXED_HEADER_BYTES

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
        while len(self._buffer) >= self._wanted:
            length = self._message_length()
            if len(self._buffer) < length:
                self._wanted = length
                return
            self._wanted = _FIXED_HEADER_BYTES
            message = bytes(self._buffer[:length])
            del self._buffer[:length]
            yield message

    def _message_length(self) -> int:
        order = _BYTE_ORDER.get(self._buffer[0])
        if order is None or self._buffer[3] != 1:
            raise BadMessageError("the peer sent bytes that are not a D-Bus message")
        body_bytes, _serial, field_bytes = unpack_from(f"{order}III", self._buffer, 4)
        length: int = _FIXED_HEADER_BYTES + field_bytes + (-field_bytes & 7) + body_bytes
        if length > self._max_message_bytes:
            raise BadMessageError(
                f"the peer announced a message of {length:,} bytes; {self._max_message_bytes:,} allowed"
            )
        return length
