"""Owners of the broker's name: the fake broker in processes whose executables have any owner and mode.

An executable is a copy of this Python's interpreter under another name: for all that the system tells, a program of its
own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import site
import sys
import sysconfig
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import linuxbroker
import linuxbroker_fake
from linuxbroker.bus import Connection, Message, MessageKind
from linuxbroker.wire.names import BROKER_BUS_NAME
from linuxbroker_fake.control import CONTROL_INTERFACE, CONTROL_PATH

SERVE = ("-m", "linuxbroker_fake", "run", "--control")
NOBODY = 65534


def install(folder: Path, name: str = "identity-broker") -> Path:
    """Put a program into a folder, as a package's installer leaves it."""
    program = folder / name
    shutil.copyfile(Path(sys._base_executable).resolve(), program)  # type: ignore[attr-defined]
    program.chmod(0o755)
    return program


def environment(bus_address: str) -> dict[str, str]:
    """What a copied interpreter needs to find its library and the packages of this one."""
    packages = [Path(package.__file__ or "").parents[1] for package in (linuxbroker, linuxbroker_fake)]
    path = [*map(str, packages), sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
    return {
        **os.environ,
        "DBUS_SESSION_BUS_ADDRESS": bus_address,
        "LD_LIBRARY_PATH": str(Path(sys.base_prefix, "lib")),
        "PYTHONHOME": sys.base_prefix,
        "PYTHONPATH": os.pathsep.join(path),
    }


@dataclass(frozen=True)
class Owner:
    """A process that owns, or owned, the broker's name.

    Attributes:
        process: the process.
        unique_name: its connection's name on the bus.
        bus: a connection of the test's own.
    """

    process: asyncio.subprocess.Process
    unique_name: str
    bus: Connection

    async def ask(self, member: str, *arguments: str) -> Any:
        """Call the fake's control interface in that process."""
        call = Message(
            MessageKind.CALL,
            destination=self.unique_name,
            path=CONTROL_PATH,
            interface=CONTROL_INTERFACE,
            member=member,
            signature="s" * len(arguments),
            body=arguments,
        )
        reply = await self.bus.call(call, limit=60)
        return json.loads(reply.body[0])

    async def received(self) -> list[str]:
        """The broker's methods that were called there."""
        return [call["member"] for call in await self.ask("Journal")]

    async def end(self) -> None:
        """End the process, and wait until it has."""
        if self.process.returncode is None:
            self.process.terminate()
        await self.process.wait()


@contextlib.asynccontextmanager
async def connected(address: str) -> AsyncIterator[Connection]:
    """A connection of the test's own."""
    connection = await Connection.open(address)
    try:
        yield connection
    finally:
        connection.close()


@contextlib.asynccontextmanager
async def running(
    command: Sequence[str | Path], address: str, variables: Mapping[str, str] | None = None
) -> AsyncGenerator[Owner, None]:
    """Run a program that takes the broker's name; it has it when the block begins."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        env={**environment(address), **(variables or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        assert BROKER_BUS_NAME in (await process.stdout.readline()).decode()
        async with connected(address) as bus:
            (unique_name,) = await bus.call_bus("GetNameOwner", "s", BROKER_BUS_NAME)
            yield Owner(process, unique_name, bus)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.stdout.read()
        await process.wait()
