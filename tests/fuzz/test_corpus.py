"""Do the inputs that are kept, and a few thousand more, come to nothing? The long run is ``tox -e fuzz``."""

from __future__ import annotations

import pytest

from tests.fuzz import corpus
from tests.fuzz.__main__ import fuzz
from tests.fuzz.targets import REPLY_TYPES, BusReader, read, redacted, shake_hands


@pytest.mark.parametrize("text", corpus.replies(), ids=range(len(corpus.replies())))
def test_a_reply_that_is_kept(text: str) -> None:
    redacted(text)
    for reply_type in REPLY_TYPES:
        read(reply_type, text)


@pytest.mark.parametrize("data", corpus.messages(), ids=range(len(corpus.messages())))
async def test_messages_that_are_kept_however_they_are_cut(data: bytes) -> None:
    reader = BusReader()
    await reader.take(data)
    for start in range(len(data)):
        await reader.take(data[start : start + 1])
    await reader.close()


@pytest.mark.parametrize("data", corpus.handshakes(), ids=range(len(corpus.handshakes())))
async def test_an_answer_to_the_handshake_that_is_kept(data: bytes) -> None:
    await shake_hands(data)


async def test_a_few_thousand_inputs() -> None:
    counts = await fuzz(seed=0, inputs=5_000, seconds=None)
    assert sum(counts.values()) == 5_000
    assert set(counts) == {"reply", "redaction", "messages", "handshake"}
