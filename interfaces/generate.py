"""Writes what follows from the interface XML, the models and the vectors; --check only compares.

Writes linuxbroker/wire/proxy.py, schemas/, and the column of PROTOCOL.md that names each row's vectors.

python interfaces/generate.py            writes them
python interfaces/generate.py --check    exits with 1, and names them, when any is stale
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template

from linuxbroker.wire import models

HERE = Path(__file__).resolve().parent
XML = HERE / "com.microsoft.identity.broker1.xml"
PROXY_TEMPLATE = HERE / "proxy.py.template"
PROXY = HERE.parent / "linuxbroker" / "wire" / "proxy.py"
SCHEMAS = HERE / "schemas"
PROTOCOL = HERE / "PROTOCOL.md"
VECTORS = HERE / "vectors"
REQUEST_TYPE = "io.github.linuxbroker.RequestType"
REPLY_TYPE = "io.github.linuxbroker.ReplyType"
REPEATABLE = "io.github.linuxbroker.Repeatable"

# In proxy.py.template, between what stands once and what stands for each method.
FOR_EACH_METHOD = "# For each method:\n"


def proxy_source(xml: str) -> str:
    """Write the proxy for an interface.

    Args:
        xml: introspection XML with one interface whose methods carry the three annotations.

    Returns:
        Python source.
    """
    (interface,) = ElementTree.fromstring(xml).iter("interface")
    name = interface.attrib["name"]
    once, for_each = map(Template, PROXY_TEMPLATE.read_text(encoding="utf-8").split(FOR_EACH_METHOD))
    source = once.substitute(interface=name, class_name=name.rpartition(".")[2] + "Proxy")
    for method in interface.iter("method"):
        annotations = {item.attrib["name"]: item.attrib["value"] for item in method.iter("annotation")}
        member = method.attrib["name"]
        source += for_each.substitute(
            member=member,
            function=re.sub(r"(?<!^)(?=[A-Z])", "_", member).lower(),
            request_type=annotations[REQUEST_TYPE],
            reply_type=annotations[REPLY_TYPE],
            repeatable={"true": True, "false": False}[annotations[REPEATABLE]],
        )
    return source


def schema_sources(xml: str) -> Iterator[tuple[str, str]]:
    """Write the JSON Schema of each request and reply type that the interface names.

    Args:
        xml: as for ``proxy_source``.

    Returns:
        Pairs of file name and JSON text.
    """
    annotations = ElementTree.fromstring(xml).iter("annotation")
    types = {item.attrib["value"] for item in annotations if item.attrib["name"] in (REQUEST_TYPE, REPLY_TYPE)}
    for name in sorted(types):
        model: type[models.WireModel] = getattr(models, name)
        schema = model.model_json_schema(by_alias=True, mode="validation")
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
        yield f"{name}.schema.json", json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def pins() -> dict[str, str]:
    """Find the vectors that pin each row of PROTOCOL.md.

    Returns:
        For each row's id the vectors' ids in order, or ``none:`` and the reason's name in unpinned.json.
    """
    unpinned: dict[str, dict[str, list[str]]] = json.loads((VECTORS / "unpinned.json").read_text(encoding="utf-8"))
    pinned = {row: f"none: {reason}" for reason, entry in unpinned.items() for row in entry["rows"]}
    found: dict[str, list[str]] = {}
    for path in sorted(VECTORS.glob("*.json")):
        for vector in json.loads(path.read_text(encoding="utf-8")).get("vectors", []):
            for row in vector["rows"]:
                found.setdefault(row, []).append(vector["id"])
    return {**pinned, **{row: ", ".join(names) for row, names in found.items()}}


def protocol_with_vectors(text: str, vectors: Mapping[str, str]) -> str:
    """Write the last column, ``vectors``, of each table whose rows have an id or are the methods.

    Args:
        text: PROTOCOL.md, with or without that column.
        vectors: as ``pins`` gives them.

    Returns:
        PROTOCOL.md with the column as it should be.
    """
    lines: list[str] = []
    in_table = had_column = False
    for line in text.splitlines():
        is_row, is_head = line.startswith("| "), line.startswith(("| id |", "| method |"))
        in_table = is_head or (in_table and line.startswith("|"))
        if not in_table:
            lines.append(line)
            continue
        if is_head:
            had_column = line.endswith("| vectors |")
        bare = line[: line.rstrip("|").rindex("|") + 1] if had_column else line
        row = line.split("|")[1].strip().strip("`")
        cell = "vectors" if is_head else vectors.get(row, "") if is_row else "---"
        lines.append(f"{bare} {cell} |" if is_row else f"{bare}{cell}|")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write or check everything that is generated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    arguments = parser.parse_args()
    xml = XML.read_text(encoding="utf-8")
    wanted = {PROXY: proxy_source(xml), **{SCHEMAS / name: text for name, text in schema_sources(xml)}}
    wanted[PROTOCOL] = protocol_with_vectors(PROTOCOL.read_text(encoding="utf-8"), pins())
    written = [PROXY, PROTOCOL, *SCHEMAS.glob("*.schema.json")]
    present = {path: path.read_text(encoding="utf-8") for path in written if path.exists()}
    stale = sorted(path for path in wanted.keys() | present.keys() if wanted.get(path) != present.get(path))
    for path in stale:
        print(f"{'stale' if arguments.check else 'written'}: {path.relative_to(HERE.parent)}")
        if arguments.check:
            continue
        if path in wanted:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
        else:
            path.unlink()
    return 1 if arguments.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
