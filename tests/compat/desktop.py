"""The desktop that Microsoft's runtime needs: a display and an unlocked keyring, ended by their pids."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

DRIVER = Path(__file__).with_name("runtime_driver.py")
CLIENT_ID = "11111111-2222-4333-8444-555555555555"
MICROSOFTS, OURS = "pymsalruntime", "linuxbroker.runtime.pymsalruntime"

# Debian's package for each program that these tests need besides the runtime.
PROGRAMS = {
    "dbus-daemon": "dbus",
    "dbus-send": "dbus",
    "gnome-keyring-daemon": "gnome-keyring",
    "Xvfb": "xvfb",
}

# The runtime's named semaphores, in /dev/shm; the id is its own.
_LOCKS = "sem.e165a065-6178-4c90-aa1d-5cb947e484f4:*"


def missing() -> list[str]:
    """Find out what this machine lacks for running Microsoft's runtime.

    Returns:
        A description of each thing that is not there; empty when everything is.
    """
    lacks = sorted(f"the system package {package}" for name, package in PROGRAMS.items() if shutil.which(name) is None)
    # Loading it needs libraries of the system, which .ci/run names, and which are others in each version.
    # One that was loaded raises RuntimeError, as no broker answers.
    program = f"import contextlib, msal\nwith contextlib.suppress(RuntimeError):\n    import {MICROSOFTS}"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    if loaded.returncode != 0:
        reason = loaded.stderr.strip().splitlines()[-1:] or [f"exit code {loaded.returncode}"]
        lacks.append(f"a runtime that loads ({reason[0]})")
    return lacks


class User:
    """Someone with a keyring of their own, who runs the runtime.

    Attributes:
        environment: the whole environment of a program that they run.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment

    def run(
        self,
        *steps: Mapping[str, Any],
        client_id: str = CLIENT_ID,
        authority: str = "https://login.microsoftonline.com/common",
        limit: float = 60.0,
        runtime: str = MICROSOFTS,
    ) -> list[dict[str, Any]]:
        """Carry out a scenario in a process of its own.

        Args:
            steps: as ``runtime_driver.py`` has it.
            client_id: of the application.
            authority: for each step that names none.
            limit: seconds that the whole scenario may take.
            runtime: the module that is used.

        Returns:
            An outcome a step.

        Raises:
            AssertionError: the runtime would not load, or its process failed.
            subprocess.TimeoutExpired: it took too long.
        """
        scenario = json.dumps({"client_id": client_id, "authority": authority, "steps": steps, "runtime": runtime})
        output: dict[str, Any] = json.loads(self.python(str(DRIVER), stdin=scenario, limit=limit))
        if "import_error" in output:
            raise AssertionError(f"the runtime did not load: {output['import_error']}")
        outcomes: list[dict[str, Any]] = output["outcomes"]
        return outcomes

    def python(self, *arguments: str, stdin: str = "", limit: float = 60.0) -> str:
        """Run a Python program, such as one that uses MSAL Python.

        Args:
            arguments: of the interpreter.
            stdin: what the program reads.
            limit: seconds that it may take.

        Returns:
            What it printed.

        Raises:
            AssertionError: it failed.
            subprocess.TimeoutExpired: it took too long.
        """
        process = subprocess.run(
            [sys.executable, *arguments],
            input=stdin,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
        if process.returncode != 0:
            raise AssertionError(f"the program ended with {process.returncode}: {process.stderr[-2000:]}")
        return process.stdout


@contextmanager
def user(bus_address: str, display: str, home: Path) -> Iterator[User]:
    """Have a new user on a bus, whose keyring is unlocked and empty.

    The runtime keeps accounts, tokens and sign-outs in the Secret Service and nowhere else, whatever the client id: a
    scenario sees what the same user's earlier scenarios left there. A bus has one Secret Service: one user at a time.

    Args:
        bus_address: the session bus, with the fake broker on it.
        display: the X display.
        home: an empty folder, for everything that the user's programs keep.

    Yields:
        The user.

    Raises:
        TimeoutError: the keyring did not start.
    """
    places = {f"XDG_{kind}_HOME": home / kind.lower() for kind in ("DATA", "CONFIG", "CACHE")}
    places["XDG_RUNTIME_DIR"] = home / "runtime"
    for place in places.values():
        place.mkdir(mode=0o700)
    environment = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "DBUS_SESSION_BUS_ADDRESS": bus_address,
        "DISPLAY": display,
        **{name: str(place) for name, place in places.items()},
    }
    _unlink_abandoned_locks()
    command = ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"]
    log = home / "keyring.log"
    with _running(command, environment, log=log, stdin=b"the keyring's password"):
        _wait_until(lambda: _is_owned("org.freedesktop.secrets", environment), f"the keyring did not start; see {log}")
        yield User(environment)


@contextmanager
def display(log: Path) -> Iterator[str]:
    """Start a virtual X display, under a number that it finds to be free.

    Args:
        log: where its messages go.

    Yields:
        What ``DISPLAY`` is to be.

    Raises:
        TimeoutError: it did not start; the text has its messages.
    """
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "640x480x24", "-nolisten", "tcp"]
    with ExitStack() as stack:
        number = stack.enter_context(os.fdopen(reader, encoding="ascii"))
        try:
            stack.enter_context(_running(command, {"PATH": os.environ["PATH"]}, log=log, pass_fds=(writer,)))
        finally:
            os.close(writer)
        found = number.readline().strip()  # comes when the display is ready; is empty when Xvfb ended instead
        if not found:
            raise TimeoutError(f"the display did not start: {log.read_text(errors='replace')}")
        yield f":{found}"


@contextmanager
def _running(
    command: list[str],
    environment: Mapping[str, str],
    *,
    log: Path,
    stdin: bytes = b"",
    pass_fds: tuple[int, ...] = (),
) -> Iterator[None]:
    """Run a program for as long as the block lasts."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.PIPE, stdout=output, stderr=output, pass_fds=pass_fds
        )
    try:
        assert process.stdin is not None
        with process.stdin as pipe:
            pipe.write(stdin)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _unlink_abandoned_locks() -> None:
    """Remove the runtime's locks that nobody holds and nobody can take.

    The runtime guards what it keeps by named semaphores, one for each account and client id, which are those of the
    machine, not of the user's home. A process that was killed while it held one leaves it locked for all that come:
    they fail with "The lock could not be acquired within the expected timeout" (tag 63wni, 0.20.7).
    """
    locked = [path for path in Path("/dev/shm").glob(_LOCKS) if _semaphore_value(path) == 0]
    if locked:
        in_use = "".join(_read_text(maps) for maps in Path("/proc").glob("[0-9]*/maps"))
        for path in locked:
            if path.name not in in_use:
                path.unlink(missing_ok=True)


def _semaphore_value(path: Path) -> int:
    try:
        return int.from_bytes(path.read_bytes()[:4], sys.byteorder)
    except OSError:  # gone, or another user's
        return -1


def _read_text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # the process has ended, or is another user's
        return ""


def _is_owned(name: str, environment: Mapping[str, str]) -> bool:
    question = ["--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.NameHasOwner", f"string:{name}"]
    command = ["dbus-send", "--session", "--print-reply=literal", *question]
    answer = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=10, check=False)
    return "true" in answer.stdout


def _wait_until(condition: Callable[[], bool], otherwise: str, limit: float = 10.0) -> None:
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(otherwise)
        time.sleep(0.02)
