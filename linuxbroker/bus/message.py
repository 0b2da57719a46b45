"""A D-Bus message, independent of its encoding."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


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
