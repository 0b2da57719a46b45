"""What does ``linuxbroker-fake conformance`` do? Its arguments, and its way from them to an exit code."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from linuxbroker.resources import interfaces_folder
from linuxbroker_fake.conformance import report
from linuxbroker_fake.conformance.broker_runner import run_broker
from linuxbroker_fake.conformance.case import CLIENT_ID, CaseResult
from linuxbroker_fake.conformance.driver import DriverMissingError
from linuxbroker_fake.conformance.runner import run_client
from linuxbroker_fake.conformance.vectors import Vector, VectorError, load_vectors, select

PASSED, FAILED, USAGE = 0, 1, 2
_DEFAULT_TIMEOUT = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments.

    Args:
        parser: the command's.
    """
    parser.add_argument("--only", nargs="+", metavar="ID", default=[], help="these vectors; ID* for all that begin so")
    parser.add_argument("--json", type=Path, metavar="REPORT", help="write a JSON report to this file")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write a JUnit XML report to this file")
    parser.add_argument(
        "--timeout", type=_seconds, default=_DEFAULT_TIMEOUT, metavar="S", help="seconds for each answer (default: 60)"
    )
    parser.add_argument(
        "--broker", action="store_true", help="the program is a broker: play the vectors for brokers to it"
    )
    parser.add_argument(
        "--interactive", action="store_true", help="with --broker: open windows too; nobody has to touch them"
    )
    parser.add_argument("--client-id", default=CLIENT_ID, metavar="UUID", help="with --broker: an app that it knows")
    parser.add_argument(
        "--scopes",
        nargs="+",
        default=["https://graph.microsoft.com/.default"],
        metavar="SCOPE",
        help="with --broker: what it can give the app a token for",
    )
    parser.add_argument("--list", action="store_true", help="list the vectors, and run nothing")
    parser.add_argument("--show", action="store_true", help="print the vectors, spelt out, and run nothing")
    parser.add_argument("--quiet", action="store_true", help="tell of failures and of the end only")
    parser.add_argument(
        "program", nargs="*", metavar="DRIVER", help="the program under test and its arguments, behind --"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command.

    Args:
        arguments: the parsed arguments.

    Returns:
        The exit code: 0 where every case passed, 1 where not, 2 where nothing could be run.
    """
    try:
        every = load_vectors()
        vectors = select([item for item in every if (item.kind == "broker") is arguments.broker], arguments.only)
        if arguments.list:
            print(*(f"{vector.id}: {vector.shows}" for vector in vectors), sep="\n")
            return PASSED
        if arguments.show:
            print(json.dumps([asdict(vector) for vector in vectors], indent=2, ensure_ascii=False))
            return PASSED
        if not arguments.program:
            raise VectorError("which program is under test? Give its command behind --")

        def tell(result: CaseResult) -> None:
            if not (arguments.quiet and result.passed):
                print(report.describe(result), flush=True)

        results = asyncio.run(_play(vectors, arguments, tell))
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
    vectors: Sequence[Vector], arguments: argparse.Namespace, tell: Callable[[CaseResult], None]
) -> list[CaseResult]:
    limit = float(arguments.timeout)
    if not arguments.broker:
        return await run_client(vectors, arguments.program, limit=limit, tell=tell)
    return await run_broker(
        vectors,
        arguments.program,
        limit=limit,
        screen=arguments.interactive,
        client_id=arguments.client_id,
        scopes=arguments.scopes,
        tell=tell,
    )


def _seconds(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value
