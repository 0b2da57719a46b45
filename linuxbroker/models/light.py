"""What stands in for pydantic in a short-lived process? As much of its interface as the wire types use.

Names, conversions and the types of errors are pydantic's: a wire type is declared once, and is the same on either.
"""

from __future__ import annotations

import enum
import json
import math
import sys
from collections.abc import Iterator, Mapping, Set
from typing import Any, ClassVar, TypeVar, cast

from linuxbroker.models.light_readers import Fault, Place, Reader, reader_of

ConfigDict = dict
SerializerFunctionWrapHandler = object
ModelT = TypeVar("ModelT", bound="BaseModel")


class ValidationError(ValueError):
    """A value does not fit a wire type; the text shows no value.

    Args:
        faults: what does not fit.
    """

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(", ".join(f"{'.'.join(map(str, fault['loc']))} ({fault['type']})" for fault in faults))
        self._faults = faults

    def errors(self) -> list[Fault]:
        """Give the faults: of each its place ``loc`` and its ``type``."""
        return self._faults


class WithJsonSchema:
    """What annotations say for schemas, of which none is made here."""

    def __init__(self, schema: object) -> None: ...


class _Absent:
    """In the place of a default that is not there: fits no type."""


class Field:
    """How a field was declared, and which one a validator is given: pydantic's ``FieldInfo`` and ``ValidationInfo``."""

    annotation = module = alias = field_name = ""

    def __init__(self, default: Any = ..., *, default_factory: Any = None, repr: bool = True) -> None:  # noqa: A002
        self.default = _Absent() if default is ... else default
        self._default_factory = default_factory
        self.repr = repr

    def is_required(self) -> bool:
        """Tell whether there is no default."""
        return self._default_factory is None and isinstance(self.default, _Absent)

    def get_default(self) -> Any:
        """Give the default; where there is none, what fits no type."""
        return self.default if self._default_factory is None else self._default_factory()


def to_camel(name: str) -> str:
    """Spell a name in camelCase."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def field_validator(*names: str, mode: str) -> Any:
    """Mark the class method that changes, or refuses with ``ValueError``, what fields are given; ``*`` means all."""
    return _marks(_VALIDATES, names)


def model_validator(*, mode: str) -> Any:
    """Mark the class method that changes what the whole type is given."""
    return _marks(_VALIDATES_ALL, True)


def model_serializer(*, mode: str) -> Any:
    """Mark the method that writes the object, and is given the function that does so otherwise."""
    return _marks(_WRITES, True)


_VALIDATES, _VALIDATES_ALL, _WRITES = "validates", "validates_all", "writes"


def _marks(mark: str, value: object) -> Any:
    def put(method: Any) -> Any:
        setattr(getattr(method, "__func__", method), mark, value)
        return method

    return put


class BaseModel:
    """A frozen object with declared fields, which keeps other keys too."""

    model_config: ClassVar[Mapping[str, Any]] = {}
    model_fields: ClassVar[dict[str, Field]] = {}
    _marked: ClassVar[dict[str, dict[str, Any]]] = {_VALIDATES: {}, _VALIDATES_ALL: {}, _WRITES: {}}
    _readers: ClassVar[dict[str, Reader] | None] = None

    def __init_subclass__(cls) -> None:
        cls._readers = None  # made when the type is first used: most are not
        cls.model_fields = dict(cls.model_fields)
        for name, annotation in vars(cls).get("__annotations__", {}).items():
            if not annotation.startswith("ClassVar"):
                declared = vars(cls).get(name, ...)
                field = declared if isinstance(declared, Field) else Field(declared)
                field.annotation, field.module = annotation, cls.__module__
                field.field_name, field.alias = name, to_camel(name)
                cls.model_fields[name] = field
        methods = {name: getattr(member, "__func__", member) for name, member in vars(cls).items()}
        cls._marked = {
            mark: {
                **known,
                **{name: getattr(method, mark) for name, method in methods.items() if hasattr(method, mark)},
            }
            for mark, known in cls._marked.items()
        }

    def __init__(self, **values: Any) -> None:
        faults: list[Fault] = []
        self._take(values, (), faults)
        if faults:
            raise ValidationError(faults)

    @classmethod
    def model_validate(cls: type[ModelT], value: Any) -> ModelT:
        """Make an object of a mapping; its keys are those of the wire, or the fields' names."""
        faults: list[Fault] = []
        made = cls.read(value, (), faults)
        if faults:
            raise ValidationError(faults)
        return cast("ModelT", made)

    @classmethod
    def read(cls, value: Any, place: Place, faults: list[Fault]) -> BaseModel | None:
        """Read a value as this type; None, and a fault more, where it does not fit."""
        if isinstance(value, cls):
            return value
        for name in cls._marked[_VALIDATES_ALL]:
            value = getattr(cls, name)(value)
        if not isinstance(value, dict):
            faults.append({"loc": place, "type": "model_type"})
            return None
        made = cls.__new__(cls)
        made._take(cast("dict[str, Any]", value), place, faults)
        return made

    def _take(self, given: Mapping[str, Any], place: Place, faults: list[Fault]) -> None:
        cls = type(self)
        if cls._readers is None:
            cls._readers = {name: cls._reader(name, field) for name, field in cls.model_fields.items()}
        values, taken, given_fields = self.__dict__, set[str](), set[str]()
        for name, field in cls.model_fields.items():
            key = field.alias if field.alias in given else name
            if key in given:
                taken.add(key)
                given_fields.add(name)
                values[name] = cls._readers[name](given[key], (*place, field.alias), faults)
            elif field.is_required():
                faults.append({"loc": (*place, field.alias), "type": "missing"})
            else:
                values[name] = field.get_default()
        values["__fields_set__"] = given_fields
        values["__extra__"] = {key: value for key, value in given.items() if key not in taken}

    @classmethod
    def _reader(cls, name: str, field: Field) -> Reader:
        names = vars(sys.modules[field.module])
        read = reader_of(eval(field.annotation, names))  # noqa: S307 - the annotation of a wire type
        validators = [
            getattr(cls, validator) for validator, fields in cls._marked[_VALIDATES].items() if {name, "*"} & {*fields}
        ]

        def validated(value: Any, place: Place, faults: list[Fault]) -> Any:
            try:
                for validate in validators:
                    value = validate(value, field) if validate.__code__.co_argcount > 2 else validate(value)
            except ValueError:
                faults.append({"loc": place, "type": "value_error"})
                return None
            return read(value, place, faults)

        return validated if validators else read

    @property
    def model_extra(self) -> dict[str, Any]:
        """The keys that are no field's."""
        return cast("dict[str, Any]", self.__dict__["__extra__"])

    @property
    def model_fields_set(self) -> Set[str]:
        """The fields that were given."""
        return cast("set[str]", self.__dict__["__fields_set__"])

    def model_copy(self: ModelT, *, update: Mapping[str, Any]) -> ModelT:
        """Make a copy, some of its fields changed."""
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__, **update, __fields_set__=self.model_fields_set | update.keys())
        return made

    def model_dump_json(self, *, by_alias: bool) -> str:
        """Write the object as JSON, under the wire's names."""
        return json.dumps(_written(self), separators=(",", ":"), ensure_ascii=False)

    def to_mapping(self) -> dict[str, Any]:
        """Give the fields under the wire's names, then the other keys, as JSON has them."""
        for name in self._marked[_WRITES]:
            return cast("dict[str, Any]", getattr(self, name)(BaseModel._plain_mapping))
        return self._plain_mapping()

    def _plain_mapping(self) -> dict[str, Any]:
        fields = {field.alias: self.__dict__[name] for name, field in type(self).model_fields.items()}
        return {key: _written(value) for key, value in {**fields, **self.model_extra}.items()}

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        yield from ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__repr_args__())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BaseModel) and type(self) is type(other) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash((type(self), *(self.__dict__[name] for name in type(self).model_fields)))

    def _content(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "__fields_set__"}

    def __setattr__(self, name: str, value: Any) -> None:
        raise ValidationError([{"loc": (name,), "type": "frozen_instance"}])


def _written(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.to_mapping()
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: _written(item) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_written(item) for item in cast("list[Any]", value)]
    return None if isinstance(value, float) and not math.isfinite(value) else value
