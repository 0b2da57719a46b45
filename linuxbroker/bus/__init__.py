"""A D-Bus connection: address, handshake, messages, calls, and a bus shared by the clients of a loop."""

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
