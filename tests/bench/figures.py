"""The figures: ratios of two things measured in one run, their limits, and their output as a table and as JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

# A shared machine is not quiet: CI fails when a ratio is missed by more than this.
SLACK = 4 / 3


@dataclass(frozen=True)
class Promise:
    """What is measured, and the largest ratio that keeps the promise.

    Attributes:
        name: its name in ``tests/README.md``.
        limit: the largest ratio; None for one that only informs.
        slack: how many times the limit CI lets pass; 1 for a count, which no noise excuses.
    """

    name: str
    limit: float | None
    slack: float = SLACK


SILENT_TOKEN = Promise("silent token, minimal service", 1.25)
SILENT_TOKEN_OF_FAKE = Promise("silent token, fake broker", 1.25)
LOAD_FAILURES = Promise("silent tokens with 64 kB claims, all at once: how many failed", 0, slack=1)
LOAD_TIME = Promise("silent tokens with 64 kB claims, all at once: time", 1.15)
LOAD_MEMORY = Promise("silent tokens with 64 kB claims, all at once: memory", 0.25)
SHARED = Promise("1,000 equal requests with an account: broker calls", 2, slack=1)
SHARED_WITHOUT_ACCOUNT = Promise("1,000 equal requests without an account: broker calls", 2, slack=1)
IMPORT_CLIENT = Promise("from linuxbroker import BrokerClient", 1.15)
IMPORT_TYPES = Promise("from linuxbroker import BrokerClient, Account", None)
FIRST_TOKEN = Promise("that import and a first token", 1.25)
START = Promise("linuxbroker token: time from start to token", 1.35)
MEMORY = Promise("linuxbroker token: memory", 1.25)
GROWTH_WITH_CALLS = Promise("cost of a call after many calls", 1.1)
GROWTH_WITH_ACCOUNTS = Promise("cost of a call with 1,000 accounts", 1.1)

PROMISES = tuple(value for value in tuple(globals().values()) if isinstance(value, Promise))


@dataclass(frozen=True)
class Figure:
    """A ratio that was measured.

    Attributes:
        promise: what it measures.
        ratio: ours, in units of the other side's; for a count, the count itself.
        ours, other: what was measured, with its unit.
        against: the other side, and how often each was measured.
    """

    promise: Promise
    ratio: float
    ours: str
    other: str
    against: str

    @property
    def verdict(self) -> str:
        """Whether the promise is kept: ``kept``, ``missed``, ``FAILED`` (missed by more than the slack) or nothing."""
        if self.promise.limit is None:
            return ""
        if self.ratio <= self.promise.limit:
            return "kept"
        return "FAILED" if self.ratio > self.promise.limit * self.promise.slack else "missed"

    @property
    def cells(self) -> tuple[str, ...]:
        """The figure as the cells of a row, in the order of ``HEADINGS``."""
        limit = "" if self.promise.limit is None else f"{self.promise.limit:g}"
        return (self.promise.name, f"{self.ratio:.2f}", limit, self.verdict, self.ours, self.other, self.against)


BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
HEADINGS = ("promise", "ratio", "at most", "", "linuxbroker", "other", "the other")


def in_milliseconds(seconds: Sequence[float]) -> str:
    """A median, to read."""
    return f"{statistics.median(seconds) * 1000:.3g} ms"


def in_megabytes(sizes: Sequence[float]) -> str:
    """A median, to read."""
    return f"{statistics.median(sizes) / 1e6:.3g} MB"


def of_medians(ours: Sequence[float], other: Sequence[float]) -> float:
    """The ratio of two medians."""
    return statistics.median(ours) / statistics.median(other)


def table(figures: Sequence[Figure]) -> str:
    """Set figures in columns."""
    rows = [HEADINGS, *(figure.cells for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def with_figures(page: str, figures: Sequence[Figure]) -> str:
    """Replace the figures that a Markdown page has between two markers.

    Args:
        page: the page's text.
        figures: the new figures.

    Returns:
        The new text.

    Raises:
        ValueError: the page lacks a marker.
    """
    if not 0 <= page.find(BEGIN) < page.find(END):
        raise ValueError(f"the page has no table between {BEGIN} and {END}")
    rows = [HEADINGS, ("---",) * len(HEADINGS), *(figure.cells for figure in figures)]
    lines = ["| " + " | ".join(cell or " " for cell in row) + " |" for row in rows]
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    return "".join([before, begin, "\n\n", "\n".join(lines), "\n\n", end, after])


def as_json(figures: Sequence[Figure]) -> str:
    """Write figures as JSON."""
    entries = [{**asdict(figure), "verdict": figure.verdict} for figure in figures]
    return json.dumps(entries, indent=2) + "\n"
