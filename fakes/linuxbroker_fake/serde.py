"""JSON read into types as serde_json (Rust) reads it, with its error texts, which Himmelblau 4.0 passes on to clients.

Only what Himmelblau's requests need: structs, lists of texts, texts and optional values; other keys are passed over.
The texts and places were compared with those of Himmelblau's own crates (tests/himmelblau).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Protocol, cast

_SPACE = re.compile(r"[ \t\n\r]*")
_TEXT = re.compile(r'"(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*"')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORDS: dict[str, tuple[str, str, object]] = {
    "n": ("null", "null", None),
    "t": ("true", "boolean `true`", True),
    "f": ("false", "boolean `false`", False),
}


class SerdeError(Exception):
    """A text can't be read; the message is serde's, as Rust's ``{:?}`` shows it."""

    def __init__(self, what: str, line: int, column: int) -> None:
        quoted = what.replace("\\", "\\\\").replace('"', '\\"')
        super().__init__(f'Error("{quoted}", line: {line}, column: {column})')


class Shape(Protocol):
    """A type that a value is read into."""

    @property
    def expected(self) -> str:
        """What serde says that it expected."""
        ...

    def read(self, reader: Reader) -> Any:
        """Read a value at the reader's place."""
        ...


@dataclass(frozen=True)
class Text:
    """A text."""

    expected = "a string"

    def read(self, reader: Reader) -> Any:
        """Read it."""
        return reader.text() if reader.peek_value() == '"' else reader.refuse(self.expected)


@dataclass(frozen=True)
class ListOf:
    """A list."""

    item: Shape
    expected = "a sequence"

    def read(self, reader: Reader) -> Any:
        """Read it."""
        return reader.items(self.item) if reader.peek_value() == "[" else reader.refuse(self.expected)


@dataclass(frozen=True)
class Optional:
    """A value that may be null, or not there."""

    value: Shape

    @property
    def expected(self) -> str:
        """What serde says that it expected."""
        return self.value.expected

    def read(self, reader: Reader) -> Any:
        """Read it."""
        return reader.word() if reader.peek_value() == "n" else self.value.read(reader)


@dataclass(frozen=True)
class Struct:
    """An object with some keys that are read.

    Attributes:
        name: the Rust type's.
        fields: the keys.
    """

    name: str
    fields: dict[str, Shape]

    @property
    def expected(self) -> str:
        """What serde says that it expected."""
        return f"struct {self.name}"

    def read(self, reader: Reader) -> Any:
        """Read it."""
        opening = reader.peek_value()
        if opening == "{":
            return reader.members(self.fields)
        if opening == "[":
            return reader.elements(self.fields, self.expected)
        return reader.refuse(self.expected)


def parse(text: str, shape: Shape) -> Any:
    """Read a whole text.

    Args:
        text: JSON.
        shape: what it should be.

    Returns:
        The value: dicts for structs, with None for optional fields that are not there.

    Raises:
        SerdeError: it can't be read so.
    """
    reader = Reader(text)
    value = shape.read(reader)
    if reader.peek():
        raise reader.error_ahead("trailing characters")
    return value


class Reader:
    """A place in a JSON text.

    Args:
        text: the whole text.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    def peek(self) -> str:
        """Give the next character behind white space, the empty string at the end."""
        space = _SPACE.match(self._text, self._place)
        assert space is not None
        self._place = space.end()
        return self._text[self._place : self._place + 1]

    def peek_value(self) -> str:
        """Give the first character of the next value; the text must not end."""
        return self.peek() or self._end("a value")

    def error(self, what: str) -> SerdeError:
        """Make an error at the place that was reached."""
        return self._error_at(what, self._place)

    def error_ahead(self, what: str) -> SerdeError:
        """Make an error at the character that was seen, but not taken."""
        return self._error_at(what, min(self._place + 1, len(self._text)))

    def refuse(self, expected: str) -> Any:
        """Raise the error of a value of the wrong type."""
        opening = self.peek_value()
        if opening in "[{":
            found = "sequence" if opening == "[" else "map"
        elif opening in _WORDS:
            found = _WORDS[opening][1]
            self.word()
        elif opening == '"':
            found = f"string {json.dumps(self.text(), ensure_ascii=False)}"
        else:
            number = self._number()
            is_integer = isinstance(number, int) and -(2**63) <= number < 2**64
            found = f"integer `{number}`" if is_integer else f"floating point `{float(number)}`"
        raise self.error(f"invalid type: {found}, expected {expected}")

    def text(self) -> str:
        """Take a text, at whose quotation mark the reader stands."""
        found = _TEXT.match(self._text, self._place)
        if found is None:
            return str(self._end("a string"))
        self._place = found.end()
        return str(json.loads(found[0], strict=False))

    def word(self) -> object:
        """Take ``null``, ``true`` or ``false``."""
        word, _, value = _WORDS[self._text[self._place]]
        for wanted in word:
            found = self._text[self._place : self._place + 1] or self._end("a value")
            self._place += 1
            if found != wanted:
                raise self.error("expected ident")
        return value

    def items(self, item: Shape | None) -> list[Any]:
        """Take a list, at whose bracket the reader stands; items of no shape are passed over."""
        values: list[Any] = []
        self._place += 1
        while (found := self.peek() or self._end("a list")) != "]":
            if values:
                self._take_comma(found, "]", "trailing comma" if item else "expected value")
            values.append(item.read(self) if item else self._pass_over())
        self._place += 1
        return values

    def elements(self, fields: dict[str, Shape], expected: str) -> dict[str, Any]:
        """Take an object that is written as the list of its fields, at whose bracket the reader stands."""
        values: dict[str, Any] = {}
        self._place += 1
        for key, shape in fields.items():
            found = self.peek() or self._end("a list")
            if found == "]":
                self._place += 1
                plural = "" if len(fields) == 1 else "s"
                counted = f"{expected} with {len(fields)} element{plural}"
                raise self.error(f"invalid length {len(values)}, expected {counted}")
            if values:
                self._take_comma(found, "]")
            values[key] = shape.read(self)
        if (self.peek() or self._end("a list")) != "]":
            raise self.error_ahead("trailing characters")
        self._place += 1
        return values

    def members(self, fields: dict[str, Shape]) -> dict[str, Any]:
        """Take an object, at whose brace the reader stands."""
        values: dict[str, Any] = {}
        is_first = True
        self._place += 1
        while (found := self.peek() or self._end("an object")) != "}":
            if not is_first:
                found = self._take_comma(found, "}")
            is_first = False
            if found != '"':
                raise self.error_ahead("key must be a string")
            key = self.text()
            if key in values:
                raise self.error(f"duplicate field `{key}`")
            if (self.peek() or self._end("an object")) != ":":
                raise self.error_ahead("expected `:`")
            self._place += 1
            if key in fields:
                values[key] = fields[key].read(self)
            else:
                self._pass_over()
        self._place += 1
        for key, shape in fields.items():
            if key not in values and not isinstance(shape, Optional):
                raise self.error(f"missing field `{key}`")
            values.setdefault(key, None)
        return values

    def _take_comma(self, found: str, closing: str, in_vain: str = "trailing comma") -> str:
        """Take the comma between two elements; gives what follows it."""
        if found != ",":
            raise self.error_ahead(f"expected `,` or `{closing}`")
        self._place += 1
        following = self.peek() or self._end("a value")
        if following == closing:
            raise self.error_ahead(in_vain)
        return following

    def _pass_over(self) -> object:
        opening = self.peek_value()
        if opening == "{":
            return self.members({})
        if opening == "[":
            return self.items(None)
        if opening == '"':
            return self.text()
        return self.word() if opening in _WORDS else self._number()

    def _number(self) -> int | float:
        number = _NUMBER.match(self._text, self._place)
        if number is None:
            raise self.error_ahead("expected value")
        self._place = number.end()
        return cast("int | float", json.loads(number[0]))

    def _end(self, of: str) -> Any:
        self._place = len(self._text)
        raise self.error(f"EOF while parsing {of}")

    def _error_at(self, what: str, place: int) -> SerdeError:
        before = self._text[:place].encode().rpartition(b"\n")
        return SerdeError(what, self._text.count("\n", 0, place) + 1, len(before[2]))
