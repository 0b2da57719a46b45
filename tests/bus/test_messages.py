"""Are messages that hold nothing but texts written and read as the D-Bus library does it?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxbroker.bus import BadMessageError, Message, MessageKind, library
from linuxbroker.bus.marshalling import decode, encode
from linuxbroker.bus.text_messages import read_texts

NO_NAME = st.just("")
BUS_NAMES = st.one_of(NO_NAME, st.just(":1.7"), st.just("com.example.Name"))
PATHS = st.sampled_from(["/", "/com/example/Name"])
INTERFACES = st.just("com.example.Interface1")
MEMBERS = st.just("Member")
SERIALS = st.integers(1, 2**32 - 1)
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), max_size=4)


def _of_kind(kind: MessageKind, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[Message]:
    plain = st.builds(Message, st.just(kind), destination=BUS_NAMES, reply_expected=st.booleans(), **fields)
    return st.builds(lambda message, body: replace(message, signature="s" * len(body), body=tuple(body)), plain, TEXTS)


MESSAGES = st.one_of(
    _of_kind(MessageKind.CALL, path=PATHS, interface=st.one_of(NO_NAME, INTERFACES), member=MEMBERS),
    _of_kind(MessageKind.RETURN, reply_serial=SERIALS),
    _of_kind(MessageKind.ERROR, reply_serial=SERIALS, error_name=INTERFACES),
    _of_kind(MessageKind.SIGNAL, path=PATHS, interface=INTERFACES, member=MEMBERS),
)


@given(MESSAGES, SERIALS, st.booleans())
def test_a_message_of_texts_is_written_and_read_as_the_library_does(
    message: Message, serial: int, autostart: bool
) -> None:
    frame = encode(replace(message, autostart=autostart), serial)
    assert frame == library.write(replace(message, autostart=autostart), serial, message.body)
    if autostart:  # the other is left to the library
        assert read_texts(frame) == library.read(frame) == replace(message, serial=serial)


@pytest.mark.parametrize(
    "message",
    [
        Message(MessageKind.RETURN, reply_serial=7, signature="u", body=(42,)),
        Message(MessageKind.RETURN, reply_serial=7, signature="su", body=("text", 42)),
        Message(MessageKind.SIGNAL, path="/", interface="a.b", member="M", signature="as", body=(["text"],)),
        Message(MessageKind.CALL, path="/", member="M", destination=":strange", signature="s", body=("text",)),
    ],
    ids=lambda message: f"{message.kind.name} {message.signature}",
)
def test_any_other_message_is_left_to_the_library(message: Message) -> None:
    frame = encode(message, 1)
    assert frame == library.write(message, 1, message.body)
    assert read_texts(frame) is None
    assert decode(frame) == library.read(frame) == replace(message, serial=1)


@pytest.mark.parametrize(
    "message",
    [
        Message(MessageKind.CALL, path="/", member="1st"),
        Message(MessageKind.CALL, path="/", member="M", interface="oneword"),
        Message(MessageKind.CALL, path="no/slash", member="M"),
        Message(MessageKind.CALL, path="/", member="M", destination="oneword"),
        Message(MessageKind.CALL, path="/", member="M" * 256),
        Message(MessageKind.CALL, path="/"),
        Message(MessageKind.RETURN),
        Message(MessageKind.ERROR, reply_serial=1),
        Message(MessageKind.SIGNAL, path="/", member="M"),
        Message(MessageKind.RETURN, reply_serial=7, signature="s", body=("one", "two")),
        Message(MessageKind.RETURN, reply_serial=7, signature="s", body=(42,)),
        Message(MessageKind.RETURN, reply_serial=7, signature="s", body=("\ud800",)),
        Message(MessageKind.RETURN, reply_serial=7, signature="nonsense", body=("text",)),
    ],
    ids=repr,
)
def test_what_the_specification_does_not_allow_is_not_written(message: Message) -> None:
    with pytest.raises(BadMessageError):
        encode(message, 1)


@settings(max_examples=4000, deadline=None)
@given(MESSAGES, st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=3), st.integers(-3, 3))
def test_a_damaged_message_is_read_as_the_library_reads_it_or_left_to_it(
    message: Message, changes: list[tuple[int, int]], cut: int
) -> None:
    frame = bytearray(encode(message, 1))
    for position, value in changes:
        frame[position % len(frame)] = value
    damaged = bytes(frame[:cut] if cut < 0 else frame + bytes(cut))
    quick, whole = _outcome(read_texts, damaged), _outcome(library.read, damaged)
    assert quick is None or quick == whole


def _outcome(read: Callable[[bytes], Message | None], frame: bytes) -> Message | str | None:
    try:
        return read(frame)
    except Exception:
        return "not valid"


def test_a_message_that_is_cut_short_is_no_message() -> None:
    frame = encode(Message(MessageKind.RETURN, reply_serial=7, destination=":1.5", signature="s", body=("text",)), 1)
    for length in range(len(frame)):
        with pytest.raises(BadMessageError):
            decode(frame[:length])
