"""What is to be checked? The conformance vectors of ``interfaces/vectors/``, read and spelt out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from linuxbroker.resources import interfaces_folder

VALUES_FILE = "values.json"
SCHEMA_FILE = "vectors.schema.json"
UNPINNED_FILE = "unpinned.json"
# What a step of a request or reply vector holds, which stands in the vector itself.
_STEP_KEYS = ("call", "event", "replies", "sent", "outcome")


class VectorError(Exception):
    """The vectors can't be used; the text says which and why."""


@dataclass(frozen=True)
class Vector:
    """One conformance vector.

    Attributes:
        id: its name, for ever.
        kind: ``request``, ``reply``, ``sequence`` or ``broker``.
        shows: what it shows, one sentence.
        rows: the rows of PROTOCOL.md that it pins.
        source: the letters of PROTOCOL.md's "Sources".
        broker: the state of the broker at the start.
        steps: the calls and events, in order.
        slow: whether it takes longer than a client's usual time limit.
        fresh: whether the driver has to be started anew for it.
        needs: what a broker under test must have for it, for ``broker`` vectors.
    """

    id: str
    kind: str
    shows: str
    rows: tuple[str, ...]
    source: str
    broker: Mapping[str, Any] = field(default_factory=lambda: dict[str, Any]())
    steps: tuple[Mapping[str, Any], ...] = ()
    slow: bool = False
    fresh: bool = False
    needs: tuple[str, ...] = ()


def vectors_folder() -> Path:
    """Give the folder of the vectors."""
    return interfaces_folder() / "vectors"


def load_vectors(folder: Path | None = None) -> list[Vector]:
    """Read all vectors.

    Args:
        folder: where their files are; the ones that are installed unless given.

    Returns:
        The vectors, in the order of the files' names and of their places there, with every ``$use`` replaced.

    Raises:
        VectorError: a file is no JSON, a value is not known, or two vectors have one id.
    """
    where = folder or vectors_folder()
    values = _read(where / VALUES_FILE)
    vectors: list[Vector] = []
    for path in sorted(where.glob("*.json")):
        if path.name not in (VALUES_FILE, SCHEMA_FILE, UNPINNED_FILE):
            vectors += [_vector(_expanded(item, values, path.name)) for item in _read(path)["vectors"]]
    ids = [vector.id for vector in vectors]
    if len(set(ids)) != len(ids):
        raise VectorError(f"two vectors are called {next(name for name in ids if ids.count(name) > 1)}")
    return vectors


def select(vectors: Sequence[Vector], wanted: Iterable[str]) -> list[Vector]:
    """Choose vectors by id.

    Args:
        vectors: all.
        wanted: their ids; ``*`` in one stands for any text.

    Returns:
        Those wanted, in their own order; all where nothing is wanted.

    Raises:
        VectorError: there is no such vector.
    """
    chosen: set[str] = set()
    patterns = list(wanted)
    for pattern in patterns:
        found = {vector.id for vector in vectors if fnmatchcase(vector.id, pattern)}
        if not found:
            raise VectorError(f"there is no vector {pattern!r}")
        chosen |= found
    return [vector for vector in vectors if not patterns or vector.id in chosen]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VectorError(f"{path}: {error}") from error


def _expanded(value: Any, values: Mapping[str, Any], where: str) -> Any:
    """Replace each ``{"$use": NAME}`` by the value of that name, and merge what stands beside it over it."""
    if isinstance(value, list):
        return [_expanded(item, values, where) for item in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    given = {key: _expanded(item, values, where) for key, item in cast("dict[str, Any]", value).items()}
    if "$use" not in given:
        return given
    name = given.pop("$use")
    if name not in values:
        raise VectorError(f"{where}: there is no value {name!r} in {VALUES_FILE}")
    used = _expanded(values[name], values, VALUES_FILE)
    return {**used, **given} if given else used


def _vector(item: Mapping[str, Any]) -> Vector:
    steps = item.get("steps") or [{key: item[key] for key in _STEP_KEYS if key in item}]
    return Vector(
        id=item["id"],
        kind=item["kind"],
        shows=item["shows"],
        rows=tuple(item["rows"]),
        source=item["source"],
        broker=item.get("broker", {}),
        steps=tuple(steps),
        slow=bool(item.get("slow")),
        fresh=bool(item.get("fresh")),
        needs=tuple(item.get("needs", ())),
    )
