"""The command ``linuxbroker`` from its first moment: Ctrl-C ends it while it is still being imported, too."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

_CANCELED = 5
_before: Any = signal.SIG_DFL


def main() -> int:
    """Run the command on this process's arguments.

    Returns:
        The exit code, as ``linuxbroker --help`` lists them.

    Raises:
        SystemExit: help was asked for, or the program ended so that ``linuxbroker run`` ran.
    """
    global _before
    _before = signal.signal(signal.SIGINT, _leave)
    if sys.argv[1:2] == ["run"]:
        return _command()
    try:
        return _command()
    finally:
        # What was asked for is done: while Python ends, Ctrl-C would kill it, and the exit code would be lost.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def give_back_interrupts() -> None:
    """Have Ctrl-C do what it did before the command started: for a program that the command runs."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, _before)


def _command() -> int:
    from linuxbroker.cli.main import main as command

    return command()


def _leave(_number: int, _frame: object) -> None:
    """End at once: nothing is begun that has to be ended, and an exception could land where Python drops it."""
    os.write(2, b"linuxbroker: cancelled\n")
    os._exit(_CANCELED)
