"""The process that is checked is the one that connected, where the bus passes its process descriptor.

The bus is hand-made; the processes and their descriptors are real.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from dbus_next.signature import Variant

from linuxbroker import BrokerClient, BrokerProtocolError, NoSessionBusError, UntrustedBrokerError
from linuxbroker.bus import NameOwner
from linuxbroker.bus.connection import method_return
from linuxbroker.call.trust.processes import TrustProblem, find_trust_problem
from tests.constants import CLIENT_ID
from tests.trust.buses import HERE, Answer, Bus, Passing, answers, hand_made
from tests.trust.programs import environment
from tests.trust.test_executable import _give_away, _install

ENDED = "the process exited, and another one may be using its connection to the bus"


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncGenerator[Bus, None]:
    async with hand_made(tmp_path) as made:
        yield made


class Process:
    """A process of a program that ends with its standard input, and its descriptor."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE)
        self.pid = self._process.pid
        self.descriptor = os.pidfd_open(self.pid)

    def end(self, waited_for: bool = True) -> None:
        self._process.kill()
        if waited_for:
            self._process.communicate()
        else:
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)

    def close(self) -> None:
        self.end()
        os.close(self.descriptor)


@contextlib.contextmanager
def _running(*programs: Path) -> Iterator[list[Process]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(Process(program))) for program in programs]


@pytest.fixture
def program(system_folder: Path) -> Path:
    """One that is trusted."""
    return _install(system_folder)


@pytest.fixture
def own_program(folder: Path) -> Path:
    """One that is not trusted, for a reason that tells that it was looked at."""
    made = _install(folder)
    if os.geteuid() == 0:
        _give_away(made)
    return made


def _is(pid: int, *descriptors: int, announced: int | None = None, index: int = 0, type_: str = "h") -> Answer:
    """The credentials of a process, as a bus tells them that passes its descriptor."""
    told = {**HERE, "ProcessID": Variant("u", pid), "ProcessFD": Variant(type_, index)}
    return lambda call: Passing(method_return(call, "a{sv}", told), descriptors, announced)


def _open_files() -> list[str]:
    """What this process has open, sockets aside, and what lists them."""
    names = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return sorted(name for name in names if not name.startswith("socket:"))


def _client(bus: Bus, policy: Any = "strict", programs: Sequence[Path] = ()) -> BrokerClient:
    return BrokerClient(CLIENT_ID, bus_address=bus.address, trust=policy, trusted_programs=programs)


async def _refusal(bus: Bus) -> UntrustedBrokerError:
    async with _client(bus) as client:
        before = _open_files()
        with pytest.raises(UntrustedBrokerError) as caught:
            await client.get_linux_broker_version()
        assert _open_files() == before
    assert "getLinuxBrokerVersion" not in [call.member for call in bus.received]
    return caught.value


async def test_the_program_of_the_process_that_made_the_connection_is_looked_at(bus: Bus, own_program: Path) -> None:
    with _running(own_program) as (process,):
        bus.tells("GetConnectionCredentials", _is(process.pid, process.descriptor), answers("a{sv}", HERE))
        refusal = await _refusal(bus)
        assert (refusal.pid, refusal.executable) == (process.pid, str(own_program))


async def test_a_process_that_still_runs_is_trusted_for_its_program(bus: Bus, program: Path) -> None:
    with _running(program) as (process,):
        bus.tells("GetConnectionCredentials", *[_is(process.pid, process.descriptor), answers("a{sv}", HERE)] * 20)
        async with _client(bus, programs=[program]) as client:
            assert await client.get_linux_broker_version() == "2.5.2"
            before = _open_files()
            for _ in range(9):
                assert await client.get_linux_broker_version() == "2.5.2"
            assert _open_files() == before


async def test_a_later_process_of_the_same_id_is_not_taken_for_it(bus: Bus, program: Path) -> None:
    """The descriptor is that of the process that connected; the id is another one's by now, which looks well."""
    with _running(program, program) as (connected, later):
        connected.end()
        here = answers("a{sv}", HERE)
        told = answers("a{sv}", {**HERE, "ProcessID": Variant("u", later.pid)})
        bus.tells("GetConnectionCredentials", told, here, _is(later.pid, connected.descriptor), here)
        async with _client(bus, programs=[program]) as client:
            assert await client.get_linux_broker_version() == "2.5.2"  # a bus that tells no more
            with pytest.raises(UntrustedBrokerError, match=ENDED) as caught:
                await client.get_linux_broker_version()
        assert "kill" not in str(caught.value)


async def test_a_process_that_has_ended_and_was_not_waited_for_has_ended(bus: Bus, own_program: Path) -> None:
    with _running(own_program) as (process,):
        process.end(waited_for=False)
        bus.tells("GetConnectionCredentials", _is(process.pid, process.descriptor), answers("a{sv}", HERE))
        assert (await _refusal(bus)).reason == ENDED


@pytest.mark.parametrize("looks_well", [True, False])
def test_a_process_that_ends_while_it_is_looked_at_has_ended(folder: Path, looks_well: bool) -> None:
    """It ends when the first file was looked at; by then another process may have its id."""
    program = _install(folder)
    if os.geteuid() == 0 and not looks_well:
        _give_away(program)
    with _running(program) as (process,):

        def end(frame: FrameType, event: str, function: Any) -> None:
            if event == "c_return" and function.__name__ in ("stat", "lstat"):
                sys.setprofile(None)
                process.end()

        owner = NameOwner(":1.7", os.geteuid(), process.pid, True, process.descriptor)
        sys.setprofile(end)
        try:
            found = find_trust_problem(owner, [str(program)])
        finally:
            sys.setprofile(None)
        assert found == TrustProblem("", ENDED)


async def test_a_bus_that_contradicts_itself_is_not_believed(bus: Bus, own_program: Path) -> None:
    with _running(own_program, own_program) as (told, passed):
        bus.tells("GetConnectionCredentials", _is(told.pid, passed.descriptor), answers("a{sv}", HERE))
        reason = (await _refusal(bus)).reason
        assert reason == f"the bus reports process {told.pid}, but passed the descriptor of process {passed.pid}"


async def test_a_descriptor_of_something_else_is_no_processs(bus: Bus) -> None:
    with socket.socket() as other:
        bus.tells("GetConnectionCredentials", _is(os.getpid(), other.fileno()), answers("a{sv}", HERE))
        assert (await _refusal(bus)).reason == "the bus passed a file descriptor that is not a process's"


def test_a_process_outside_this_container_can_not_be_looked_at(own_program: Path) -> None:
    unshare = shutil.which("unshare")
    inside = [str(unshare), "--pid", "--fork", "--mount-proc"]
    if unshare is None or subprocess.run([*inside, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no namespace of process ids can be made: run the tests as root")
    with _running(own_program) as (process,):
        script = (
            "import os; from linuxbroker.bus import NameOwner; from linuxbroker.call.trust import processes;"
            f"owner = NameOwner(':1.7', os.geteuid(), {process.pid}, True, {process.descriptor});"
            "print(processes.find_trust_problem(owner).reason)"
        )
        run = subprocess.run(
            [*inside, sys.executable, "-c", script],
            pass_fds=[process.descriptor],
            env=environment(""),
            stdout=subprocess.PIPE,
            text=True,
        )
    assert run.stdout.startswith("this program runs in a container or sandbox")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda pid, _: answers("a{sv}", {**HERE, "ProcessID": Variant("u", pid)}),
        lambda pid, _: _is(pid),
        lambda pid, other: _is(pid, other, index=1),
        lambda pid, other: _is(pid, other, type_="u"),
    ],
    ids=["no key", "no descriptor", "another index", "a number"],
)
async def test_without_a_descriptor_the_id_alone_tells(
    bus: Bus, own_program: Path, spoil: Callable[[int, int], Answer]
) -> None:
    with _running(own_program) as (process,), socket.socket() as other:
        bus.tells("GetConnectionCredentials", spoil(process.pid, other.fileno()), answers("a{sv}", HERE))
        assert (await _refusal(bus)).executable == str(own_program)


@pytest.mark.parametrize("announced", [0, 2])
async def test_descriptors_that_are_not_as_many_as_the_message_says_are_an_error_of_the_bus(
    bus: Bus, own_program: Path, announced: int
) -> None:
    with _running(own_program) as (process,):
        here = answers("a{sv}", HERE)
        bus.tells("GetConnectionCredentials", _is(process.pid, process.descriptor, announced=announced), here)
        async with _client(bus, "warn") as client:
            before = _open_files()
            with pytest.raises(BrokerProtocolError, match=f"expected {announced} file descriptors, received 1"):
                await client.get_linux_broker_version()
            bus.tells("GetConnectionCredentials", here)
            assert await client.get_linux_broker_version() == "2.5.2"
            assert len(bus.handshakes) == 1
            assert _open_files() == before


AUTHENTICATION = b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n"


@pytest.mark.parametrize("policy", ["warn", "strict"])
async def test_a_bus_that_refuses_to_pass_descriptors_is_used_without(
    bus: Bus, own_program: Path, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    bus.negotiation = b"ERROR\r\n"
    with _running(own_program) as (process,):
        told = answers("a{sv}", {**HERE, "ProcessID": Variant("u", process.pid)})
        bus.tells("GetConnectionCredentials", told, answers("a{sv}", HERE))
        async with _client(bus, policy) as client:
            if policy == "strict":
                with pytest.raises(UntrustedBrokerError, match="belongs to user ID"):
                    await client.get_linux_broker_version()
            else:
                assert await client.get_linux_broker_version() == "2.5.2"
                assert str(own_program) in caplog.text
    assert bus.handshakes == [AUTHENTICATION + b"NEGOTIATE_UNIX_FD\r\nBEGIN\r\n"]


@pytest.mark.parametrize("answer", [b"OK\r\n", b"AGREE\r\n", b"AGREE_UNIX_FDS\r\n", b"REJECTED EXTERNAL\r\n", b"\r\n"])
async def test_another_answer_is_no_bus(bus: Bus, answer: bytes) -> None:
    bus.negotiation = answer
    async with _client(bus) as client:
        with pytest.raises(NoSessionBusError, match="does not implement D-Bus"):
            await client.get_linux_broker_version()


async def test_with_trust_off_nothing_is_negotiated_beside_clients_with_trust_too(bus: Bus) -> None:
    async with _client(bus, "off") as off, _client(bus, "off") as another, _client(bus, "warn") as warn:
        for client in (off, warn, another, warn):
            assert await client.get_linux_broker_version() == "2.5.2"
    assert bus.handshakes == [AUTHENTICATION + b"BEGIN\r\n", AUTHENTICATION + b"NEGOTIATE_UNIX_FD\r\nBEGIN\r\n"]
