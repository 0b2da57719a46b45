"""Does a driver pass the vectors? Plays each to it, with a fresh driver after each one that was lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from linuxbroker_fake.conformance.case import Case, CaseResult, Problem, case_of, secrets_of
from linuxbroker_fake.conformance.driver import Driver, DriverError
from linuxbroker_fake.conformance.rules import Past
from linuxbroker_fake.conformance.stage import Stage
from linuxbroker_fake.conformance.vectors import Vector

_LEAVING_SECONDS = 5.0

Tell = Callable[[CaseResult], None]


async def run_client(
    vectors: Sequence[Vector], command: Sequence[str], *, limit: float, tell: Tell | None = None
) -> list[CaseResult]:
    """Play vectors to a driver; the slow ones beside the others, each lot on a bus and with a driver of its own.

    Args:
        vectors: what is played.
        command: the driver's program and arguments.
        limit: seconds that it has for each answer.
        tell: called with each result as it comes.

    Returns:
        The results, in the order of the vectors.

    Raises:
        DriverMissingError: there is no such program.
    """
    lots = [[vector for vector in vectors if vector.slow is slow] for slow in (False, True)]
    tasks = [asyncio.ensure_future(_run_lot(lot, command, limit, tell)) for lot in lots if lot]
    try:
        results = {result.vector.id: result for lot in await asyncio.gather(*tasks) for result in lot}
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [results[vector.id] for vector in vectors]


async def _run_lot(
    vectors: Sequence[Vector], command: Sequence[str], limit: float, tell: Tell | None
) -> list[CaseResult]:
    results: dict[str, CaseResult] = {}

    def blame(names: Iterable[str]) -> None:
        """Have the cases fail that the driver has said something about when they were over."""
        for result in [results[name] for name in names if name in results]:
            result.problems.append(Problem("answered again when it had answered"))
            if tell is not None:
                tell(result)

    async with Stage() as stage:
        driver, past = Driver(command, stage.address), Past()
        try:
            for vector in vectors:
                result, late = await _run_case(vector, stage, driver, past, limit)
                results[vector.id] = result
                if tell is not None:
                    tell(result)
                blame(late)
        finally:
            await driver.stop(patience=_LEAVING_SECONDS)
        blame(case_of(line) for line in await driver.take_unread())
    return list(results.values())


async def _run_case(
    vector: Vector, stage: Stage, driver: Driver, past: Past, limit: float
) -> tuple[CaseResult, list[str]]:
    begin, result = time.monotonic(), CaseResult(vector)
    late: list[str] = []
    await stage.prepare(vector.broker)
    if vector.fresh:
        await driver.stop(patience=_LEAVING_SECONDS)
        late = [case_of(line) for line in await driver.take_unread()]
    await driver.start()
    driver.take_stderr()
    case = Case(vector, stage, driver, past, limit)
    try:
        result.problems = await case.play()
    except DriverError as error:
        result.problems = [*case.problems, Problem(str(error))]
    if result.problems:  # whatever it is doing, the next case must not see it
        await driver.stop()
    result.stderr = driver.take_stderr()
    if any(secret in result.stderr for secret in secrets_of(vector)):
        result.problems.append(Problem("standard error shows a token, a cookie, a password or a nonce (SE-02)"))
    result.seconds = time.monotonic() - begin
    return result, late + case.late
