"""A private message bus for tests: a ``dbus-daemon`` process with a folder for activation files."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from xml.sax.saxutils import escape as xml_escape

from linuxbroker.bus import address

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <keep_umask/>
  <listen>{address}</listen>
  <auth>EXTERNAL</auth>
  <servicedir>{services}</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
  <limit name="max_incoming_bytes">1000000000</limit>
  <limit name="max_outgoing_bytes">1000000000</limit>
  <limit name="max_message_size">134217728</limit>
  <limit name="service_start_timeout">{start_timeout}</limit>
  <limit name="max_completed_connections">100000</limit>
  <limit name="max_connections_per_user">100000</limit>
  <limit name="max_pending_service_starts">10000</limit>
  <limit name="max_names_per_connection">50000</limit>
  <limit name="max_match_rules_per_connection">50000</limit>
  <limit name="max_replies_per_connection">50000</limit>
</busconfig>
"""


class DBusDaemonMissingError(Exception):
    """``dbus-daemon`` is not installed."""


class PrivateBus:
    """A private message bus, until the end of the ``async with`` block.

    Args:
        start_timeout: time limit for an activated service to take its name, seconds.

    Attributes:
        address: the D-Bus address.
        services: the folder of the activation files (``.service``).
    """

    def __init__(self, *, start_timeout: float = 120.0) -> None:
        self._start_timeout = start_timeout
        self._folder = Path()
        self._daemon: asyncio.subprocess.Process | None = None
        self.address = ""
        self.services = Path()

    async def __aenter__(self) -> PrivateBus:
        program = shutil.which("dbus-daemon")
        if program is None:
            raise DBusDaemonMissingError(
                "dbus-daemon is not installed: sudo apt install dbus, or sudo dnf install dbus-daemon"
            )
        self._folder = Path(tempfile.mkdtemp(prefix="linuxbroker-bus-"))
        self.services = self._folder / "services"
        self.services.mkdir()
        self.address = "unix:path=" + address.escape(os.fsencode(self._folder / "bus"))
        config = self._folder / "bus.conf"
        config.write_text(
            _CONFIG.format(
                address=xml_escape(self.address),
                services=xml_escape(str(self.services)),
                start_timeout=int(self._start_timeout * 1000),
            ),
            encoding="utf-8",
        )
        try:
            await self.start()
        except BaseException:
            await self.stop()
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def process_id(self) -> int | None:
        """The daemon's process ID; None if it is not running."""
        return None if self._daemon is None or self._daemon.returncode is not None else self._daemon.pid

    async def start(self) -> None:
        """Start the daemon; after ``stop``, restart it on the same address.

        Raises:
            RuntimeError: the daemon exited at once; the message has its output.
        """
        with (self._folder / "log").open("ab") as log:
            self._daemon = await asyncio.create_subprocess_exec(
                "dbus-daemon",
                f"--config-file={self._folder / 'bus.conf'}",
                "--nofork",
                "--nopidfile",
                "--print-address",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self._daemon.stdout is not None
        if not await self._daemon.stdout.readline():
            await self._daemon.wait()
            output = (self._folder / "log").read_text(encoding="utf-8", errors="replace").strip()
            raise RuntimeError(f"dbus-daemon did not start: {output}")

    async def stop(self) -> None:
        """Stop the daemon, as at a logout."""
        if self._daemon is not None:
            with contextlib.suppress(ProcessLookupError):
                self._daemon.kill()
            await self._daemon.wait()
            # Read to the end so that the pipe's transport closes with the process.
            assert self._daemon.stdout is not None
            await self._daemon.stdout.read()
            self._daemon = None
