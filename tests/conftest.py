"""Which tests are run for a special purpose? Those that talk to the fake broker, for the figure of coverage."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fake-broker-only", action="store_true", help="leave out modules that have nothing to do with a fake broker"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--fake-broker-only"):
        of_fake = {path for path in {item.path for item in items} if "linuxbroker_fake" in path.read_text("utf-8")}
        config.hook.pytest_deselected(items=[item for item in items if item.path not in of_fake])
        items[:] = [item for item in items if item.path in of_fake]
