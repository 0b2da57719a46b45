"""Whether other programs kept the machine busy during a measurement, and when to measure again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.figures import Figure

# Of one processor, what all other programs may take while the benchmark measures.
MOST_OF_OTHERS = 0.2
_MEASUREMENTS = 3
_LONGEST_WAIT_SECONDS = 300.0
_LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class Times:
    """What the processors have done so far, in seconds.

    Attributes:
        wall: a clock's time.
        all: the time that programs have taken on all processors, the machine's host included.
        own: the part of this process and of those of its children that have ended.
    """

    wall: float
    all: float
    own: float


def now() -> Times:
    """Read the times."""
    ticks = [int(number) for number in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    own = sum(os.times()[:4])
    return Times(time.monotonic(), (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK"), own)


def others_share(before: Times, after: Times) -> float:
    """Compute what other programs took between two moments.

    Args:
        before: the first moment.
        after: the second, at which no child of this process runs that ran in between.

    Returns:
        Their share of one processor: 2.0 is two processors.
    """
    return max(0.0, (after.all - before.all) - (after.own - before.own)) / (after.wall - before.wall)


def failed(figures: Sequence[Figure]) -> list[str]:
    """List the promises that the figures miss by more than the slack."""
    return [figure.promise.name for figure in figures if figure.verdict == "FAILED"]


def measure_until_judged(
    measure: Callable[[], Sequence[Figure]],
    *,
    times: Callable[[], Times] = now,
    wait: Callable[[], None] | None = None,
) -> tuple[Sequence[Figure], bool]:
    """Measure, and measure again, alone, if a promise is missed while the machine is under load.

    Args:
        measure: measures all figures.
        times: reads the times.
        wait: waits until the machine is quiet; default by looking at the times for up to 5 minutes.

    Returns:
        The figures, and whether they can be judged. They cannot if a promise was missed by more than the slack three
        times, each time under load.
    """
    figures: Sequence[Figure] = ()
    for attempt in range(_MEASUREMENTS):
        if attempt:
            (wait or _wait_until_quiet)()
        before = times()
        figures = measure()
        share = others_share(before, times())
        is_count = any(figure.verdict == "FAILED" and figure.promise.slack == 1 for figure in figures)
        if not failed(figures) or is_count or share <= MOST_OF_OTHERS:
            return figures, True
        print(f"other programs took {share:.1f} processors meanwhile; missed: {'; '.join(failed(figures))}", flush=True)
    return figures, False


def _wait_until_quiet() -> None:
    deadline = time.monotonic() + _LONGEST_WAIT_SECONDS
    before = now()
    while time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        after = now()
        if others_share(before, after) <= MOST_OF_OTHERS:
            return
        before = after
