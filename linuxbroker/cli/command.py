"""What runs when ``linuxbroker`` is typed? The command, in a process of its own."""

from __future__ import annotations

import sys

from linuxbroker.cli.imports import without_collections


def main() -> int:
    """Run the command in a process that ends with it.

    Returns:
        The exit code.
    """
    with without_collections():
        from linuxbroker.cli import main as command

    return command.main(sys.argv[1:], own_process=True)
