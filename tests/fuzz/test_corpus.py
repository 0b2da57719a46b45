"""The inputs that are kept, and a few thousand mutated ones, lead to no failure. The long run is ``tox -e fuzz``."""

from __future__ import annotations

import random

import pytest

from tests.fuzz import corpus
from tests.fuzz.targets import REPLY_TYPES, TARGETS, read, receive, redacted, shake_hands

MUTATED = {"replies": 1500, "redaction": 500, "messages": 2500, "large-messages": 50, "handshake": 200}


@pytest.mark.parametrize("text", corpus.replies(), ids=range(len(corpus.replies())))
def test_a_reply_that_is_kept(text: str) -> None:
    redacted(text)
    for reply_type in REPLY_TYPES:
        read(reply_type, text)


@pytest.mark.parametrize("data", corpus.messages(), ids=range(len(corpus.messages())))
async def test_messages_that_are_kept_however_they_are_cut(data: bytes) -> None:
    await receive([data])
    await receive(data[start : start + 1] for start in range(len(data)))


@pytest.mark.parametrize("data", corpus.handshakes(), ids=range(len(corpus.handshakes())))
async def test_an_answer_to_the_handshake_that_is_kept(data: bytes) -> None:
    await shake_hands(data)


@pytest.mark.parametrize(("name", "count"), MUTATED.items())
async def test_a_few_thousand_mutated_inputs(name: str, count: int) -> None:
    target, random_ = TARGETS[name], random.Random(0)
    seeds = corpus.inputs(target.corpus)
    for _ in range(count):
        await target.run(target.mutated(random_, random_.choice(seeds), seeds))


@pytest.mark.parametrize("name", sorted({target.corpus for target in TARGETS.values()}))
def test_a_line_of_the_corpus_is_the_input_that_it_was_written_for(name: str) -> None:
    written = [corpus.line(name, data) for data in corpus.inputs(name)]
    assert corpus.parse(name, written) == corpus.inputs(name)
