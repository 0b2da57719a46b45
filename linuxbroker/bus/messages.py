"""How is a D-Bus message written and read? The only module that imports the D-Bus library.

Everything else sees ``Message`` and bytes, so that another library can be put in here and nowhere else.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct, unpack_from
from typing import Any, cast

from dbus_next._private.marshaller import Marshaller
from dbus_next._private.unmarshaller import Unmarshaller
from dbus_next.constants import MessageFlag, MessageType
from dbus_next.message import Message as DBusMessage
from dbus_next.signature import Variant

from linuxbroker.bus.errors import BadMessageError

# The library's annotations do not hold (None where it says str, untyped methods): its classes are taken as they come.
_Marshaller: Any = Marshaller
_Unmarshaller: Any = Unmarshaller
_DBusMessage: Any = DBusMessage

_LENGTH = Struct("<I")  # of a text; the library writes little-endian
_LENGTH_AND_SERIAL = Struct("<II")  # bytes 4 to 11 of every message
_MOST_CALL_HEADERS = 64
_call_headers: dict[tuple[str | bool, ...], bytes] = {}


class MessageKind(enum.Enum):
    """The four kinds of D-Bus message."""

    CALL = 1
    RETURN = 2
    ERROR = 3
    SIGNAL = 4


@dataclass(frozen=True)
class Message:
    """A D-Bus message, as received or to be sent."""

    kind: MessageKind
    serial: int = 0
    reply_serial: int = 0
    sender: str = ""
    destination: str = ""
    path: str = ""
    interface: str = ""
    member: str = ""
    error_name: str = ""
    signature: str = ""
    body: Sequence[Any] = ()
    reply_expected: bool = True
    autostart: bool = True

    def __repr__(self) -> str:
        return f"Message({self.kind.name}, {self.interface}.{self.member}, serial={self.serial})"


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
        arguments = list(message.body if body is None else body)
        header = _header(message, arguments)
        body_parts = _body(message.signature, arguments)
        length = sum(map(len, body_parts))
        return b"".join((header[:4], _LENGTH_AND_SERIAL.pack(length, serial), header[12:], *body_parts))
    except Exception as error:  # the library raises bare Exception in places
        reason = type(error).__name__
    raise BadMessageError(f"can't write a call of {message.interface}.{message.member}: {reason}")


def _body(signature: str, arguments: list[Any]) -> list[bytes | bytearray]:
    """The arguments as they are written, in parts. Texts, which may be large, are copied no more than they must be."""
    if set(signature) != {"s"} or len(signature) != len(arguments):
        return [_Marshaller(signature, arguments).marshall()]
    parts: list[bytes | bytearray] = []
    length = 0
    for text in arguments:
        written = text.encode()
        parts += (bytes(-length % 4), _LENGTH.pack(len(written)), written, b"\0")
        length += -length % 4 + 4 + len(written) + 1
    return parts


def _header(message: Message, arguments: list[Any]) -> bytes:
    """A message's header, of any length and serial. That of a call is kept: an application makes the same few calls."""
    if message.kind is not MessageKind.CALL:
        return _written_header(message, arguments)
    key = (
        message.destination,
        message.path,
        message.interface,
        message.member,
        message.signature,
        message.reply_expected,
        message.autostart,
    )
    header = _call_headers.get(key)
    if header is None:
        header = _written_header(message, arguments)
        if len(_call_headers) < _MOST_CALL_HEADERS:
            _call_headers[key] = header
    return header


def _written_header(message: Message, arguments: list[Any]) -> bytes:
    flags = MessageFlag.NONE
    if not message.reply_expected:
        flags |= MessageFlag.NO_REPLY_EXPECTED
    if not message.autostart:
        flags |= MessageFlag.NO_AUTOSTART
    whole: bytearray = _DBusMessage(
        message_type=MessageType(message.kind.value),
        destination=message.destination or None,
        path=message.path or None,
        interface=message.interface or None,
        member=message.member or None,
        error_name=message.error_name or None,
        reply_serial=message.reply_serial or None,
        flags=flags,
        signature=message.signature,
        body=arguments,
        serial=1,
    )._marshall()
    (body_bytes,) = unpack_from("<I", whole, 4)
    return bytes(whole[: len(whole) - body_bytes])


class _FrameUnmarshaller(_Unmarshaller):  # type: ignore[misc]
    """Reads from a frame that is there as a whole, where the library's own expects the rest to come in later."""

    buf: bytes
    offset: int

    def read(self, n: int, prefetch: bool = False) -> int:
        start = self.offset
        if start + n > len(self.buf):
            raise EOFError
        if not prefetch:
            self.offset = start + n
        return start


def decode(frame: bytes) -> Message:
    """Read the bytes of one whole message.

    Args:
        frame: exactly one message, as ``FrameReader`` cuts it.

    Returns:
        The message.

    Raises:
        BadMessageError: the bytes are not a valid message. The text quotes nothing of them.
    """
    reason = "cut short"
    try:
        unmarshaller = _FrameUnmarshaller(None)
        unmarshaller.buf = frame
        read = unmarshaller.unmarshall()
        if read is not None:
            return Message(
                kind=MessageKind(read.message_type.value),
                serial=read.serial,
                reply_serial=read.reply_serial or 0,
                sender=read.sender or "",
                destination=read.destination or "",
                path=read.path or "",
                interface=read.interface or "",
                member=read.member or "",
                error_name=read.error_name or "",
                signature=read.signature,
                body=tuple(read.body),
                reply_expected=not read.flags & MessageFlag.NO_REPLY_EXPECTED,
            )
    except Exception as error:  # any exception class can come out of unmarshalling hostile bytes
        reason = type(error).__name__
    raise BadMessageError(f"the peer sent a message that can't be read ({reason})")


def variants(value: object) -> dict[str, Any]:
    """Read an item of the type ``a{sv}`` without the library's own type for a variant.

    Args:
        value: an item of a message's body.

    Returns:
        What each variant holds, by its key; empty where the item is of another type.
    """
    items = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    return {key: cast("Any", item).value for key, item in items.items() if isinstance(item, Variant)}
