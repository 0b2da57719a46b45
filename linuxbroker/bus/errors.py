"""What can go wrong between this process and the bus?

    BusError
    ├── AddressError        the address is missing or can't be used
    ├── ConnectError        no address led to a working bus (no socket, refused, no answer in time, no handshake)
    ├── DisconnectedError   the connection ended while a call was in flight
    │   └── ClosedHereError     ... because this process closed it
    ├── BadMessageError     the peer sent bytes that are not a D-Bus message, or more of them than is allowed
    ├── ReplyTooLargeError  the reply to a call is longer than the caller allows
    ├── CallTimeoutError    a call had no reply within its time limit
    └── RemoteError         the peer, or the bus for it, replied with a D-Bus error

These stay below the client: ``linuxbroker.call.failures`` turns each into the exception that an application sees.
"""

from __future__ import annotations


class BusError(Exception):
    """Something went wrong between this process and the bus."""


class AddressError(BusError):
    """No bus address is known, or none of the known ones can be used."""


class ConnectError(BusError):
    """No alternative of the address led to a working bus connection."""


class DisconnectedError(BusError):
    """The connection to the bus ended."""


class ClosedHereError(DisconnectedError):
    """This process closed the connection: its calls are not to be repeated."""


class BadMessageError(BusError):
    """The peer sent something that is not a D-Bus message, or one that is too large."""


class ReplyTooLargeError(BusError):
    """The reply to a call is longer than the caller allows; it was passed over, and the connection goes on.

    Args:
        length: the length of the reply's message in bytes.
        allowed: the caller's limit in bytes.
    """

    def __init__(self, length: int, allowed: int) -> None:
        super().__init__(f"the reply is a message of {length:,} bytes; {allowed:,} allowed")


class CallTimeoutError(BusError):
    """A call had no reply within its time limit.

    Args:
        member: the method that was called.
        limit: the limit in seconds.
    """

    def __init__(self, member: str, limit: float) -> None:
        super().__init__(f"{member} had no reply within {limit:g} s")
        self.limit = limit


class RemoteError(BusError):
    """A D-Bus error came back in place of a reply.

    Args:
        name: the D-Bus error name, such as ``org.freedesktop.DBus.Error.Failed``.
        text: the human-readable text that came with it; may hold anything, so it is kept out of ``str()``.
        sender: who sent it: a connection's unique name, the bus's own name, or the empty string for a proxy in front
            of the bus.

    Attributes:
        is_repetition: whether the call was sent a second time, after a first that had ended with an error too.
    """

    def __init__(self, name: str, text: str, sender: str = "") -> None:
        super().__init__(name)
        self.name = name
        self.text = text
        self.sender = sender
        self.is_repetition = False
