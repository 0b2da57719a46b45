"""What a program printed, without what asyncio's debug mode adds to it on a busy machine."""

from __future__ import annotations

import re

# A warning on standard error, for a callback that took longer than 0.1 s.
_SLOW_CALLBACK = re.compile(r"^Executing <.*> took \d+\.\d+ seconds\n", re.MULTILINE)


def without_slow_callbacks(errors: str) -> str:
    """Remove asyncio's warnings of slow callbacks.

    Args:
        errors: the standard error of a program in Python's development mode.

    Returns:
        The rest.
    """
    return _SLOW_CALLBACK.sub("", errors)
