"""Names, parameters and enum members of the replacement runtime against Microsoft's: its .pyi and the module itself."""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from tests.compat.desktop import MICROSOFTS, OURS, User

# Reads a module's enumerations, with their values, and what its classes and functions are called.
READER = """
import enum, importlib, json, sys
runtime = importlib.import_module(sys.argv[1])
members = {name: getattr(runtime, name) for name in dir(runtime)}
enums = {name: {member.name: member.value for member in value} for name, value in members.items()
    if isinstance(value, type) and issubclass(value, enum.Enum) and value.__module__ != "enum"}
classes = {name: sorted(method for method in dir(value) if not method.startswith("_"))
    for name, value in members.items()
    if isinstance(value, type) and name not in enums and (name.startswith("MSALRuntime") or name == "CallbackData")}
data = runtime.CallbackData(is_interactive=True)
before = [data.signal.is_set(), data.result]
data.complete("result")
print(json.dumps({"enums": enums, "classes": classes, "CallbackData": [before, data.signal.is_set(), data.result]}))
"""


@pytest.fixture(scope="module")
def declared() -> ast.Module:
    """The declarations of the package that is installed."""
    found = importlib.util.find_spec(MICROSOFTS)
    if found is None or found.origin is None:
        pytest.skip("the Python package pymsalruntime is not installed")
    return ast.parse((Path(found.origin).parent / "PyMsalRuntime.pyi").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def ours() -> ast.Module:
    """Every module that the replacement's names come from, as one."""
    folder = Path(__file__).resolve().parents[2] / "linuxbroker" / "runtime"
    names = ("enums", "arguments", "results", "logs", "pymsalruntime")
    body = [node for name in names for node in ast.parse((folder / f"{name}.py").read_text(encoding="utf-8")).body]
    return ast.Module(body, [])


def _functions(tree: ast.Module | ast.ClassDef) -> dict[str, list[str]]:
    return {
        node.name: [argument.arg for argument in node.args.args]
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }


def _classes(tree: ast.Module) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _methods(tree: ast.Module, name: str) -> dict[str, list[str]]:
    node = _classes(tree)[name]
    inherited: dict[str, list[str]] = {}
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in _classes(tree):
            inherited |= _methods(tree, base.id)
    return inherited | _functions(node)


def _members(node: ast.ClassDef) -> list[str]:
    targets = [
        target
        for statement in node.body
        for target in (
            [statement.target] if isinstance(statement, ast.AnnAssign) else getattr(statement, "targets", [])
        )
    ]
    return sorted(target.id for target in targets if isinstance(target, ast.Name))


def test_every_function_of_the_pyi_is_there_with_its_parameters(declared: ast.Module, ours: ast.Module) -> None:
    assert len(_functions(declared)) == 13
    assert {name: _functions(ours).get(name) for name in _functions(declared)} == _functions(declared)


def test_every_class_of_the_pyi_is_there_with_its_methods_and_their_parameters(
    declared: ast.Module, ours: ast.Module
) -> None:
    classes = [name for name, node in _classes(declared).items() if _functions(node)]
    assert len(classes) == 9
    for name in classes:
        assert _methods(ours, name) == _functions(_classes(declared)[name]), name


def test_every_enumeration_of_the_pyi_is_there_with_its_members(declared: ast.Module, ours: ast.Module) -> None:
    enums = {name: _members(node) for name, node in _classes(declared).items() if not _functions(node)}
    assert sorted(enums) == ["LogLevel", "Response_Status", "SsoPolicyType"]
    assert {name: _members(_classes(ours)[name]) for name in enums} == enums


def test_values_methods_and_callback_data_are_those_of_the_module_itself(user: User, tmp_path: Path) -> None:
    reader = tmp_path / "reader.py"
    reader.write_text(READER, encoding="utf-8")
    theirs, ours = (_read(user, reader, runtime) for runtime in (MICROSOFTS, OURS))
    assert ours["enums"] == theirs["enums"]
    assert ours["classes"] == theirs["classes"]
    assert ours["CallbackData"] == theirs["CallbackData"]


def _read(user: User, reader: Path, runtime: str) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads(user.python(str(reader), runtime))
    return seen
