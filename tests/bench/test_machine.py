"""A promise that is missed while the machine is busy is measured again before it is judged."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.bench.figures import SHARED, SILENT_TOKEN, Figure
from tests.bench.machine import Times, measure_until_judged, now, others_share

QUIET, BUSY = 0.1, 1.5
GOOD, BAD = Figure(SILENT_TOKEN, 1.0, "", "", ""), Figure(SILENT_TOKEN, 9.0, "", "", "")


def _run(*measurements: tuple[Figure, float]) -> tuple[Sequence[Figure], bool, int]:
    """Measure, with the figure and the load of each measurement; gives the outcome and how often was waited."""
    left = list(measurements)
    clock = [Times(0.0, 0.0, 0.0)]
    waits: list[None] = []

    def measure() -> Sequence[Figure]:
        figure, load = left.pop(0)
        clock.append(Times(clock[-1].wall + 10, clock[-1].all + 10 * (load + 1), clock[-1].own + 10))
        return [figure]

    figures, is_judged = measure_until_judged(measure, times=lambda: clock[-1], wait=lambda: waits.append(None))
    assert not left
    return figures, is_judged, len(waits)


def test_a_promise_that_is_kept_is_measured_once_also_under_load() -> None:
    assert _run((GOOD, BUSY)) == ([GOOD], True, 0)


def test_a_promise_that_is_missed_on_a_quiet_machine_is_missed() -> None:
    assert _run((BAD, QUIET)) == ([BAD], True, 0)


def test_a_promise_that_is_missed_under_load_is_measured_again() -> None:
    assert _run((BAD, BUSY), (GOOD, BUSY)) == ([GOOD], True, 1)
    assert _run((BAD, BUSY), (BAD, QUIET)) == ([BAD], True, 1)


def test_a_machine_that_stays_busy_judges_nothing() -> None:
    assert _run((BAD, BUSY), (BAD, BUSY), (BAD, BUSY)) == ([BAD], False, 2)


@pytest.mark.parametrize(("load", "own", "share"), [(10.0, 10.0, 0.0), (25.0, 10.0, 1.5), (9.0, 10.0, 0.0)])
def test_the_share_of_other_programs(load: float, own: float, share: float) -> None:
    assert others_share(Times(0, 100, 50), Times(10, 100 + load, 50 + own)) == share


def test_the_times_of_this_machine_grow() -> None:
    before = now()
    sum(range(3_000_000))
    after = now()
    assert after.wall > before.wall
    assert after.all >= before.all
    assert after.own > before.own


def test_a_wrong_count_is_not_excused_by_load() -> None:
    wrong = Figure(SHARED, 3, "3", "", "")
    assert _run((wrong, BUSY)) == ([wrong], True, 0)
