"""Encoding and decoding of messages by dbus-next, with limits on hostile ones.

The only module that imports the D-Bus library.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from dbus_next._private.constants import HeaderField
from dbus_next._private.marshaller import Marshaller
from dbus_next._private.unmarshaller import Unmarshaller
from dbus_next.constants import MessageFlag, MessageType
from dbus_next.message import Message as DBusMessage
from dbus_next.signature import SignatureTree, Variant

from linuxbroker.bus.errors import BadMessageError
from linuxbroker.bus.message import Message, MessageKind

# The library's annotations are wrong (None for str, untyped methods), so its classes are used untyped.
_Marshaller: Any = Marshaller
_Unmarshaller: Any = Unmarshaller
_DBusMessage: Any = DBusMessage

_MAX_HEADER_BYTES = 16 * 1024
# Far above what brokers and buses send.
_MAX_VALUES = 100_000
_MAX_ARRAY_BYTES = 2**32  # its length is encoded in four bytes
# D-Bus specification, "Message Format": no value is nested more deeply. The header adds two levels of its own.
_MAX_DEPTH = 64 + 2
_MAX_HEADERS = 64
_MAX_PEER_SIGNATURES = 1000
_LAST_FIELD = max(field.value for field in HeaderField)
_LITTLE_ENDIAN = ord("l")
_REPLY_SERIAL_FIELD = b"\x05\x01u\0"  # D-Bus specification, "Header Fields": its code and signature
_LENGTH_AND_SERIAL = struct.Struct("<II")  # bytes 4 to 11 of every message

_FieldT = TypeVar("_FieldT")

# The library caches every signature that it reads, and a peer can send any number of them. Only signatures added by
# decoding are removed: other users of the library in this process share the cache.
_signature_cache: dict[str, Any] = cast("Any", SignatureTree)._cache
_peer_signatures: deque[str] = deque()
# Encoded headers of calls, and decoded fields of reply headers: an application makes the same few calls. Saves a third
# of the time of a call.
_call_headers: dict[tuple[str | bool, ...], bytes] = {}
_reply_fields: dict[bytes, dict[str, Any]] = {}


def encode(message: Message, serial: int, body: Sequence[Any] | None = None) -> bytes:
    """Encode a message.

    Args:
        message: what to send; its own ``serial`` and ``sender`` are not used.
        serial: its serial number, from 1.
        body: the arguments; default the message's own.

    Returns:
        The bytes to send.

    Raises:
        BadMessageError: a name, path, signature or argument is invalid.
    """
    reason = ""
    try:
        return _encode(message, serial, list(message.body if body is None else body))
    except Exception as error:  # the library raises bare Exception in places
        reason = type(error).__name__
    raise BadMessageError(f"cannot encode the call of {message.interface}.{message.member}: {reason}")


def decode(frame: bytes) -> Message:
    """Decode a message.

    Args:
        frame: exactly one message, from ``FrameReader``.

    Returns:
        The message. The body is left out if it has more than 100,000 values; a message whose header is longer than
        16 KiB becomes an empty signal. Neither raises, which would end the connection: any process can send them.

    Raises:
        BadMessageError: the bytes are not a valid message. The text does not quote them.
    """
    known = len(_signature_cache)
    reason = "truncated"
    try:
        if struct.unpack_from("<I" if frame[:1] == b"l" else ">I", frame, 12)[0] > _MAX_HEADER_BYTES:
            return Message(MessageKind.SIGNAL)
        return _decode(frame)
    except Exception as error:  # decoding hostile bytes can raise any exception class
        reason = type(error).__name__
    finally:
        if len(_signature_cache) > known:
            _limit_peer_signatures(known)
    raise BadMessageError(f"the peer sent an invalid message ({reason})")


def variants(value: object, signature: str = "") -> dict[str, Any]:
    """Unwrap the variants of a value of type ``a{sv}``.

    Args:
        value: an item of a message's body.
        signature: the signature of the variants to return; default any.

    Returns:
        The value of each variant by its key; empty if the item has another type.
    """
    items = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    found = {key: cast("Any", item) for key, item in items.items() if isinstance(item, Variant)}
    return {key: item.value for key, item in found.items() if signature in ("", item.signature)}


def _encode(message: Message, serial: int, body: list[Any]) -> bytes:
    if message.kind is not MessageKind.CALL:
        return bytes(_library_message(message, serial, body)._marshall())
    key = (
        message.destination,
        message.path,
        message.interface,
        message.member,
        message.signature,
        message.reply_expected,
        message.autostart,
    )
    marshaller = _Marshaller(message.signature, body)
    encoded_body = marshaller.marshall()
    marshaller.writers.clear()  # bound methods of its own: else only the garbage collector frees it, and its texts
    header = _call_headers.get(key)
    if header is None:
        whole = _library_message(message, serial, body)._marshall()
        header = bytes(whole[: len(whole) - len(encoded_body)])
        if len(_call_headers) >= _MAX_HEADERS:
            _call_headers.clear()
        _call_headers[key] = header
    return b"".join((header[:4], _LENGTH_AND_SERIAL.pack(len(encoded_body), serial), header[12:], encoded_body))


def _library_message(message: Message, serial: int, body: list[Any]) -> Any:
    flags = MessageFlag.NONE
    if not message.reply_expected:
        flags |= MessageFlag.NO_REPLY_EXPECTED
    if not message.autostart:
        flags |= MessageFlag.NO_AUTOSTART
    return _DBusMessage(
        message_type=MessageType(message.kind.value),
        destination=message.destination or None,
        path=message.path or None,
        interface=message.interface or None,
        member=message.member or None,
        error_name=message.error_name or None,
        reply_serial=message.reply_serial or None,
        flags=flags,
        signature=message.signature,
        body=body,
        serial=serial,
    )


def _decode(frame: bytes) -> Message:
    shape, reply_serial = _reply_shape(frame)
    known_fields = _reply_fields.get(shape)
    if known_fields is not None:
        return _decode_reply(frame, known_fields, reply_serial)
    unmarshaller = _FrameUnmarshaller(frame)
    message = unmarshaller.unmarshall()
    is_whole = unmarshaller.values_left >= 0
    fields: dict[str, Any] = {
        "kind": MessageKind(message.message_type.value),
        "sender": _header_field(message.sender, ""),
        "destination": _header_field(message.destination, ""),
        "path": _header_field(message.path, ""),
        "interface": _header_field(message.interface, ""),
        "member": _header_field(message.member, ""),
        "error_name": _header_field(message.error_name, ""),
        "signature": message.signature if is_whole else "",
        "reply_expected": not message.flags & MessageFlag.NO_REPLY_EXPECTED,
    }
    read = Message(
        serial=message.serial,
        reply_serial=_header_field(message.reply_serial, 0),
        body=tuple(message.body) if is_whole else (),
        **fields,
    )
    if shape and read.kind is MessageKind.RETURN and read.signature == "s" and read.reply_serial == reply_serial:
        if len(_reply_fields) >= _MAX_HEADERS:
            _reply_fields.clear()  # at once: other threads read here, too
        _reply_fields[shape] = fields
    return read


def _reply_shape(frame: bytes) -> tuple[bytes, int]:
    """The header of a message without the numbers that differ between replies, and its reply serial.

    Empty if the message is not little-endian, or has no reply serial, which is never 0.
    """
    end = 16 + int.from_bytes(frame[12:16], "little")
    at = frame.find(_REPLY_SERIAL_FIELD, 16, end)
    number = at + len(_REPLY_SERIAL_FIELD)
    reply_serial = int.from_bytes(frame[number : number + 4], "little")
    if frame[0] != _LITTLE_ENDIAN or at < 0 or at % 8 or not reply_serial:
        return b"", 0
    return frame[:4] + frame[12:number] + frame[number + 4 : end], reply_serial


def _decode_reply(frame: bytes, fields: dict[str, Any], reply_serial: int) -> Message:
    """Decode a reply whose header, apart from its numbers, was decoded before."""
    unmarshaller = _FrameUnmarshaller(frame)
    body_bytes, serial, field_bytes = struct.unpack_from("<III", frame, 4)
    unmarshaller.endian = _LITTLE_ENDIAN
    unmarshaller.header_is_read = True
    unmarshaller.offset = 16 + field_bytes + (-field_bytes & 7)
    if unmarshaller.offset + body_bytes > len(frame):
        raise EOFError
    body = (unmarshaller.read_string(),) if body_bytes else ()
    return Message(serial=serial, reply_serial=reply_serial, body=body, **fields)


def _header_field(value: object, absent: _FieldT) -> _FieldT:
    """A header field, its type checked, which the library does not."""
    if value is None:
        return absent
    if isinstance(value, type(absent)):
        return value
    raise TypeError


def _limit_peer_signatures(known: int) -> None:
    """Record the signatures added to the cache since it had ``known`` entries, and remove the oldest ones."""
    _peer_signatures.extend(list(_signature_cache)[known:])
    while len(_peer_signatures) > _MAX_PEER_SIGNATURES:
        _signature_cache.pop(_peer_signatures.popleft(), None)


class _FrameUnmarshaller(_Unmarshaller):  # type: ignore[misc]
    """Decodes a complete frame; the library's own class waits for missing bytes.

    Stops after ``_MAX_VALUES`` values: a value of four bytes on the wire takes a hundred in memory.
    """

    values_left = _MAX_VALUES
    depth = 0
    header_is_read = False

    def __init__(self, frame: bytes) -> None:
        # Does not call the library's, which makes a table of readers for each message: its most expensive step.
        self.buf = frame
        self.offset = 0
        self.unix_fds: list[int] = []

    def read_argument(self, type_: Any) -> Any:
        self.values_left -= 1
        if self.values_left < 0:
            self.offset = len(self.buf) + _MAX_ARRAY_BYTES  # beyond the end of every array, whatever its length
            return None
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise RecursionError
        value = _READERS[type_.token](self, type_)
        self.depth -= 1
        if not self.depth and not self.header_is_read:
            # D-Bus specification, "Header Fields": unknown ones are ignored. Some buses forward them.
            self.header_is_read = True
            return [field for field in value if field[0] <= _LAST_FIELD]
        return value

    def read(self, n: int, prefetch: bool = False) -> int:
        start = self.offset
        if start + n > len(self.buf):
            raise EOFError
        if not prefetch:
            self.offset = start + n
        return start


_READERS: dict[str, Callable[[Any, Any], Any]] = {
    token: getattr(_Unmarshaller, reader.__name__) for token, reader in _Unmarshaller(None).readers.items()
}
