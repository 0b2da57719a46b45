"""The fixture ``ask``: the fake broker called with plain dbus-next."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from linuxbroker_fake import RunningFake
from tests.fake.asking import Asker, asker


@pytest.fixture
async def ask(fake_broker: RunningFake) -> AsyncIterator[Asker]:
    async with asker(fake_broker.address) as connected:
        yield connected
