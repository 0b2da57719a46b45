"""Messages as bytes and back, and what dbus-next keeps of them."""

from __future__ import annotations

import contextlib
import gc
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from dbus_next.constants import MessageFlag, MessageType
from dbus_next.message import Message as DBusMessage
from dbus_next.signature import SignatureTree, Variant
from hypothesis import given, settings
from hypothesis import strategies as st

from linuxbroker.bus import BadMessageError, Message, MessageKind, codec
from linuxbroker.bus.codec import decode, encode

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


OTHERS = st.sampled_from(
    [
        Message(MessageKind.RETURN, reply_serial=7, signature="u", body=(42,)),
        Message(MessageKind.RETURN, reply_serial=7, signature="su", body=("text", 42)),
        Message(MessageKind.SIGNAL, path="/", interface="a.b", member="M", signature="as", body=(["text"],)),
        Message(MessageKind.CALL, path="/", member="M", destination=":strange", signature="s", body=("text",)),
    ]
)


@given(st.one_of(MESSAGES, OTHERS), SERIALS)
def test_a_message_is_read_as_it_was_written(message: Message, serial: int) -> None:
    assert decode(encode(message, serial)) == replace(message, serial=serial)


@given(MESSAGES, SERIALS, st.booleans())
def test_a_call_has_the_bytes_that_plain_dbus_next_writes(message: Message, serial: int, autostart: bool) -> None:
    flags = MessageFlag.NONE if message.reply_expected else MessageFlag.NO_REPLY_EXPECTED
    flags |= MessageFlag.NONE if autostart else MessageFlag.NO_AUTOSTART
    names = ("destination", "path", "interface", "member", "error_name", "reply_serial")
    fields: dict[str, Any] = {name: getattr(message, name) or None for name in names}
    plain = DBusMessage(
        message_type=MessageType(message.kind.value),
        flags=flags,
        signature=message.signature,
        body=list(message.body),
        serial=serial,
        **fields,
    )._marshall()
    once, again = (encode(replace(message, autostart=autostart), serial) for _ in range(2))
    assert once == again == bytes(plain)


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
def test_a_damaged_message_is_read_or_is_invalid(message: Message, changes: list[tuple[int, int]], cut: int) -> None:
    frame = bytearray(encode(message, 1))
    for position, value in changes:
        frame[position % len(frame)] = value
    with contextlib.suppress(BadMessageError):
        assert isinstance(decode(bytes(frame[:cut] if cut < 0 else frame + bytes(cut))), Message)


@settings(max_examples=4000, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    SERIALS,
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=3),
    st.integers(-3, 3),
)
def test_a_reply_whose_header_was_read_before_is_read_as_if_it_was_not(
    text: str, serial: int, changes: list[tuple[int, int]], cut: int
) -> None:
    reply = Message(MessageKind.RETURN, reply_serial=7, sender=":1.9", destination=":1.7", signature="s", body=("",))
    codec._reply_fields.clear()
    decode(encode(reply, 1))
    assert len(codec._reply_fields) == 1
    frame = bytearray(encode(replace(reply, reply_serial=serial, body=(text,)), 3))
    for position, value in changes:
        frame[position % len(frame)] = value
    damaged = bytes(frame[:cut] if cut < 0 else frame + bytes(cut))
    known = _outcome(damaged)
    codec._reply_fields.clear()
    assert known == _outcome(damaged)


def _outcome(frame: bytes) -> Message | str:
    try:
        return decode(frame)
    except BadMessageError:
        return "invalid"


def test_reading_signatures_leaves_those_of_the_application_in_the_librarys_cache() -> None:
    signatures = SignatureTree._cache
    applications, known = SignatureTree._get("(sssssssu)"), len(signatures)
    frame = encode(Message(MessageKind.RETURN, reply_serial=7, signature="v", body=(Variant("q", 1),)), 1)
    for number in range(3000):
        signature = "".join("ynqiuxtd"[number >> shift & 7] for shift in (9, 6, 3, 0))
        body = [0 if token in "ynqiuxt" else 0.0 for token in signature]
        peers = DBusMessage(message_type=MessageType.METHOD_RETURN, reply_serial=1, signature=signature, body=body)
        written = bytes(peers._marshall())
        signatures.pop(signature)  # a peer in another process writes it
        assert decode(written).signature == signature
    assert decode(frame).signature == "v"
    assert signatures["(sssssssu)"] is applications
    assert len(signatures) <= known + 1000


def test_a_message_that_is_cut_short_is_no_message() -> None:
    frame = encode(Message(MessageKind.RETURN, reply_serial=7, destination=":1.5", signature="s", body=("text",)), 1)
    for length in range(len(frame)):
        with pytest.raises(BadMessageError):
            decode(frame[:length])


def test_loops_on_several_threads_read_at_the_same_time() -> None:
    frames = [
        encode(Message(MessageKind.RETURN, reply_serial=7, destination=f":1.{n}", signature="s", body=("x",)), 1)
        for n in range(300)
    ]

    def read(order: int) -> int:
        return sum(decode(frame).body == ("x",) for frame in frames[::order] * 10)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(read, (1, -1, 1, -1))) == [3000] * 4


def test_a_written_message_is_freed_without_the_garbage_collector() -> None:
    message = Message(MessageKind.CALL, path="/", member="M", signature="s")
    encode(message, 1, ["first"])
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(50):
            encode(message, 1, ["x" * 100_000])
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert kept < 200_000
