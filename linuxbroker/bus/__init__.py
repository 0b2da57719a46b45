"""What does the rest of the library need from the session bus? One connection a loop, calls, and name watching.

Each name is imported when it is first used: ``ping`` needs neither asyncio nor the D-Bus library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linuxbroker.bus.connection import Connection
    from linuxbroker.bus.errors import (
        AddressError,
        BadMessageError,
        BusError,
        CallTimeoutError,
        ClosedHereError,
        ConnectError,
        DisconnectedError,
        RemoteError,
        ReplyTooLargeError,
    )
    from linuxbroker.bus.message import Message, MessageKind
    from linuxbroker.bus.owner import NameOwner, name_owner
    from linuxbroker.bus.shared import SharedBus, shared_bus

_HOMES = {
    "linuxbroker.bus.connection": ("Connection",),
    "linuxbroker.bus.message": ("Message", "MessageKind"),
    "linuxbroker.bus.owner": ("NameOwner", "name_owner"),
    "linuxbroker.bus.shared": ("SharedBus", "shared_bus"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AddressError",
    "BadMessageError",
    "BusError",
    "CallTimeoutError",
    "ClosedHereError",
    "ConnectError",
    "Connection",
    "DisconnectedError",
    "Message",
    "MessageKind",
    "NameOwner",
    "RemoteError",
    "ReplyTooLargeError",
    "SharedBus",
    "name_owner",
    "shared_bus",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'linuxbroker.bus' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOME_OF.get(name, "linuxbroker.bus.errors")), name)
    globals()[name] = value
    return value
