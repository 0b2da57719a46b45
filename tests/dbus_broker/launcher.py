"""A controller that runs dbus-broker without systemd, with the options of dbus-daemon's command line that are used.

``dbus-broker`` is told over a socket where to listen and which names can be activated, and asks there for a name's
program to be started. Source: dbus-broker's manual page, and the manual of its controller interface (org.bus1.DBus).
"""

from __future__ import annotations

import argparse
import asyncio
import configparser
import contextlib
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbus_next import Message as PlainMessage
from dbus_next import Variant

from linuxbroker.bus import Connection, Message, MessageKind
from linuxbroker.bus.address import unix_sockets
from linuxbroker.bus.codec import decode
from linuxbroker.bus.connection import error_reply, method_return
from linuxbroker.bus.frames import FrameReader

_BROKER = "/org/bus1/DBus/Broker"
_LISTENER = "/org/bus1/DBus/Listener/0"
_NAME = "/org/bus1/DBus/Name/"
_FAILED_TO_START = "org.bus1.DBus.Name.Error.StartupFailure"
_FAILED = "org.bus1.DBus.Name.Error.UnitFailure"

_BATCH = "bta(btbs)a(btssssuutt)a(btssssuutt)"
_POLICY = f"(a(u({_BATCH}))a(buu({_BATCH}))a(ss)bs)"
_ANYONE = 0xFFFFFFFF
_ANYTHING = [True, 1, "", "", "", "", 0, 0, 0, 253]
_ALLOW_ALL = [[[_ANYONE, [True, 1, [[True, 1, True, ""]], [_ANYTHING], [_ANYTHING]]]], [], [], False, "session"]


@dataclass
class Service:
    """A name that can be activated.

    Attributes:
        path: the object that stands for it with dbus-broker.
        command: what starts its program.
    """

    path: str
    command: list[str]


@dataclass(frozen=True)
class Configuration:
    """What is taken from the command line and the configuration file of dbus-daemon."""

    address: str
    folders: Sequence[Path]
    start_timeout: float
    print_to: int | None


def main() -> int:
    """Run a bus until dbus-broker ends or this process is told to end."""
    configuration = _configuration()
    (address,) = unix_sockets(configuration.address)
    if not address.startswith(b"\0"):
        Path(os.fsdecode(address)).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(address)
    listener.listen(4096)
    listener.setblocking(False)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    limits = {"max-bytes": 2**31, "max-fds": 2**16, "max-matches": 2**20, "max-objects": 2**24}
    broker = subprocess.Popen(
        [
            "dbus-broker",
            f"--controller={theirs.fileno()}",
            f"--machine-id={secrets.token_hex(16)}",
            *(f"--{name}={limit}" for name, limit in limits.items()),
        ],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        theirs.close()
        _say_hello(ours)
        _listen(ours, listener)
        ours.setblocking(False)
        asyncio.run(_control(ours, configuration))
    finally:
        broker.terminate()
    return broker.wait()


def _configuration() -> Configuration:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config-file", type=Path)
    parser.add_argument("--address")
    parser.add_argument("--print-address", nargs="?", type=int, const=1)
    for ignored in ("--session", "--nofork", "--nopidfile"):
        parser.add_argument(ignored, action="store_true")
    arguments = parser.parse_args()
    if arguments.config_file is None:
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
        listen = "unix:path=" + str(Path(tempfile.mkdtemp(prefix="dbus-broker-")) / "bus")
        folders = [data / "dbus-1" / "services"]
        timeout = 120.0
    else:
        root = ElementTree.parse(arguments.config_file).getroot()
        listen = root.findtext("listen", "")
        folders = [Path(element.text or "") for element in root.iter("servicedir")]
        limits = {element.get("name"): element.text or "" for element in root.iter("limit")}
        timeout = int(limits.get("service_start_timeout", "120000")) / 1000
    return Configuration(arguments.address or listen, folders, timeout, arguments.print_address)


async def _control(sock: socket.socket, configuration: Configuration) -> None:
    controller = Controller(Connection(sock, 2**20), configuration)
    ended = asyncio.Event()
    controller.connection.on_close(lambda _reason: ended.set())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await controller.reload()
    if configuration.print_to is not None:
        os.write(configuration.print_to, f"{configuration.address}\n".encode())
        os.dup2(os.open(os.devnull, os.O_WRONLY), configuration.print_to)  # closed: dbus-run-session waits for the end
    await ended.wait()
    controller.connection.close()
    controller.end()


def _say_hello(sock: socket.socket) -> None:
    """Authenticate to dbus-broker, and agree on passing descriptors."""
    user = str(os.geteuid()).encode().hex().encode()
    sock.sendall(b"\0AUTH EXTERNAL " + user + b"\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
    answer = b""
    while answer.count(b"\r\n") < 2:
        received = sock.recv(4096)
        if not received:
            raise SystemExit("dbus-broker closed its controller's socket")
        answer += received
    if not answer.startswith(b"OK ") or b"AGREE_UNIX_FD" not in answer:
        raise SystemExit(f"dbus-broker answered {answer!r}")


def _listen(sock: socket.socket, listener: socket.socket) -> None:
    """Hand the listening socket over, with a policy that lets everyone do everything."""
    call = PlainMessage(
        path=_BROKER,
        interface="org.bus1.DBus.Broker",
        member="AddListener",
        signature="ohv",
        body=[_LISTENER, 0, Variant(_POLICY, _ALLOW_ALL)],
        unix_fds=[listener.fileno()],
        serial=2**31,
    )
    written = bytes(call._marshall(negotiate_unix_fd=True))
    socket.send_fds(sock, [written], [listener.fileno()])
    listener.close()
    (answer,) = FrameReader().feed(sock.recv(4096))
    if decode(answer).kind is not MessageKind.RETURN:
        raise SystemExit(f"dbus-broker does not listen: {decode(answer).error_name}")


class Controller:
    """The controller's end of the conversation with dbus-broker.

    Args:
        connection: to dbus-broker, which listens already.
        configuration: where activation files are, and how long a program has to take its name.
    """

    def __init__(self, connection: Connection, configuration: Configuration) -> None:
        self.connection = connection
        self._configuration = configuration
        self._services: dict[str, Service] = {}
        self._added = 0
        self._running: set[asyncio.subprocess.Process] = set()
        self._environment: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        connection.on_call = self._on_call
        connection.on_signal(self._on_signal)

    async def reload(self) -> None:
        """Read the activation files anew."""
        found = dict(_activation_files(self._configuration.folders))
        for name in self._services.keys() - found.keys():
            await self._call(self._services.pop(name).path, "org.bus1.DBus.Name", "Release")
        for name, command in found.items():
            if name in self._services:
                self._services[name].command = command
                continue
            self._added += 1
            service = self._services[name] = Service(f"{_NAME}{self._added}", command)
            await self._call(_BROKER, "org.bus1.DBus.Broker", "AddName", "osu", service.path, name, os.geteuid())

    def end(self) -> None:
        """End the programs that were started."""
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()

    def _on_call(self, call: Message) -> None:
        if call.member == "ReloadConfig":
            self._start(self._reload(call))
        else:
            self.connection.send(error_reply(call, "org.freedesktop.DBus.Error.UnknownMethod", call.member))

    def _on_signal(self, message: Message) -> None:
        if message.member == "Activate":
            (service,) = (service for service in self._services.values() if service.path == message.path)
            self._start(self._activate(service, message.body[0]))
        elif message.member == "SetActivationEnvironment":
            self._environment.update(message.body[0])

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload(self, call: Message) -> None:
        await self.reload()
        self.connection.send(method_return(call))

    async def _activate(self, service: Service, serial: int) -> None:
        """Start a service's program; where it ends, or is too slow, the callers that wait for the name are told."""
        environment = {
            **os.environ,
            **self._environment,
            "DBUS_SESSION_BUS_ADDRESS": self._configuration.address,
            "DBUS_STARTER_ADDRESS": self._configuration.address,
            "DBUS_STARTER_BUS_TYPE": "session",
        }
        try:
            process = await asyncio.create_subprocess_exec(
                *service.command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        except OSError:
            await self._reset(service, serial, _FAILED_TO_START)
            return
        self._running.add(process)
        ended = asyncio.ensure_future(process.wait())
        done, _ = await asyncio.wait({ended}, timeout=self._configuration.start_timeout)
        # Where the name was taken meanwhile, this has no effect: the serial number is no longer that of an activation.
        await self._reset(service, serial, _FAILED if done else _FAILED_TO_START)
        await asyncio.wait({ended})
        self._running.discard(process)

    async def _reset(self, service: Service, serial: int, reason: str) -> None:
        await self._call(service.path, "org.bus1.DBus.Name", "Reset", "ts", serial, reason)

    async def _call(self, path: str, interface: str, member: str, signature: str = "", *body: Any) -> None:
        call = Message(MessageKind.CALL, path=path, interface=interface, member=member, signature=signature, body=body)
        await self.connection.call(call, limit=30)


def _activation_files(folders: Sequence[Path]) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for file in (file for folder in folders for file in sorted(folder.glob("*.service"))):
        parser = configparser.RawConfigParser()
        parser.read(file, encoding="utf-8")
        section = parser["D-BUS Service"]
        found.append((section["Name"], shlex.split(section["Exec"])))
    return found


if __name__ == "__main__":
    sys.exit(main())
