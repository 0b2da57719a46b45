"""What can be done about an owner of the broker's name that is not to be trusted?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from linuxbroker.bus import NameOwner
    from linuxbroker.trust.processes import Doubt

TrustPolicy = Literal["off", "warn", "strict"]
TRUST_POLICIES: tuple[TrustPolicy, ...] = get_args(TrustPolicy)


class UntrustedOwnerError(Exception):
    """The owner of the broker's name is not trusted.

    Args:
        owner: the owner.
        found: why not.
    """

    def __init__(self, owner: NameOwner, found: Doubt) -> None:
        process = "a process" if owner.pid is None else f"process {owner.pid}"
        program = f" ({found.executable})" if found.executable else ""
        super().__init__(f"{process}{program} owns the broker's bus name and is not trusted: {found.reason}")
        self.owner = owner
        self.doubt = found
