"""Which inputs does fuzzing start from? Good ones, bad ones, and those that found something, kept as text."""

from __future__ import annotations

import json
from pathlib import Path

_FOLDER = Path(__file__).parent / "corpus"


def replies() -> tuple[str, ...]:
    """Give the replies: each line of the file is a text, written as a JSON string."""
    return tuple(json.loads(line) for line in _lines("replies.jsonl"))


def messages() -> tuple[bytes, ...]:
    """Give the streams of messages: each line of the file is one, in hex."""
    return tuple(bytes.fromhex(line) for line in _lines("messages.hex"))


def handshakes() -> tuple[bytes, ...]:
    """Give the answers to a client that authenticates: each line of the file is one, in hex."""
    return tuple(bytes.fromhex(line) for line in _lines("handshakes.hex"))


def _lines(name: str) -> list[str]:
    return [line for line in (_FOLDER / name).read_text(encoding="utf-8").splitlines() if line]
