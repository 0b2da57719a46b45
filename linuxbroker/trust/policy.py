"""What is done about a bus, or an owner of the broker's name, that is not to be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

TrustPolicy = Literal["off", "warn", "strict"]
TRUST_POLICIES: tuple[TrustPolicy, ...] = get_args(TrustPolicy)


@dataclass(frozen=True)
class TrustOptions:
    """Whom a client trusts.

    Attributes:
        policy: what is done about who is not trusted.
        programs: absolute paths of programs that are trusted as brokers besides those that are known.
        allow_bus_of_other_user: whether a bus of a user who is neither the caller nor root is used like any other.
    """

    policy: TrustPolicy = "off"
    programs: tuple[str, ...] = ()
    allow_bus_of_other_user: bool = False


class UntrustedError(Exception):
    """A call is not sent, as who would get it is not trusted.

    Args:
        text: who it is, and why not.
        reason: why not.
        advice: what to do, in sentences.
        pid: the process id of the owner of the broker's name; None where it is not known, or the bus is meant.
        uid: the user id of the owner, or of the bus; None where it is not known.
        executable: the owner's executable, fit to be shown; empty where it can't be seen.
    """

    def __init__(
        self,
        text: str,
        *,
        reason: str,
        advice: str,
        pid: int | None = None,
        uid: int | None = None,
        executable: str = "",
    ) -> None:
        super().__init__(text)
        self.reason = reason
        self.advice = advice
        self.pid = pid
        self.uid = uid
        self.executable = executable
