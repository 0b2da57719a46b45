"""Ctrl-C at any moment: exit code 5 and no traceback, from the first import to the interpreter's end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID

# Interrupts itself at one of the calls of Python's functions, counted from the start; says how many there were.
DRIVER = """
import os, signal, sys
from linuxbroker.cli.start import main

moment, calls = int(sys.argv.pop(1)), 0

def count(frame, event, argument):
    global calls
    if event == "call":
        calls += 1
        if calls == moment:
            os.kill(os.getpid(), signal.SIGINT)

sys.setprofile(count)
code = main()
sys.setprofile(None)
print(calls)
sys.exit(code)
"""
MOMENTS = 12
# The calls that it takes to say what Ctrl-C does.
EARLIEST = 10


def interrupted(fake: RunningFake, moment: int, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", DRIVER, str(moment), *command],
        capture_output=True,
        text=True,
        env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": fake.address, "LINUXBROKER_CLIENT_ID": CLIENT_ID},
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "command", [["version"], ["token", "--json", "--scope", "https://graph.microsoft.com/User.Read"]]
)
def test_ctrl_c_at_any_moment_is_exit_code_5_and_no_traceback(fake_broker: RunningFake, command: list[str]) -> None:
    whole = interrupted(fake_broker, 0, *command)
    assert whole.returncode == 0, whole.stderr
    calls = int(whole.stdout.splitlines()[-1])
    for moment in [
        EARLIEST,
        EARLIEST + 1,
        *(calls * part // MOMENTS for part in range(1, MOMENTS)),
        calls - 2,
        calls - 1,
        calls,
    ]:
        done = interrupted(fake_broker, moment, *command)
        came_too_late = done.returncode == 0 and len(done.stdout.splitlines()) == len(whole.stdout.splitlines())
        told = f"at call {moment} of {calls}: exit code {done.returncode}, {done.stderr}"
        assert came_too_late or (done.returncode, done.stderr) == (5, "linuxbroker: canceled\n"), told
    assert interrupted(fake_broker, calls // 2, *command).returncode == 5


def test_ctrl_c_while_python_ends_does_not_change_the_exit_code(fake_broker: RunningFake) -> None:
    driver = (
        "import os, signal, sys\n"
        "from linuxbroker.cli.start import main\n"
        "class Interrupt:\n"
        "    def __del__(self, kill=os.kill, process=os.getpid(), number=signal.SIGINT):\n"
        "        kill(process, number)\n"
        "at_the_end = Interrupt()\n"
        "sys.exit(main())"
    )
    for address, code in ((fake_broker.address, 0), ("unix:path=/nowhere", 3)):
        done = subprocess.run(
            [sys.executable, "-c", driver, "version", "--bus-address", address],
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, b"Traceback" in done.stderr) == (code, False)


def test_ctrl_c_before_the_program_that_linuxbroker_runs_has_begun(fake_broker: RunningFake, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text("")
    calls = int(interrupted(fake_broker, 0, "run", str(script)).stdout.splitlines()[-1])
    for moment in (EARLIEST, calls // 3, calls // 2):
        done = interrupted(fake_broker, moment, "run", str(script))
        assert (done.returncode, done.stderr) == (5, "linuxbroker: canceled\n")


@pytest.mark.parametrize(("before", "seen"), [("default_int_handler", "its own"), ("SIG_IGN", "ignored")])
def test_a_program_that_linuxbroker_runs_has_its_own_ctrl_c(tmp_path: Path, before: str, seen: str) -> None:
    script = tmp_path / "program.py"
    script.write_text(
        "import os, signal\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT); print('ignored')\n"
        "except KeyboardInterrupt:\n    print('its own')\n"
    )
    driver = (
        f"import signal, sys; signal.signal(signal.SIGINT, signal.{before})\n"
        "from linuxbroker.cli.start import main\n"
        "sys.exit(main())"
    )
    command = [sys.executable, "-c", driver, "run", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{seen}\n", "")
