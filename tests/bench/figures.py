"""What is a figure? A ratio of two things measured in one run, and how much of it is allowed."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

# A shared machine is not quiet: CI fails when a ratio is missed by more than this.
SLACK = 4 / 3


@dataclass(frozen=True)
class Figure:
    """A ratio, and its limit.

    Attributes:
        promise: what is measured; ``tests/PROMISES.md`` names it.
        ratio: ours, in units of the other side's; for a count, the count itself.
        limit: the largest ratio that keeps the promise; None for one that only informs.
        ours, other: what was measured, with its unit.
        against: the other side.
        slack: how many times the limit CI lets pass; 1 for a count, which no noise excuses.
    """

    promise: str
    ratio: float
    limit: float | None
    ours: str
    other: str
    against: str
    slack: float = SLACK

    @property
    def verdict(self) -> str:
        """Whether the promise is kept: ``kept``, ``missed``, ``FAILED`` (missed by more than the slack) or nothing."""
        if self.limit is None:
            return ""
        if self.ratio <= self.limit:
            return "kept"
        return "FAILED" if self.ratio > self.limit * self.slack else "missed"


def milliseconds(seconds: Sequence[float]) -> str:
    """A median, to read."""
    return f"{statistics.median(seconds) * 1000:.3g} ms"


def megabytes(sizes: Sequence[float]) -> str:
    """A median, to read."""
    return f"{statistics.median(sizes) / 1e6:.3g} MB"


def of_medians(ours: Sequence[float], other: Sequence[float]) -> float:
    """The ratio of two medians."""
    return statistics.median(ours) / statistics.median(other)


def table(figures: Sequence[Figure]) -> str:
    """Set figures in columns."""
    rows = [("PROMISE", "RATIO", "LIMIT", "", "OURS", "OTHER", "AGAINST")]
    rows += [
        (
            figure.promise,
            f"{figure.ratio:.2f}",
            "" if figure.limit is None else f"{figure.limit:.2f}",
            figure.verdict,
            figure.ours,
            figure.other,
            figure.against,
        )
        for figure in figures
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def write(figures: Sequence[Figure], path: Path) -> None:
    """Write figures as JSON."""
    entries = [{**asdict(figure), "verdict": figure.verdict} for figure in figures]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
