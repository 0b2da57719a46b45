"""Mutation of models, errors and connection, to find mistakes that no test detects: ``tox -e mutation``, cosmic-ray.

A copy of the tree is mutated, one place at a time, and the tests of the part are run on it. Survivors are printed, each
with its change.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Left out: what makes no difference (annotations are not evaluated: `X | None`), and all but one or two of the dozen
# ways in which cosmic-ray exchanges the same comparison.
_OPERATORS = re.compile(
    r"core/(AddNot|ExceptionReplacer|RemoveDecorator|ReplaceAndWithOr|ReplaceOrWithAnd|ReplaceBreakWithContinue"
    r"|ReplaceContinueWithBreak|ReplaceFalseWithTrue|ReplaceTrueWithFalse|ReplaceUnaryOperator_Delete_Not"
    r"|ZeroIterationForLoop|NumberReplacer|ReplaceBinaryOperator_(RShift_LShift|BitAnd_BitXor)"
    r"|ReplaceComparisonOperator_(Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is|Gt_GtE|Gt_LtE|Lt_LtE|Lt_GtE|LtE_Lt|LtE_Gt|GtE_Gt"
    r"|GtE_Lt))"
)


@dataclass(frozen=True)
class Part:
    """Some modules, and the tests that are to notice a mistake in them."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


_OF_MODELS = (
    "tests/interfaces/test_interface.py",
    "tests/models",
    "tests/client/test_requests_match_runtime.py",
    "tests/replies/test_limits.py",
    "tests/replies/test_statuses.py",
    "tests/fuzz/test_corpus.py",
    "tests/replies/test_broken_replies.py",
)
PARTS = {
    "connection": Part(
        ("linuxbroker/bus/connection.py",),
        (
            "tests/bus/test_connection.py",
            "tests/bus/test_descriptors.py",
            "tests/trust/test_bus_answers.py",
            "tests/client/test_connection.py",
            "tests/bus/test_dbus_next_defects.py",
        ),
    ),
    "models": Part(
        tuple(
            f"linuxbroker/wire/models/{name}.py" for name in ("account", "base", "error_body", "replies", "requests")
        ),
        _OF_MODELS,
    ),
    "errors": Part(("linuxbroker/errors.py",), _OF_MODELS),
}


def mutate(name: str, *, most: int | None, seconds: float | None) -> int:
    """Mutate a part, and print what survives.

    Args:
        name: of the part.
        most: how many mutants, chosen by a fixed seed; None for all.
        seconds: when to stop; None for no limit.

    Returns:
        How many survived.
    """
    part = PARTS[name]
    with tempfile.TemporaryDirectory(prefix="linuxbroker-mutation-") as folder:
        tree = Path(folder, "tree")
        ignored = shutil.ignore_patterns(".git", ".tox", ".venv", "__pycache__", ".*_cache", ".hypothesis", "dist")
        shutil.copytree(ROOT, tree, ignore=ignored)
        command = f"{sys.executable} -m pytest -x -q -p no:cacheprovider {' '.join(part.tests)}"
        modules = ", ".join(f'"{module}"' for module in part.modules)
        (tree / "mutation.toml").write_text(
            f'[cosmic-ray]\nmodule-path = [{modules}]\ntimeout = 60.0\ntest-command = "{command}"\n'
            '[cosmic-ray.distributor]\nname = "local"\n',
            encoding="utf-8",
        )
        environment = {**os.environ, "PYTHONPATH": f"{tree}{os.pathsep}{tree / 'fakes'}"}

        def run(*arguments: str, limit: float | None = None) -> None:
            cosmic_ray = [sys.executable, "-m", "cosmic_ray.cli", *arguments]
            try:
                subprocess.run(
                    cosmic_ray, cwd=tree, env=environment, check=True, timeout=limit, stdout=subprocess.DEVNULL
                )
            except subprocess.TimeoutExpired:
                print(f"stopped after {limit:g} s")

        run("baseline", "mutation.toml")
        run("init", "mutation.toml", "session.sqlite")
        database = sqlite3.connect(tree / "session.sqlite")
        _leave_out(database, most)
        run("exec", "mutation.toml", "session.sqlite", limit=seconds)
        outcomes = database.execute(
            "select test_outcome, module_path, operator_name, start_pos_row, diff from work_results "
            "join mutation_specs using (job_id)"
        ).fetchall()
        database.close()
    survivors = [row for row in outcomes if row[0] == "SURVIVED"]
    for _, module, operator, line, change in survivors:
        print(f"\n{module}:{line} {operator}\n{change}")
    print(f"{name}: {len(outcomes)} mutants, {len(survivors)} survived")
    return len(survivors)


def _leave_out(database: sqlite3.Connection, most: int | None) -> None:
    # Not by their ids, which are made anew each time: the same seed is to choose the same mutants.
    rows = database.execute(
        "select job_id, operator_name from mutation_specs "
        "order by module_path, operator_name, occurrence, operator_args"
    ).fetchall()
    kept = [job for job, operator in rows if _OPERATORS.fullmatch(operator)]
    random.Random(1).shuffle(kept)
    chosen = set(kept[:most])
    for table in ("work_items", "mutation_specs"):
        database.executemany(f"delete from {table} where job_id = ?", [(job,) for job, _ in rows if job not in chosen])
    database.commit()


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--part", action="append", choices=list(PARTS), help="which; all of them unless given")
    parser.add_argument("--most", type=int, help="how many mutants of each part")
    parser.add_argument("--seconds", type=float, help="when to stop with each part")
    arguments = parser.parse_args()
    parts: list[str] = arguments.part or list(PARTS)
    return 1 if sum(mutate(part, most=arguments.most, seconds=arguments.seconds) for part in parts) else 0


if __name__ == "__main__":
    sys.exit(main())
