"""The trust options of the replacement for pymsalruntime: which programs it sends its calls to."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from linuxbroker.runtime import install as put_in_place
from linuxbroker_fake import PrivateBus
from tests.trust.programs import SERVE, install, running

LISTS = """
import uuid
import pymsalruntime

listed = pymsalruntime.CallbackData()
pymsalruntime.discover_accounts("00000000-0000-0000-0000-0000000000c1", str(uuid.uuid4()), listed.complete)
listed.signal.wait()
print(len(listed.result.get_accounts()))
"""


async def _said(bus: PrivateBus, *words: str | Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *words),
        env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": bus.address},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode().strip()


@pytest.mark.parametrize("face", ["install", "run"])
async def test_its_calls_go_where_they_are_allowed_to(bus: PrivateBus, system_folder: Path, face: str) -> None:
    program, script = install(system_folder), system_folder / "lists.py"
    script.write_text(LISTS, encoding="utf-8")
    for programs, outcome in (([], "0"), ([str(program)], "2")):
        words: list[str | Path]
        if face == "run":
            options = [word for path in programs for word in ("--trusted-program", path)]
            words = ["-m", "linuxbroker", "run", "--force", "--trust", "strict", *options, script]
        else:
            begin = "from linuxbroker.runtime import install\n"
            begin += f"install(force=True, trust='strict', trusted_programs={programs!r})\n"
            words = ["-c", begin + LISTS]
        async with running([program, *SERVE], bus.address) as owner:
            code, said = await _said(bus, *words)
            assert code == 0, said
            assert said == outcome
            assert await owner.received() == ["Ping", *(["getAccounts"] if programs else [])]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--trust"], "--trust requires a value"),
        (["--trust", "on", "x"], "trust must be one of off, warn, strict"),
        (["--trusted-program", "broker", "x"], "--trusted-program is invalid"),
        (["--trusted-program"], "--trusted-program requires a value"),
    ],
)
async def test_an_option_of_run_that_cannot_be_right_is_a_usage_error(
    bus: PrivateBus, tmp_path: Path, words: list[str], reason: str
) -> None:
    (tmp_path / "x").write_text("print('started')", encoding="utf-8")
    words = [str(tmp_path / "x") if word == "x" else word for word in words]
    code, said = await _said(bus, "-m", "linuxbroker", "run", *words)
    assert (code, "started" in said) == (2, False)
    assert reason in said


@pytest.mark.parametrize(
    "options", [{"trust": "on"}, {"trusted_programs": "/usr/bin/broker"}, {"allow_bus_of_other_user": 1}]
)
def test_an_option_of_install_that_cannot_be_right_is_refused(options: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        put_in_place(**options)
    assert "pymsalruntime" not in [type(finder).__module__ for finder in sys.meta_path]
