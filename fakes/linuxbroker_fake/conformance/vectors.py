"""The conformance vectors of ``interfaces/vectors/``, read with their shared values resolved."""

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
# The keys of a step that request and reply vectors, which have one step, have at their top level.
_STEP_KEYS = ("call", "event", "replies", "sent", "outcome")


class VectorError(Exception):
    """A vector is invalid or unknown."""


@dataclass(frozen=True)
class Vector:
    """A conformance vector.

    Attributes:
        id: the permanent ID.
        kind: ``request``, ``reply``, ``sequence`` or ``broker``.
        shows: what it shows, one sentence.
        rows: the IDs of the rows of PROTOCOL.md that it pins.
        source: the letters of PROTOCOL.md's "Sources".
        broker: the initial state of the broker.
        steps: the calls and events, in order.
        slow: whether it takes longer than the usual time limit of D-Bus libraries.
        fresh: whether the driver is restarted for it.
        needs: what a broker under test must have (``broker`` vectors only).
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
    """Return the folder of the installed vectors."""
    return interfaces_folder() / "vectors"


def load_vectors(folder: Path | None = None) -> list[Vector]:
    """Read all vectors.

    Args:
        folder: the folder of the vector files; default the installed one.

    Returns:
        The vectors, ordered by file name and position, with every ``$use`` replaced.

    Raises:
        VectorError: a file is not JSON, a shared value is unknown, or an ID is not unique.
    """
    where = folder or vectors_folder()
    values = _read(where / VALUES_FILE)
    vectors: list[Vector] = []
    for path in sorted(where.glob("*.json")):
        if path.name not in (VALUES_FILE, SCHEMA_FILE, UNPINNED_FILE):
            vectors += [_build_vector(_expand(item, values, path.name)) for item in _read(path)["vectors"]]
    ids = [vector.id for vector in vectors]
    if len(set(ids)) != len(ids):
        raise VectorError(f"duplicate vector ID: {next(name for name in ids if ids.count(name) > 1)}")
    return vectors


def select(vectors: Sequence[Vector], ids: Iterable[str]) -> list[Vector]:
    """Select vectors by ID.

    Args:
        vectors: all vectors.
        ids: IDs; ``*`` is a wildcard.

    Returns:
        The selected vectors in the order of ``vectors``; all vectors if there are no IDs.

    Raises:
        VectorError: no vector has such an ID.
    """
    chosen: set[str] = set()
    patterns = list(ids)
    for pattern in patterns:
        found = {vector.id for vector in vectors if fnmatchcase(vector.id, pattern)}
        if not found:
            raise VectorError(f"unknown vector: {pattern!r}")
        chosen |= found
    return [vector for vector in vectors if not patterns or vector.id in chosen]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VectorError(f"{path}: {error}") from error


def _expand(value: Any, values: Mapping[str, Any], where: str) -> Any:
    """Replace each ``{"$use": NAME}`` by the value of that name; keys beside ``$use`` override the value's."""
    if isinstance(value, list):
        return [_expand(item, values, where) for item in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    given = {key: _expand(item, values, where) for key, item in cast("dict[str, Any]", value).items()}
    if "$use" not in given:
        return given
    name = given.pop("$use")
    if name not in values:
        raise VectorError(f"{where}: unknown value {name!r}, not in {VALUES_FILE}")
    used = _expand(values[name], values, VALUES_FILE)
    return {**used, **given} if given else used


def _build_vector(item: Mapping[str, Any]) -> Vector:
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
