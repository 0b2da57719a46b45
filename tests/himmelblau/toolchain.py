"""Build of the judges: Himmelblau's published session brokers with a test daemon behind them."""

from __future__ import annotations

import functools
import os
import re
import subprocess
from pathlib import Path

from tests.peers import give_up, starts

SOURCES = Path(__file__).parent / "broker"
JUDGES = {"himmelblau-3.1": "himmelblau-3-1", "himmelblau-4.0": "himmelblau-4-0"}  # by the persona that passes for it
_OLDEST_CARGO = (1, 85)  # that of the crates, and of the lock file's format


def build_judges() -> dict[str, Path]:
    """Build the judges, with what a former build left in ``${XDG_CACHE_HOME:-~/.cache}/linuxbroker-ci/himmelblau``.

    Returns:
        The program for each persona's name.
    """
    built = _built()
    if isinstance(built, str):
        give_up("himmelblau", f"Himmelblau's brokers can't be built here, for want of {built}")
    return {name: built / program for name, program in JUDGES.items()}


@functools.cache
def _built() -> Path | str:
    """The folder with the judges, or what is missing."""
    missing = [program for program in ("cargo", "pkg-config", "dbus-daemon") if not starts(program, "--version")]
    if missing:
        return ", ".join(missing)
    if subprocess.run(["pkg-config", "--exists", "dbus-1"], check=False).returncode != 0:
        return "dbus-1 (libdbus-1-dev)"
    version = subprocess.run(["cargo", "--version"], capture_output=True, text=True, check=False)
    numbers = re.match(r"cargo (\d+)\.(\d+)", version.stdout)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < _OLDEST_CARGO:
        said = (version.stdout or version.stderr).strip()
        return f"cargo 1.85 or newer: this is {said}"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    target = Path(cache) / "linuxbroker-ci" / "himmelblau"
    fetched = _cargo("fetch", target)
    if fetched.returncode != 0:
        return f"the crates:\n{fetched.stderr}"
    built = _cargo("build", target)
    assert built.returncode == 0, built.stderr
    return target / "debug"


def _cargo(command: str, target: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    return subprocess.run(
        ["cargo", command, "--locked", "--quiet"],
        cwd=SOURCES,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
