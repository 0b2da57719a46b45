"""Check of the broker name's owner before a call, and the address of the checked one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from linuxbroker.bus import Connection, Message, NameOwner, name_owner
from linuxbroker.call.trust.policy import UntrustedError
from linuxbroker.call.trust.processes import TrustProblem, find_trust_problem

_log = logging.getLogger("linuxbroker.trust")


class Guard:
    """Checks the owner of the broker's name before each call.

    Args:
        strict: whether calls to an owner that is not trusted fail; otherwise a warning is logged, once for each owner.
        programs: absolute paths of programs to trust besides the known ones.
    """

    def __init__(self, *, strict: bool, programs: Sequence[str] = ()) -> None:
        self._strict = strict
        self._programs = programs
        self._last_warning: tuple[NameOwner, TrustProblem] | None = None

    async def resolve_destination(
        self, connection: Connection, call: Message, limit: float | None
    ) -> tuple[Message, float | None]:
        """Address a call to the connection that owns the name now, so that no later owner receives it.

        Args:
            connection: the connection to the bus.
            call: the call, addressed to the well-known name.
            limit: the time limit of the call in seconds, or None.

        Returns:
            The call to send, and the seconds that are left.

        Raises:
            UntrustedError: the owner is not trusted, and the guard is strict.
            BusError: the bus does not report an owner.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        async with name_owner(connection, call.destination, limit=limit) as owner:
            self._check_owner(owner)
        left = None if limit is None else max(0.0, limit - (clock() - began))
        return replace(call, destination=owner.unique_name), left

    def _check_owner(self, owner: NameOwner) -> None:
        problem = find_trust_problem(owner, self._programs)
        if problem is None:
            self._last_warning = None
            return
        failure = _untrusted_owner_error(owner, problem)
        if self._strict:
            raise failure
        if self._last_warning != (owner, problem):
            self._last_warning = (owner, problem)
            _log.warning("%s", failure)


def _untrusted_owner_error(owner: NameOwner, problem: TrustProblem) -> UntrustedError:
    process = "a process" if owner.pid is None else f"process {owner.pid}"
    program = f" ({problem.executable})" if problem.executable else ""
    # Without an executable, the ID may be that of another process.
    stop = f"stop the process (kill {owner.pid})" if problem.executable else "stop the process"
    return UntrustedError(
        f"{process}{program} owns the broker's bus name and is not trusted: {problem.reason}",
        reason=problem.reason,
        advice=f"If this is your broker, {problem.remedy}. Otherwise, {stop} and try again.",
        pid=owner.pid,
        uid=owner.uid,
        executable=problem.executable,
    )
