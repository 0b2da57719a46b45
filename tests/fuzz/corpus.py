"""The inputs that fuzzing starts from: good ones, bad ones, and those that found something, kept as text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

# A file of texts has a JSON string a line; one of bytes, hex.
REPLIES = "replies.jsonl"
MESSAGES = "messages.hex"
HANDSHAKES = "handshakes.hex"
_FOLDER = Path(__file__).parent / "corpus"


def replies() -> tuple[str, ...]:
    """Give the texts of replies."""
    return tuple(data.decode() for data in inputs(REPLIES))


def messages() -> tuple[bytes, ...]:
    """Give the streams of messages."""
    return inputs(MESSAGES)


def handshakes() -> tuple[bytes, ...]:
    """Give the answers to a client that authenticates."""
    return inputs(HANDSHAKES)


def inputs(name: str) -> tuple[bytes, ...]:
    """Give what is in a file of the corpus.

    Args:
        name: of the file.

    Returns:
        Each line's input, texts as UTF-8.
    """
    return parse(name, (_FOLDER / name).read_text(encoding="utf-8").splitlines())


def parse(name: str, lines: Iterable[str]) -> tuple[bytes, ...]:
    """Read lines of a file of the corpus.

    Args:
        name: of the file.
        lines: as ``line`` gives them; empty ones are passed over.

    Returns:
        Each line's input.
    """
    if name == REPLIES:
        return tuple(json.loads(line).encode() for line in lines if line)
    return tuple(bytes.fromhex(line) for line in lines if line)


def line(name: str, data: bytes) -> str:
    """Write an input as a line for a file of the corpus.

    Args:
        name: of the file.
        data: the input.

    Returns:
        The line, without its end.
    """
    return json.dumps(data.decode("utf-8", "replace")) if name == REPLIES else data.hex()


def add(name: str, lines: Iterable[str]) -> None:
    """Put lines at the end of a file of the corpus.

    Args:
        name: of the file.
        lines: as ``line`` gives them.
    """
    with (_FOLDER / name).open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
