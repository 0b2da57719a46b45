"""The command ``linuxbroker-fake conformance``."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from linuxbroker.resources import interfaces_folder
from linuxbroker_fake.conformance import report
from linuxbroker_fake.conformance.broker_runner import run_broker
from linuxbroker_fake.conformance.case import CLIENT_ID, CaseResult, ResultCallback
from linuxbroker_fake.conformance.driver import DriverMissingError
from linuxbroker_fake.conformance.runner import run_client
from linuxbroker_fake.conformance.vectors import Vector, VectorError, load_vectors, select

PASSED, FAILED, USAGE = 0, 1, 2
_DEFAULT_TIMEOUT = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser.

    Args:
        parser: the parser.
    """
    parser.add_argument("--only", nargs="+", metavar="ID", default=[], help="vectors to run; * is a wildcard")
    parser.add_argument("--json", type=Path, metavar="REPORT", help="write a JSON report")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write a JUnit XML report")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=_DEFAULT_TIMEOUT,
        metavar="SECONDS",
        help="time limit for each answer (default: 60)",
    )
    parser.add_argument("--broker", action="store_true", help="the program is a broker: run the vectors for brokers")
    parser.add_argument(
        "--interactive",
        action="store_true",
        help="with --broker: also run vectors that open a window; they need no user input",
    )
    parser.add_argument(
        "--client-id",
        default=CLIENT_ID,
        metavar="UUID",
        help="with --broker: client ID of an application that the broker accepts (default: %(default)s)",
    )
    parser.add_argument(
        "--scopes",
        nargs="+",
        default=["https://graph.microsoft.com/.default"],
        metavar="SCOPE",
        help="with --broker: scopes that the broker can grant to the application (default: "
        "https://graph.microsoft.com/.default)",
    )
    parser.add_argument("--list", action="store_true", help="list the vectors and exit")
    parser.add_argument(
        "--show", action="store_true", help="print the vectors as JSON, shared values resolved, and exit"
    )
    parser.add_argument("--quiet", action="store_true", help="print failures and the summary only")
    parser.add_argument("program", nargs="*", metavar="PROGRAM", help="program under test and its arguments, after --")


def run(arguments: argparse.Namespace) -> int:
    """Run the command.

    Args:
        arguments: the parsed arguments.

    Returns:
        The exit code: 0 if no case failed, 1 if a case failed, 2 if nothing could be run.

    Raises:
        BusError: the private bus is unavailable.
        DBusDaemonMissingError: ``dbus-daemon`` is not installed.
    """
    try:
        all_vectors = load_vectors()
        vectors = select([item for item in all_vectors if (item.kind == "broker") is arguments.broker], arguments.only)
        if arguments.list:
            print(*(f"{vector.id}: {vector.shows}" for vector in vectors), sep="\n")
            return PASSED
        if arguments.show:
            print(json.dumps([asdict(vector) for vector in vectors], indent=2, ensure_ascii=False))
            return PASSED
        if not arguments.program:
            raise VectorError("no program given; pass its command after --")

        def on_result(result: CaseResult) -> None:
            if not (arguments.quiet and result.passed):
                print(report.describe(result), flush=True)

        results = asyncio.run(_play(vectors, arguments, on_result))
        print(report.summary(results))
        version = (interfaces_folder() / "VERSION").read_text(encoding="utf-8").strip()
        if arguments.json:
            arguments.json.write_text(report.as_json(results, version, arguments.program), encoding="utf-8")
        if arguments.junit:
            arguments.junit.write_text(report.as_junit(results), encoding="utf-8")
    except (VectorError, DriverMissingError, OSError) as error:
        print(f"linuxbroker-fake conformance: {error}", file=sys.stderr)
        return USAGE
    return PASSED if all(result.passed for result in results) else FAILED


async def _play(
    vectors: Sequence[Vector], arguments: argparse.Namespace, on_result: ResultCallback
) -> list[CaseResult]:
    limit = float(arguments.timeout)
    if not arguments.broker:
        return await run_client(vectors, arguments.program, limit=limit, on_result=on_result)
    return await run_broker(
        vectors,
        arguments.program,
        limit=limit,
        screen=arguments.interactive,
        client_id=arguments.client_id,
        scopes=arguments.scopes,
        on_result=on_result,
    )


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a number of seconds: {text!r}") from None
    if not value > 0:
        raise argparse.ArgumentTypeError("must be greater than 0")
    return value
