"""Builds of the ports, with each language's tools, in a folder of their own; or a skip where those are missing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from linuxbroker.resources import interfaces_folder
from tests.peers import give_up, starts

PORTS = Path(__file__).parent


def require(language: str, *programs: str) -> None:
    """Skip the test if a program does not start; with ``LINUXBROKER_REQUIRE_PORTS=1`` in the environment, fail it.

    Args:
        language: what the reason calls the port.
        programs: the names of the programs that it takes.
    """
    missing = [program for program in programs if not starts(program, "version" if program == "go" else "--version")]
    if missing:
        give_up("ports", f"the port in {language} can't be built here, for want of {', '.join(missing)}")


def run(*command: str | Path, folder: Path) -> str:
    """Run a command.

    Args:
        command: the command.
        folder: where.

    Returns:
        What it printed.

    Raises:
        AssertionError: it failed; the text has its output.
    """
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{command[0]} ended with {ended.returncode}\n{ended.stdout}{ended.stderr}"
    return ended.stdout


def build_node(folder: Path) -> list[str]:
    """Install what the driver in Node.js needs.

    Args:
        folder: an empty one, for the driver and its packages.

    Returns:
        The command that runs it.
    """
    require("Node.js", "node", "npm")
    for name in ("package.json", "package-lock.json", *(path.name for path in sources("node"))):
        shutil.copy(PORTS / "node" / name, folder)
    # The optional one is a native module for file descriptors, which the broker's interface has none of.
    run(
        "npm", "ci", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", folder=folder
    )
    return ["node", str(folder / "driver.mjs")]


def build_go(folder: Path) -> list[str]:
    """Compile the driver in Go.

    Args:
        folder: where the program goes.

    Returns:
        The command that runs it.
    """
    require("Go", "go")
    run("go", "vet", ".", folder=PORTS / "go")
    run("go", "build", "-mod=readonly", "-buildvcs=false", "-o", folder / "driver", ".", folder=PORTS / "go")
    return [str(folder / "driver")]


def build_c(folder: Path) -> list[str]:
    """Generate C from the interface's XML, and compile it with the program that uses it.

    Args:
        folder: where both go.

    Returns:
        The command that runs the program, without its argument.
    """
    require("C", "gcc", "pkg-config")
    if not starts("gdbus-codegen", "--help"):
        give_up("ports", "the port in C can't be built here, for want of gdbus-codegen (libglib2.0-dev-bin)")
    if subprocess.run(["pkg-config", "--exists", "gio-unix-2.0"], check=False).returncode != 0:
        give_up("ports", "the port in C can't be built here, for want of gio-unix-2.0 (libglib2.0-dev)")
    xml = interfaces_folder() / "com.microsoft.identity.broker1.xml"
    generate = ("gdbus-codegen", "--interface-prefix", "com.microsoft.identity.", "--c-generate-autocleanup", "all")
    run(*generate, "--generate-c-code", "broker1", "--output-directory", str(folder), str(xml), folder=folder)
    flags = run("pkg-config", "--cflags", "--libs", "gio-unix-2.0", folder=folder).split()
    program = str(PORTS / "c" / "accounts.c")
    run("gcc", "-Wall", "-Werror", "-I.", "-o", "accounts", program, "broker1.c", *flags, folder=folder)
    return [str(folder / "accounts")]


def sources(port: str) -> list[Path]:
    """List the source files of a port.

    Args:
        port: the name of its folder.

    Returns:
        Its own files in its language.
    """
    return sorted(path for path in (PORTS / port).iterdir() if path.suffix in {".mjs", ".go", ".c"})
