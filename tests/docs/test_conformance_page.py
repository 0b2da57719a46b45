"""CONFORMANCE.md: its commands, run as they stand there but for the installation, its options and its references."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from linuxbroker_fake.conformance.command import add_arguments
from tests.build.newcomers_path import PAGE, REQUIREMENT, walk


@pytest.fixture
def commands() -> Path:
    """The folder with the commands of this environment."""
    return Path(sys.executable).parent


@pytest.mark.skipif(shutil.which("dbus-send") is None, reason="needs dbus-send (dbus, or dbus-tools)")
def test_the_newcomers_path_leads_to_a_passing_vector(commands: Path, tmp_path: Path) -> None:
    script, printed = walk()
    installation = f"python3 -m venv .venv\n.venv/bin/pip install {REQUIREMENT}\n"
    assert installation in script  # which tests/build/newcomers_path.py does
    script = script.replace(installation, "").replace(".venv/bin/", f"{commands}/")
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(printed)
    assert "req-version: " in done.stdout


WITH_GDBUS = """#!/bin/sh
while read -r line; do
    gdbus call --session --dest com.microsoft.identity.broker1 --object-path /com/microsoft/identity/broker1 \\
        --method com.microsoft.identity.Broker1.getLinuxBrokerVersion \\
        '"0.0"' '"5e2f8c1a-7b94-4d36-9a60-3c8f1e7d2b45"' "'{\\"msalCppVersion\\":\\"1.0\\"}'" >reply
    echo '{"id": "req-version/1", "outcome": {"version": "2.5.2"}}'
done
"""


@pytest.mark.skipif(shutil.which("gdbus") is None, reason="needs gdbus (libglib2.0-bin)")
def test_a_newcomer_who_calls_with_gdbus_is_told_that_it_introspects(commands: Path, tmp_path: Path) -> None:
    driver = tmp_path / "driver.sh"
    driver.write_text(WITH_GDBUS)
    driver.chmod(0o755)
    command = [str(commands / "linuxbroker-fake"), "conformance", "--only", "req-version", "--", str(driver)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2.5.2" in (tmp_path / "reply").read_text()
    assert done.stdout.splitlines()[1:] == [
        "      sent org.freedesktop.DBus.Introspectable.Introspect to the broker (CL-01)",
        "1 case: 0 passed, 1 failed: req-version",
    ]


def test_every_option_is_explained() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    page = PAGE.read_text(encoding="utf-8")
    options = set(re.findall(r"--[a-z-]+", parser.format_help())) - {"--help"}
    assert {option for option in options if not re.search(rf"^\| `{option}\b", page, re.MULTILINE)} == set()


def test_every_file_and_section_that_the_page_names_is_there() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:vectors/)?[\w.]+\.(?:json|md))`", page):
        if name not in ("report.json",):
            assert (PAGE.parent / name).is_file(), name
    for title in re.findall(r'see "([^"]+)"', page):
        assert f"## {title}\n" in page
