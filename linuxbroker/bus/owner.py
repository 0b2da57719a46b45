"""Whose is a bus name? The connection that owns it, and what the bus knows of the process behind that."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from linuxbroker.bus.codec import variants
from linuxbroker.bus.connection import BUS_NAME, Connection, bus_call, checked_unique_name
from linuxbroker.bus.descriptors import Descriptors
from linuxbroker.bus.errors import DisconnectedError, RemoteError

_NO_OWNER = BUS_NAME + ".Error.NameHasNoOwner"


@dataclass(frozen=True)
class NameOwner:
    """The connection that owns a bus name. Source: D-Bus specification, "GetConnectionCredentials".

    Attributes:
        unique_name: the connection's own name, such as ``:1.42``; the bus gives it to no other connection.
        uid: the user id of the process that made the connection; None where the bus does not tell.
        pid: its process id; None where the bus does not tell.
        counts_as_here: whether the bus tells this process's own ids as they are here. It does not from inside a
            container or a sandbox; what it tells of others then names other processes here, or none.
        descriptor: the process itself as an open file descriptor (pidfd), which no later process of the same id can be
            taken for; None where the bus passes none. dbus-daemon does from 1.15.8 on, dbus-broker from 34.
    """

    unique_name: str
    uid: int | None
    pid: int | None
    counts_as_here: bool
    descriptor: int | None = field(default=None, compare=False)


@contextlib.asynccontextmanager
async def name_owner(connection: Connection, name: str, *, limit: float | None) -> AsyncGenerator[NameOwner, None]:
    """Find who owns a bus name; a service that the bus can start is started, as a call to it would.

    Args:
        connection: to the bus. Only what the bus itself answers is taken for an answer.
        name: the well-known name.
        limit: seconds to wait for each answer of the bus; None for no limit.

    Yields:
        The owner. Its descriptor is closed at the end of the block.

    Raises:
        RemoteError: nothing owns the name, and nothing that can be started provides it.
        DisconnectedError: the owner left meanwhile, or the connection ended.
        BusError: as ``Connection.call`` does.
    """
    with Descriptors() as descriptors:
        yield await _found(connection, name, limit, descriptors)


async def _found(connection: Connection, name: str, limit: float | None, descriptors: Descriptors) -> NameOwner:
    try:
        unique_name = await _owner(connection, name, limit)
        if unique_name is None:
            await connection.call_bus("StartServiceByName", "su", name, 0, limit=limit)
            unique_name = await _owner(connection, name, limit)
        if unique_name is not None:
            answers = await asyncio.gather(
                _credentials(connection, unique_name, limit, descriptors),
                _credentials(connection, connection.unique_name, limit),
                return_exceptions=True,  # both have ended then: no descriptor comes later
            )
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
            of_owner, of_us = answers
            theirs, ours = variants(of_owner), variants(of_us)
            return NameOwner(
                unique_name,
                uid=_number(theirs.get("UnixUserID")),
                pid=_number(theirs.get("ProcessID")),
                counts_as_here=(ours.get("UnixUserID"), ours.get("ProcessID")) == (os.geteuid(), os.getpid()),
                descriptor=_passed(of_owner, descriptors),
            )
    except RemoteError as error:
        if error.name != _NO_OWNER:
            raise
    raise DisconnectedError(f"the owner of {name} left the bus")


async def _owner(connection: Connection, name: str, limit: float | None) -> str | None:
    try:
        (owner,) = await connection.call_bus("GetNameOwner", "s", name, limit=limit)
    except RemoteError as error:
        if error.name == _NO_OWNER:
            return None
        raise
    return checked_unique_name(owner)


async def _credentials(
    connection: Connection, unique_name: str, limit: float | None, descriptors: Descriptors | None = None
) -> object:
    """What the bus tells of a connection, as it stands in its answer."""
    call = bus_call("GetConnectionCredentials", "s", unique_name)
    body = (await connection.call(call, limit=limit, only_from=BUS_NAME, descriptors=descriptors)).body
    return body[0] if body else None


def _passed(credentials: object, descriptors: Descriptors) -> int | None:
    """The process descriptor. In the answer stands which of those that came with it that is."""
    index: int = variants(credentials, "h").get("ProcessFD", len(descriptors.numbers))
    return descriptors.numbers[index] if index < len(descriptors.numbers) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
