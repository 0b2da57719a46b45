"""The types that Microsoft's and Himmelblau's methods share: a call, the backend, and the methods themselves."""

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
    """A call to the broker's interface.

    Attributes:
        member: the method.
        correlation_id: the second argument.
        text: the third argument, the request.
        sender: the caller's unique bus name.
        fault: the planted fault that applies to it, or None.
    """

    member: str
    correlation_id: str
    text: str
    sender: str
    fault: Fault | None = None

    def has_fault(self, kind: FaultKind) -> bool:
        """Whether a fault of this kind applies to the call."""
        return self.fault is not None and self.fault.kind is kind


@dataclass(frozen=True)
class Backend:
    """What the methods of a broker work with.

    Attributes:
        directory, entra: the fake Entra.
        sessions: the accounts that are signed in.
        issuer: the issuer of tokens.
        screen: the sign-in windows.
        faults: the planted faults.
        replies: the writer of replies.
    """

    directory: Directory
    entra: Entra
    sessions: Sessions
    issuer: TokenIssuer
    screen: Screen
    faults: FaultPlan
    replies: ReplyWriter


class Methods(Protocol):
    """The methods of a broker."""

    async def answer(self, call: BrokerCall) -> dict[str, Any]:
        """Answer a call.

        Args:
            call: the call.

        Returns:
            The reply.

        Raises:
            BrokerFailure: the reply is a failure.
            EntraError: Entra rejects the request.
            DBusFailure: the reply is a D-Bus error.
            CrashRequested: the broker leaves the bus without a reply.
        """
        ...


class Rules(Protocol):
    """The differences between brokers that share methods."""

    def methods(self, backend: Backend) -> Methods:
        """Return the methods of a broker with these rules."""
        ...
