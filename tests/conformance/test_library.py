"""The library and the plain driver play all conformance vectors."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from linuxbroker_fake.conformance.case import CaseResult
from linuxbroker_fake.conformance.report import describe
from linuxbroker_fake.conformance.runner import run_client
from linuxbroker_fake.conformance.vectors import Vector, load_vectors

HERE = Path(__file__).parent
FOR_CLIENTS = [vector for vector in load_vectors() if vector.kind != "broker"]
DRIVERS = {
    "library": HERE / "driver.py",
    "plain": HERE / "plain_driver.py",
}


Played = Mapping[str, Mapping[str, CaseResult]]


async def _play_all() -> Played:
    programs = [[sys.executable, str(path)] for path in DRIVERS.values()]
    runs = await asyncio.gather(*(run_client(FOR_CLIENTS, program, limit=120.0) for program in programs))
    results = [{result.vector.id: result for result in run} for run in runs]
    return dict(zip(DRIVERS, results, strict=True))


@pytest.fixture(scope="module")
def played() -> Played:
    """All vectors, played once to each driver; each has a bus of its own."""
    return asyncio.run(_play_all())


@pytest.mark.parametrize("vector", FOR_CLIENTS, ids=lambda vector: vector.id)
def test_the_library_passes_all_vectors(vector: Vector, played: Played) -> None:
    result = played["library"][vector.id]
    assert result.passed, describe(result)


def test_the_plain_driver_passes_all_vectors(played: Played) -> None:
    failed = [describe(result) for result in played["plain"].values() if not result.passed]
    assert not failed, "\n".join(failed)
