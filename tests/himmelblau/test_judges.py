"""Timing and order of calls of Himmelblau's crates, and start and stop of the judges."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from linuxbroker.bus import CallTimeoutError
from linuxbroker.wire.names import BROKER_BUS_NAME
from linuxbroker_fake.private_bus import PrivateBus
from tests.himmelblau.corpus import APP
from tests.himmelblau.stages import Answer, Call, Stage, judge
from tests.himmelblau.toolchain import JUDGES, build_judges

LIST = Call("getAccounts", ("0.0", "", json.dumps({"clientId": APP})), "sss")
SIGN_OUT = Call("removeAccount", ("0.0", "", "{}"), "sss")
PING = Call("Ping", interface="org.freedesktop.DBus.Peer")
FAILED = "org.freedesktop.DBus.Error.Failed"


async def _seconds(stage: Stage, *calls: Call) -> float:
    begin = time.monotonic()
    await asyncio.gather(*(stage.ask(call) for call in calls))
    return time.monotonic() - begin


async def test_3_1_answers_a_failure_with_an_empty_text_after_its_time_limit() -> None:
    async with judge(build_judges()["himmelblau-3.1"]) as stage:
        await stage.ask(LIST)
        begin = time.monotonic()
        assert await stage.ask(SIGN_OUT) == Answer("s", ("",))
        assert time.monotonic() - begin >= 1.0


async def test_4_0_answers_a_failure_at_once() -> None:
    async with judge(build_judges()["himmelblau-4.0"], {"connection_timeout": 60}) as stage:
        await stage.ask(LIST)
        assert await _seconds(stage, SIGN_OUT) < 10.0


async def test_3_1_handles_one_call_at_a_time_including_ping() -> None:
    async with judge(build_judges()["himmelblau-3.1"]) as stage:
        await stage.ask(LIST)
        assert await _seconds(stage, SIGN_OUT, SIGN_OUT, PING) >= 2.0


async def test_4_0_answers_no_call_while_the_dialog_is_open() -> None:
    account = {"username": "ada@contoso.example"}
    request = json.dumps({"account": account, "authParameters": {"requestedScopes": []}})
    interactive = Call("acquireTokenInteractively", ("0.0", "", request), "sss")
    async with judge(build_judges()["himmelblau-4.0"], {"prompt_seconds": 1.0}) as stage:
        await stage.ask(LIST)
        dialog = asyncio.ensure_future(stage.ask(interactive))
        assert await _seconds(stage, LIST) >= 0.9
        assert (await dialog).error == ""


@pytest.mark.parametrize(
    ("persona", "text"),
    [
        ("himmelblau-3.1", "No such file or directory (os error 2)"),
        ("himmelblau-4.0", "broker socket connect: No such file or directory (os error 2)"),
    ],
)
async def test_without_a_daemon_every_call_is_a_dbus_error(persona: str, text: str) -> None:
    async with judge(build_judges()[persona], {"daemon_after": None}) as stage:
        assert await stage.ask(LIST) == Answer(error=FAILED, text=text)
        assert await stage.ask(SIGN_OUT) == Answer(error=FAILED, text=text)


async def test_3_1_hangs_after_a_reply_of_whole_blocks() -> None:
    async with judge(build_judges()["himmelblau-3.1"], {"reply_bytes": 1025}) as stage:
        assert len((await stage.ask(LIST)).body[0]) == 1025
        stage.set(reply_bytes=1024)
        for call in (LIST, PING):
            with pytest.raises(CallTimeoutError):
                await stage.ask(call, limit=2.0)


async def test_4_0_delivers_a_reply_of_whole_blocks() -> None:
    async with judge(build_judges()["himmelblau-4.0"], {"reply_bytes": 4096}) as stage:
        assert len((await stage.ask(LIST)).body[0]) == 4096


@pytest.mark.parametrize(
    ("persona", "per_second"), [("himmelblau-3.1", 1), ("himmelblau-4.0", 1000)], ids=["seconds added", "milliseconds"]
)
async def test_each_release_writes_the_expiry_of_an_opaque_token_in_its_own_way(persona: str, per_second: int) -> None:
    account = {"username": "ada@contoso.example"}
    request = json.dumps({"account": account, "authParameters": {"requestedScopes": []}})
    silent = Call("acquireTokenSilently", ("0.0", "", request), "sss")
    async with judge(build_judges()[persona], {"opaque_tokens": True, "lifetime": 3600}) as stage:
        reply = json.loads((await stage.ask(silent)).body[0])["brokerTokenResponse"]
    assert reply["accessToken"] == "fictional-opaque-token"
    assert abs(reply["expiresOn"] - (time.time() * 1000 + 3600 * per_second)) < 60_000
    assert abs(reply["extendedExpiresOn"] - (time.time() + 3600)) < 60


@pytest.mark.parametrize("persona", JUDGES)
async def test_a_judge_exits_when_its_bus_stops_during_a_call(persona: str) -> None:
    async with judge(build_judges()[persona]) as stage:
        await stage.ask(LIST)
        (process,) = await stage.connection.call_bus("GetConnectionUnixProcessID", "s", BROKER_BUS_NAME)
        running = os.pidfd_open(int(process))
        stage.set(reply_bytes=1024)
        with contextlib.suppress(CallTimeoutError):  # 3.1: it is in a read that never ends
            await stage.ask(LIST, limit=1.5)
    try:
        has_ended, _, _ = await asyncio.to_thread(select.select, [running], [], [], 10.0)
        assert has_ended
    finally:
        os.close(running)


@pytest.mark.parametrize("persona", JUDGES)
async def test_a_judge_exits_and_cleans_up_when_its_standard_input_closes(persona: str, tmp_path: Path) -> None:
    async with PrivateBus() as bus:
        environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": bus.address, "TMPDIR": str(tmp_path)}
        process = await asyncio.create_subprocess_exec(
            build_judges()[persona], env=environment, stdin=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 10.0) == 0
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []


@pytest.mark.parametrize(("required", "outcome"), [("", "skipped"), ("1", "failed")])
def test_without_a_toolchain_the_tests_are_skipped_with_the_reason(required: str, outcome: str) -> None:
    environment = {**os.environ, "PATH": "/nonexistent", "LINUXBROKER_REQUIRE_HIMMELBLAU": required}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        str(Path(__file__).with_name("test_vectors.py")),
    ]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert f"2 {outcome}" in ran.stdout
    assert "can't be built here, for want of cargo, pkg-config, dbus-daemon" in ran.stdout
