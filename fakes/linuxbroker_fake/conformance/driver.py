"""The driver process: one JSON line in for each operation, one JSON line out for each outcome."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any, cast

_MAX_LINE_BYTES = 64 * 1024 * 1024
_MAX_STDERR = 20_000
_MAX_QUOTED = 200


class DriverError(Exception):
    """The driver exited, timed out, or wrote an invalid line."""


class DriverMissingError(Exception):
    """The program does not exist or cannot be executed."""


class Driver:
    """A driver process; ``start`` restarts it if it has exited.

    Args:
        command: the program and its arguments.
        bus_address: the value of ``DBUS_SESSION_BUS_ADDRESS``.
    """

    def __init__(self, command: Sequence[str], bus_address: str) -> None:
        self._command = command
        self._environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": bus_address}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._stderr_reader: asyncio.Task[None] | None = None
        self._lines: asyncio.Queue[bytes] = asyncio.Queue()
        self._has_output = asyncio.Event()
        self._stderr = ""

    @property
    def is_running(self) -> bool:
        """Whether the process is running."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start the program if it is not running.

        Raises:
            DriverMissingError: the program does not exist or cannot be executed.
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
                limit=_MAX_LINE_BYTES,
                start_new_session=True,
            )
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            raise DriverMissingError(f"cannot start {self._command[0]!r}: {error.strerror}") from None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._lines = asyncio.Queue()
        self._has_output.clear()
        self._stderr = ""
        self._reader = asyncio.ensure_future(self._read(self._process.stdout))
        self._stderr_reader = asyncio.ensure_future(self._read_stderr(self._process.stderr))

    async def send(self, line: Mapping[str, Any]) -> None:
        """Write a line to its standard input.

        Args:
            line: a JSON object.

        Raises:
            DriverError: the driver has exited.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise DriverError(await self._describe_exit()) from None

    async def wait_for_output(self) -> None:
        """Wait until there is a line to receive, or standard output is closed."""
        await self._has_output.wait()

    async def receive(self, limit: float) -> dict[str, Any]:
        """Return its next line.

        Args:
            limit: time limit, seconds.

        Returns:
            The line, a JSON object.

        Raises:
            DriverError: the driver exited or timed out, or the line is not a JSON object.
        """
        try:
            line = await asyncio.wait_for(self._lines.get(), limit)
        except asyncio.TimeoutError:
            raise DriverError(f"the driver did not answer within {limit:g} s") from None
        if self._lines.empty():
            self._has_output.clear()
        if not line:
            raise DriverError(await self._describe_exit())
        try:
            value: Any = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            text = line.decode(errors="replace").rstrip("\n")
            raise DriverError(f"the driver's line is not a JSON object: {text[:_MAX_QUOTED]!r}")
        return cast("dict[str, Any]", value)

    async def take_unread_lines(self) -> list[dict[str, Any]]:
        """Return the lines that were not received before it was stopped."""
        lines: list[dict[str, Any]] = []
        with contextlib.suppress(DriverError):
            while not self._lines.empty():
                lines.append(await self.receive(1.0))
        return lines

    def take_stderr(self) -> str:
        """Return what it has written to standard error since the last call."""
        text, self._stderr = self._stderr, ""
        return text

    async def stop(self, patience: float = 0.0) -> None:
        """Stop the program: close its standard input, then kill its process group.

        Args:
            patience: seconds that it has to exit by itself before it is killed.
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

    async def _describe_exit(self) -> str:
        if self._process is None:
            return "the driver is not running"
        try:
            code = await asyncio.wait_for(self._process.wait(), 5.0)
        except asyncio.TimeoutError:
            return "the driver closed its standard output before answering"
        if code < 0:
            return f"the driver was killed by {signal.Signals(-code).name} before answering"
        return f"the driver exited with code {code} before answering"

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        with contextlib.suppress(ValueError):  # a line longer than the limit
            while line := await stdout.readline():
                self._queue_line(line)
        self._queue_line(b"")

    def _queue_line(self, line: bytes) -> None:
        self._lines.put_nowait(line)
        self._has_output.set()

    async def _read_stderr(self, stderr: asyncio.StreamReader) -> None:
        while data := await stderr.read(4096):
            self._stderr = (self._stderr + data.decode(errors="replace"))[-_MAX_STDERR:]
