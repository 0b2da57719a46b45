"""Fixtures of the tests of trust: a bus, and a folder of root's that anyone can read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from linuxbroker_fake import PrivateBus

NEEDS_ROOT = "only root can give a file to root: run the tests as root, as in a container, to test what is trusted"


@pytest.fixture
async def bus() -> AsyncIterator[PrivateBus]:
    async with PrivateBus() as private:
        yield private


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of this process's user; in /tmp itself, as pytest's own folders are closed to other users."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="linuxbroker-trust-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def system_folder(folder: Path) -> Path:
    """A folder as /usr/bin is."""
    if os.geteuid() != 0:
        pytest.skip(NEEDS_ROOT)
    return folder
