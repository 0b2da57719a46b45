"""The two brokers that are compared, each on its own bus: a judge, and a persona of the fake broker."""

from __future__ import annotations

import contextlib
import json
import shlex
import tempfile
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linuxbroker.bus import Connection, Message, MessageKind, RemoteError
from linuxbroker.wire.names import BROKER_BUS_NAME, BROKER_INTERFACE, BROKER_OBJECT_PATH
from linuxbroker_fake import FakeBroker, FakeConfig
from linuxbroker_fake.private_bus import PrivateBus
from linuxbroker_fake.service import serve

PATIENCE = 30.0  # seconds for an answer


@dataclass(frozen=True)
class Call:
    """A method call.

    Attributes:
        member, body, signature, interface, path: as on the bus.
    """

    member: str
    body: tuple[Any, ...] = ()
    signature: str = ""
    interface: str = BROKER_INTERFACE
    path: str = BROKER_OBJECT_PATH


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        signature, body: of a reply.
        error, text: the name and text of a D-Bus error.
    """

    signature: str = ""
    body: tuple[Any, ...] = ()
    error: str = ""
    text: str = ""


@dataclass
class Stage:
    """A broker on a bus.

    Attributes:
        connection: a client's.
        address: the bus's.
        folder: the judge's folder, where its settings are; None for the fake.
    """

    connection: Connection
    address: str
    folder: Path | None = field(default=None)

    def set(self, **settings: Any) -> None:
        """Change the judge's settings, which it reads with each call."""
        assert self.folder is not None
        (self.folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")

    async def ask(self, call: Call, *, limit: float = PATIENCE) -> Answer:
        """Send a call, and give what came back within this many seconds."""
        message = Message(
            MessageKind.CALL,
            destination=BROKER_BUS_NAME,
            path=call.path,
            interface=call.interface,
            member=call.member,
            signature=call.signature,
            body=call.body,
        )
        try:
            reply = await self.connection.call(message, limit=limit)
        except RemoteError as error:
            return Answer(error=error.name, text=error.text)
        return Answer(reply.signature, tuple(reply.body))


@contextlib.asynccontextmanager
async def judge(program: Path, settings: Mapping[str, Any] | None = None) -> AsyncGenerator[Stage, None]:
    """Have a bus of its own start a judge on the first call; it ends with the bus.

    Args:
        program: the judge.
        settings: its settings.
    """
    async with PrivateBus() as bus:
        # Not pytest's folder: the path of a socket is 107 bytes at most.
        with tempfile.TemporaryDirectory(prefix="himmelblau-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            service = bus.services / f"{BROKER_BUS_NAME}.service"
            execute = shlex.join([str(program), str(folder)])
            service.write_text(f"[D-BUS Service]\nName={BROKER_BUS_NAME}\nExec={execute}\n", encoding="utf-8")
            connection = await Connection.open(bus.address)
            await connection.call_bus("ReloadConfig")
            stage = Stage(connection, bus.address, folder)
            stage.set(**(settings or {}))
            try:
                yield stage
            finally:
                connection.close()
                await bus.stop()


@contextlib.asynccontextmanager
async def fake(config: FakeConfig) -> AsyncGenerator[Stage, None]:
    """Put the fake broker on a bus of its own."""
    async with PrivateBus() as bus, serve(FakeBroker(config), bus.address):
        connection = await Connection.open(bus.address)
        try:
            yield Stage(connection, bus.address)
        finally:
            connection.close()
