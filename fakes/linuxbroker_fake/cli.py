"""The command ``linuxbroker-fake``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from linuxbroker.bus import BusError
from linuxbroker.redaction import texts
from linuxbroker.wire.names import BROKER_BUS_NAME
from linuxbroker_fake.broker import FakeBroker
from linuxbroker_fake.config import FakeConfig
from linuxbroker_fake.conformance.command import add_arguments as add_conformance_arguments
from linuxbroker_fake.conformance.command import run as run_conformance
from linuxbroker_fake.persona_name import persona_names
from linuxbroker_fake.private_bus import DBusDaemonMissingError, PrivateBus
from linuxbroker_fake.service import NameTakenError, serve

DONE, FAILED, USAGE, NO_BUS = 0, 1, 2, 3
_CRASHED = 70
_NOT_FOUND = 127
_NOT_EXECUTABLE = 126


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: the arguments; default ``sys.argv[1:]``.

    Returns:
        The exit code.
    """
    arguments = _parser().parse_args(argv)
    if arguments.command == "write-service":
        return _write_service(arguments)
    if arguments.command == "conformance":
        return _conformance(arguments)
    try:
        config = _config(arguments)
    except (OSError, ValidationError) as error:
        return _fail(USAGE, f"invalid configuration: {error}")
    try:
        if arguments.command == "exec":
            return asyncio.run(_execute(config, arguments.program))
        return asyncio.run(_run(config, arguments.bus_address, control=arguments.control))
    except (BusError, DBusDaemonMissingError) as error:
        return _fail(NO_BUS, str(error))
    except (NameTakenError, RuntimeError) as error:
        return _fail(FAILED, str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="linuxbroker-fake",
        description="A fake identity broker on a real bus, for tests. Its tokens grant no access.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="serve on the session bus until Ctrl-C, SIGTERM or SIGHUP")
    run.add_argument("--bus-address", metavar="ADDRESS", help="D-Bus address (default: the session bus)")
    exec_ = commands.add_parser(
        "exec", help="run a command on a private session bus with the fake broker; exits with its exit code"
    )
    exec_.add_argument("program", nargs="+", metavar="COMMAND", help="command to run and its arguments, after --")
    add_conformance_arguments(
        commands.add_parser("conformance", help="run the conformance vectors against a client or a broker")
    )
    write_service = commands.add_parser(
        "write-service", help="write a D-Bus activation file, with which a bus starts the fake broker"
    )
    write_service.add_argument(
        "folder",
        type=Path,
        metavar="DIR",
        help="folder in which the bus of a test looks for activation files; in ~/.local/share/dbus-1/services, the "
        "folder of the session bus, the fake would replace a real broker",
    )
    write_service.add_argument(
        "--force", action="store_true", help="replace an existing file, even if this command did not write it"
    )
    for command in (run, write_service):
        command.add_argument(
            "--control",
            action="store_true",
            help="add the interface org.linuxbroker.Fake1, through which any process on the bus can control the fake "
            "broker and read its journal (exec always adds it, on its private bus)",
        )
    for command in (run, exec_, write_service):
        command.add_argument(
            "--persona",
            metavar="NAME",
            choices=persona_names(),
            help="broker to emulate (default: microsoft-3.0.2): %(choices)s (himmelblau: its newest release)",
        )
        command.add_argument(
            "--empty-reply-pause",
            type=float,
            metavar="SECONDS",
            help="time that Himmelblau 3.1 waits before an empty reply (default: 0.02; the real broker: 30)",
        )
        command.add_argument(
            "--config", type=Path, metavar="FILE", help="JSON file with tenants, users, apps, faults and other settings"
        )
    return parser


def _conformance(arguments: argparse.Namespace) -> int:
    try:
        return run_conformance(arguments)
    except (BusError, DBusDaemonMissingError) as error:
        return _fail(NO_BUS, str(error))


def _config(arguments: argparse.Namespace) -> FakeConfig:
    config = FakeConfig.load(arguments.config) if arguments.config else FakeConfig()
    chosen: dict[str, object] = {"persona": arguments.persona, "empty_reply_pause": arguments.empty_reply_pause}
    changes = {key: value for key, value in chosen.items() if value is not None}
    return FakeConfig.model_validate({**dict(config), **changes})


async def _run(config: FakeConfig, address: str | None, *, control: bool) -> int:
    async with serve(FakeBroker(config), address, control=control) as service:
        _handle_signals(lambda _number: service.stopped.set())
        print(f"{BROKER_BUS_NAME}: {config.persona.value} is ready", flush=True)
        await service.stopped.wait()
        return _CRASHED if service.crashed else DONE


async def _execute(config: FakeConfig, program: Sequence[str]) -> int:
    received: list[signal.Signals] = []
    process: asyncio.subprocess.Process | None = None
    task = asyncio.current_task()
    assert task is not None

    def on_signal(number: signal.Signals) -> None:
        received.append(number)
        if process is None:
            task.cancel()
        elif number is not signal.SIGINT and process.returncode is None:
            # The terminal sends Ctrl-C to the command too: it is in the same process group.
            process.send_signal(number)

    _handle_signals(on_signal)
    try:
        async with PrivateBus() as bus, serve(FakeBroker(config), bus.address):
            environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": bus.address}
            try:
                process = await asyncio.create_subprocess_exec(*program, env=environment)
            except FileNotFoundError:
                return _fail(_NOT_FOUND, f"command not found: {program[0]!r}")
            except PermissionError:
                return _fail(_NOT_EXECUTABLE, f"not executable: {program[0]!r}")
            code = await process.wait()
            return 128 - code if code < 0 else code
    except asyncio.CancelledError:
        return 128 + received[0]


def _handle_signals(handle: Callable[[signal.Signals], object]) -> None:
    """Handle the signals that end a program; SIGHUP only if it is not ignored, as under ``nohup``."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, handle, number)


def _write_service(arguments: argparse.Namespace) -> int:
    command = [sys.executable, "-m", "linuxbroker_fake", "run"]
    if arguments.control:
        command += ["--control"]
    if arguments.persona:
        command += ["--persona", arguments.persona]
    if arguments.empty_reply_pause is not None:
        command += ["--empty-reply-pause", str(arguments.empty_reply_pause)]
    if arguments.config:
        command += ["--config", str(arguments.config.resolve())]
    if not all(part.isprintable() for part in command):  # a line break would add lines to the file
        return _fail(USAGE, "the path of --config must not contain control characters")
    path = arguments.folder / f"{BROKER_BUS_NAME}.service"
    text = f"[D-BUS Service]\nName={BROKER_BUS_NAME}\nExec={shlex.join(command)}\n"
    try:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        if arguments.force or _is_own_service_file(path):
            _replace_file(path, text)
        else:
            with path.open("x", encoding="utf-8") as file:  # does not follow a symbolic link
                file.write(text)
    except FileExistsError:
        return _fail(FAILED, f"{path} exists and was not written by this command; pass --force to replace it")
    except OSError as error:
        return _fail(FAILED, f"cannot write {path}: {error.strerror}")
    print(path)
    return DONE


def _is_own_service_file(path: Path) -> bool:
    """Whether ``write-service`` wrote the file."""
    if path.is_symlink() or not path.is_file():
        return False
    return " -m linuxbroker_fake run" in path.read_text(encoding="utf-8", errors="replace")


def _replace_file(path: Path, text: str) -> None:
    """Replace a file atomically; of a symbolic link, the link itself and not its target."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".linuxbroker-fake-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(descriptor, 0o644)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _fail(code: int, text: str) -> int:
    print(f"linuxbroker-fake: {texts.shown(text, texts.MAX_MESSAGE_CHARACTERS)}", file=sys.stderr)
    return code
