"""What do the tests with Microsoft's runtime start from? A display and a new user, or a skip that says what is missing.

With ``LINUXBROKER_REQUIRE_COMPAT=1`` in the environment, as ``.ci/run`` has it, what is missing is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from linuxbroker_fake.running import RunningFake
from tests.compat import desktop


@pytest.fixture(scope="session")
def display(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The X display that all the tests share."""
    lacks = desktop.missing()
    if lacks:
        reason = f"Microsoft's runtime can't run here, for want of {', '.join(lacks)}"
        if os.environ.get("LINUXBROKER_REQUIRE_COMPAT") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with desktop.display(tmp_path_factory.mktemp("display") / "xvfb.log") as number:
        yield number


@pytest.fixture
def user(display: str, fake_broker: RunningFake, tmp_path: Path) -> Iterator[desktop.User]:
    """Someone on the fake broker's bus, whose runtime remembers nothing yet."""
    home = tmp_path / "home"
    home.mkdir()
    with desktop.user(fake_broker.address, display, home) as someone:
        yield someone
