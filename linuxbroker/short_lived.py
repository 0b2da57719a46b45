"""Does this process run one command and end? Then what is quicker to import stands in for what is quicker to use."""

from __future__ import annotations

import sys

_declared = False


def declare() -> None:
    """Say that this process runs one command and ends. It has no effect where the models are imported already.

    What a process reads and sends is the same with it as without. It is for processes that are this library's own: the
    models are then no pydantic models (see ``linuxbroker.models.engine``).
    """
    global _declared
    if "linuxbroker.models" not in sys.modules:
        _declared = True


def is_declared() -> bool:
    """Tell whether this process was said to be short-lived.

    Returns:
        Whether it was.
    """
    return _declared
