"""The layers of the library, what each imports, and the cost of importing it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import linuxbroker

PACKAGE = Path(linuxbroker.__file__).parent
FORBIDDEN = ("msal", "requests", "cryptography", "httpx", "azure")


# From the bottom up: nothing imports from its own floor, itself aside, or from one above.
FLOORS = (
    ("_version", "redaction"),
    ("bus", "wire", "resources"),
    ("errors", "results"),
    ("tokens",),
    ("call",),
    ("client",),
    ("integrations", "runtime"),
    ("challenges", "cli"),
)
FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}


def _imported_rooms(path: Path) -> set[str]:
    """The files and folders at the top of the package from which a file imports, wherever in it."""
    rooms: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "linuxbroker":
            names = [f"linuxbroker.{alias.name}" for alias in node.names]
        else:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        rooms |= {name.split(".")[1] for name in names if name.startswith("linuxbroker.")}
    return rooms


def _imports(path: Path) -> set[str]:
    source = path.read_text(encoding="utf-8")
    return set(re.findall(r"^\s*(?:from|import) ([\w.]+)", source, flags=re.MULTILINE))


def test_one_module_imports_the_dbus_library() -> None:
    importers = {path for path in PACKAGE.rglob("*.py") if any(name.startswith("dbus_next") for name in _imports(path))}
    assert importers == {PACKAGE / "bus" / "codec.py"}


def test_imports_between_rooms_go_down() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {imported}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for room in [path.relative_to(PACKAGE).parts[0].removesuffix(".py")]
        for imported in sorted(_imported_rooms(path) - {room})
        if FLOOR_OF.get(imported, -1) >= FLOOR_OF.get(room, len(FLOORS))
    ]
    assert wrong == []


def test_each_file_at_the_top_is_known() -> None:
    assert {path.name for path in PACKAGE.glob("*.py")} == {
        "__init__.py",
        "__main__.py",
        "_version.py",
        "challenges.py",
        "client.py",
        "errors.py",
        "resources.py",
        "results.py",
    }


def test_using_the_library_imports_nothing_heavy() -> None:
    program = (
        "import sys, linuxbroker\n"
        "assert not any(name.startswith(('pydantic', 'dbus_next')) for name in sys.modules)\n"
        "linuxbroker.BrokerClient('11111111-2222-4333-8444-555555555555')\n"
        f"print([name for name in {FORBIDDEN!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_importing_the_client_builds_no_wire_type() -> None:
    program = (
        "import sys; from linuxbroker import BrokerClient\n"
        "print(sorted(name for name in sys.modules if name.startswith('linuxbroker.wire.models')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "['linuxbroker.wire.models', 'linuxbroker.wire.models.status']\n"


def test_type_hints_can_be_read() -> None:
    methods = [getattr(linuxbroker.BrokerClient, name) for name in dir(linuxbroker.BrokerClient) if name[0] != "_"]
    for described in (linuxbroker.TokenResult, *filter(callable, methods)):
        assert typing.get_type_hints(described)


def test_every_public_name_is_there() -> None:
    assert all(getattr(linuxbroker, name) is not None for name in linuxbroker.__all__)
    assert set(dir(linuxbroker)) == set(linuxbroker.__all__)
    with pytest.raises(AttributeError, match="no attribute 'NoSuchName'"):
        linuxbroker.NoSuchName  # noqa: B018 - the access is the test
