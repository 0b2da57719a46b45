"""Check of the D-Bus arguments of broker calls, with the error that each broker gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .faults import FAILED, DBusFailure
from .persona import BusBehavior

_INVALID_ARGS = "org.freedesktop.DBus.Error.InvalidArgs"
_SIGNATURE = "sss"
# The type names of dbus-rs, Himmelblau's D-Bus library.
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


def check_arguments(bus: BusBehavior, member: str, signature: str, body: Sequence[Any]) -> tuple[str, str, str]:
    """Check the arguments of a call to the broker's interface (PROTOCOL.md, TR-03 and HB-20).

    Args:
        bus: the persona's behavior on the bus.
        member: the method.
        signature: the D-Bus signature of the arguments.
        body: the arguments.

    Returns:
        Protocol version, correlation ID and request.

    Raises:
        DBusFailure: the arguments have other types.
    """
    if bus.checks_arguments_by_position:
        for position in range(len(_SIGNATURE)):
            found = signature[position : position + 1]
            if found != "s":
                text = f"D-Bus argument type mismatch at position {position}: expected String, found "
                raise DBusFailure(FAILED, text + _RUST_NAMES[found])
    elif signature != _SIGNATURE:
        raise DBusFailure(_INVALID_ARGS, f"{member} takes ({_SIGNATURE}), not ({signature})")
    return str(body[0]), str(body[1]), str(body[2])
