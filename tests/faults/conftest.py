"""What holds after every fault? No descriptor more than before, and no word of asyncio's or on the root logger."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest


def descriptors() -> int:
    """How many file descriptors this process has open, the one that counts them aside."""
    return len(list(Path("/proc/self/fd").iterdir())) - 1


@pytest.fixture(autouse=True)
def _nothing_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A "Task was destroyed" is asyncio's word; an unclosed socket is a warning, which fails any test."""
    gc.collect()
    before = descriptors()
    yield
    gc.collect()
    assert descriptors() <= before
    said = [record for record in caplog.records if record.name in ("root", "asyncio") and record.levelno > logging.INFO]
    assert not said
