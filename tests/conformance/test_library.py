"""Does the library pass every conformance vector, over a real bus with the fake broker?"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from linuxbroker_fake.conformance.case import CaseResult
from linuxbroker_fake.conformance.report import describe
from linuxbroker_fake.conformance.runner import run_client
from linuxbroker_fake.conformance.vectors import load_vectors

HERE = Path(__file__).parent
FOR_CLIENTS = [vector for vector in load_vectors() if vector.kind != "broker"]
DRIVERS = {"library": HERE / "driver.py", "plain": HERE / "plain_driver.py"}


def _play(driver: Path) -> Mapping[str, CaseResult]:
    results = asyncio.run(run_client(FOR_CLIENTS, [sys.executable, str(driver)], limit=120.0))
    return {result.vector.id: result for result in results}


@pytest.fixture(scope="module")
def played() -> Mapping[str, CaseResult]:
    """All vectors, played to the library once."""
    return _play(DRIVERS["library"])


@pytest.mark.parametrize("vector", FOR_CLIENTS, ids=lambda vector: vector.id)
def test_the_library_passes(vector: object, played: Mapping[str, CaseResult], request: pytest.FixtureRequest) -> None:
    result = played[request.node.callspec.id]
    assert result.passed, describe(result)


def test_a_client_written_against_the_interfaces_alone_passes() -> None:
    failed = [describe(result) for result in _play(DRIVERS["plain"]).values() if not result.passed]
    assert not failed, "\n".join(failed)
