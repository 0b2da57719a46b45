"""The owner of a bus name: its connection, and what the bus reports about its process."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from linuxbroker.bus.codec import variants
from linuxbroker.bus.connection import BUS_NAME, Connection, bus_call, check_unique_name
from linuxbroker.bus.descriptors import Descriptors
from linuxbroker.bus.errors import DisconnectedError, RemoteError

_NO_OWNER = BUS_NAME + ".Error.NameHasNoOwner"


@dataclass(frozen=True)
class NameOwner:
    """The connection that owns a bus name. Source: D-Bus specification, "GetConnectionCredentials".

    Attributes:
        unique_name: the connection's unique name, such as ``:1.42``, which the bus never reuses.
        uid: the user ID of the process that made the connection; None if the bus does not report it.
        pid: its process ID; None if the bus does not report it.
        same_namespaces: whether the bus reports this process's own IDs as the process sees them. It does not if this
            process runs in a container or sandbox; the IDs of other processes are meaningless here then.
        descriptor: an open pidfd of the process, which stays valid if the process ID is reused; None if the bus passes
            none. dbus-daemon passes it from 1.15.8 on, dbus-broker from 34 on.
    """

    unique_name: str
    uid: int | None
    pid: int | None
    same_namespaces: bool
    descriptor: int | None = field(default=None, compare=False)


@contextlib.asynccontextmanager
async def name_owner(connection: Connection, name: str, *, limit: float | None) -> AsyncGenerator[NameOwner, None]:
    """Query the owner of a bus name; an activatable service is started, as by a call to it.

    Args:
        connection: the connection to the bus. Only replies of the bus itself are accepted.
        name: the well-known name.
        limit: seconds for each call to the bus; None for no limit.

    Yields:
        The owner, whose descriptor is closed at the end of the block.

    Raises:
        RemoteError: the name has no owner and is not activatable, or the service did not start.
        DisconnectedError: the owner disconnected during the query, or the connection ended.
        BusError: as ``Connection.call`` does.
    """
    with Descriptors() as descriptors:
        yield await _query_owner(connection, name, limit, descriptors)


async def _query_owner(connection: Connection, name: str, limit: float | None, descriptors: Descriptors) -> NameOwner:
    try:
        unique_name = await _get_name_owner(connection, name, limit)
        if unique_name is None:
            await connection.call_bus("StartServiceByName", "su", name, 0, limit=limit)
            unique_name = await _get_name_owner(connection, name, limit)
        if unique_name is not None:
            answers = await asyncio.gather(
                _get_credentials(connection, unique_name, limit, descriptors),
                _get_credentials(connection, connection.unique_name, limit),
                return_exceptions=True,  # waits for both, so that no descriptor arrives later
            )
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
            owner_reply, own_reply = answers
            theirs, ours = variants(owner_reply), variants(own_reply)
            return NameOwner(
                unique_name,
                uid=_int_or_none(theirs.get("UnixUserID")),
                pid=_int_or_none(theirs.get("ProcessID")),
                same_namespaces=(ours.get("UnixUserID"), ours.get("ProcessID")) == (os.geteuid(), os.getpid()),
                descriptor=_process_descriptor(owner_reply, descriptors),
            )
    except RemoteError as error:
        if error.name != _NO_OWNER:
            raise
    raise DisconnectedError(f"the owner of {name} disconnected from the bus")


async def _get_name_owner(connection: Connection, name: str, limit: float | None) -> str | None:
    try:
        (owner,) = await connection.call_bus("GetNameOwner", "s", name, limit=limit)
    except RemoteError as error:
        if error.name == _NO_OWNER:
            return None
        raise
    return check_unique_name(owner)


async def _get_credentials(
    connection: Connection, unique_name: str, limit: float | None, descriptors: Descriptors | None = None
) -> object:
    """The bus's reply with what it reports about a connection, not yet checked."""
    call = bus_call("GetConnectionCredentials", "s", unique_name)
    body = (await connection.call(call, limit=limit, only_from=BUS_NAME, descriptors=descriptors)).body
    return body[0] if body else None


def _process_descriptor(credentials: object, descriptors: Descriptors) -> int | None:
    """The descriptor of the process; the reply contains its index among the received ones."""
    index: int = variants(credentials, "h").get("ProcessFD", len(descriptors.numbers))
    return descriptors.numbers[index] if index < len(descriptors.numbers) else None


def _int_or_none(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
