"""Entry point of the command ``linuxbroker``, which Ctrl-C can end even while its modules are imported."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

_CANCELED = 5
_previous_handler: Any = signal.SIG_DFL


def main() -> int:
    """Run the command on this process's arguments.

    Returns:
        The exit code; ``linuxbroker --help`` lists them.

    Raises:
        SystemExit: help was requested, or the program of ``linuxbroker run`` called ``sys.exit``.
    """
    global _previous_handler
    _previous_handler = signal.signal(signal.SIGINT, _exit_now)
    from linuxbroker.cli.main import main as command

    if sys.argv[1:2] == ["run"]:
        return command()
    try:
        return command()
    finally:
        # The command is done: Ctrl-C during the interpreter's shutdown would replace the exit code.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def restore_interrupts() -> None:
    """Restore the handler of Ctrl-C from before the command started, for a program that the command runs."""
    if signal.getsignal(signal.SIGINT) is _exit_now:
        signal.signal(signal.SIGINT, _previous_handler)


def _exit_now(_number: int, _frame: object) -> None:
    """Exit at once: no call has been made, and Python could drop an exception that is raised during an import."""
    os.write(2, b"linuxbroker: canceled\n")
    os._exit(_CANCELED)
