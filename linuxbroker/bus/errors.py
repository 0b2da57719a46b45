"""Exceptions of the D-Bus connection.

    BusError
    ├── AddressError        the address is missing or invalid
    ├── ConnectError        no address led to a working bus (no socket, rejected, timed out, failed handshake)
    ├── DisconnectedError   the connection was lost during a call
    │   └── ClosedHereError     ... because this process closed it
    ├── BadMessageError     the peer sent an invalid or too large message
    ├── ReplyTooLargeError  the reply to a call exceeds the caller's size limit
    ├── CallTimeoutError    no reply to a call within its time limit
    └── RemoteError         the peer, or the bus on its behalf, replied with a D-Bus error

Internal: ``linuxbroker.call.failures`` turns each into the exception that an application gets.
"""

from __future__ import annotations


class BusError(Exception):
    """Base class of the exceptions of ``linuxbroker.bus``."""


class AddressError(BusError):
    """The bus address is missing or invalid."""


class ConnectError(BusError):
    """No alternative of the address led to a working bus connection."""


class DisconnectedError(BusError):
    """The connection to the bus is closed or was lost."""


class ClosedHereError(DisconnectedError):
    """This process closed the connection; its calls must not be repeated."""


class BadMessageError(BusError):
    """A message is invalid or too large."""


class ReplyTooLargeError(BusError):
    """The reply to a call exceeds the caller's size limit; it was discarded, and the connection stays open.

    Args:
        length: the size of the reply message in bytes.
        allowed: the caller's limit in bytes.
    """

    def __init__(self, length: int, allowed: int) -> None:
        super().__init__(f"reply of {length:,} bytes exceeds the limit of {allowed:,} bytes")


class CallTimeoutError(BusError):
    """No reply to a call within its time limit.

    Args:
        limit: the limit in seconds.
    """

    def __init__(self, limit: float) -> None:
        super().__init__(f"no reply within {limit:g} s")
        self.limit = limit


class RemoteError(BusError):
    """The reply to a call is a D-Bus error.

    Args:
        name: the D-Bus error name, such as ``org.freedesktop.DBus.Error.Failed``.
        text: the error's human-readable text. It may contain anything and is not part of ``str()``.
        sender: the sender: a connection's unique name, the bus's own name, or the empty string for a proxy in
            front of the bus.

    Attributes:
        is_repetition: whether the call was a retry, after a first attempt that also ended with an error.
    """

    def __init__(self, name: str, text: str, sender: str = "") -> None:
        super().__init__(name)
        self.name = name
        self.text = text
        self.sender = sender
        self.is_repetition = False
