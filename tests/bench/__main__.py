"""The benchmark of speed and memory: prints a table of ratios and writes them as JSON.

Each ratio is measured in one run, the two sides in turn, against the same service: a minimal one of its own
(service.py), because the fake broker takes longer for a token than the calls that are compared. Where the fake broker
answers, the promise says so.

tox -e bench              the short form, of a minute or so, which CI runs
tox -e bench -- --full    the numbers of calls that the promises name

A ratio that is missed while other programs keep the machine busy is measured again before it is judged.

Exit code 1: a ratio is missed by more than a third, or a count is not met.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from linuxbroker_fake import PrivateBus
from tests.bench import calls, load, machine, start
from tests.bench.figures import (
    FIRST_TOKEN,
    IMPORT_CLIENT,
    IMPORT_TYPES,
    LOAD_FAILURES,
    LOAD_MEMORY,
    LOAD_TIME,
    MEMORY,
    SILENT_TOKEN,
    SILENT_TOKEN_OF_FAKE,
    START,
    Figure,
    Promise,
    as_json,
    in_megabytes,
    in_milliseconds,
    of_medians,
    table,
    with_figures,
)


@dataclass(frozen=True)
class Size:
    """How often each thing is done."""

    calls: int
    calls_to_the_last: int
    at_once: int
    rounds: int
    processes: int


SHORT = Size(calls=500, calls_to_the_last=3000, at_once=2000, rounds=3, processes=9)
FULL = Size(calls=2000, calls_to_the_last=100_000, at_once=10_000, rounds=3, processes=25)


@contextlib.asynccontextmanager
async def _minimal_service(accounts: int) -> AsyncIterator[str]:
    """The minimal service on a bus of its own; gives the bus's address."""
    async with PrivateBus() as bus, _process("tests.bench.service", bus.address, str(accounts)) as process:
        assert process.stdout is not None
        if await process.stdout.readline() != b"ready\n":
            raise RuntimeError("the minimal service did not start")
        yield bus.address


@contextlib.asynccontextmanager
async def _fake_broker() -> AsyncIterator[str]:
    """The fake broker on a bus of its own; gives the bus's address."""
    async with (
        PrivateBus() as bus,
        _process("linuxbroker_fake", "run", "--control", "--bus-address", bus.address) as process,
    ):
        assert process.stdout is not None
        await process.stdout.readline()
        yield bus.address


@contextlib.asynccontextmanager
async def _process(*module_and_arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a module beside this process; it ends with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *module_and_arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


async def _load(address: str, size: Size) -> list[Figure]:
    request = await calls.request_of(address, [load.SCOPE.format(0)], claims_challenge=load.claims())
    arguments = ("tests.bench.load", address, str(size.at_once), str(size.rounds))
    async with _process(*arguments) as process:
        output, _ = await process.communicate(request.encode())
    found = json.loads(output)
    count, failed = size.at_once, size.at_once - found["succeeded"]
    sent = count * load.CLAIMS_BYTES
    best = f"bare dbus-next, {found['window']} at a time, its best; {count:,} calls, median of {size.rounds}"
    return [
        Figure(LOAD_FAILURES, failed, str(failed), "", f"of {count:,}"),
        Figure(LOAD_TIME, found["ours"] / found["other"], f"{found['ours']:.3g} s", f"{found['other']:.3g} s", best),
        Figure(
            LOAD_MEMORY, found["bytes"] / sent, in_megabytes([found["bytes"]]), in_megabytes([sent]), "their claims"
        ),
    ]


async def _start(address: str, size: Size) -> list[Figure]:
    arguments = ("tests.bench.start", address, str(size.processes), calls.CLIENT_ID, *calls.SCOPES)
    async with _process(*arguments) as process:
        output, _ = await process.communicate()
    found: dict[str, list[float]] = json.loads(output)

    def ratio(promise: Promise, ours: str, other: str, against: str) -> Figure:
        spell = in_megabytes if ours.endswith("memory") else in_milliseconds
        measured, compared = found[ours], found[other]
        against = f"{against}; median of {size.processes}"
        return Figure(promise, of_medians(measured, compared), spell(measured), spell(compared), against)

    script = "a script of plain dbus-next and one pydantic model"
    return [
        ratio(IMPORT_CLIENT, "client", "libraries", start.LIBRARIES),
        ratio(IMPORT_TYPES, "types", "libraries", start.LIBRARIES),
        ratio(FIRST_TOKEN, "first token", "plain first token", script),
        ratio(START, "command", "script", script),
        ratio(MEMORY, "command memory", "script memory", script),
    ]


async def _figures(size: Size) -> list[Figure]:
    figures: list[Figure] = []
    async with _minimal_service(1) as one, _minimal_service(1000) as many, _fake_broker() as fake:
        request, request_to_fake = await calls.request_of(one, calls.SCOPES), await calls.request_to_fake(fake)
        figures.append(await calls.silent_token(one, request, size.calls, SILENT_TOKEN))
        figures.append(await calls.silent_token(fake, request_to_fake, size.calls, SILENT_TOKEN_OF_FAKE))
        figures += await _load(one, size)
        figures += await calls.shared_calls()
        figures += await _start(fake, size)
        figures.append(await calls.growth_with_calls(one, size.calls_to_the_last))
        figures.append(await calls.growth_with_accounts(one, many, size.calls))
    return figures


def main() -> int:
    """Measure, print and write; gives the exit code."""
    parser = argparse.ArgumentParser(description="ratios of time and memory, against plain dbus-next")
    parser.add_argument("--full", action="store_true", help="the numbers of calls that the promises name")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures are written")
    parser.add_argument("--page", type=Path, metavar="FILE", help="a page whose table of figures is replaced")
    arguments = parser.parse_args()
    size = FULL if arguments.full else SHORT
    figures, is_judged = machine.measure_until_judged(lambda: asyncio.run(_figures(size)))
    print(table(figures))
    if arguments.json:
        arguments.json.write_text(as_json(figures), encoding="utf-8")
        print(f"\nwritten to {arguments.json}")
    if arguments.page:
        page = with_figures(arguments.page.read_text(encoding="utf-8"), figures)
        arguments.page.write_text(page, encoding="utf-8")
    failed = machine.failed(figures)
    if failed and is_judged:
        print(f"\nmissed by more than is let pass: {'; '.join(failed)}")
    elif failed:
        print(f"\nnot judged, as other programs kept the machine busy: {'; '.join(failed)}")
    return 1 if failed and is_judged else 0


if __name__ == "__main__":
    sys.exit(main())
