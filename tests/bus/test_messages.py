"""Does the quick way to read a reply read what the D-Bus library reads, and nothing else?"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxbroker.bus import BadMessageError, Message, MessageKind
from linuxbroker.bus.messages import decode, encode, read_any, read_text_reply

NAMES = st.one_of(st.just(""), st.just(":1.7"), st.just("com.example.Name"))
REPLIES = st.builds(
    Message,
    st.just(MessageKind.RETURN),
    reply_serial=st.integers(1, 2**32 - 1),
    destination=NAMES,
    signature=st.just("s"),
    body=st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=60)),
)
REPLY = Message(MessageKind.RETURN, reply_serial=7, destination=":1.5", signature="s", body=("text",))


@given(REPLIES, st.integers(1, 2**32 - 1))
def test_a_reply_that_is_a_text_is_read_the_quick_way(reply: Message, serial: int) -> None:
    frame = encode(reply, serial)
    quick = read_text_reply(frame)
    assert quick is not None
    assert quick == read_any(frame)
    assert (quick.body, quick.reply_serial, quick.serial) == (reply.body, reply.reply_serial, serial)


@pytest.mark.parametrize(
    "message",
    [
        Message(MessageKind.RETURN, reply_serial=7, signature="ss", body=("one", "two")),
        Message(MessageKind.RETURN, reply_serial=7, signature="u", body=(42,)),
        Message(MessageKind.RETURN, reply_serial=7),
        Message(MessageKind.ERROR, reply_serial=7, error_name="a.b", signature="s", body=("text",)),
        Message(MessageKind.CALL, path="/", member="M", signature="s", body=("text",)),
        Message(MessageKind.SIGNAL, path="/", interface="a.b", member="M", signature="s", body=("text",)),
    ],
    ids=lambda message: f"{message.kind.name} {message.signature}",
)
def test_any_other_message_is_left_to_the_library(message: Message) -> None:
    frame = encode(message, 1)
    assert read_text_reply(frame) is None
    assert decode(frame) == read_any(frame)


@settings(max_examples=2000, deadline=None)
@given(REPLIES, st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=3), st.integers(-3, 3))
def test_a_damaged_reply_is_read_as_the_library_reads_it_or_left_to_it(
    reply: Message, changes: list[tuple[int, int]], cut: int
) -> None:
    frame = bytearray(encode(reply, 1))
    for position, value in changes:
        frame[position % len(frame)] = value
    damaged = bytes(frame[:cut] if cut < 0 else frame + bytes(cut))
    quick, whole = _outcome(read_text_reply, damaged), _outcome(read_any, damaged)
    assert quick is None or quick == whole


def _outcome(read: Callable[[bytes], Message | None], frame: bytes) -> Message | str | None:
    try:
        return read(frame)
    except Exception:
        return "not valid"


def test_a_reply_that_is_cut_short_is_no_message() -> None:
    frame = encode(REPLY, 1)
    for length in range(len(frame)):
        with pytest.raises(BadMessageError):
            decode(frame[:length])
