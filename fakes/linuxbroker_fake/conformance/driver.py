"""How is a program under test spoken to? A line of JSON for each operation, a line back for each outcome."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any, cast

_LONGEST_LINE = 64 * 1024 * 1024
_STDERR_KEPT = 20_000
_QUOTED = 200


class DriverError(Exception):
    """The driver did not do its part; the text says how."""


class DriverMissingError(Exception):
    """There is no such program."""


class Driver:
    """A driver program, started again when it was lost.

    Args:
        command: the program and its arguments.
        bus_address: the bus that its client is to use.
    """

    def __init__(self, command: Sequence[str], bus_address: str) -> None:
        self._command = command
        self._environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": bus_address}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._stderr_reader: asyncio.Task[None] | None = None
        self._lines: asyncio.Queue[bytes] = asyncio.Queue()
        self._spoke = asyncio.Event()
        self._stderr = ""

    @property
    def is_running(self) -> bool:
        """Whether there is a process that has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start the program, unless it runs.

        Raises:
            DriverMissingError: there is no such program.
        """
        if self.is_running:
            return
        await self.stop()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=_LONGEST_LINE,
                start_new_session=True,
            )
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            raise DriverMissingError(f"can't start {self._command[0]!r}: {error.strerror}") from None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._lines = asyncio.Queue()
        self._spoke.clear()
        self._stderr = ""
        self._reader = asyncio.ensure_future(self._read(self._process.stdout))
        self._stderr_reader = asyncio.ensure_future(self._read_stderr(self._process.stderr))

    async def send(self, line: Mapping[str, Any]) -> None:
        """Give it a line.

        Args:
            line: a JSON object.

        Raises:
            DriverError: it is not there any more.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise DriverError(await self._how_it_ended()) from None

    async def speaks(self) -> None:
        """Wait until there is a line to receive, or the program has closed its standard output."""
        await self._spoke.wait()

    async def receive(self, limit: float) -> dict[str, Any]:
        """Take its next line.

        Args:
            limit: seconds to wait.

        Returns:
            The line, a JSON object.

        Raises:
            DriverError: it left, said nothing in time, or the line is no JSON object.
        """
        try:
            line = await asyncio.wait_for(self._lines.get(), limit)
        except asyncio.TimeoutError:
            raise DriverError(f"the driver did not answer within {limit:g} s") from None
        if self._lines.empty():
            self._spoke.clear()
        if not line:
            raise DriverError(await self._how_it_ended())
        try:
            value: Any = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            text = line.decode(errors="replace").rstrip("\n")
            raise DriverError(f"the driver's line is no JSON object: {text[:_QUOTED]!r}")
        return cast("dict[str, Any]", value)

    async def take_unread(self) -> list[dict[str, Any]]:
        """Give the lines that it had written and nobody had read when it was stopped."""
        lines: list[dict[str, Any]] = []
        with contextlib.suppress(DriverError):
            while not self._lines.empty():
                lines.append(await self.receive(1.0))
        return lines

    def take_stderr(self) -> str:
        """Give what it has written to standard error since the last time."""
        text, self._stderr = self._stderr, ""
        return text

    async def stop(self, patience: float = 0.0) -> None:
        """End the program.

        Args:
            patience: seconds that it has to end by itself once its standard input is closed; 0 ends it at once.
        """
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        if patience:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._process.wait(), patience)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        assert self._reader is not None
        assert self._stderr_reader is not None
        await asyncio.gather(self._reader, self._stderr_reader, return_exceptions=True)
        self._process = None

    async def _how_it_ended(self) -> str:
        if self._process is None:
            return "the driver is not there"
        try:
            code = await asyncio.wait_for(self._process.wait(), 5.0)
        except asyncio.TimeoutError:
            return "the driver closed its standard output before it answered"
        if code < 0:
            return f"the driver was ended by {signal.Signals(-code).name} before it answered"
        return f"the driver left with exit code {code} before it answered"

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        with contextlib.suppress(ValueError):  # a line that is longer than any answer
            while line := await stdout.readline():
                self._put(line)
        self._put(b"")

    def _put(self, line: bytes) -> None:
        self._lines.put_nowait(line)
        self._spoke.set()

    async def _read_stderr(self, stderr: asyncio.StreamReader) -> None:
        while data := await stderr.read(4096):
            self._stderr = (self._stderr + data.decode(errors="replace"))[-_STDERR_KEPT:]
