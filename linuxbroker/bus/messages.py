"""How is a D-Bus message written and read? The only module that imports the D-Bus library.

Everything else sees ``Message`` and bytes, so that another library can be put in here and nowhere else.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct, unpack_from
from typing import Any, TypeVar, cast

from dbus_next._private.marshaller import Marshaller
from dbus_next._private.unmarshaller import Unmarshaller
from dbus_next.constants import MessageFlag, MessageType
from dbus_next.message import Message as DBusMessage
from dbus_next.signature import SignatureTree, Variant
from dbus_next.validators import is_bus_name_valid

from linuxbroker.bus.errors import BadMessageError

# The library's annotations do not hold (None where it says str, untyped methods): its classes are taken as they come.
_Marshaller: Any = Marshaller
_Unmarshaller: Any = Unmarshaller
_DBusMessage: Any = DBusMessage
# The library keeps each signature that it ever reads, of which a peer can make up any number.
_signatures_read: dict[str, Any] = cast("Any", SignatureTree)._cache
_MOST_SIGNATURES = 1000
# Far above what brokers and buses send.
_MOST_VALUES = 100_000
# D-Bus specification, "Message Format": no value is nested more deeply. The header adds two levels of its own.
_DEEPEST = 64 + 2
_MOST_HEADER_BYTES = 16 * 1024

_FieldT = TypeVar("_FieldT")
_LENGTH = Struct("<I")  # of a text; the library writes little-endian
_LENGTH_AND_SERIAL = Struct("<II")  # bytes 4 to 11 of every message
_MOST_CALL_HEADERS = 64
# D-Bus specification, "Message Format" and "Header Fields": the code of a field, and the signature of its value.
_FIXED_HEADER = Struct("<2xBBIII")
_LITTLE_ENDIAN_RETURN = b"l\x02"
_REPLY_SERIAL_FIELD, _SIGNATURE_FIELD = b"\x05\x01u\0", b"\x08\x01g\0"
_NAME_FIELDS = (b"\x07\x01s\0", b"\x06\x01s\0")  # sender, destination
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
    """Reads from a frame that is there as a whole, where the library's own expects the rest to come in later.

    Gives up after so many values: a value of four bytes on the wire takes a hundred in memory, and its time.
    """

    buf: bytes
    offset: int
    readers: dict[str, Callable[[Any], Any]]
    values_left = _MOST_VALUES
    depth = 0

    def read_argument(self, type_: Any) -> Any:
        self.values_left -= 1
        if self.values_left < 0:
            self.offset = len(self.buf)  # where every array ends
            return None
        self.depth += 1
        if self.depth > _DEEPEST:
            raise RecursionError
        value = self.readers[type_.token](type_)
        self.depth -= 1
        return value

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
        The message. One with far more values than any that has a use here comes without its body; one with a header
        that long is a signal that says nothing. Neither ends the connection: any process on the bus can send them.

    Raises:
        BadMessageError: the bytes are not a valid message. The text quotes nothing of them.
    """
    reason = "cut short"
    try:
        if unpack_from("<I" if frame[:1] == b"l" else ">I", frame, 12)[0] > _MOST_HEADER_BYTES:
            return Message(MessageKind.SIGNAL)
        read = read_text_reply(frame) or read_any(frame)
        if read is not None:
            return read
    except Exception as error:  # any exception class can come out of unmarshalling hostile bytes
        reason = type(error).__name__
    raise BadMessageError(f"the peer sent a message that can't be read ({reason})")


def read_any(frame: bytes) -> Message | None:
    """Read a message with the library, which raises any exception, or gives None, for one that is not valid."""
    if len(_signatures_read) > _MOST_SIGNATURES:
        _signatures_read.clear()
    unmarshaller = _FrameUnmarshaller(None)
    unmarshaller.buf = frame
    read = unmarshaller.unmarshall()
    whole = unmarshaller.values_left >= 0
    return read and Message(
        kind=MessageKind(read.message_type.value),
        serial=read.serial,
        reply_serial=_header_field(read.reply_serial, 0),
        sender=_header_field(read.sender, ""),
        destination=_header_field(read.destination, ""),
        path=_header_field(read.path, ""),
        interface=_header_field(read.interface, ""),
        member=_header_field(read.member, ""),
        error_name=_header_field(read.error_name, ""),
        signature=read.signature if whole else "",
        body=tuple(read.body) if whole else (),
        reply_expected=not read.flags & MessageFlag.NO_REPLY_EXPECTED,
    )


def _header_field(value: object, absent: _FieldT) -> _FieldT:
    """A field as the library read it, which takes any type for it."""
    if value is None:
        return absent
    if isinstance(value, type(absent)):
        return value
    raise TypeError


def read_text_reply(frame: bytes) -> Message | None:
    """Read the message that every answer of a broker is, a reply that is one text, without the library's machinery.

    Args:
        frame: the bytes of one whole message.

    Returns:
        What ``read_any`` gives; None for a message that is another, or that is not plainly valid.
    """
    if len(frame) < _FIXED_HEADER.size or frame[:2] != _LITTLE_ENDIAN_RETURN:
        return None
    flags, version, body_bytes, serial, fields_bytes = _FIXED_HEADER.unpack_from(frame)
    fields_end = _FIXED_HEADER.size + fields_bytes
    body = fields_end + (-fields_end & 7)
    if flags > 1 or version != 1 or body + body_bytes != len(frame) or body_bytes < _LENGTH.size + 1:
        return None
    fields: dict[bytes, Any] = {}
    position = _FIXED_HEADER.size
    while position < fields_end:
        position += -position & 7
        field, value = frame[position : position + 4], position + 8
        if field == _SIGNATURE_FIELD:
            if frame[position + 4 : position + 7] != b"\x01s\0":
                return None
            fields[field], position = "s", position + 7
        else:
            (number,) = _LENGTH.unpack_from(frame, position + 4)
            if field == _REPLY_SERIAL_FIELD:
                fields[field], position = number, value
            elif field in _NAME_FIELDS and value + number < fields_end and frame[value + number] == 0:
                fields[field], position = frame[value : value + number].decode(), value + number + 1
            else:
                return None
    (text_bytes,) = _LENGTH.unpack_from(frame, body)
    sender, destination = (fields.get(field, "") for field in _NAME_FIELDS)
    reply_serial = fields.get(_REPLY_SERIAL_FIELD)
    if position != fields_end or body_bytes != _LENGTH.size + text_bytes + 1 or frame[-1] != 0:
        return None
    if not reply_serial or _SIGNATURE_FIELD not in fields or not (destination == "" or _is_bus_name(destination)):
        return None
    return Message(
        MessageKind.RETURN,
        serial,
        reply_serial,
        sender,
        destination,
        signature="s",
        body=(frame[body + _LENGTH.size : -1].decode(),),
        reply_expected=flags == 0,
    )


@lru_cache(maxsize=64)
def _is_bus_name(name: str) -> bool:
    return bool(is_bus_name_valid(name))


def variants(value: object) -> dict[str, Any]:
    """Read an item of the type ``a{sv}`` without the library's own type for a variant.

    Args:
        value: an item of a message's body.

    Returns:
        What each variant holds, by its key; empty where the item is of another type.
    """
    items = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    return {key: cast("Any", item).value for key, item in items.items() if isinstance(item, Variant)}
