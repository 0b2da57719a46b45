"""The marshalling of D-Bus messages, and its limits: the library does it, but for messages that hold texts alone."""

from __future__ import annotations

from collections.abc import Sequence
from struct import unpack_from
from typing import Any

from linuxbroker.bus.errors import BadMessageError
from linuxbroker.bus.message import Message, MessageKind
from linuxbroker.bus.text_messages import read_texts, write_texts

_MOST_HEADER_BYTES = 16 * 1024


def encode(message: Message, serial: int, body: Sequence[Any] | None = None) -> bytes:
    """Write a message as the bytes that go over the wire.

    Args:
        message: what to send; its own ``serial`` and ``sender`` are not used.
        serial: the serial number to send it under, from 1.
        body: the arguments, in place of the message's own.

    Returns:
        The marshalled message.

    Raises:
        BadMessageError: a name, path, signature or argument can't be written.
    """
    reason = ""
    try:
        arguments = message.body if body is None else body
        written = write_texts(message, serial, arguments)
        if written is None:
            from linuxbroker.bus import library

            written = library.write(message, serial, arguments)
        return written
    except Exception as error:  # the library raises bare Exception in places
        reason = type(error).__name__
    raise BadMessageError(f"can't write a call of {message.interface}.{message.member}: {reason}")


def decode(frame: bytes) -> Message:
    """Read the bytes of one whole message.

    Args:
        frame: exactly one message, as ``FrameReader`` cuts it.

    Returns:
        The message. One with far more values than any that has a use here comes without its body; one with a header
        that long is a signal that says nothing. Neither ends the connection: any process on the bus can send them.

    Raises:
        BadMessageError: the bytes are not a valid message. The text quotes nothing of them.
    """
    reason = "cut short"
    try:
        if unpack_from("<I" if frame[:1] == b"l" else ">I", frame, 12)[0] > _MOST_HEADER_BYTES:
            return Message(MessageKind.SIGNAL)
        read = read_texts(frame)
        if read is None:
            from linuxbroker.bus import library

            read = library.read(frame)
        if read is not None:
            return read
    except Exception as error:  # any exception class can come out of unmarshalling hostile bytes
        reason = type(error).__name__
    raise BadMessageError(f"the peer sent a message that can't be read ({reason})")
