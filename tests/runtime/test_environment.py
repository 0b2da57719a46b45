"""The replacement runtime with the required dependencies alone, and no native library of a desktop."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import linuxbroker
from linuxbroker_fake import RunningFake
from tests.runtime.conftest import PATIENCE_SECONDS, PRELUDE

PROGRAM = (
    "from linuxbroker.runtime import install\nassert install()\nimport pymsalruntime\n"
    + PRELUDE
    + """
result = call(runtime.signin, 1, parameters(), new_id(), None)
native = {line.split()[-1] for line in open("/proc/self/maps") if ".so" in line.split()[-1]}
print(json.dumps([status(result), result.get_account().get_user_name(), sorted(native)]))
"""
)


def _required(name: str, found: set[str]) -> set[str]:
    """The distributions that one requires, extras left out, and those that these require with theirs."""
    for requirement in importlib.metadata.requires(name) or ():
        wanted = re.match(r"[\w.-]+", requirement)
        assert wanted is not None
        if "extra ==" in requirement or wanted[0] in found:
            continue
        try:
            importlib.metadata.distribution(wanted[0])
        except importlib.metadata.PackageNotFoundError:
            continue  # for another Python or another system
        found.add(wanted[0])
        _required(wanted[0], found)
    return found


def _linked(place: Path) -> None:
    """Make a folder to import from, with links to the library and to its required dependencies."""
    for name in _required("linuxbroker", set()):
        for file in importlib.metadata.files(name) or ():
            top = file.parts[0]
            link = place / top
            if top not in ("..", "__pycache__") and not link.exists():
                link.symlink_to(str(file.locate()).removesuffix("/".join(file.parts)) + top)
    (place / "linuxbroker").symlink_to(Path(linuxbroker.__file__).parent)


def test_with_the_required_dependencies_and_a_bus(fake_broker: RunningFake, tmp_path: Path) -> None:
    place = tmp_path / "site"
    place.mkdir()
    _linked(place)
    program = f"import sys\nsys.path.insert(0, {str(place)!r})\n{PROGRAM}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        env={"PATH": os.environ["PATH"], "DBUS_SESSION_BUS_ADDRESS": fake_broker.address},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.stderr == ""
    outcome, upn, native = json.loads(done.stdout)
    assert (outcome, upn) == (None, "ada@contoso.example")
    # Python's own, and pydantic's; nothing of a desktop's.
    ours = [Path(path).name for path in native if str(place) in path or "site-packages" in path]
    assert all(name.startswith("_pydantic_core") for name in ours), ours
    assert not [path for path in native if re.search(r"libmsal|webkit|gtk|libsoup|libsecret|glib", path)]
