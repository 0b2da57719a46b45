"""The conformance vectors: schema, ids, and coverage of PROTOCOL.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from linuxbroker.resources import interface_xml, interfaces_folder
from linuxbroker.wire.models import Account, Status
from linuxbroker_fake.conformance.matching import EMPTY, FREE_TEXT
from linuxbroker_fake.conformance.vectors import Vector, VectorError, load_vectors, select, vectors_folder
from linuxbroker_fake.personas import PersonaName

FILES = sorted(path for path in vectors_folder().glob("*.json") if "vectors" in json.loads(path.read_text("utf-8")))
SCHEMA: Any = json.loads((vectors_folder() / "vectors.schema.json").read_text(encoding="utf-8"))
VECTORS = load_vectors()
METHODS = set(re.findall(r'<method name="(\w+)"', interface_xml()))
FAMILIES = set(SCHEMA["$defs"]["outcome"]["properties"]["error"]["properties"]["family"]["enum"])


def table_rows() -> Iterator[tuple[str, list[str], str]]:
    """Each row of a table of PROTOCOL.md that has ids or methods: its id, its cells' texts, its column ``vectors``."""
    in_table = False
    for line in (interfaces_folder() / "PROTOCOL.md").read_text(encoding="utf-8").splitlines():
        is_head = line.startswith(("| id |", "| method |"))
        in_table = is_head or (in_table and line.startswith("|"))
        if in_table and line.startswith("| ") and not is_head:
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            yield cells[0].strip("`"), cells[1:-1], cells[-1]


ROWS = list(table_rows())


def used_in(value: Any, key: str) -> Iterator[Any]:
    """Every value under a key, at any depth."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == key:
                yield item
            yield from used_in(item, key)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from used_in(item, key)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_vector_file_conforms_to_the_schema(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    for vector in document["vectors"]:  # each by its own kind first: the messages of oneOf say little
        schema = {**SCHEMA["$defs"][f"{vector['kind']}Vector"], "$defs": SCHEMA["$defs"]}
        jsonschema.Draft202012Validator(schema).validate(vector)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)


def test_the_vector_schema_is_valid_and_rejects_invalid_vectors() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    document = json.loads(FILES[0].read_text(encoding="utf-8"))
    spoils: list[dict[str, Any]] = [{"kind": "other"}, {"rows": []}, {"shows": ""}, {"fictional": 1}, {"id": "No Id"}]
    for spoil in spoils:
        spoilt = {**document, "vectors": [{**document["vectors"][0], **spoil}]}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(SCHEMA).validate(spoilt)


def test_vector_ids_are_unique_and_have_the_prefix_of_their_kind() -> None:
    prefixes = {"request": "req-", "reply": "rep-", "sequence": "seq-", "broker": "bk-"}
    assert all(vector.id.startswith(prefixes[vector.kind]) for vector in VECTORS)
    assert len({vector.id for vector in VECTORS}) == len(VECTORS) >= 150


def test_every_shared_value_is_used() -> None:
    written = json.loads((vectors_folder() / "values.json").read_text(encoding="utf-8"))
    texts = "".join(path.read_text(encoding="utf-8") for path in (*FILES, vectors_folder() / "values.json"))
    assert [name for name in written if name != "$schema" and f'{{"$use": "{name}"' not in texts] == []


def test_each_protocol_row_names_its_vectors_or_the_reason_for_none() -> None:
    unpinned: Any = json.loads((vectors_folder() / "unpinned.json").read_text(encoding="utf-8"))
    reasons = {row: name for name, entry in unpinned.items() for row in entry["rows"]}
    assert len(ROWS) > 290
    for row, _, named in ROWS:
        if row in reasons:
            assert named == f"none: {reasons[row]}", row
        else:
            assert named == ", ".join(vector.id for vector in VECTORS if row in vector.rows) != "", row
    assert set(reasons) <= {row for row, _, _ in ROWS}
    assert all(entry["why"].endswith(".") for entry in unpinned.values())


def test_each_vector_names_existing_protocol_rows() -> None:
    there = {row for row, _, _ in ROWS}
    assert {row for vector in VECTORS for row in vector.rows} <= there
    assert there >= METHODS


def test_the_sources_of_a_vector_are_sources_of_its_rows() -> None:
    letters = {row: set(re.findall(r"\b[RPMNCFBSWXHTD]\b", " ".join(cells[-2:]))) for row, cells, _ in ROWS}
    for vector in VECTORS:
        of_rows = set().union(*(letters[row] for row in vector.rows))
        assert set(vector.source.split()) <= of_rows, vector.id


def test_every_method_is_sent_and_answered_in_a_vector() -> None:
    sent = {call["method"] for vector in VECTORS for calls in used_in(vector.steps, "sent") for call in calls}
    scripted = {
        reply["method"] for vector in VECTORS for replies in used_in(vector.steps, "replies") for reply in replies
    }
    assert sent == METHODS
    assert scripted == METHODS


def test_every_status_persona_and_error_family_is_in_a_vector() -> None:
    errors = [error for vector in VECTORS for error in used_in(vector.steps, "error") if "family" in (error or {})]
    assert {error["status"] for error in errors if "status" in error} == {status.wire_name for status in Status}
    assert {error["family"] for error in errors} == FAMILIES
    personas = {vector.broker.get("persona") for vector in VECTORS}
    assert personas >= {persona.value for persona in PersonaName}


def concrete(value: Any) -> Any:
    """An example of what a vector allows."""
    if isinstance(value, list):
        return [concrete(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$pattern" in value:
        return "fictional"
    if "$json" in value:
        return json.dumps(value["$json"])
    return {key: concrete(item) for key, item in value.items()}


def requests() -> Iterator[Any]:
    for vector in VECTORS:
        for number, calls in enumerate(used_in(vector.steps, "sent")):
            for call in calls:
                if "request" in call and vector.kind != "broker":
                    yield pytest.param(
                        call["method"], concrete(call["request"]), id=f"{vector.id}-{number}-{call['method']}"
                    )


@pytest.mark.parametrize(("method", "request_json"), list(requests()))
def test_the_requests_of_vectors_conform_to_their_schemas(method: str, request_json: Any) -> None:
    name = f"{method[0].upper()}{method[1:]}Request"
    schema = json.loads((interfaces_folder() / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(request_json)


def test_the_version_file_has_the_newest_version_of_the_changelog() -> None:
    version = (interfaces_folder() / "VERSION").read_text(encoding="utf-8")
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", version)
    changelog = (interfaces_folder() / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", changelog, re.MULTILINE)[0] == version.strip()


def test_the_conformance_page_explains_every_operation_key_and_family() -> None:
    page = (interfaces_folder() / "CONFORMANCE.md").read_text(encoding="utf-8")
    call = SCHEMA["$defs"]["call"]["properties"]
    operations = set(call["operation"]["enum"])
    keys = set(call) | set(call["pop"]["properties"]) | set(SCHEMA["$defs"]["outcome"]["properties"])
    kinds = ("request", "reply", "sequence", "broker")
    of_vectors = {key for kind in kinds for key in SCHEMA["$defs"][f"{kind}Vector"]["properties"]}
    events = set(SCHEMA["$defs"]["step"]["oneOf"][1]["properties"]["event"]["enum"])
    replies = set(SCHEMA["$defs"]["replies"]["items"]["properties"])
    for word in operations | keys | of_vectors | events | replies | FAMILIES:
        assert re.search(rf"[`\"]{re.escape(word)}[?`\"]", page), f"CONFORMANCE.md does not explain {word}"


def test_the_conformance_page_names_every_optional_request_key() -> None:
    page = (interfaces_folder() / "CONFORMANCE.md").read_text(encoding="utf-8")
    rules = page.partition("### How a request is compared")[2].partition("###")[0]
    of_accounts = set(Account.model_fields) | {field.alias for field in Account.model_fields.values()}
    for key, empty in EMPTY.items():
        if key not in of_accounts or key == "homeAccountId":
            assert f"`{key}`" in rules, key
        else:
            assert empty == "" or (key, empty) in (("passwordExpiry", 0), ("username", ""))
    assert all(f"`{key}`" in rules for key in FREE_TEXT)


def test_select_accepts_ids_and_patterns() -> None:
    assert [vector.id for vector in select(VECTORS, ["req-cookie", "rep-status-0[12]"])] == [
        "rep-status-01",
        "rep-status-02",
        "req-cookie",
    ]
    assert select(VECTORS, []) == VECTORS
    with pytest.raises(VectorError, match="unknown vector: 'req-fictional'"):
        select(VECTORS, ["req-cookie", "req-fictional"])


def _folder(path: Path, *vectors: dict[str, Any]) -> Path:
    (path / "values.json").write_text('{"known": {"a": 1}}')
    (path / "some.json").write_text(json.dumps({"vectors": vectors}))
    return path


SMALL = {
    "id": "req-a",
    "kind": "request",
    "shows": "A.",
    "rows": ["TR-01"],
    "source": "R",
    "call": {"operation": "getAccounts"},
}


def test_use_is_replaced_by_its_value_and_the_keys_beside_it(tmp_path: Path) -> None:
    vector = {**SMALL, "sent": [{"$use": "known"}, {"$use": "known", "b": 2}]}
    (loaded,) = load_vectors(_folder(tmp_path, vector))
    assert loaded == Vector(
        "req-a",
        "request",
        "A.",
        ("TR-01",),
        "R",
        steps=({"call": SMALL["call"], "sent": [{"a": 1}, {"a": 1, "b": 2}]},),
    )


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([SMALL, SMALL], "duplicate vector ID: req-a"),
        ([{**SMALL, "sent": [{"$use": "unknown"}]}], "unknown value 'unknown'"),
    ],
)
def test_invalid_vectors_raise_vector_error(tmp_path: Path, vectors: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(VectorError, match=message):
        load_vectors(_folder(tmp_path, *vectors))


def test_a_vector_file_that_is_not_json_is_named(tmp_path: Path) -> None:
    _folder(tmp_path)
    (tmp_path / "other.json").write_text("{")
    with pytest.raises(VectorError, match=r"other\.json"):
        load_vectors(tmp_path)
