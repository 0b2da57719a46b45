"""Start and end of Azurite: it ends with its test, and an error says what is missing."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.azurite import azurite

_ROOT = Path(__file__).resolve().parents[2]
# A guard against a process that stays; nothing is measured with it.
_PATIENCE_SECONDS = 60


def _wait_for_the_end(pidfd: int) -> None:
    """Wait until a process is gone, by a descriptor that was opened while it was there."""
    try:
        assert select.select([pidfd], [], [], _PATIENCE_SECONDS)[0], "it is still there"
    finally:
        os.close(pidfd)


def test_it_ends_with_the_block(storage: azurite.Azurite, tmp_path: Path) -> None:
    with azurite.running(tmp_path) as service:
        assert service.account_url != storage.account_url
        pidfd = os.pidfd_open(service.pid)
    _wait_for_the_end(pidfd)


@pytest.mark.usefixtures("storage")
def test_it_ends_with_a_test_run_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys\n"
        "from tests.azurite import azurite\n"
        "with azurite.running(pathlib.Path(sys.argv[1])) as service:\n"
        "    print(service.pid, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as test_run:
        assert test_run.stdout is not None
        pidfd = os.pidfd_open(int(test_run.stdout.readline()))
        test_run.kill()
    _wait_for_the_end(pidfd)


@pytest.mark.usefixtures("storage")
def test_a_start_that_fails_tells_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "azurite-blob"
    program.write_text("#!/bin/sh\necho the reason >&2\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(RuntimeError, match="did not start: the reason"), azurite.running(tmp_path):
        pass


@pytest.mark.parametrize(("required", "outcome"), [("1", pytest.fail.Exception), ("0", pytest.skip.Exception)])
def test_what_is_missing_is_said(
    required: str, outcome: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LINUXBROKER_REQUIRE_AZURITE", required)
    with pytest.raises(outcome, match=r"for want of .*Node\.js with npm"):
        azurite.require()
