"""Whether a program of another maker can run here: it is started, rather than looked for."""

from __future__ import annotations

import os
import subprocess
from typing import NoReturn

import pytest


def give_up(environment: str, reason: str) -> NoReturn:
    """Skip the test.

    Args:
        environment: the environment of tox, such as ``ports``. With ``LINUXBROKER_REQUIRE_PORTS=1``, which ``.ci/run``
            sets, the test fails instead.
        reason: what is missing.
    """
    if os.environ.get(f"LINUXBROKER_REQUIRE_{environment.upper()}") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def starts(*command: str) -> bool:
    """Run a command that ends by itself, such as one with ``--version``.

    Returns:
        Whether it could be started and succeeded.
    """
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
