"""Fixtures of the tests with Microsoft's runtime: a display and a new user, or a skip that says what is missing.

With ``LINUXBROKER_REQUIRE_COMPAT=1`` in the environment, as ``.ci/run`` has it, what is missing is a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from linuxbroker_fake.running import RunningFake
from tests.compat import desktop, node_packages
from tests.compat.node_application import NodeApplication, running_node_application
from tests.peers import give_up


@pytest.fixture(scope="session")
def display(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The X display that all the tests share."""
    _require("Microsoft's runtime can't run here", desktop.missing())
    with desktop.display(tmp_path_factory.mktemp("display") / "xvfb.log") as number:
        yield number


@pytest.fixture
def user(display: str, fake_broker: RunningFake, tmp_path: Path) -> Iterator[desktop.User]:
    """Someone on the fake broker's bus, whose runtime remembers nothing yet."""
    home = tmp_path / "home"
    home.mkdir()
    with desktop.user(fake_broker.address, display, home) as someone:
        yield someone


@pytest.fixture
def start_node(user: desktop.User, tmp_path: Path) -> Iterator[Callable[..., NodeApplication]]:
    """Starts applications in Node.js, with the arguments of ``running_node_application`` but ``user`` and ``log``."""
    _require("Microsoft's runtime can't run from Node.js here", node_packages.missing())
    with ExitStack() as stack:

        def start(**details: str) -> NodeApplication:
            log = tmp_path / f"node-{len(list(tmp_path.iterdir()))}.log"
            return stack.enter_context(running_node_application(user, log, **details))

        yield start


def _require(otherwise: str, lacks: list[str]) -> None:
    if lacks:
        give_up("compat", f"{otherwise}, for want of {', '.join(lacks)}")
