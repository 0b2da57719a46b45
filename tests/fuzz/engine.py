"""atheris on one target: ``python -m tests.fuzz.engine TARGET``, then options and folders of libFuzzer.

The library's own code is instrumented, and the D-Bus library's, so that an input that gets further in them is kept and
mutated again. An exception that leaves the target ends the process, after atheris has printed it.
"""

from __future__ import annotations

import asyncio
import random
import shlex
import sys
from typing import TYPE_CHECKING, Any

import atheris  # pyright: ignore[reportMissingModuleSource]
from atheris.import_hook import instrument_imports  # pyright: ignore[reportMissingModuleSource]

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

# The other mutations are libFuzzer's, which know nothing of JSON and D-Bus.
_STRUCTURED = 0.7


def main() -> None:
    """Feed the target until libFuzzer ends the process."""
    name, *options = sys.argv[1:]
    target, seeds = _instrumented(name)
    loop = asyncio.new_event_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))

    def feed(data: bytes) -> None:
        loop.run_until_complete(target.run(data))
        if complaints:
            raise complaints[0].get("exception") or RuntimeError(complaints[0]["message"])

    def mutated(data: bytes, longest: int, seed: int) -> bytes:
        random_ = random.Random(seed)
        if random_.random() < _STRUCTURED:
            return target.mutated(random_, bytes(data), seeds)[:longest]
        made: bytes = atheris.Mutate(data, longest)
        return made

    # To merge, libFuzzer starts what it takes for its program's path again, by the shell.
    atheris.Setup(
        [shlex.join((sys.executable, "-m", "tests.fuzz.engine", name)), *options], feed, custom_mutator=mutated
    )
    atheris.Fuzz()


def _instrumented(name: str) -> tuple[Target, tuple[bytes, ...]]:
    """The target, and its part of the corpus."""
    with instrument_imports(include=["linuxbroker", "dbus_next"]):
        import linuxbroker.bus.codec  # noqa: F401 - which is not imported before it is needed
        from tests.fuzz import corpus, targets
    target = targets.TARGETS[name]
    return target, corpus.inputs(target.corpus)


if __name__ == "__main__":
    main()
