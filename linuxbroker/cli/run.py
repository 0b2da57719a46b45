"""How does a program run with the stand-in for ``pymsalruntime`` in place? As ``python`` runs it, after ``install``."""

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
    """What is to be run.

    Attributes:
        name: a module's name, or a script's path.
        is_module: which of the two.
        arguments: of the program.
        force: whether the stand-in takes the place of an installed ``pymsalruntime`` too.
        trust: whom the stand-in trusts, as ``linuxbroker.runtime.install`` takes it.
    """

    name: str
    is_module: bool
    arguments: tuple[str, ...]
    force: bool
    trust: Mapping[str, Any]


def read(argv: Sequence[str]) -> Program:
    """Read what stands behind ``linuxbroker run``.

    Args:
        argv: the words.

    Returns:
        The program to run.

    Raises:
        UsageError: there is none, or no such script.
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
            raise UsageError(f"{option} needs a value: {RUN_USAGE}. See 'linuxbroker run --help'.")
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
        wrong = f"there is no option {words[0]!r} here" if words else "no program is given"
        raise UsageError(f"{wrong}: {RUN_USAGE}. See 'linuxbroker run --help'.")
    if not is_module and not Path(words[0]).exists():
        raise UsageError(f"there is no file {words[0]!r}")
    return Program(words[0], is_module, tuple(words[1:]), force, trust)


def put_stand_in_place(program: Program) -> None:
    """Have ``import pymsalruntime`` give the stand-in; says so where Microsoft's stays.

    Args:
        program: for which.

    Raises:
        InvalidArgumentError: one of the options can't be right.
    """
    from linuxbroker.runtime import install

    if not install(force=program.force, **program.trust):
        output.write_error("Microsoft's pymsalruntime is installed, and used; --force puts linuxbroker's in its place")


def run(program: Program) -> int:
    """Run a program in this process, as ``python`` does.

    Args:
        program: which.

    Returns:
        0 where the program ended by itself.

    Raises:
        SystemExit: the program ended so.
        Exception: whatever the program let through.
    """
    sys.argv[:] = [program.name, *program.arguments]
    start.give_back_interrupts()
    if program.is_module:
        sys.path[0] = str(Path.cwd())
        runpy.run_module(program.name, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(program.name).resolve().parent)
        runpy.run_path(program.name, run_name="__main__")
    return 0
