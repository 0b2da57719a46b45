"""A bus that fails on demand: a socket in front of a real bus, which passes on as many bytes as the test says."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path


class Relay:
    """A listener whose connections lead to a real bus, each until it has passed on so many bytes.

    Attributes:
        address: where clients connect to.
        cuts: for each connection to come, how many bytes from the bus are passed on before it is closed; None for all.
            Connections after the last of them are left alone.
        request_cuts: the same for bytes to the bus.
        silent: whether connections are accepted and nothing is ever said.
        passed: how many bytes from the bus went to each connection so far.
    """

    def __init__(self, path: Path, bus: Path) -> None:
        self.address = f"unix:path={path}"
        self.cuts: list[int | None] = []
        self.request_cuts: list[int | None] = []
        self.silent = False
        self.passed: list[int] = []
        self._bus = bus
        self._serving: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        serving = asyncio.ensure_future(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def end(self) -> None:
        """End every connection."""
        for serving in tuple(self._serving):
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bus_writer: asyncio.StreamWriter | None = None
        try:
            if self.silent:
                await reader.read()
                return
            bus_reader, bus_writer = await asyncio.open_unix_connection(self._bus)
            self.passed.append(0)
            cut, request_cut = (cuts.pop(0) if cuts else None for cuts in (self.cuts, self.request_cuts))
            directions = [
                asyncio.ensure_future(self._pass_on(bus_reader, writer, cut, len(self.passed) - 1)),
                asyncio.ensure_future(self._pass_on(reader, bus_writer, request_cut, None)),
            ]
            try:
                await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for direction in directions:
                    direction.cancel()
                await asyncio.gather(*directions, return_exceptions=True)
        except ConnectionError:
            pass
        finally:
            for side in (writer, bus_writer):
                if side is not None:
                    side.close()
                    with contextlib.suppress(ConnectionError):
                        await side.wait_closed()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: int | None, connection: int | None
    ) -> None:
        """Pass bytes on until the end, or the cut; those from the bus are counted, by connection."""
        passed = 0
        while cut is None or passed < cut:
            data = await reader.read(65_536 if cut is None else min(65_536, cut - passed))
            if not data:
                break
            passed += len(data)
            if connection is not None:
                self.passed[connection] = passed
            writer.write(data)
            await writer.drain()


@contextlib.asynccontextmanager
async def relay(bus_address: str, folder: Path) -> AsyncIterator[Relay]:
    """Put a relay in front of a bus."""
    path = folder / "relay"
    listening = Relay(path, Path(bus_address.removeprefix("unix:path=")))
    async with await asyncio.start_unix_server(listening.accept, path):
        try:
            yield listening
        finally:
            await listening.end()


def dead_socket(path: Path) -> None:
    """Leave a socket at a path that nobody listens on any more."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
