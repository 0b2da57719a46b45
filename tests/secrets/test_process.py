"""A process that uses the broker leaves no secret in its arguments, its environment or any file."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from linuxbroker_fake import Directory, FakeConfig, RunningFake
from tests.secrets import program
from tests.secrets.marks import (
    ADA,
    CLAIM,
    CLAIMS,
    CLIENT_CLAIMS,
    HINT,
    NONCE,
    PASSWORD,
    RENEW,
    SPELLINGS,
    SSO_URL,
)

SECRETS = {
    "account": ADA.model_dump(by_alias=True),
    "claims": CLAIMS,
    "client_claims": CLIENT_CLAIMS,
    "hint": HINT,
    "nonce": NONCE,
    "password": PASSWORD,
    "renew": RENEW,
    "sso_url": SSO_URL,
}


@pytest.fixture
def fake_broker_config() -> FakeConfig:
    directory = Directory.default()
    users = [user.model_copy(update={"password": PASSWORD}) for user in directory.users]
    return FakeConfig(directory=directory.model_copy(update={"users": tuple(users)}))


async def test_secrets_are_in_no_argument_no_variable_and_no_file(fake_broker: RunningFake, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    places = ["HOME", "TMPDIR", *(f"XDG_{kind}" for kind in ("CACHE_HOME", "CONFIG_HOME", "DATA_HOME", "RUNTIME_DIR"))]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-X",
        "dev",
        program.__file__,
        cwd=home,
        env={**os.environ, **dict.fromkeys(places, str(home))},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(SECRETS).encode() + b"\n")
    shown = b""
    for _ in range(2):
        assert await process.stdout.readline() == b"half way\n"
        of_process = Path("/proc", str(process.pid))
        shown += b"".join((of_process / name).read_bytes() for name in ("cmdline", "environ", "comm"))
        shown += "\n".join(str(path.readlink()) for path in (of_process / "fd").iterdir()).encode()
        fake_broker.plant("no_network")
        process.stdin.write(b"\n")
    output, errors = await process.communicate()
    assert process.returncode == 0
    told = json.loads(output)
    received = [text for text in told["received"] if len(text) > 40]
    assert len(received) >= 5
    assert told["failures"] == 5
    assert told["events"] == []
    assert list(home.rglob("*")) == []
    everywhere = (shown + errors).decode("utf-8", "surrogateescape")
    assert [text for text in [*received, *SPELLINGS] if text in everywhere] == []


@pytest.mark.parametrize("output", [["--verbose"], ["--verbose", "--json"]])
async def test_the_command_shows_in_its_log_and_errors_nothing_of_what_it_was_given(
    fake_broker: RunningFake, output: list[str]
) -> None:
    for spelling in (CLAIM, CLAIMS):
        fake_broker.clear_faults()
        fake_broker.plant("status", method="acquireTokenSilently", status=6, context=f"AADSTS50058: {spelling}")
        command = [sys.executable, "-m", "linuxbroker", "token", "--scope", "a", "--claims", CLAIMS, *output]
        process = await asyncio.create_subprocess_exec(
            *command, "--client-id", ADA.home_tenant, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        shown = b"".join(await process.communicate()).decode()
        assert process.returncode == 1
        assert "AADSTS50058: (hidden)" in shown
        assert CLAIM not in shown
