"""The handshake with a bus that refuses the process's own ID, as any bus does from inside a user namespace."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path

import pytest

import linuxbroker
from linuxbroker.bus import ConnectError, Connection
from linuxbroker.bus.handshake import authentication

# Someone whom this machine knows, as dbus-daemon requires, and who is neither root nor "nobody".
USER = next(entry.pw_uid for entry in pwd.getpwall() if 0 < entry.pw_uid < 65534)
OK = b"OK 0123456789abcdef0123456789abcdef\r\n"
OWN_ID = b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n"
# Joins the bus with and without file descriptors, and says under which name and as which user the bus knows it.
PROGRAM = """
import asyncio, os, sys
from linuxbroker.bus import Connection

async def main():
    for pass_descriptors in (False, True):
        connection = await Connection.open(sys.argv[1], pass_descriptors=pass_descriptors)
        (user,) = await connection.call_bus("GetConnectionUnixUser", "s", connection.unique_name)
        print(os.geteuid(), user, connection.unique_name, flush=True)
        connection.close()

asyncio.run(main())
"""


def _says(answers: Sequence[bytes], *, pass_descriptors: bool = False) -> tuple[list[bytes], bool | str]:
    """What is said to a peer that answers so, and what comes of it."""
    exchange = authentication(pass_descriptors=pass_descriptors)
    said = [next(exchange)]
    try:
        for answer in answers:
            said += [exchange.send(answer)]
    except StopIteration as end:
        return said, end.value
    except ConnectError as error:
        return said, str(error)
    raise AssertionError("it goes on")


@pytest.mark.parametrize(
    ("answers", "more_said"),
    [
        ([OK], []),
        ([b"REJECTED EXTERNAL\r\n", b"DATA\r\n", OK], [b"AUTH EXTERNAL\r\n", b"DATA\r\n"]),
        ([b"REJECTED EXTERNAL\r\n", b"DATA \r\n", OK], [b"AUTH EXTERNAL\r\n", b"DATA\r\n"]),
        ([b"REJECTED\r\n", OK], [b"AUTH EXTERNAL\r\n"]),
    ],
)
def test_who_is_refused_tries_once_more_without_an_id(answers: Sequence[bytes], more_said: Sequence[bytes]) -> None:
    assert _says(answers) == ([OWN_ID, *more_said], False)


@pytest.mark.parametrize(
    "answers",
    [
        [b"REJECTED EXTERNAL\r\n", b"REJECTED EXTERNAL\r\n"],
        [b"REJECTED EXTERNAL\r\n", b"DATA\r\n", b"REJECTED EXTERNAL\r\n"],
        [b"REJECTED EXTERNAL\r\n", b"ERROR\r\n"],
        [b"REJECTED EXTERNAL\r\n", b""],
        [b"REJECTED EXTERNAL\r\n", b"DATA\r\n", b""],
    ],
)
def test_who_is_refused_twice_is_told_so(answers: Sequence[bytes]) -> None:
    _, outcome = _says(answers)
    assert outcome == f"the bus rejected user ID {os.geteuid()}; it may belong to another user"


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([b""], "closed the bus socket"),
        ([b"OK " + b"0" * 20_000], "does not implement D-Bus"),
        ([b"HTTP/1.1 400 Bad Request\r\n"], "does not implement D-Bus"),
        ([b"x" * 20_000], "does not implement D-Bus"),
        ([OK, b""], "closed the bus socket"),
        ([OK, b"WHAT\r\n"], "does not implement D-Bus"),
    ],
)
def test_a_peer_that_is_no_bus_is_told_from_one_that_refuses(answers: Sequence[bytes], reason: str) -> None:
    _, outcome = _says(answers, pass_descriptors=True)
    assert reason in str(outcome)


@pytest.mark.parametrize(("answer", "agreed"), [(b"AGREE_UNIX_FD\r\n", True), (b"ERROR\r\n", False)])
def test_descriptors_are_passed_where_the_bus_agrees(answer: bytes, agreed: bool) -> None:
    assert _says([OK, answer], pass_descriptors=True) == ([OWN_ID, b"NEGOTIATE_UNIX_FD\r\n"], agreed)


async def test_a_bus_that_refuses_twice_over_a_socket(tmp_path: Path) -> None:
    said: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError), contextlib.closing(writer):
            while True:
                said.append(await reader.readuntil(b"\r\n"))
                writer.write(b"REJECTED EXTERNAL\r\n")

    async with await asyncio.start_unix_server(refuse, tmp_path / "bus"):
        with pytest.raises(ConnectError, match="the bus rejected user ID"):
            await Connection.open(f"unix:path={tmp_path / 'bus'}")
    assert said == [OWN_ID, b"AUTH EXTERNAL\r\n"]


@functools.cache
def _as_user() -> tuple[str, ...]:
    """What runs a program as a user who is not root."""
    if os.geteuid() != 0:
        return ()
    return ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")


def _succeeds(*command: str | Path) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, cwd="/").returncode == 0
    except OSError:
        return False


@pytest.fixture(scope="module")
def namespace() -> tuple[str | Path, ...]:
    """What runs Python in a user namespace in which another id is seen than outside."""
    if not _succeeds(*_as_user(), "unshare", "-r", "true"):
        pytest.skip("user namespaces can't be made here: 'unshare -r' fails")
    packages = [path for path in (Path(linuxbroker.__file__).parents[1], *map(Path, sys.path)) if path.is_dir()]
    # The interpreter that runs the tests may lie in a folder that is closed to the other user.
    for interpreter in (sys.executable, "/usr/bin/python3"):
        command = (
            *(*_as_user(), "env", f"PYTHONPATH={packages[0]}:{_dbus_next()}", "PYTHONDONTWRITEBYTECODE=1"),
            *("unshare", "-r", interpreter),
        )
        if _succeeds(
            *command, "-c", "import linuxbroker.bus.codec, linuxbroker.client, linuxbroker.wire.models.account"
        ):
            return command
    pytest.skip(f"user id {USER} can run no Python that has the library")


def _dbus_next() -> Path:
    import dbus_next

    return Path(dbus_next.__file__).parents[1]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of that user's."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="linuxbroker-handshake-") as name:
        if os.geteuid() == 0:
            os.chown(name, USER, USER)
        yield Path(name)


@contextlib.asynccontextmanager
async def dbus_daemon(*options: str) -> AsyncGenerator[None, None]:
    """Run a bus of that user's, outside of the namespace."""
    program = shutil.which("dbus-daemon", path="/usr/bin:/bin") or "dbus-daemon"
    daemon = await asyncio.create_subprocess_exec(
        *(*_as_user(), program, "--nofork", "--nopidfile", "--print-address", *options),
        stdout=asyncio.subprocess.PIPE,
        cwd="/",
    )
    assert daemon.stdout is not None
    try:
        assert await daemon.stdout.readline()
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            daemon.terminate()
        await daemon.communicate()


@pytest.fixture
async def users_bus(folder: Path) -> AsyncGenerator[str, None]:
    """The address of a bus of that user's, outside of the namespace."""
    address = f"unix:path={folder / 'bus'}"
    async with dbus_daemon("--session", f"--address={address}"):
        yield address


async def test_a_process_in_a_user_namespace_joins_the_bus_outside(
    namespace: Sequence[str | Path], users_bus: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        *namespace, "-c", PROGRAM, users_bus, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd="/"
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    joined = output.decode().splitlines()
    outside = USER if os.geteuid() == 0 else os.geteuid()
    assert [line.split()[:2] for line in joined] == [["0", str(outside)]] * 2
