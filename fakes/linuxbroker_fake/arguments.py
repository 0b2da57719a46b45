"""Whether the D-Bus arguments of a call fit the broker's methods, and what each broker says where they don't."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .faults import FAILED, DBusFailure
from .persona import BusSide

_INVALID_ARGS = "org.freedesktop.DBus.Error.InvalidArgs"
_WANTED = "sss"
# As Himmelblau's D-Bus library, dbus-rs, names the types.
_RUST_NAMES = {
    "": "nothing",
    "a": "Array/Dict",
    "b": "bool",
    "d": "f64",
    "g": "Signature",
    "h": "File",
    "i": "i32",
    "n": "i16",
    "o": "Path",
    "q": "u16",
    "t": "u64",
    "u": "u32",
    "v": "Variant",
    "x": "i64",
    "y": "u8",
    "(": "Struct",
}


def broker_arguments(bus: BusSide, member: str, signature: str, body: Sequence[Any]) -> tuple[str, str, str]:
    """Check the arguments of a call of the broker's interface.

    Args:
        bus: the persona's side on the bus.
        member: the method.
        signature: the arguments' types.
        body: the arguments.

    Returns:
        Protocol version, correlation id and request.

    Raises:
        DBusFailure: they are of other types.
    """
    if bus.reads_arguments_one_by_one:
        for position in range(len(_WANTED)):
            found = signature[position : position + 1]
            if found != "s":
                text = f"D-Bus argument type mismatch at position {position}: expected String, found "
                raise DBusFailure(FAILED, text + _RUST_NAMES[found])
    elif signature != _WANTED:
        raise DBusFailure(_INVALID_ARGS, f"{member} takes ({_WANTED}), not ({signature})")
    return str(body[0]), str(body[1]), str(body[2])
