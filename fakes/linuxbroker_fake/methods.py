"""What the two kinds of broker, Microsoft's and Himmelblau's, have in common: a call, and what they answer it with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from .directory import Directory
from .entra import Entra
from .faults import Fault, FaultKind, FaultPlan
from .interaction import Screen
from .issuing import TokenIssuer
from .replies import ReplyWriter
from .sessions import Sessions


@dataclass(frozen=True)
class BrokerCall:
    """A call of the broker's interface.

    Attributes:
        member: the method.
        correlation_id: its second argument.
        text: its third, the request.
        sender: the caller's unique bus name.
        fault: the planted fault that strikes it and leaves it to be answered, or None.
    """

    member: str
    correlation_id: str
    text: str
    sender: str
    fault: Fault | None = None

    def is_struck_by(self, kind: FaultKind) -> bool:
        """Whether a fault of a kind strikes the call."""
        return self.fault is not None and self.fault.kind is kind


@dataclass(frozen=True)
class Desk:
    """What a broker works with.

    Attributes:
        directory, entra: the fake Entra.
        sessions: who is signed in.
        issuer: gives tokens.
        screen: where the user is asked.
        faults: the planted faults.
        write: writes replies as the persona does.
    """

    directory: Directory
    entra: Entra
    sessions: Sessions
    issuer: TokenIssuer
    screen: Screen
    faults: FaultPlan
    write: ReplyWriter


class Methods(Protocol):
    """The methods of one broker."""

    async def answer(self, call: BrokerCall) -> dict[str, Any]:
        """Answer a call.

        Args:
            call: the call.

        Returns:
            The reply.

        Raises:
            BrokerFailure: the call fails.
            EntraError: Entra refuses it.
            DBusFailure: the answer is a D-Bus error.
            CrashRequested: the broker dies.
        """
        ...


class Rules(Protocol):
    """How one broker reads requests."""

    def methods(self, desk: Desk) -> Methods:
        """Give the methods of a broker that goes by these rules."""
        ...
