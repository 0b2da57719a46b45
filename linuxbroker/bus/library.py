"""How is a message written and read that holds more than texts? The only module that imports the D-Bus library.

``marshalling`` comes here when it needs to: with descriptors of a process or numbers in a message, or where one is not
plainly valid. Another library can be put in here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from dbus_next._private.constants import HeaderField
from dbus_next._private.unmarshaller import Unmarshaller
from dbus_next.constants import MessageFlag, MessageType
from dbus_next.message import Message as DBusMessage
from dbus_next.signature import SignatureTree, Variant

from linuxbroker.bus.message import Message, MessageKind

# The library's annotations do not hold (None where it says str, untyped methods): its classes are taken as they come.
_Unmarshaller: Any = Unmarshaller
_DBusMessage: Any = DBusMessage
# The library keeps each signature that it ever reads, of which a peer can make up any number.
_signatures_read: dict[str, Any] = cast("Any", SignatureTree)._cache
_MOST_SIGNATURES = 1000
# Far above what brokers and buses send.
_MOST_VALUES = 100_000
_LONGEST_ARRAY = 2**32  # as its length is written in four bytes
# D-Bus specification, "Message Format": no value is nested more deeply. The header adds two levels of its own.
_DEEPEST = 64 + 2
_LAST_FIELD = max(field.value for field in HeaderField)

_FieldT = TypeVar("_FieldT")


class _FrameUnmarshaller(_Unmarshaller):  # type: ignore[misc]
    """Reads from a frame that is there as a whole, where the library's own expects the rest to come in later.

    Gives up after so many values: a value of four bytes on the wire takes a hundred in memory, and its time.
    """

    buf: bytes
    offset: int
    readers: dict[str, Callable[[Any], Any]]
    values_left = _MOST_VALUES
    depth = 0
    header_is_read = False

    def read_argument(self, type_: Any) -> Any:
        self.values_left -= 1
        if self.values_left < 0:
            self.offset = len(self.buf) + _LONGEST_ARRAY  # where every array ends, whatever length it announces
            return None
        self.depth += 1
        if self.depth > _DEEPEST:
            raise RecursionError
        value = self.readers[type_.token](type_)
        self.depth -= 1
        if not self.depth and not self.header_is_read:
            # D-Bus specification, "Header Fields": those that are not known are ignored. Some buses pass them on.
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


def write(message: Message, serial: int, body: Sequence[Any]) -> bytes:
    """Write a message of any kind.

    Args:
        message: what to send; its own ``serial``, ``sender`` and ``body`` are not used.
        serial: the serial number to send it under, from 1.
        body: the arguments.

    Returns:
        The marshalled message.

    Raises:
        Exception: of any class: a name, path, signature or argument can't be written.
    """
    flags = MessageFlag.NONE
    if not message.reply_expected:
        flags |= MessageFlag.NO_REPLY_EXPECTED
    if not message.autostart:
        flags |= MessageFlag.NO_AUTOSTART
    written: bytearray = _DBusMessage(
        message_type=MessageType(message.kind.value),
        destination=message.destination or None,
        path=message.path or None,
        interface=message.interface or None,
        member=message.member or None,
        error_name=message.error_name or None,
        reply_serial=message.reply_serial or None,
        flags=flags,
        signature=message.signature,
        body=list(body),
        serial=serial,
    )._marshall()
    return bytes(written)


def read(frame: bytes) -> Message | None:
    """Read a message of any kind.

    Args:
        frame: the bytes of one whole message.

    Returns:
        The message, without its body where that has far more values than any that has a use here; None, or an
        exception of any class, for one that is not valid.
    """
    if len(_signatures_read) > _MOST_SIGNATURES:
        _signatures_read.clear()
    unmarshaller = _FrameUnmarshaller(None)
    unmarshaller.buf = frame
    message = unmarshaller.unmarshall()
    whole = unmarshaller.values_left >= 0
    return message and Message(
        kind=MessageKind(message.message_type.value),
        serial=message.serial,
        reply_serial=_header_field(message.reply_serial, 0),
        sender=_header_field(message.sender, ""),
        destination=_header_field(message.destination, ""),
        path=_header_field(message.path, ""),
        interface=_header_field(message.interface, ""),
        member=_header_field(message.member, ""),
        error_name=_header_field(message.error_name, ""),
        signature=message.signature if whole else "",
        body=tuple(message.body) if whole else (),
        reply_expected=not message.flags & MessageFlag.NO_REPLY_EXPECTED,
    )


def _header_field(value: object, absent: _FieldT) -> _FieldT:
    """A field as the library read it, which takes any type for it."""
    if value is None:
        return absent
    if isinstance(value, type(absent)):
        return value
    raise TypeError


def variants(value: object, signature: str = "") -> dict[str, Any]:
    """Read an item of the type ``a{sv}`` without the library's own type for a variant.

    Args:
        value: an item of a message's body.
        signature: of the variants that are wanted; any unless given.

    Returns:
        What each variant holds, by its key; empty where the item is of another type.
    """
    items = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    found = {key: cast("Any", item) for key, item in items.items() if isinstance(item, Variant)}
    return {key: item.value for key, item in found.items() if signature in ("", item.signature)}
