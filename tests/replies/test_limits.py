"""Replies that are too long or nested too deeply: each is refused alone, and other calls go on."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from linuxbroker import BrokerClient, BrokerProtocolError, BrokerResponseError, InvalidArgumentError
from linuxbroker.bus import Message, MessageKind
from linuxbroker.bus.codec import encode
from linuxbroker.bus.connection import method_return
from linuxbroker.bus.frames import LARGE_MESSAGE_BYTES, FrameReader
from linuxbroker.tokens.jwt_claims import peek
from linuxbroker.wire.models import (
    AcquirePrtSsoCookieReply,
    AcquireTokenReply,
    GetAccountsReply,
    GetLinuxBrokerVersionReply,
    Reply,
)
from linuxbroker.wire.reading import MalformedReplyError, read_reply
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID, GRAPH

VERSION = "getLinuxBrokerVersion"


def _version_of(size: int) -> str:
    """A good reply of about that many bytes."""
    return json.dumps({"linuxBrokerVersion": "9.9.9", "telemetry": {"padding": "x" * size}})


def _nested(depth: int, opening: str = '{"a":', closing: str = "}") -> str:
    """A good reply whose objects, itself included, are nested that deeply."""
    inner = opening * (depth - 2) + ("1" if opening.endswith(":") else "") + closing * (depth - 2)
    return f'{{"linuxBrokerVersion": "9.9.9", "telemetry": {{"inner": {inner}}}}}'


@pytest.mark.parametrize("size", [3_000, LARGE_MESSAGE_BYTES + 1, 20_000_000])
async def test_a_reply_that_is_too_long_ends_its_own_call_and_no_other(fake_broker: RunningFake, size: int) -> None:
    fake_broker.plant("hang", method="getAccounts", times=1)
    async with BrokerClient(CLIENT_ID, max_reply_bytes=2_000) as modest, BrokerClient(CLIENT_ID) as other:
        before = await modest._transport.bus().connection(modest._transport, limit=5)
        in_flight = asyncio.ensure_future(other.acquire_token_interactive(GRAPH))
        hanging = asyncio.ensure_future(other.get_accounts())
        await fake_broker.called("getAccounts")
        fake_broker.plant("raw_reply", method=VERSION, reply=_version_of(size), times=1)
        with pytest.raises(BrokerProtocolError, match=r"exceeds the limit of 2,000 bytes\..* increase max_reply_bytes"):
            await modest.get_linux_broker_version()
        assert await modest.get_linux_broker_version() == "3.0.2"
        assert (await in_flight).access_token
        assert not hanging.done()
        hanging.cancel()
        await asyncio.wait({hanging})
        assert await modest._transport.bus().connection(modest._transport, limit=5) is before
        assert len(before._pending) == 0


async def test_each_client_of_a_connection_has_its_own_limit(fake_broker: RunningFake) -> None:
    fake_broker.plant("raw_reply", method=VERSION, reply=_version_of(1_000_000))
    async with (
        BrokerClient(CLIENT_ID, max_reply_bytes=500_000) as modest,
        BrokerClient(CLIENT_ID, max_reply_bytes=2_000_000) as generous,
    ):
        refused, taken = await asyncio.gather(
            modest.get_linux_broker_version(), generous.get_linux_broker_version(), return_exceptions=True
        )
    assert isinstance(refused, BrokerProtocolError)
    assert taken == "9.9.9"


async def test_a_limit_below_what_the_bus_itself_says_is_no_hindrance_to_connecting(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID, max_reply_bytes=1) as client:
        assert await client.is_available()
        with pytest.raises(BrokerProtocolError, match="exceeds the limit of 1 bytes"):
            await client.get_accounts()


def test_a_message_that_is_passed_over_takes_no_memory() -> None:
    asked: list[tuple[int, int]] = []

    def skips(length: int, reply_serial: int) -> bool:
        asked.append((length, reply_serial))
        return True

    call = Message(MessageKind.CALL, serial=77, sender="a.b")
    long = encode(method_return(call, "s", "x" * 20_000_000), serial=1)
    short = encode(method_return(call, "s", "short"), serial=2)
    reader = FrameReader(skips=skips)
    tracemalloc.start()
    try:
        for start in range(0, len(long), 65_536):
            assert not list(reader.feed(long[start : start + 65_536]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * LARGE_MESSAGE_BYTES
    assert list(reader.feed(short)) == [short]
    assert asked == [(len(long), 77)]


@pytest.mark.parametrize("step", [1_000, 65_536, 10_000_000])
def test_what_follows_a_message_that_is_passed_over_is_found_however_the_stream_is_cut(step: int) -> None:
    call = Message(MessageKind.CALL, serial=77, sender="a.b")
    whole = [encode(method_return(call, "s", "x" * size), serial=size + 1) for size in (5, 300_000, 0, 270_000, 9)]
    stream = b"".join(whole)
    reader = FrameReader(skips=lambda length, _: length > 280_000)
    found = [frame for start in range(0, len(stream), step) for frame in reader.feed(stream[start : start + step])]
    assert found == [whole[0], *whole[2:]]


@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ("[", "]")])
async def test_a_reply_is_refused_when_it_is_nested_more_deeply_than_is_allowed(
    fake_broker: RunningFake, opening: str, closing: str
) -> None:
    for limit in (3, 10, 64, 200):
        async with BrokerClient(CLIENT_ID, max_reply_depth=limit) as client:
            fake_broker.plant("raw_reply", method=VERSION, reply=_nested(limit, opening, closing), times=1)
            assert await client.get_linux_broker_version() == "9.9.9"
            for depth in (limit + 1, 1_000, 100_000):
                fake_broker.plant("raw_reply", method=VERSION, reply=_nested(depth, opening, closing), times=1)
                with pytest.raises(
                    BrokerProtocolError, match=rf"nested more than {limit} levels deep \(max_reply_depth\)"
                ):
                    await client.get_linux_broker_version()
            assert await client.get_linux_broker_version() == "3.0.2"


async def test_many_values_side_by_side_are_not_deep(fake_broker: RunningFake) -> None:
    fake_broker.plant(
        "raw_reply", method=VERSION, reply='{"linuxBrokerVersion": "9.9.9", "telemetry": {}, "a": [[], {}, 1]}'
    )
    async with BrokerClient(CLIENT_ID, max_reply_depth=3) as client:
        assert await client.get_linux_broker_version() == "9.9.9"


@pytest.mark.parametrize("wrong", [0, -1, 201, True, 5.0, "9", None])
def test_a_depth_that_cannot_be_kept_is_refused_at_once(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="max_reply_depth"):
        BrokerClient(CLIENT_ID, max_reply_depth=wrong)


_ACCOUNT = {"homeAccountId": "a.b"}
_COOKIE = {"cookieName": "a", "cookieContent": "b"}


@pytest.mark.parametrize(
    ("reply_type", "reply"),
    [
        (GetAccountsReply, lambda items: {"accounts": [_ACCOUNT] * items}),
        (AcquirePrtSsoCookieReply, lambda items: {"cookieItems": [_COOKIE] * items}),
        (AcquireTokenReply, lambda items: {"brokerTokenResponse": {"grantedScopes": ["a"] * items}}),
        (AcquireTokenReply, lambda items: {"brokerTokenResponse": {"grantedScopes": "a " * items}}),
    ],
)
def test_a_list_that_is_longer_than_any_brokers_is_refused(
    reply_type: type[Reply], reply: Callable[[int], dict[str, Any]]
) -> None:
    read_reply(reply_type, json.dumps(reply(10_000)))
    with pytest.raises(MalformedReplyError, match="value_error"):
        read_reply(reply_type, json.dumps(reply(10_001)))


SIZE = 4 * 1024 * 1024


def _filled(item: str, opening: str = "[", closing: str = "]") -> str:
    """A reply of about four MiB, most of it one item over and over."""
    return f'{{"telemetry": {{"a": {opening}{",".join([item] * (SIZE // (len(item) + 1)))}{closing}}}}}'


TOO_MANY = {
    "empty objects": _filled("{}"),
    "small objects": _filled('{"a":{}}'),
    "keys": _filled('"a":0', "{", "}"),
    "different keys": "{" + ",".join(f'"{number:x}":0' for number in range(SIZE // 6)) + "}",
    "numbers": _filled("1.5"),
    "texts": _filled('""'),
    "texts with quotes in them": _filled(r'"\"\\"'),
    "texts with letters from everywhere": _filled('"\u20ac"'),
    "texts with letters from beyond, and escapes": _filled('"\U0001f600\\""'),
    "open brackets": '{"a":' + "[" * SIZE,
    "commas": "," * SIZE,
    "quotes, then commas": '"" ' * (SIZE // 6) + "," * (SIZE // 2),
}
LONG = {
    "a letter": "x",
    "commas": ",",
    "brackets": "{[",
    "quotes": '"',
    "backslashes": "\\",
    "what ends in a backslash": ",\\",
    "control characters": "\0",
    "JSON": '[{"a":1},"b"],',
}


def _peak_of(read: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("text", TOO_MANY.values(), ids=TOO_MANY)
def test_a_reply_of_more_values_than_any_brokers_is_refused_within_four_times_its_size(text: str) -> None:
    def read() -> None:
        with pytest.raises(MalformedReplyError, match="more than 300,000 values"):
            read_reply(GetAccountsReply, text)

    assert sys.getsizeof(text) + _peak_of(read) < 4 * sys.getsizeof(text)


@pytest.mark.parametrize("repeated", LONG.values(), ids=LONG)
def test_a_long_text_is_one_value_whatever_is_in_it(repeated: str) -> None:
    long = repeated * (SIZE // len(json.dumps(repeated)[1:-1]))
    text = json.dumps({"linuxBrokerVersion": "9.9.9", "telemetry": {"a": long, "b": f"{long},"}})
    read: list[Reply] = []
    peak = _peak_of(lambda: read.append(read_reply(GetLinuxBrokerVersionReply, text)))
    assert read[0].telemetry == {"a": long, "b": f"{long},"}
    assert sys.getsizeof(text) + peak < 4 * sys.getsizeof(text)


def test_ten_thousand_accounts_with_all_their_keys_are_taken() -> None:
    account = {"homeAccountId": "a.b", **{f"key{number}": "a, b: [c]" for number in range(23)}}
    reply = read_reply(GetAccountsReply, json.dumps({"accounts": [account] * 10_000, "telemetry": {}}))
    assert len(reply.accounts or ()) == 10_000


def test_a_token_with_more_claims_than_any_says_nothing_of_itself() -> None:
    def token(claims: int) -> str:
        payload = json.dumps({"exp": 4_102_444_800, "many": [0] * claims}).encode()
        return f"e30.{base64.urlsafe_b64encode(payload).decode()}.x"

    assert peek(token(200_000))["exp"] == 4_102_444_800
    assert peek(token(300_000)) == {}


async def test_details_of_a_failure_beyond_the_first_thousand_are_left_out(fake_broker: RunningFake) -> None:
    many = {str(number): number for number in range(1500)}
    failure = {"error": {"status": 6, "context": "no", "diagnostics": many}, "telemetry": many}
    fake_broker.plant("raw_reply", method=VERSION, reply=json.dumps(failure))
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises(BrokerResponseError) as caught:
            await client.get_linux_broker_version()
    assert caught.value.diagnostics == caught.value.telemetry == {str(number): number for number in range(1000)}
