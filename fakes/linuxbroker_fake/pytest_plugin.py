"""The fixture ``fake_broker`` for an app's own test suite, sync and async tests alike."""

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
        "fake_broker(*, isolated=False, **config): how the fake_broker fixture's broker is set up, such as "
        "persona='himmelblau'; isolated=True gives the test a bus of its own",
    )


def _marked(request: pytest.FixtureRequest) -> dict[str, Any]:
    marker: pytest.Mark | None = request.node.get_closest_marker("fake_broker")
    return dict(marker.kwargs) if marker else {}


@pytest.fixture
def fake_broker_config(request: pytest.FixtureRequest) -> FakeConfig:
    """How the fake broker of the test is set up: what the marker ``fake_broker`` says; override it for more."""
    from linuxbroker_fake import FakeConfig

    return FakeConfig.model_validate({name: value for name, value in _marked(request).items() if name != "isolated"})


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
    """A fake broker on a private bus, which is the session bus for the length of the test.

    The broker is a new one for each test: accounts, sessions, faults, journal and the person are as the marker or
    ``fake_broker_config`` has them. The bus and the signing keys are those of the test session, which saves most of
    the time. After a test that left something on the bus (a connection, a name, an activation file, a monitor), or that
    stopped the bus, the next test gets a new one.

    With ``@pytest.mark.fake_broker(isolated=True)`` the test has a bus and keys of its own. It is for a test that
    changes what can't be looked up afterwards, such as the environment of activated programs, or that needs another
    address than the tests before it.
    """
    from linuxbroker_fake import RunningFake

    is_shared = _fake_broker_bus.is_here and not _marked(request).get("isolated", False)
    with RunningFake(fake_broker_config, on=_fake_broker_bus.clean() if is_shared else None) as running:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", running.address)
        yield running
