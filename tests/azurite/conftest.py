"""Fixtures of the tests with a storage service: one Azurite for all, or a skip that says what is missing.

With ``LINUXBROKER_REQUIRE_AZURITE=1`` in the environment, as ``.ci/run`` has it, what is missing is a failure.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.azurite import azurite


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[azurite.Azurite]:
    """The service; a test makes a container of its own in it."""
    azurite.require()
    with azurite.running(tmp_path_factory.mktemp("azurite")) as service:
        yield service
