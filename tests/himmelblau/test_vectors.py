"""The vectors for brokers, played to Himmelblau's own brokers."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.himmelblau.toolchain import JUDGES, build_judges

# What brokers should do, and Himmelblau does not; PROTOCOL.md, "Rules for a broker".
NOT_PASSED = {
    "bk-account-null": "an account must be named",
    "bk-account-by-username": "an account must be named, and not by a user name beside it",
    "bk-cancel": "an interactive call without an account is refused, and no cancel is taken",
    "bk-failure": "an account goes by its user name: wrong ids are not noticed, so this call succeeds",
    "bk-pop": "proof of possession with a URL is answered with a Bearer token",
    "bk-token-keys": "extendedExpiresOn is in seconds",
}


def _cases(report: Path, broker: Sequence[str]) -> list[dict[str, Any]]:
    conformance = [sys.executable, "-m", "linuxbroker_fake", "conformance", "--broker", "--interactive", "--quiet"]
    ran = subprocess.run(
        [*conformance, "--json", str(report), "--", *broker], capture_output=True, text=True, check=False
    )
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    print(ran.stdout.splitlines()[-1])
    cases: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))["cases"]
    return cases


@pytest.mark.parametrize("persona", JUDGES)
def test_himmelblau_and_its_persona_pass_the_same_vectors(persona: str, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"user": {"action": "never"}}), encoding="utf-8")
    fake = [sys.executable, "-m", "linuxbroker_fake", "run", "--persona", persona, "--config", str(config)]
    # A folder of its own, as the runner ends a broker by a signal. Not pytest's: a socket's path is 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="himmelblau-") as folder:
        judged = _cases(tmp_path / "judge.json", [str(build_judges()[persona]), folder])
    faked = _cases(tmp_path / "fake.json", fake)
    assert {case["id"] for case in judged if not case["passed"]} == set(NOT_PASSED)
    assert not [case["id"] for case in judged if case["skipped"]]
    assert [case["id"] for case in judged if case["passed"]] == [case["id"] for case in faked if case["passed"]]
    assert {case["id"] for case in judged if case["passed"]} >= {"bk-sign", "bk-cancel-nothing"}  # as not implemented
