"""``linuxbroker run``: a Python program with the replacement for ``pymsalruntime`` installed."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linuxbroker.cli import output, start
from linuxbroker.cli.arguments import RUN_USAGE, UsageError


@dataclass(frozen=True)
class Program:
    """A program to run.

    Attributes:
        name: the name of a module, or the path of a script.
        is_module: whether it is a module.
        arguments: the program's own arguments.
        force: whether to replace an installed ``pymsalruntime`` too.
        trust: the trust options for ``linuxbroker.runtime.install``.
    """

    name: str
    is_module: bool
    arguments: tuple[str, ...]
    force: bool
    trust: Mapping[str, Any]


def parse(argv: Sequence[str]) -> Program:
    """Parse a command line.

    Args:
        argv: the words after ``linuxbroker run``.

    Returns:
        The program to run.

    Raises:
        UsageError: it names no program, or no existing script.
    """
    words, force = list(argv), False
    trust: dict[str, Any] = {}
    while words and words[0] in ("--force", "--allow-bus-of-other-user", "--trust", "--trusted-program"):
        option = words.pop(0)
        if option == "--force":
            force = True
        elif option == "--allow-bus-of-other-user":
            trust["allow_bus_of_other_user"] = True
        elif not words:
            raise UsageError(f"{option} requires a value: {RUN_USAGE}. See 'linuxbroker run --help'.")
        elif option == "--trust":
            trust["trust"] = words.pop(0)
        else:
            trust.setdefault("trusted_programs", []).append(words.pop(0))
    if words and words[0] == "-m":
        words.pop(0)
        is_module = True
    else:
        is_module = False
    if not words or (words[0].startswith("-") and not is_module):
        problem = f"unknown option {words[0]!r}" if words else "no program given"
        raise UsageError(f"{problem}: {RUN_USAGE}. See 'linuxbroker run --help'.")
    if not is_module and not Path(words[0]).exists():
        raise UsageError(f"no such file: {words[0]!r}")
    return Program(words[0], is_module, tuple(words[1:]), force, trust)


def install_replacement(program: Program) -> None:
    """Make ``import pymsalruntime`` import the replacement; reports if an installed one is used instead.

    Args:
        program: the program to run.

    Raises:
        InvalidArgumentError: an option is invalid.
    """
    from linuxbroker.runtime import install

    if not install(force=program.force, **program.trust):
        output.write_error("using the installed pymsalruntime; pass --force to replace it")


def run(program: Program) -> int:
    """Run a program in this process, as ``python`` does.

    Args:
        program: the program.

    Returns:
        0 if the program returned.

    Raises:
        SystemExit: the program called ``sys.exit``.
        Exception: an exception that the program did not handle.
    """
    sys.argv[:] = [program.name, *program.arguments]
    start.restore_interrupts()
    if program.is_module:
        sys.path[0] = str(Path.cwd())
        runpy.run_module(program.name, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(program.name).resolve().parent)
        runpy.run_path(program.name, run_name="__main__")
    return 0
