"""Does a process that uses the broker leave secrets in its arguments, its environment or any file?"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from linuxbroker_fake import Directory, FakeConfig, RunningFake
from tests.secrets import program
from tests.secrets.marks import ADA, CLAIMS, CLIENT_CLAIMS, HINT, NONCE, PASSWORD, RENEW, SENT, SSO_URL, spellings

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
    places = (
        "HOME",
        "TMPDIR",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_RUNTIME_DIR",
        "XDG_STATE_HOME",
    )
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
        shown += "\n".join(os.readlink(path) for path in (of_process / "fd").iterdir()).encode()
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
    assert [
        text for text in [*received, *(s for secret in SENT for s in spellings(secret))] if text in everywhere
    ] == []
