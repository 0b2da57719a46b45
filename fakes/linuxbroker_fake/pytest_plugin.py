"""The pytest fixture ``fake_broker``, for sync and async tests of applications."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from linuxbroker_fake import FakeConfig, RunningFake
    from linuxbroker_fake.running_bus import SessionBus


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "fake_broker(*, isolated=False, **config): configuration of the fixture fake_broker, such as "
        "persona='himmelblau'; isolated=True: a separate bus for the test",
    )


def _marker_arguments(request: pytest.FixtureRequest) -> dict[str, Any]:
    marker: pytest.Mark | None = request.node.get_closest_marker("fake_broker")
    return dict(marker.kwargs) if marker else {}


@pytest.fixture
def fake_broker_config(request: pytest.FixtureRequest) -> FakeConfig:
    """The configuration of the fake broker, from the marker ``fake_broker``; override it to build one in code."""
    from linuxbroker_fake import FakeConfig

    return FakeConfig.model_validate(
        {name: value for name, value in _marker_arguments(request).items() if name != "isolated"}
    )


@pytest.fixture(scope="session")
def _fake_broker_bus() -> Iterator[SessionBus]:
    from linuxbroker_fake.running_bus import SessionBus

    bus = SessionBus()
    yield bus
    bus.end()


@pytest.fixture
def fake_broker(
    request: pytest.FixtureRequest,
    fake_broker_config: FakeConfig,
    _fake_broker_bus: SessionBus,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[RunningFake]:
    """A fake broker on a private bus, which is the session bus during the test.

    Each test has a new broker: accounts, sessions, faults, journal and user are as configured by the marker or
    ``fake_broker_config``. The bus and the signing keys are shared by the test session, which saves most of the time.
    After a test that left something on the bus (a connection, a name, an activation file, a monitor) or stopped it, the
    next test gets a new bus.

    With ``@pytest.mark.fake_broker(isolated=True)`` the test has a separate bus and separate keys. Use it for a test
    that makes a change which cannot be detected afterwards, such as to the environment of activated programs, or that
    requires another address than the tests before it.
    """
    from linuxbroker_fake import RunningFake

    is_shared = _fake_broker_bus.is_here and not _marker_arguments(request).get("isolated", False)
    with RunningFake(fake_broker_config, on=_fake_broker_bus.clean() if is_shared else None) as running:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", running.address)
        yield running
