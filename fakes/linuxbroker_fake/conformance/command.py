"""What does ``linuxbroker-fake conformance`` do? Its arguments, and its way from them to an exit code."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from linuxbroker.resources import interfaces_folder
from linuxbroker_fake.conformance import report
from linuxbroker_fake.conformance.case import CaseResult
from linuxbroker_fake.conformance.driver import DriverMissingError
from linuxbroker_fake.conformance.runner import run_client
from linuxbroker_fake.conformance.vectors import VectorError, load_vectors, select

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
    parser.add_argument("--list", action="store_true", help="list the vectors, and run nothing")
    parser.add_argument("--quiet", action="store_true", help="tell of failures and of the end only")
    parser.add_argument("program", nargs="*", metavar="DRIVER", help="the program under test and its arguments, behind --")


def run(arguments: argparse.Namespace) -> int:
    """Run the command.

    Args:
        arguments: the parsed arguments.

    Returns:
        The exit code: 0 where every case passed, 1 where not, 2 where nothing could be run.
    """
    try:
        vectors = select([vector for vector in load_vectors() if vector.kind != "broker"], arguments.only)
        if arguments.list:
            print(*(f"{vector.id}: {vector.shows}" for vector in vectors), sep="\n")
            return PASSED
        if not arguments.program:
            raise VectorError("which driver? Give its command behind --")

        def tell(result: CaseResult) -> None:
            if not (arguments.quiet and result.passed):
                print(report.describe(result), flush=True)

        results = asyncio.run(run_client(vectors, arguments.program, limit=arguments.timeout, tell=tell))
        print(report.summary(results))
        version = (interfaces_folder() / "VERSION").read_text(encoding="utf-8").strip()
        if arguments.json:
            arguments.json.write_text(report.as_json(results, version, arguments.program), encoding="utf-8")
        if arguments.junit:
            arguments.junit.write_text(report.as_junit(results), encoding="utf-8")
    except (VectorError, DriverMissingError, OSError) as error:
        print(f"linuxbroker-fake conformance: {error}")
        return USAGE
    return PASSED if all(result.passed for result in results) else FAILED


def _seconds(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value
