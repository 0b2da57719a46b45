"""A JSON parser with the error texts of serde_json (Rust), which Himmelblau 4.0 passes on to clients (TX-15).

It has the types that Himmelblau's requests need: structs, lists, strings and optional values; other keys are ignored.
Texts and positions are tested against Himmelblau's own crates (tests/himmelblau).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Protocol, cast

_SPACE = re.compile(r"[ \t\n\r]*")
_TEXT = re.compile(r'"(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*"')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_KEYWORDS: dict[str, tuple[str, str, object]] = {
    "n": ("null", "null", None),
    "t": ("true", "boolean `true`", True),
    "f": ("false", "boolean `false`", False),
}


class SerdeError(Exception):
    """A text is invalid; the message is serde's, in the form of Rust's ``{:?}``."""

    def __init__(self, what: str, line: int, column: int) -> None:
        quoted = what.replace("\\", "\\\\").replace('"', '\\"')
        super().__init__(f'Error("{quoted}", line: {line}, column: {column})')


class Shape(Protocol):
    """The type of a value."""

    @property
    def expected(self) -> str:
        """The name of the type in serde's messages."""
        ...

    def read(self, reader: Reader) -> Any:
        """Read a value at the reader's position."""
        ...


@dataclass(frozen=True)
class Text:
    """A string."""

    expected = "a string"

    def read(self, reader: Reader) -> Any:
        """Read a string."""
        return reader.text() if reader.peek_value() == '"' else reader.raise_type_error(self.expected)


@dataclass(frozen=True)
class ListOf:
    """A list."""

    item: Shape
    expected = "a sequence"

    def read(self, reader: Reader) -> Any:
        """Read a list."""
        return reader.items(self.item) if reader.peek_value() == "[" else reader.raise_type_error(self.expected)


@dataclass(frozen=True)
class Optional:
    """A value that may be null or missing."""

    value: Shape

    @property
    def expected(self) -> str:
        """The name of the type in serde's messages."""
        return self.value.expected

    def read(self, reader: Reader) -> Any:
        """Read the value or null."""
        return reader.keyword() if reader.peek_value() == "n" else self.value.read(reader)


@dataclass(frozen=True)
class Struct:
    """An object.

    Attributes:
        name: the name of the Rust type.
        fields: the keys that are read, with their types.
    """

    name: str
    fields: dict[str, Shape]

    @property
    def expected(self) -> str:
        """The name of the type in serde's messages."""
        return f"struct {self.name}"

    def read(self, reader: Reader) -> Any:
        """Read an object, or a list of its fields' values."""
        opening = reader.peek_value()
        if opening == "{":
            return reader.members(self.fields)
        if opening == "[":
            return reader.elements(self.fields, self.expected)
        return reader.raise_type_error(self.expected)


def parse(text: str, shape: Shape) -> Any:
    """Parse a JSON text.

    Args:
        text: the JSON text.
        shape: the expected type.

    Returns:
        The value: a dict for a struct, with None for missing optional fields.

    Raises:
        SerdeError: the text is not JSON of that type.
    """
    reader = Reader(text)
    value = shape.read(reader)
    if reader.peek():
        raise reader.error_at_next("trailing characters")
    return value


class Reader:
    """A position in a JSON text.

    Args:
        text: the JSON text.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def peek(self) -> str:
        """Skip white space and return the next character, ``""`` at the end."""
        space = _SPACE.match(self._text, self._position)
        assert space is not None
        self._position = space.end()
        return self._text[self._position : self._position + 1]

    def peek_value(self) -> str:
        """Return the first character of the next value; raises SerdeError at the end."""
        return self.peek() or self._raise_end("a value")

    def error(self, what: str) -> SerdeError:
        """Return an error at the current position."""
        return self._error_at(what, self._position)

    def error_at_next(self, what: str) -> SerdeError:
        """Return an error at the next character."""
        return self._error_at(what, min(self._position + 1, len(self._text)))

    def raise_type_error(self, expected: str) -> Any:
        """Raise the error for the next value, which has the wrong type."""
        opening = self.peek_value()
        if opening in "[{":
            found = "sequence" if opening == "[" else "map"
        elif opening in _KEYWORDS:
            found = _KEYWORDS[opening][1]
            self.keyword()
        elif opening == '"':
            found = f"string {json.dumps(self.text(), ensure_ascii=False)}"
        else:
            number = self._number()
            is_integer = isinstance(number, int) and -(2**63) <= number < 2**64
            found = f"integer `{number}`" if is_integer else f"floating point `{float(number)}`"
        raise self.error(f"invalid type: {found}, expected {expected}")

    def text(self) -> str:
        """Read a string; the position is at its quotation mark."""
        found = _TEXT.match(self._text, self._position)
        if found is None:
            return str(self._raise_end("a string"))
        self._position = found.end()
        return str(json.loads(found[0], strict=False))

    def keyword(self) -> object:
        """Read ``null``, ``true`` or ``false``."""
        keyword, _, value = _KEYWORDS[self._text[self._position]]
        for expected_letter in keyword:
            found = self._text[self._position : self._position + 1] or self._raise_end("a value")
            self._position += 1
            if found != expected_letter:
                raise self.error("expected ident")
        return value

    def items(self, item: Shape | None) -> list[Any]:
        """Read a list; the position is at its bracket. Without a shape, items are skipped."""
        values: list[Any] = []
        self._position += 1
        while (found := self.peek() or self._raise_end("a list")) != "]":
            if values:
                self._take_comma(found, "]", "trailing comma" if item else "expected value")
            values.append(item.read(self) if item else self._skip_value())
        self._position += 1
        return values

    def elements(self, fields: dict[str, Shape], expected: str) -> dict[str, Any]:
        """Read an object written as the list of its fields' values; the position is at its bracket."""
        values: dict[str, Any] = {}
        self._position += 1
        for key, shape in fields.items():
            found = self.peek() or self._raise_end("a list")
            if found == "]":
                self._position += 1
                plural = "" if len(fields) == 1 else "s"
                counted = f"{expected} with {len(fields)} element{plural}"
                raise self.error(f"invalid length {len(values)}, expected {counted}")
            if values:
                self._take_comma(found, "]")
            values[key] = shape.read(self)
        if (self.peek() or self._raise_end("a list")) != "]":
            raise self.error_at_next("trailing characters")
        self._position += 1
        return values

    def members(self, fields: dict[str, Shape]) -> dict[str, Any]:
        """Read an object; the position is at its brace."""
        values: dict[str, Any] = {}
        is_first = True
        self._position += 1
        while (found := self.peek() or self._raise_end("an object")) != "}":
            if not is_first:
                found = self._take_comma(found, "}")
            is_first = False
            if found != '"':
                raise self.error_at_next("key must be a string")
            key = self.text()
            if key in values:
                raise self.error(f"duplicate field `{key}`")
            if (self.peek() or self._raise_end("an object")) != ":":
                raise self.error_at_next("expected `:`")
            self._position += 1
            if key in fields:
                values[key] = fields[key].read(self)
            else:
                self._skip_value()
        self._position += 1
        for key, shape in fields.items():
            if key not in values and not isinstance(shape, Optional):
                raise self.error(f"missing field `{key}`")
            values.setdefault(key, None)
        return values

    def _take_comma(self, found: str, closing: str, error_text: str = "trailing comma") -> str:
        """Read the comma between two elements and return the character after it."""
        if found != ",":
            raise self.error_at_next(f"expected `,` or `{closing}`")
        self._position += 1
        following = self.peek() or self._raise_end("a value")
        if following == closing:
            raise self.error_at_next(error_text)
        return following

    def _skip_value(self) -> object:
        opening = self.peek_value()
        if opening == "{":
            return self.members({})
        if opening == "[":
            return self.items(None)
        if opening == '"':
            return self.text()
        return self.keyword() if opening in _KEYWORDS else self._number()

    def _number(self) -> int | float:
        number = _NUMBER.match(self._text, self._position)
        if number is None:
            raise self.error_at_next("expected value")
        self._position = number.end()
        return cast("int | float", json.loads(number[0]))

    def _raise_end(self, of: str) -> Any:
        self._position = len(self._text)
        raise self.error(f"EOF while parsing {of}")

    def _error_at(self, what: str, place: int) -> SerdeError:
        before = self._text[:place].encode().rpartition(b"\n")
        return SerdeError(what, self._text.count("\n", 0, place) + 1, len(before[2]))
