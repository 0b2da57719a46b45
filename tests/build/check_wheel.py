"""Checks that sdist and wheel are complete, and that the wheel works where it is installed, outside the source tree.

python tests/build/check_wheel.py FOLDER    the folder holds one sdist and one wheel
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[2]

# Runs in the installation. `-I` keeps the source tree, and the user's packages, out of its path.
TRIAL = """
import importlib.metadata, sys
from pathlib import Path
import linuxbroker, linuxbroker_fake.pytest_plugin, linuxbroker_fake.service
from linuxbroker.resources import interface_xml, interfaces_folder

for module in (linuxbroker, linuxbroker_fake):
    assert Path(module.__file__).is_relative_to(sys.prefix), module.__file__
assert interfaces_folder().is_relative_to(sys.prefix), interfaces_folder()
assert 'name="com.microsoft.identity.Broker1"' in interface_xml()
assert importlib.metadata.version("linuxbroker") == linuxbroker.__version__
(plugin,) = importlib.metadata.entry_points(group="pytest11", name="linuxbroker_fake")
assert plugin.load() is linuxbroker_fake.pytest_plugin
"""


def wanted_in_wheel() -> set[str]:
    """List what the source tree has for the wheel.

    Returns:
        Paths inside the wheel.
    """
    wanted = {path.relative_to(ROOT) for path in (ROOT / "linuxbroker").rglob("*.py")}
    wanted |= {path.relative_to(ROOT / "fakes") for path in (ROOT / "fakes" / "linuxbroker_fake").rglob("*.py")}
    wanted |= {Path("linuxbroker", "py.typed"), Path("linuxbroker_fake", "py.typed")}
    interfaces = ROOT / "interfaces"
    for pattern in ("*.xml", "*.md", "VERSION", "schemas/*.json", "vectors/*.json"):
        found = {Path("linuxbroker", "interfaces") / path.relative_to(interfaces) for path in interfaces.glob(pattern)}
        assert found, f"nothing in interfaces/ is called {pattern}"
        wanted |= found
    return {path.as_posix() for path in wanted}


def wanted_in_sdist() -> set[str]:
    """List what it takes to build and test from the sdist.

    Returns:
        Paths inside the sdist's folder.
    """
    wanted = {ROOT / name for name in ("pyproject.toml", "tox.ini", "README.md", "LICENSE", ".ci/run")}
    for folder in ("linuxbroker", "fakes", "interfaces", "tests"):
        wanted |= {path for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    return {path.relative_to(ROOT).as_posix() for path in wanted}


def main() -> None:
    """Check the files in the two archives, then the installed wheel."""
    dist = Path(sys.argv[1]).resolve()
    (wheel,) = dist.glob("*.whl")
    (sdist,) = dist.glob("*.tar.gz")

    in_wheel = set(ZipFile(wheel).namelist())
    assert wanted_in_wheel() <= in_wheel, f"not in the wheel: {sorted(wanted_in_wheel() - in_wheel)}"
    tops = {name.partition("/")[0] for name in in_wheel if ".dist-info/" not in name}
    assert tops == {"linuxbroker", "linuxbroker_fake"}, f"what else is at the top of the wheel: {tops}"
    assert not any(name.endswith("generate.py") for name in in_wheel), "the wheel has the generator"
    assert "linuxbroker/README.md" not in in_wheel, "the wheel has a page whose links lead out of it"
    (metadata,) = (name for name in in_wheel if name.endswith(".dist-info/METADATA"))
    description = ZipFile(wheel).read(metadata).decode()
    assert "\n# The fake broker\n" in description, "the long description lacks pages"
    relative = [link for link in re.findall(r"\]\(([^)\s]+)\)", description) if "://" not in link and link[0] != "#"]
    assert not relative, f"relative links, which lead nowhere on a package index: {relative}"
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    assert wanted_in_sdist() <= in_sdist, f"not in the sdist: {sorted(wanted_in_sdist() - in_sdist)}"

    with tempfile.TemporaryDirectory(prefix="linuxbroker-wheel-") as directory:
        environment = Path(directory) / "venv"
        venv.create(environment, with_pip=True)
        programs = environment / "bin"

        def run(program: str, *arguments: str) -> str:
            command = [str(programs / program), *arguments]
            return subprocess.run(command, cwd=directory, check=True, stdout=subprocess.PIPE, text=True).stdout

        requirement = f"linuxbroker[fake,test] @ {wheel.as_uri()}"
        run("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement)
        run("python", "-I", "-c", TRIAL)
        assert "token" in run("linuxbroker", "--help")
        assert "write-service" in run("linuxbroker-fake", "--help")
        assert "req-version: " in run("linuxbroker-fake", "conformance", "--list")
        assert "fake_broker" in run("python", "-I", "-m", "pytest", "--fixtures", "-q")
    print(f"{wheel.name} and {sdist.name} are complete, and the wheel works where it is installed")


if __name__ == "__main__":
    main()
