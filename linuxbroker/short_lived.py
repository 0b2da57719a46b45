"""Is this process over after one call? Then what is quicker to import takes the place of what is quicker to use."""

from __future__ import annotations

import sys

_declared = False


def declare() -> None:
    """Say that this process makes one call and ends, as the command line does. Once, before the models are imported.

    What a process reads and sends is the same with it as without. It is for processes that are this library's own: the
    models are then no pydantic models (see ``linuxbroker.models.engine``).

    Raises:
        RuntimeError: the models are imported already.
    """
    global _declared
    if "linuxbroker.models" in sys.modules:
        raise RuntimeError("the models are imported already")
    _declared = True


def is_declared() -> bool:
    """Tell whether this process was said to be short-lived.

    Returns:
        Whether it was.
    """
    return _declared
