"""The marshalling of messages that hold nothing but texts: what a broker is sent, and what it answers.

The D-Bus library takes longer for such a message than all else that a call costs, and a program that meets no other
message does not import it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from struct import Struct
from typing import Any

from linuxbroker.bus.message import Message, MessageKind

_MOST_CALL_HEADERS = 64
# D-Bus specification, "Message Format": byte order, kind, flags, version, length of the body, serial, length of the
# fields. What is written is little-endian, and so is what is read here.
_FIXED_HEADER = Struct("<BBBBIII")
_LITTLE_ENDIAN, _VERSION = ord("l"), 1
_NO_REPLY_EXPECTED, _NO_AUTOSTART = 1, 2
_LENGTH = Struct("<I")
_LENGTH_AND_SERIAL = Struct("<II")  # bytes 4 to 11 of every message
# D-Bus specification, "Header Fields": the code of a field, and the signature of its value.
_FIELDS = {
    b"\x01\x01o\0": "path",
    b"\x02\x01s\0": "interface",
    b"\x03\x01s\0": "member",
    b"\x04\x01s\0": "error_name",
    b"\x05\x01u\0": "reply_serial",
    b"\x06\x01s\0": "destination",
    b"\x07\x01s\0": "sender",
}
_SIGNATURE_FIELD = b"\x08\x01g\0"
_LONGEST_NAME = 255
# D-Bus specification, "Header Fields": what a message of a kind can't be without.
_REQUIRED = {
    MessageKind.CALL: ("path", "member"),
    MessageKind.RETURN: ("reply_serial",),
    MessageKind.ERROR: ("error_name", "reply_serial"),
    MessageKind.SIGNAL: ("path", "interface", "member"),
}
_KINDS = {kind.value: kind for kind in MessageKind}
_call_headers: dict[tuple[str | bool, ...], bytes] = {}


def write_texts(message: Message, serial: int, arguments: Sequence[Any]) -> bytes | None:
    """Write a message that holds nothing but texts.

    Args:
        message: what to send; its own ``serial``, ``sender`` and ``body`` are not used.
        serial: the serial number to send it under, from 1.
        arguments: the texts.

    Returns:
        What ``library.write`` gives; None for another message.

    Raises:
        Exception: of any class: an argument is no text.
    """
    header = _header(message)
    if header is None or len(message.signature) != len(arguments):
        return None
    texts = _written_texts(arguments)
    length = sum(map(len, texts))
    return b"".join((header[:4], _LENGTH_AND_SERIAL.pack(length, serial), header[12:], *texts))


def _written_texts(texts: Sequence[str]) -> list[bytes]:
    """The texts as they are written, in parts: they may be large, and are copied no more than they must be."""
    parts: list[bytes] = []
    length = 0
    for text in texts:
        written = text.encode()
        parts += (bytes(-length % 4), _LENGTH.pack(len(written)), written, b"\0")
        length += -length % 4 + 4 + len(written) + 1
    return parts


def _header(message: Message) -> bytes | None:
    """The header of a message of texts, of any length and serial; None for another message.

    That of a call is kept: an application makes the same few calls.
    """
    if message.kind is not MessageKind.CALL:
        return _written_header(message)
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
        header = _written_header(message)
        if header is not None and len(_call_headers) < _MOST_CALL_HEADERS:
            _call_headers[key] = header
    return header


def _written_header(message: Message) -> bytes | None:
    if message.signature.strip("s") or not all(getattr(message, name) for name in _REQUIRED[message.kind]):
        return None
    fields = bytearray()
    for field, name in _FIELDS.items():
        value: str | int = getattr(message, name)
        if name == "sender" or not value:
            continue
        fields += bytes(-len(fields) % 8) + field
        if isinstance(value, int):
            fields += _LENGTH.pack(value)
        elif _is_plain(name, value):
            fields += _LENGTH.pack(len(value)) + value.encode() + b"\0"
        else:
            return None
    if message.signature:
        signature = message.signature.encode()
        fields += bytes(-len(fields) % 8) + _SIGNATURE_FIELD + bytes((len(signature),)) + signature + b"\0"
    flags = (0 if message.reply_expected else _NO_REPLY_EXPECTED) | (0 if message.autostart else _NO_AUTOSTART)
    fixed = _FIXED_HEADER.pack(_LITTLE_ENDIAN, message.kind.value, flags, _VERSION, 0, 1, len(fields))
    return fixed + fields + bytes(-len(fields) % 8)


@lru_cache(maxsize=256)
def _is_plain(field: str, text: str) -> bool:
    """Whether a name is valid beyond doubt (D-Bus specification, "Valid Names"); otherwise the library judges."""
    if not text or not text.isascii() or len(text) > _LONGEST_NAME:
        return False
    if field == "path":
        return text == "/" or (text[0] == "/" and all(map(str.isidentifier, _prefixed(text[1:].split("/")))))
    if field == "member":
        return text.isidentifier()
    if field == "destination" and text[0] == ":":
        return text[1:].replace(".", "", 1).isdigit()
    elements = (text.replace("-", "_") if field == "destination" else text).split(".")
    return len(elements) > 1 and all(map(str.isidentifier, elements))


def _prefixed(elements: Sequence[str]) -> Iterator[str]:
    """Elements of a path, which may begin with a digit, as those of other names, which may not; none stays none."""
    return (element and "_" + element for element in elements)


def read_texts(frame: bytes) -> Message | None:
    """Read a message that holds nothing but texts, without the library's machinery.

    Args:
        frame: the bytes of one whole message.

    Returns:
        What ``library.read`` gives; None for a message that is another, or that is not plainly valid.
    """
    if len(frame) < _FIXED_HEADER.size:
        return None
    order, number, flags, version, body_bytes, serial, field_bytes = _FIXED_HEADER.unpack_from(frame)
    kind, end = _KINDS.get(number), _FIXED_HEADER.size + field_bytes
    body = end + (-end & 7)
    if order != _LITTLE_ENDIAN or kind is None or flags > 1 or version != _VERSION or body + body_bytes != len(frame):
        return None
    fields = _read_fields(frame, end)
    if fields is None or not all(fields.get(name) for name in _REQUIRED[kind]):
        return None
    texts = _read_body(frame, body, len(fields.get("signature", "")))
    if texts is None:
        return None
    return Message(kind, serial, body=texts, reply_expected=flags == 0, **fields)


def _read_fields(frame: bytes, end: int) -> dict[str, Any] | None:
    """The header fields, under the names that ``Message`` has for them."""
    fields: dict[str, Any] = {}
    position = _FIXED_HEADER.size
    while position < end:
        position += -position & 7
        field, value = frame[position : position + 4], position + 8
        if field == _SIGNATURE_FIELD:
            length = frame[position + 4]
            position += 5 + length + 1
            signature = frame[position - length - 1 : position]
            if signature.strip(b"s") != b"\0":
                return None
            fields["signature"] = "s" * length
            continue
        (number,) = _LENGTH.unpack_from(frame, position + 4)
        name = _FIELDS.get(field)
        if name == "reply_serial":
            fields[name], position = number, value
        elif name is not None and value + number < end and frame[value + number] == 0:
            text, position = frame[value : value + number].decode(), value + number + 1
            if name != "sender" and not _is_plain(name, text):
                return None
            fields[name] = text
        else:
            return None
    return fields if position == end else None


def _read_body(frame: bytes, position: int, count: int) -> tuple[str, ...] | None:
    """So many texts, which are all that is left of the message."""
    texts: list[str] = []
    start = position
    for _ in range(count):
        position += (start - position) & 3
        if position + _LENGTH.size > len(frame):
            return None
        (length,) = _LENGTH.unpack_from(frame, position)
        position += _LENGTH.size + length + 1
        if position > len(frame) or frame[position - 1] != 0:
            return None
        texts.append(frame[position - length - 1 : position - 1].decode())
    return tuple(texts) if position == len(frame) else None
