"""The command from its arguments to its exit code: parsing, the event loop, signals and error messages."""

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
        argv: the words after the program's name; default those of ``sys.argv``.

    Returns:
        The exit code; ``linuxbroker --help`` lists them.

    Raises:
        SystemExit: help was requested.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["run"] and words[1:2] not in (["-h"], ["--help"]):
        return _run_program(words[1:])
    try:
        arguments = parse(words)
    except UsageError as error:
        return _fail(error, str(error), USAGE, json="--json" in words)
    try:
        with _debug_log(arguments.verbose):
            return asyncio.run(_run(arguments))
    except (asyncio.CancelledError, KeyboardInterrupt) as interruption:
        if arguments.command == "monitor":
            return DONE
        return _fail(interruption, "canceled", CANCELED, json=arguments.json)
    except output.OutputError as error:
        if str(error):
            output.write_error(str(error))
        return FAILED
    except Exception as error:
        exit_code = _exit_code(error)
        if exit_code is None:
            raise
        return _fail(error, _message(error, arguments.command), exit_code, json=arguments.json)


def _run_program(words: Sequence[str]) -> int:
    from linuxbroker.cli import run

    try:
        program = run.parse(words)
        run.install_replacement(program)
    except (UsageError, ValueError) as error:
        return _fail(error, _message(error, "run"), USAGE, json=False)
    return run.run(program)


async def _run(arguments: Arguments) -> int:
    # Imported here so that the help and usage errors are quick.
    if arguments.command == "demo":
        from linuxbroker.cli import demo

        with _cancel_on_signals():
            return DONE if await demo.run(arguments) else FAILED
    from linuxbroker.cli import operations

    operation = operations.OPERATIONS[arguments.command]
    with _cancel_on_signals():
        async with operations.make_client(arguments) as client:
            await operation(client, arguments)
    return DONE


def _message(error: Exception, command: str) -> str:
    """The message of an error; it names options of the command rather than the library's arguments."""
    from linuxbroker.cli import operations
    from linuxbroker.errors import InvalidArgumentError

    text = str(error)
    return operations.option_message(text, command) if isinstance(error, InvalidArgumentError) else text


def _exit_code(error: Exception) -> int | None:
    """The exit code for an expected error; None for a bug, which needs a traceback."""
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
def _cancel_on_signals() -> Generator[None]:
    """Cancel the task on Ctrl-C and SIGTERM, so that the client closes the broker's window."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    cancel: Callable[[], object] = task.cancel
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handled: list[signal.Signals] = []
    try:
        for number in previous:
            try:
                loop.add_signal_handler(number, cancel)
            except (RuntimeError, ValueError):  # main() runs in a thread that receives no signals
                break
            handled.append(number)
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
            signal.signal(number, previous[number])


@contextlib.contextmanager
def _debug_log(enabled: bool) -> Generator[None]:
    logger = logging.getLogger("linuxbroker")
    handler, level = logging.StreamHandler(), logger.level
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    if enabled:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
