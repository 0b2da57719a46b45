"""The fixture ``fake_broker`` for an app's own test suite, sync and async tests alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from linuxbroker_fake.config import FakeConfig
    from linuxbroker_fake.running import RunningFake


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "fake_broker(**config): how the fake_broker fixture's broker is set up, such as persona='himmelblau'"
    )


@pytest.fixture
def fake_broker_config(request: pytest.FixtureRequest) -> FakeConfig:
    """How the fake broker of the test is set up: what the marker ``fake_broker`` says; override it for more."""
    from linuxbroker_fake.config import FakeConfig

    marker: pytest.Mark | None = request.node.get_closest_marker("fake_broker")
    return FakeConfig.model_validate(marker.kwargs if marker else {})


@pytest.fixture
def fake_broker(fake_broker_config: FakeConfig, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningFake]:
    """A fake broker on a private bus, which is the session bus for the length of the test."""
    from linuxbroker_fake.running import RunningFake

    with RunningFake(fake_broker_config) as running:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", running.address)
        yield running
