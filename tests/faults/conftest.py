"""Checks after every fault: no more descriptors than before, nothing logged by asyncio or on the root logger."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from linuxbroker_fake.running_bus import SessionBus


def descriptors() -> list[str]:
    """What the file descriptors are that this process has open, the one that lists them aside."""
    return [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]


@pytest.fixture(scope="package", autouse=True)
def _collecting_is_quick() -> Iterator[None]:
    """What thousands of other tests left in memory is not looked through at each collection."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _nothing_left(caplog: pytest.LogCaptureFixture, _fake_broker_bus: SessionBus) -> Iterator[None]:
    """A "Task was destroyed" is asyncio's word; an unclosed socket is a warning, which fails any test.

    The bus of the session is there before the test, and stays.
    """
    _fake_broker_bus.clean()
    gc.collect()
    before = descriptors()
    yield
    gc.collect()
    after = descriptors()
    if len(after) > len(before):  # the pipe of a bus that was killed closes when the end of its process is noticed
        _fake_broker_bus.clean()
        gc.collect()
        after = descriptors()
    assert len(after) <= len(before), f"{sorted(before)}\n{sorted(after)}"
    said = [record for record in caplog.records if record.name in ("root", "asyncio") and record.levelno > logging.INFO]
    assert not said
