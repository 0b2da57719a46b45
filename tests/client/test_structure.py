"""Are the layers of the library what they are said to be, and is importing it cheap?"""

from __future__ import annotations

import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import linuxbroker

PACKAGE = Path(linuxbroker.__file__).parent
FORBIDDEN = ("msal", "requests", "cryptography", "httpx", "azure")


def _imports(path: Path) -> set[str]:
    source = path.read_text(encoding="utf-8")
    return set(re.findall(r"^\s*(?:from|import) ([\w.]+)", source, flags=re.MULTILINE))


def test_one_module_imports_the_dbus_library() -> None:
    importers = {path for path in PACKAGE.rglob("*.py") if any(name.startswith("dbus_next") for name in _imports(path))}
    assert importers == {PACKAGE / "bus" / "codec.py"}


@pytest.mark.parametrize(
    ("layer", "above"),
    [
        ("bus", ("linuxbroker.models", "linuxbroker.errors", "linuxbroker.client", "linuxbroker.proxy")),
        ("models", ("linuxbroker.bus", "linuxbroker.errors", "linuxbroker.client", "linuxbroker.proxy")),
        ("proxy.py", ("linuxbroker.client", "linuxbroker.errors", "linuxbroker.bus", "linuxbroker.transport")),
        ("client.py", ("linuxbroker.cli", "linuxbroker.integrations", "linuxbroker.runtime", "linuxbroker_fake")),
        ("runtime", ("linuxbroker.cli.", "linuxbroker.integrations", "linuxbroker.proxy", "linuxbroker_fake")),
        ("integrations", ("linuxbroker.cli.", "linuxbroker.bus", "linuxbroker_fake")),
    ],
)
def test_a_layer_knows_nothing_of_those_above_it(layer: str, above: tuple[str, ...]) -> None:
    place = PACKAGE / layer
    files = list(place.rglob("*.py")) if place.is_dir() else [place]
    assert files
    assert [(path.name, name) for path in files for name in _imports(path) if name.startswith(above)] == []


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
        "print(sorted(name for name in sys.modules if name.startswith('linuxbroker.models')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "['linuxbroker.models', 'linuxbroker.models.status']\n"


def test_type_hints_can_be_read() -> None:
    methods = [getattr(linuxbroker.BrokerClient, name) for name in dir(linuxbroker.BrokerClient) if name[0] != "_"]
    for described in (linuxbroker.TokenResult, *filter(callable, methods)):
        assert typing.get_type_hints(described)


def test_every_public_name_is_there() -> None:
    assert all(getattr(linuxbroker, name) is not None for name in linuxbroker.__all__)
    assert set(dir(linuxbroker)) == set(linuxbroker.__all__)
    with pytest.raises(AttributeError, match="no attribute 'NoSuchName'"):
        linuxbroker.NoSuchName  # noqa: B018 - the access is the test
