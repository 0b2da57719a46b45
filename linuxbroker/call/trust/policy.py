"""The trust policies, and the exception for a bus or an owner of the broker's name that is not trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

TrustPolicy = Literal["off", "warn", "strict"]
TRUST_POLICIES: tuple[TrustPolicy, ...] = get_args(TrustPolicy)


@dataclass(frozen=True)
class TrustOptions:
    """The trust options of a client.

    Attributes:
        policy: what to do if the owner of the broker's name is not trusted.
        programs: absolute paths of broker programs to trust besides the known ones.
        allow_bus_of_other_user: whether to use a bus that belongs neither to this user nor to root like any other.
    """

    policy: TrustPolicy = "off"
    programs: tuple[str, ...] = ()
    allow_bus_of_other_user: bool = False


class UntrustedError(Exception):
    """A call was not sent because its recipient is not trusted.

    Args:
        text: the recipient, and the reason.
        reason: the reason alone.
        advice: what to do, in sentences.
        pid: the process ID of the owner of the broker's name; None if it is unknown, or if the bus is not trusted.
        uid: the user ID of the owner, or of the bus; None if it is unknown.
        executable: the path of the owner's executable, printable; empty if it is unknown.
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
