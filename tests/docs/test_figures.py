"""The table of figures in tests/README.md, and how the benchmark writes and judges it."""

from __future__ import annotations

import pytest

from tests.bench.figures import BEGIN, END, PROMISES, Figure, Promise, with_figures
from tests.docs.examples import PAGES

PAGE = PAGES["tests/README.md"]


def test_the_page_has_a_row_for_each_figure_that_the_benchmark_measures() -> None:
    figures = PAGE[PAGE.index(BEGIN) : PAGE.index(END)].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in figures if line.startswith("| ")]
    limits = {promise.name: "" if promise.limit is None else f"{promise.limit:g}" for promise in PROMISES}
    assert {row[0]: row[2] for row in rows[2:]} == limits


@pytest.mark.parametrize(("ratio", "verdict"), [(1.0, "kept"), (1.3, "missed"), (1.4, "FAILED")])
def test_a_promise_that_is_missed_by_more_than_its_slack_fails(ratio: float, verdict: str) -> None:
    assert Figure(Promise("speed", 1.0), ratio, "", "", "").verdict == verdict


def test_a_count_has_no_slack() -> None:
    assert Figure(Promise("calls", 2, slack=1), 3, "", "", "").verdict == "FAILED"


def test_new_figures_replace_the_old_ones() -> None:
    figure = Figure(Promise("speed", 2.0), 1.5, "3 ms", "2 ms", "a snail")
    page = with_figures(f"before\n\n{BEGIN}\n\nold\n\n{END}\n\nafter\n", [figure])
    assert "| speed | 1.50 | 2 | kept | 3 ms | 2 ms | a snail |" in page
    assert "old" not in page
    assert page.startswith("before\n") and page.endswith("\nafter\n")
    assert with_figures(page, [figure]) == page


def test_a_page_without_the_markers_is_refused() -> None:
    with pytest.raises(ValueError, match=BEGIN):
        with_figures("a page\n", [])
