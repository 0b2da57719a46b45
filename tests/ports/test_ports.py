"""Clients in Node.js, Go and C, written from ``interfaces/`` alone, against the fake broker."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ports.toolchains import build_c, build_go, build_node, sources

FAKE = [sys.executable, "-m", "linuxbroker_fake"]
LINES = 600  # of all, as `wc -l` counts them


@pytest.mark.parametrize("build", [build_node, build_go], ids=["node", "go"])
def test_a_driver_in_another_language_passes_every_vector(build: Callable[[Path], list[str]], tmp_path: Path) -> None:
    (tmp_path / "port").mkdir()
    driver = build(tmp_path / "port")
    report = tmp_path / "report.json"
    command = [*FAKE, "conformance", "--quiet", "--json", str(report), "--", *driver]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    listed = subprocess.run([*FAKE, "conformance", "--list"], capture_output=True, text=True, check=True).stdout
    vectors = {line.partition(":")[0] for line in listed.splitlines()}
    assert {case["id"] for case in json.loads(report.read_text())["cases"] if case["passed"]} == vectors


@pytest.mark.parametrize("port", ["node", "go"])
def test_a_driver_is_small(port: str) -> None:
    lines = sum(path.read_bytes().count(b"\n") for path in sources(port))
    assert 0 < lines < LINES


@pytest.mark.parametrize("port", ["node", "go"])
def test_a_driver_knows_no_vector(port: str) -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in sources(port))
    assert "fictional" not in text


def test_what_gdbus_codegen_makes_of_the_xml_compiles_and_calls_the_broker(tmp_path: Path) -> None:
    program = build_c(tmp_path)
    client_id = "0d1b6f3a-94c7-4e0e-a2f5-7c3b8e61d950"
    command = [*FAKE, "exec", "--persona", "microsoft-2.5.2", "--", *program, client_id]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    usernames = [account["username"] for account in json.loads(ran.stdout)["accounts"]]
    assert "ada@contoso.example" in usernames
