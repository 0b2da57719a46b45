"""What happens from the command line to the exit code? Parsing, the event loop, signals, and how failures are told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Generator, Sequence

from linuxbroker.cli import output
from linuxbroker.cli.arguments import Arguments, UsageError, parse

DONE = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
INTERACTION_REQUIRED = 4
CANCELED = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command ``linuxbroker``.

    Args:
        argv: what was typed after the program's name; ``sys.argv`` unless given.

    Returns:
        The exit code, as ``linuxbroker --help`` lists them.

    Raises:
        SystemExit: help was asked for.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    if given[:1] == ["run"] and given[1:2] not in (["-h"], ["--help"]):
        return _run_program(given[1:])
    try:
        arguments = parse(given)
    except UsageError as error:
        return _fail(error, str(error), USAGE, json="--json" in given)
    try:
        with _debug_log(arguments.verbose):
            return asyncio.run(_run(arguments))
    except (asyncio.CancelledError, KeyboardInterrupt) as interruption:
        if arguments.command == "monitor":
            return DONE
        return _fail(interruption, "cancelled", CANCELED, json=arguments.json)
    except output.OutputError as error:
        if str(error):
            output.write_error(str(error))
        return FAILED
    except Exception as error:
        exit_code = _exit_code(error)
        if exit_code is None:
            raise
        return _fail(error, str(error), exit_code, json=arguments.json)


def _run_program(given: Sequence[str]) -> int:
    from linuxbroker.cli import run

    try:
        program = run.read(given)
        run.put_stand_in_place(program)
    except (UsageError, ValueError) as error:
        return _fail(error, str(error), USAGE, json=False)
    return run.run(program)


async def _run(arguments: Arguments) -> int:
    # Imported here for the help, and for usage errors, to be quick.
    if arguments.command == "demo":
        from linuxbroker.cli import demo

        with _cancelled_by_signals():
            return DONE if await demo.run(arguments) else FAILED
    from linuxbroker.cli import operations

    operation = operations.OPERATIONS[arguments.command]
    with _cancelled_by_signals():
        async with operations.make_client(arguments) as client:
            await operation(client, arguments)
    return DONE


def _exit_code(error: Exception) -> int | None:
    """The exit code for an error that users are told about; None for a bug, whose traceback is what helps."""
    from linuxbroker import errors
    from linuxbroker.cli import demo, operations

    table: tuple[tuple[type[Exception], int], ...] = (
        (errors.InvalidArgumentError, USAGE),
        (UsageError, USAGE),
        (errors.BrokerUnreachableError, UNREACHABLE),
        (demo.NoBusDaemonError, UNREACHABLE),
        (errors.InteractionRequiredError, INTERACTION_REQUIRED),
        (operations.NoAccountError, INTERACTION_REQUIRED),
        (errors.CanceledError, CANCELED),
        (errors.BrokerError, FAILED),
        (operations.UnknownAccountError, FAILED),
        (demo.DemoUnavailableError, FAILED),
    )
    return next((code for kind, code in table if isinstance(error, kind)), None)


def _fail(error: BaseException, message: str, exit_code: int, *, json: bool) -> int:
    output.write_error(message)
    if json:
        with contextlib.suppress(output.OutputError):
            output.write_json(output.error_json(error, message))
    return exit_code


@contextlib.contextmanager
def _cancelled_by_signals() -> Generator[None]:
    """Turn Ctrl-C and SIGTERM into a cancelled task, which lets the client close the broker's window."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    cancel: Callable[[], object] = task.cancel
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handled: list[signal.Signals] = []
    try:
        for number in before:
            try:
                loop.add_signal_handler(number, cancel)
            except (RuntimeError, ValueError):  # main() runs in a thread that gets no signals
                break
            handled.append(number)
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])


@contextlib.contextmanager
def _debug_log(wanted: bool) -> Generator[None]:
    logger = logging.getLogger("linuxbroker")
    handler, level = logging.StreamHandler(), logger.level
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    if wanted:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
