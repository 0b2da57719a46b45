"""Is each test that tests/PROMISES.md names there, and each figure that the benchmark measures?"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.bench.figures import BEGIN, END, PROMISES, Figure, Promise, with_figures

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "tests" / "PROMISES.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", PAGE)))


@cache
def _tests_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return frozenset(node.name for node in found if node.name.startswith("test_"))


def test_the_page_names_tests() -> None:
    assert len(NAMED) > 50


@pytest.mark.parametrize(("path", "name"), NAMED, ids=lambda part: part)
def test_a_test_that_is_named_is_there(path: str, name: str) -> None:
    assert (ROOT / path).is_file()
    assert name in _tests_in(ROOT / path)


def test_every_promise_names_its_proof() -> None:
    tables = PAGE[: PAGE.index(BEGIN)] + PAGE[PAGE.index(END) :]
    rows = [line for line in tables.splitlines() if line.startswith("| ") and not line.startswith("| promise |")]
    assert rows
    assert [row for row in rows if "::test_" not in row] == []


def test_the_figures_are_those_that_the_benchmark_measures() -> None:
    figures = PAGE[PAGE.index(BEGIN) : PAGE.index(END)].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in figures if line.startswith("| ")]
    limits = {promise.name: "" if promise.limit is None else f"{promise.limit:g}" for promise in PROMISES}
    assert {row[0]: row[2] for row in rows[2:]} == limits


@pytest.mark.parametrize(("ratio", "verdict"), [(1.0, "kept"), (1.3, "missed"), (1.4, "FAILED")])
def test_a_promise_that_is_missed_by_more_than_its_slack_fails(ratio: float, verdict: str) -> None:
    assert Figure(Promise("speed", 1.0), ratio, "", "", "").verdict == verdict


def test_a_count_has_no_slack() -> None:
    assert Figure(Promise("calls", 2, slack=1), 3, "", "", "").verdict == "FAILED"


def test_figures_are_put_in_the_place_of_the_old_ones() -> None:
    figure = Figure(Promise("speed", 2.0), 1.5, "3 ms", "2 ms", "a snail")
    page = with_figures(f"before\n\n{BEGIN}\n\nold\n\n{END}\n\nafter\n", [figure])
    assert "| speed | 1.50 | 2 | kept | 3 ms | 2 ms | a snail |" in page
    assert "old" not in page
    assert page.startswith("before\n") and page.endswith("\nafter\n")
    assert with_figures(page, [figure]) == page
