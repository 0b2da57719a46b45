"""Hostile input made of good input: mutations of JSON, of texts and of messages, by a seeded generator.

These mutations know the structure of replies and messages; flipping, cutting and copying bytes is left to libFuzzer.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from typing import Any

_NUMBERS = (0, -1, 1, 2**31, 2**53, 2**63, -(2**63), 2**64, 10**30, 1e308, 1.5, -0.0, 4_102_444_800, 4_102_444_800_000)
_TEXTS = (
    "", " ", "0", "1", "-1", "Bearer", "pop", "null", "\0", "\ud800", "\u202e", "a" * 300, "a " * 300, "eyJ." * 20,
    "é" * 50, "AADSTS50058", "a.b.c", "eyJhIjoxfQ", ".eyJleHAiOjFlOTl9.", "{}", "[", '"', "\\u0000", "https://",
    "1e400", "%ff",
)  # fmt: skip
_KEYS = (
    "error",
    "brokerTokenResponse",
    "accounts",
    "status",
    "context",
    "accessToken",
    "telemetry",
    "__proto__",
    "",
    "\0",
)
_BYTES = (0, 1, 2, 3, 4, 7, 8, 0x7F, 0x80, 0xFF, ord("l"), ord("B"), ord("v"), ord("a"), ord("("), ord("{"), ord("s"))
_LENGTHS = (0, 1, 7, 8, 255, 256, 65535, 65536, 2**24, 2**27, 2**31 - 1, 2**31, 2**32 - 1)
_FILLINGS = (200_000, 256 * 1024, 300_000)  # below and above LARGE_MESSAGE_BYTES


def _value(random_: random.Random, depth: int = 0) -> Any:
    kind = random_.randrange(8)
    if kind == 0:
        return None
    if kind == 1:
        return random_.random() < 0.5
    if kind == 2:
        return random_.choice(_NUMBERS)
    if kind in (3, 4) or depth > 3:
        return random_.choice(_TEXTS)
    if kind == 5:
        return [_value(random_, depth + 1) for _ in range(random_.randrange(4))]
    if kind == 6:
        return {random_.choice(_KEYS): _value(random_, depth + 1) for _ in range(random_.randrange(4))}
    nested: Any = 1
    for _ in range(random_.choice((5, 60, 190, 250))):
        nested = [nested] if random_.random() < 0.5 else {"a": nested}
    return nested


def _mutated_json(random_: random.Random, document: Any) -> Any:
    """Replace, remove, rename or repeat something at a random place."""
    if isinstance(document, dict) and document and random_.random() < 0.85:
        key = random_.choice(list(document))
        copy = dict(document)
        match random_.randrange(6):
            case 0:
                del copy[key]
            case 1:
                copy[random_.choice(_KEYS)] = copy.pop(key)
            case 2:
                copy[random_.choice(_KEYS)] = _value(random_)
            case _:
                copy[key] = _mutated_json(random_, copy[key])
        return copy
    if isinstance(document, list) and document and random_.random() < 0.8:
        at = random_.randrange(len(document))
        match random_.randrange(4):
            case 0:
                return document[:at] + document[at + 1 :]
            case 1:
                return (document * random_.choice((2, 3, 20)))[:40]
            case _:
                return [*document[:at], _mutated_json(random_, document[at]), *document[at + 1 :]]
    if isinstance(document, str) and random_.random() < 0.5:
        return mutated_text(random_, document)
    return _value(random_)


def mutated_reply(random_: random.Random, text: str) -> str:
    """Make a hostile reply of a reply.

    Args:
        random_: decides.
        text: the reply.

    Returns:
        Another text, JSON more often than not.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return mutated_text(random_, text)
    for _ in range(random_.choice((1, 1, 1, 2, 3, 6)) if len(text) < 20_000 else 1):
        document = _mutated_json(random_, document)
    try:
        text = json.dumps(document, ensure_ascii=random_.random() < 0.5)
    except (ValueError, RecursionError):
        return "[" * 5000
    return mutated_text(random_, text) if random_.random() < 0.15 else text


def mutated_reply_bytes(random_: random.Random, data: bytes, others: tuple[bytes, ...]) -> bytes:
    """Make a hostile reply of a reply, both as UTF-8.

    Args:
        random_: decides.
        data: the reply; where it is no JSON object, another may take its place.
        others: replies.

    Returns:
        Another text, JSON more often than not.
    """
    if not data.startswith(b"{") and random_.random() < 0.7:
        data = random_.choice(others)
    return mutated_reply(random_, data.decode("utf-8", "replace")).encode("utf-8", "replace")


def mutated_text(random_: random.Random, text: str) -> str:
    """Make a hostile text of a text: something put in, taken out, repeated or exchanged.

    Args:
        random_: decides.
        text: any text.

    Returns:
        Another text.
    """
    at, end = sorted((random_.randint(0, len(text)), random_.randint(0, len(text))))
    piece = random_.choice(
        (*_TEXTS, "{", "}", "[", "]", ",", ":", "1" * 5000, '{"a":' * 300, chr(random_.randrange(0x110000)))
    )
    return random_.choice(
        (
            text[:at] + piece + text[at:],
            text[:at] + text[end:],
            text[:end] + text[at:end] * random_.choice((1, 3, 30)) + text[end:],
            text[:at] + piece + text[end:],
        )
    )


def mutated_bytes(random_: random.Random, data: bytes, others: tuple[bytes, ...]) -> bytes:
    """Make a hostile stream of a message's bytes.

    Args:
        random_: decides.
        data: one message, or several.
        others: to splice with.

    Returns:
        Other bytes.
    """
    made = bytearray(data)
    for _ in range(random_.choice((1, 1, 2, 3, 8))):
        random_.choice(_BYTE_MUTATIONS)(random_, made, others)
    return bytes(made)


def _set_byte(random_: random.Random, data: bytearray, others: tuple[bytes, ...]) -> None:
    if data:
        data[random_.randrange(len(data))] = random_.choice((*_BYTES, random_.randrange(256)))


def _set_length(random_: random.Random, data: bytearray, others: tuple[bytes, ...]) -> None:
    """Lengths are four bytes at places divisible by four; those of the header are the first ones."""
    if len(data) >= 16:
        at = random_.choice((4, 12, 16, 4 * random_.randrange(len(data) // 4)))
        if at + 4 <= len(data):
            (value,) = struct.unpack_from("<I", data, at)
            chosen = random_.choice((*_LENGTHS, value + random_.randint(-9, 9), value * 2)) & 0xFFFFFFFF
            struct.pack_into("<I", data, at, chosen)


def _insert(random_: random.Random, data: bytearray, others: tuple[bytes, ...]) -> None:
    at = random_.randint(0, len(data))
    data[at:at] = random_.choice((bytes(8), b"\xff" * 8, b"\x01v\0" * 100, b"a(", random_.choice(others)))


def _follow(random_: random.Random, data: bytearray, others: tuple[bytes, ...]) -> None:
    data += random_.choice(others)


_BYTE_MUTATIONS: tuple[Callable[[random.Random, bytearray, tuple[bytes, ...]], None], ...] = (
    _set_byte, _set_byte, _set_byte, _set_length, _set_length, _set_length, _insert, _follow, _follow,
)  # fmt: skip


def enlarged_bytes(random_: random.Random, data: bytes, others: tuple[bytes, ...]) -> bytes:
    """Make a hostile stream that has a large message in it, more often than not.

    Args:
        random_: decides.
        data: one message, or several.
        others: to splice with.

    Returns:
        Other bytes.
    """
    made = bytearray(random_.choice(others) if random_.random() < 0.5 else data)
    _fill(random_, made)
    return mutated_bytes(random_, bytes(made), others) if random_.random() < 0.7 else bytes(made) + data


def _fill(random_: random.Random, data: bytearray) -> None:
    """Make the first message's last text longer, and the lengths with it: it stays as whole as it was."""
    if len(data) < 16:
        return
    order = "<" if data[0] == ord("l") else ">"
    body_bytes, _, field_bytes = struct.unpack_from(f"{order}III", data, 4)
    body = 16 + field_bytes + (-field_bytes & 7)
    end = body + body_bytes
    if body_bytes < 5 or end > len(data):
        return
    filling = random_.choice(_FILLINGS)
    struct.pack_into(f"{order}I", data, 4, body_bytes + filling)
    (text_bytes,) = struct.unpack_from(f"{order}I", data, body)
    struct.pack_into(f"{order}I", data, body, (text_bytes + filling) & 0xFFFFFFFF)
    data[end - 1 : end - 1] = b"x" * filling
