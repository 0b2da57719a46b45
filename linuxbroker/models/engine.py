"""What are the wire types made with? pydantic; in a short-lived process what reads and writes the same, sooner.

Importing pydantic, and making one model with it, takes longer than all else that ``linuxbroker token`` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linuxbroker import short_lived

if TYPE_CHECKING or not short_lived.is_declared():
    from pydantic import (
        BaseModel,
        ConfigDict,
        Field,
        SerializerFunctionWrapHandler,
        ValidationError,
        WithJsonSchema,
        field_validator,
        model_serializer,
        model_validator,
    )
    from pydantic.alias_generators import to_camel
else:
    from linuxbroker.models.light import (
        BaseModel,
        ConfigDict,
        Field,
        SerializerFunctionWrapHandler,
        ValidationError,
        WithJsonSchema,
        field_validator,
        model_serializer,
        model_validator,
        to_camel,
    )

__all__ = [
    "BaseModel",
    "ConfigDict",
    "Field",
    "SerializerFunctionWrapHandler",
    "ValidationError",
    "WithJsonSchema",
    "field_validator",
    "model_serializer",
    "model_validator",
    "to_camel",
]
