"""The runner for drivers: plays vectors to a driver and restarts it after a failure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence

from linuxbroker_fake.conformance.case import Case, CaseResult, Problem, ResultCallback, case_of, secrets_of
from linuxbroker_fake.conformance.driver import Driver, DriverError
from linuxbroker_fake.conformance.rules import History
from linuxbroker_fake.conformance.stage import Stage
from linuxbroker_fake.conformance.vectors import Vector

_EXIT_SECONDS = 5.0


async def run_client(
    vectors: Sequence[Vector], command: Sequence[str], *, limit: float, on_result: ResultCallback | None = None
) -> list[CaseResult]:
    """Play vectors to a driver: slow ones and others concurrently, each group with its own bus and driver process.

    Args:
        vectors: the vectors.
        command: the driver's program and arguments.
        limit: time limit for each answer, seconds.
        on_result: called with each result as soon as it is known.

    Returns:
        The results, in the order of the vectors.

    Raises:
        DriverMissingError: the program does not exist or cannot be executed.
    """
    groups = [[vector for vector in vectors if vector.slow is slow] for slow in (False, True)]
    tasks = [asyncio.ensure_future(_run_group(group, command, limit, on_result)) for group in groups if group]
    try:
        results = {result.vector.id: result for group in await asyncio.gather(*tasks) for result in group}
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [results[vector.id] for vector in vectors]


async def _run_group(
    vectors: Sequence[Vector], command: Sequence[str], limit: float, on_result: ResultCallback | None
) -> list[CaseResult]:
    results: dict[str, CaseResult] = {}

    def fail_late_answers(case_ids: Iterable[str]) -> None:
        """Fail the cases about which the driver wrote a line after their end."""
        for result in [results[name] for name in case_ids if name in results]:
            result.problems.append(Problem("answered twice"))
            if on_result is not None:
                on_result(result)

    async with Stage() as stage:
        driver, history = Driver(command, stage.address), History()
        try:
            for vector in vectors:
                result, late = await _run_case(vector, stage, driver, history, limit)
                results[vector.id] = result
                if on_result is not None:
                    on_result(result)
                fail_late_answers(late)
        finally:
            await driver.stop(patience=_EXIT_SECONDS)
        fail_late_answers(case_of(line) for line in await driver.take_unread_lines())
    return list(results.values())


async def _run_case(
    vector: Vector, stage: Stage, driver: Driver, history: History, limit: float
) -> tuple[CaseResult, list[str]]:
    start, result = time.monotonic(), CaseResult(vector)
    late: list[str] = []
    await stage.prepare(vector.broker)
    if vector.fresh:
        await driver.stop(patience=_EXIT_SECONDS)
        late = [case_of(line) for line in await driver.take_unread_lines()]
    await driver.start()
    driver.take_stderr()
    case = Case(vector, stage, driver, history, limit)
    try:
        result.problems = await case.play()
    except DriverError as error:
        result.problems = [*case.problems, Problem(str(error))]
    if result.problems:  # the next case must not see what it is doing
        await driver.stop()
    result.stderr = driver.take_stderr()
    if any(secret in result.stderr for secret in secrets_of(vector)):
        result.problems.append(Problem("standard error contains a token, a cookie, a password or a nonce (SE-02)"))
    result.seconds = time.monotonic() - start
    return result, late + case.late_cases
