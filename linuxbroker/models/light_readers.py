"""How does a value become what an annotation says? As it does with pydantic, for the annotations of wire types."""

from __future__ import annotations

import contextlib
import enum
import math
import re
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Annotated, Any, TypeAlias, cast, get_args, get_origin

Place: TypeAlias = "tuple[str | int, ...]"
Fault: TypeAlias = "dict[str, Any]"
Reader: TypeAlias = "Callable[[Any, Place, list[Fault]], Any]"
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+(?:_[0-9]+)*(?:\.0+)?")
_MOST_DIGITS = 4300
_LARGEST_FLOAT = 2.0**63


def reader_of(annotation: Any) -> Reader:
    """Find what reads values for an annotation.

    Args:
        annotation: a type, evaluated.

    Returns:
        A function of a value, its place and a list of faults, which gives what the annotation says; or None, and a
        fault more in the list, where the value does not fit.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return reader_of(arguments[0])
    if NoneType in arguments:
        (other,) = (argument for argument in arguments if argument is not NoneType)
        return _or_none(reader_of(other))
    if origin is dict:
        return _texts_by_name
    if origin is Mapping:
        return _mapping
    if origin in (Sequence, tuple):
        return _items(reader_of(arguments[0]), cast("type", origin))
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if isinstance(annotation, enum.EnumMeta):
        return _instance(annotation, "enum")
    return cast("Reader", annotation.read)


def _or_none(read: Reader) -> Reader:
    return lambda value, place, faults: None if value is None else read(value, place, faults)


def _items(read: Reader, kind: type) -> Reader:
    def read_items(value: Any, place: Place, faults: list[Fault]) -> Any:
        if not isinstance(value, (list, tuple)):
            wrong = "tuple_type" if kind is tuple else "sequence_str" if isinstance(value, str) else "is_instance_of"
            return _refuse(faults, place, wrong)
        items = [read(item, (*place, number), faults) for number, item in enumerate(cast("list[Any]", value))]
        return tuple(items) if kind is tuple else items

    return read_items


def _instance(kind: type, wrong: str) -> Reader:
    return lambda value, place, faults: value if isinstance(value, kind) else _refuse(faults, place, wrong)


_mapping = _instance(Mapping, "mapping_type")


def _texts_by_name(value: Any, place: Place, faults: list[Fault]) -> Any:
    if not isinstance(value, dict):
        return _refuse(faults, place, "dict_type")
    items = cast("dict[str, Any]", value).items()
    return {name: _PLAIN[str](item, (*place, name), faults) for name, item in items}


def _whole_number(value: Any, place: Place, faults: list[Fault]) -> Any:
    wrong = "int_type"
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if value.is_integer() and -_LARGEST_FLOAT < value < _LARGEST_FLOAT:
            return int(value)
        wrong = "finite_number" if not math.isfinite(value) else "int_parsing_size"
        wrong = wrong if value.is_integer() or not math.isfinite(value) else "int_from_float"
    elif isinstance(value, str):
        text = value.strip()
        wrong = "int_parsing"
        if len(text) > _MOST_DIGITS:
            wrong = "int_parsing_size"
        elif _WHOLE_NUMBER.fullmatch(text):
            with contextlib.suppress(ValueError):  # the interpreter may be set to read fewer digits
                return int(text.partition(".")[0])
            wrong = "int_parsing_size"
    return _refuse(faults, place, wrong)


def _refuse(faults: list[Fault], place: Place, wrong: str) -> None:
    faults.append({"loc": place, "type": wrong})


_PLAIN: Mapping[Any, Reader] = {
    Any: lambda value, place, faults: value,
    bool: _instance(bool, "bool_type"),
    int: _whole_number,
    str: _instance(str, "string_type"),
}
