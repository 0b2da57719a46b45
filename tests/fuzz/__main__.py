"""Hostile input for the reply parsers and the message reader, with atheris: ``tox -e fuzz``.

Each target has a process of its own, one after the other: what an input costs, and what it leads to, is then one
target's. A target fails where it raises what is not the library's own, takes long over an input, or needs much memory.
The input that did it is printed as a line for the corpus.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz import corpus
from tests.fuzz.targets import TARGETS

_ROOT = Path(__file__).parents[2]
_LIMIT_SECONDS = 10
_LIMIT_MEBIBYTES = 400
# What is kept stays small enough to be read, and to be fed byte by byte by the test suite.
_LONGEST_KEPT = 1000
_MOST_KEPT = 8


@dataclass(frozen=True)
class Run:
    """How a target was fed."""

    output: str
    failed: bool
    failing: bytes | None = None
    """The input that it failed with, if one did it."""
    inputs: int = 0
    mebibytes: int = 0
    useful: tuple[bytes, ...] = field(default=(), repr=False)
    """Inputs that reached what none before them did."""


def feed(name: str, *, seed: int, inputs: int | None, seconds: float | None, keep: bool = False) -> Run:
    """Feed one target, from the corpus on.

    Args:
        name: of the target.
        seed: of libFuzzer's generator.
        inputs: how many; None for any number.
        seconds: how long to go on; None for any time.
        keep: whether to look for the inputs that are worth being kept.

    Returns:
        What came of it.
    """
    target = TARGETS[name]
    with tempfile.TemporaryDirectory(prefix="linuxbroker-fuzz-") as made:
        folder = Path(made)
        seeds, found, merged = (folder / part for part in ("seeds", "found", "merged"))
        for part in (seeds, found, merged):
            part.mkdir()
        for number, data in enumerate(corpus.inputs(target.corpus)):
            (seeds / f"{number:03}").write_bytes(data)
            (merged / f"{number:03}").write_bytes(data)
        options = [f"-timeout={_LIMIT_SECONDS}", f"-rss_limit_mb={_LIMIT_MEBIBYTES}", f"-max_len={target.longest}"]
        limits = [] if inputs is None else [f"-runs={max(1, round(inputs * target.share / target.counts))}"]
        limits += [] if seconds is None else [f"-max_total_time={max(1, round(seconds * target.share))}"]
        printed = [f"-seed={seed}", f"-artifact_prefix={folder}/", "-print_final_stats=1"]
        done = _engine(name, *options, *limits, *printed, str(found), str(seeds))
        stats = {key: int(value) for key, value in re.findall(r"^stat::(\w+): +(\d+)", done.stdout, re.MULTILINE)}
        # Of a failing input libFuzzer writes a file, whose name says how it failed.
        failing = [path.read_bytes() for kind in ("crash", "timeout", "oom") for path in folder.glob(f"{kind}-*")]
        useful = tuple[bytes, ...]()
        if keep and done.returncode == 0:
            # Without counters: what reaches another place is worth keeping, not what is there more often.
            _engine(name, *options, "-merge=1", "-use_counters=0", str(merged), str(found)).check_returncode()
            useful = tuple(path.read_bytes() for path in merged.iterdir() if not (seeds / path.name).exists())
    return Run(
        done.stdout,
        done.returncode != 0,
        failing[0] if failing else None,
        stats.get("number_of_executed_units", 0),
        stats.get("peak_rss_mb", 0),
        useful,
    )


def _engine(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz.engine", name, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd=_ROOT,
        check=False,
    )


def _report_failure(name: str, run: Run) -> None:
    lines = run.output.splitlines()
    # libFuzzer goes on to write about each input that reached something: what matters is from the failure on.
    begins = [number for number, line in enumerate(lines) if line.startswith((" === ", "==", "Traceback"))]
    print(*lines[begins[0] if begins else 0 :], sep="\n", file=sys.stderr)
    print(f"{name} failed", file=sys.stderr)
    if run.failing is not None:
        file = TARGETS[name].corpus
        print(f"add to tests/fuzz/corpus/{file}:\n{corpus.line(file, run.failing)}", file=sys.stderr)


def _keep(name: str, useful: tuple[bytes, ...]) -> int:
    file = TARGETS[name].corpus
    known = set(corpus.inputs(file))
    small = sorted((data for data in useful if len(data) <= _LONGEST_KEPT and data not in known), key=len)
    corpus.add(file, [corpus.line(file, data) for data in small[:_MOST_KEPT]])
    return len(small[:_MOST_KEPT])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the generator, from 1 on")
    parser.add_argument("--inputs", type=int, help="how many, over all targets; large ones count for ten")
    parser.add_argument(
        "--seconds", type=float, help="how long to go on, over all targets; 60 unless --inputs is given"
    )
    parser.add_argument("--target", choices=TARGETS, action="append", help="feed this one alone, in its share")
    parser.add_argument("--keep", action="store_true", help="put a few small inputs that were useful in the corpus")
    arguments = parser.parse_args()
    seconds = 60.0 if arguments.inputs is None and arguments.seconds is None else arguments.seconds
    total, failed = 0, False
    all_began = time.monotonic()
    for name in arguments.target or TARGETS:
        began = time.monotonic()
        run = feed(name, seed=arguments.seed, inputs=arguments.inputs, seconds=seconds, keep=arguments.keep)
        if run.failed:
            _report_failure(name, run)
        kept = f", {_keep(name, run.useful)} kept" if arguments.keep else ""
        took = time.monotonic() - began
        print(f"{name}: {run.inputs:,} inputs in {took:.0f} s, at most {run.mebibytes} MiB{kept}", flush=True)
        total, failed = total + run.inputs, failed or run.failed
    print(f"seed {arguments.seed}: {total:,} inputs in {time.monotonic() - all_began:.0f} s")
    if failed:
        sys.exit(1)
    print("none failed")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
