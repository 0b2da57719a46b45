"""The connection that a call goes to: the owner of the broker's name, once it was looked at."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from linuxbroker.bus import Connection, Message, NameOwner, name_owner
from linuxbroker.trust.policy import UntrustedError
from linuxbroker.trust.processes import Doubt, doubt

_log = logging.getLogger("linuxbroker.trust")


class Guard:
    """Looks at the owner before each call.

    Args:
        strict: whether nothing is sent to one that is not trusted; otherwise a warning is logged, once for each.
        programs: absolute paths of programs that are trusted besides those that are known.
    """

    def __init__(self, *, strict: bool, programs: Sequence[str] = ()) -> None:
        self._strict = strict
        self._programs = programs
        self._warned_of: tuple[NameOwner, Doubt] | None = None

    async def addressed(
        self, connection: Connection, to_name: Message, limit: float | None
    ) -> tuple[Message, float | None]:
        """Address a call to the connection that owns the name now: whoever takes the name later gets nothing.

        Args:
            connection: to the bus.
            to_name: the call, to the well-known name.
            limit: the seconds that it has.

        Returns:
            The call that is to be sent, and the seconds that are left.

        Raises:
            UntrustedError: the owner is not trusted, and the guard is strict.
            BusError: the owner can't be found.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        async with name_owner(connection, to_name.destination, limit=limit) as owner:
            self._look_at(owner)
        left = None if limit is None else max(0.0, limit - (clock() - began))
        return replace(to_name, destination=owner.unique_name), left

    def _look_at(self, owner: NameOwner) -> None:
        found = doubt(owner, self._programs)
        if found is None:
            self._warned_of = None
            return
        failure = _untrusted_owner(owner, found)
        if self._strict:
            raise failure
        if self._warned_of != (owner, found):
            self._warned_of = (owner, found)
            _log.warning("%s", failure)


def _untrusted_owner(owner: NameOwner, found: Doubt) -> UntrustedError:
    process = "a process" if owner.pid is None else f"process {owner.pid}"
    program = f" ({found.executable})" if found.executable else ""
    # Where nothing was seen of the process, the id may be that of another one.
    end_it = f"end it (kill {owner.pid})" if found.executable else "end it"
    return UntrustedError(
        f"{process}{program} owns the broker's bus name and is not trusted: {found.reason}",
        reason=found.reason,
        advice=f"If you don't know that program, {end_it} and call again; if it is the broker that you want to use, "
        f"{found.remedy}.",
        pid=owner.pid,
        uid=owner.uid,
        executable=found.executable,
    )
