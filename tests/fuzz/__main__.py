"""What happens when the reply parsers and the message reader get hostile input? ``tox -e fuzz``.

A plain mutation fuzzer with a seed: the same command makes the same inputs on each Python, with nothing to compile,
which a coverage-guided one (atheris) needs. It starts from the corpus, and fails where a target raises what is not the
library's own, takes longer than a few seconds over one input, or memory grows. It prints the input that did it, as a
line for the corpus.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType

from tests.fuzz import corpus
from tests.fuzz.mutations import mutated_bytes, mutated_reply, mutated_text
from tests.fuzz.targets import REPLY_TYPES, BusReader, read, redacted, shake_hands

_LIMIT_SECONDS = 5.0
_LIMIT_MEBIBYTES = 400


class HangError(Exception):
    """One input took too long."""


async def _read(random_: random.Random, text: str) -> None:
    read(random_.choice(REPLY_TYPES), text)


async def _redact(random_: random.Random, text: str) -> None:
    redacted(text)


def _inputs(random_: random.Random, reader: BusReader) -> Iterator[tuple[str, str, Callable[[], Awaitable[None]]]]:
    """Every input of the corpus, then mutations for ever: the target's name, the corpus line, and what to run."""
    texts, streams, answers = corpus.replies(), corpus.messages(), corpus.handshakes()

    def of_text(text: str) -> tuple[str, str, Callable[[], Awaitable[None]]]:
        text = text.encode("utf-8", "replace").decode()  # a message holds no other texts: they are read as UTF-8
        if random_.random() < 0.05:
            return "redaction", json.dumps(text), lambda: _redact(random_, text)
        return "reply", json.dumps(text), lambda: _read(random_, text)

    for text in texts:
        for reply_type in REPLY_TYPES:
            yield "reply", json.dumps(text), lambda kind=reply_type, text=text: _all(kind, text)  # type: ignore[misc]
    for data in streams:
        yield "messages", data.hex(), lambda data=data: reader.take(data)  # type: ignore[misc]
    for data in answers:
        yield "handshake", data.hex(), lambda data=data: shake_hands(data)  # type: ignore[misc]
    while True:
        chance = random_.random()
        if chance < 0.55:
            yield of_text(mutated_reply(random_, random_.choice(texts)))
        elif chance < 0.6:
            yield of_text(mutated_text(random_, random_.choice(texts)))
        elif chance < 0.98:
            data = mutated_bytes(random_, random_.choice(streams), streams)
            yield "messages", data.hex(), lambda data=data: reader.take(data)  # type: ignore[misc]
        else:
            data = mutated_bytes(random_, random_.choice(answers), answers)
            yield "handshake", data.hex(), lambda data=data: shake_hands(data)  # type: ignore[misc]


async def _all(kind: type, text: str) -> None:
    read(kind, text)


def _on_alarm(number: int, frame: FrameType | None) -> None:
    raise HangError(f"more than {_LIMIT_SECONDS:g} s")


async def fuzz(*, seed: int, inputs: int | None, seconds: float | None) -> dict[str, int]:
    """Feed the targets.

    Args:
        seed: of the generator.
        inputs: how many to make; None for any number.
        seconds: how long to go on; None for any time.

    Returns:
        How many inputs each target got.

    Raises:
        SystemExit: one failed; what it was is printed.
    """
    random_, reader, counts = random.Random(seed), BusReader(), dict[str, int]()
    began = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.signal(signal.SIGALRM, _on_alarm)
    try:
        for made, (target, line, run) in enumerate(_inputs(random_, reader)):
            if (inputs is not None and made >= inputs) or (seconds is not None and time.monotonic() - began >= seconds):
                break
            signal.setitimer(signal.ITIMER_REAL, _LIMIT_SECONDS)
            try:
                await run()
            except BaseException as error:
                signal.setitimer(signal.ITIMER_REAL, 0)
                print(
                    f"{target} failed with {type(error).__name__}: {error}\nadd to the corpus: {line}", file=sys.stderr
                )
                raise
            signal.setitimer(signal.ITIMER_REAL, 0)
            counts[target] = counts.get(target, 0) + 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        await reader.close()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"memory grew by {grown:.0f} MiB at most")
    if grown > _LIMIT_MEBIBYTES:
        sys.exit(f"more than {_LIMIT_MEBIBYTES} MiB")
    return counts


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the generator: the same seed, the same inputs")
    parser.add_argument("--inputs", type=int, help="how many to make")
    parser.add_argument("--seconds", type=float, help="how long to go on")
    arguments = parser.parse_args()
    began = time.monotonic()
    counts = asyncio.run(fuzz(seed=arguments.seed, inputs=arguments.inputs, seconds=arguments.seconds))
    for target, count in sorted(counts.items()):
        print(f"{target}: {count:,} inputs")
    print(f"seed {arguments.seed}: {sum(counts.values()):,} inputs in {time.monotonic() - began:.0f} s, none failed")


if __name__ == "__main__":
    main()
