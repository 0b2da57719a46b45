"""The base class of all wire types: frozen, camelCase on the wire, unknown keys kept, secrets hidden."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from linuxbroker.redaction import texts
from linuxbroker.redaction.secrets import HiddenText

_build_lock = threading.RLock()


def _renew_after_fork() -> None:
    """Replace the lock in a child process: the thread that held it exists only in the parent."""
    global _build_lock
    _build_lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)


class WireModel(BaseModel):
    """A JSON object of the protocol.

    Unknown keys are kept and written back. ``repr`` and ``str`` hide them, and fields declared with ``Secret``.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
        ser_json_inf_nan="null",
        defer_build=True,
    )

    @classmethod
    def model_rebuild(cls, **options: Any) -> bool | None:
        """Build the type's validator and serializer at its first use, in one thread at a time.

        pydantic before 2.13 does not lock: one thread could remove what another has just built.

        Args:
            options: as for ``pydantic.BaseModel.model_rebuild``.

        Returns:
            What pydantic returns: None if they were already built.
        """
        with _build_lock:
            return super().model_rebuild(**options)

    def to_json(self) -> str:
        """Serialize the object for the wire.

        Returns:
            JSON text, which its ``repr`` hides; fields that were not set and have no default on the wire are left out.
        """
        return HiddenText(self.model_dump_json(by_alias=True))

    def secret_values(self) -> Iterator[object]:
        """List the values that ``repr`` hides: fields declared with ``Secret``, and unknown keys.

        Returns:
            The values, including those of nested wire types.
        """
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if not field.repr:
                yield value
            elif isinstance(value, WireModel):
                yield from value.secret_values()
        yield from (self.model_extra or {}).values()

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, field in type(self).model_fields.items():
            if field.repr:
                yield name, getattr(self, name)

    def __repr_str__(self, join_str: str) -> str:
        return join_str.join(f"{name}={texts.brief(value)}" for name, value in self.__repr_args__())


def Secret(default: Any = ..., **options: Any) -> Any:  # noqa: N802 - reads as a field declaration
    """Declare a field that ``repr`` hides: a token, a cookie, a password.

    Args:
        default: as for ``pydantic.Field``.
        options: as for ``pydantic.Field``.

    Returns:
        The field declaration.
    """
    if "default_factory" not in options:
        options["default"] = default
    return Field(repr=False, **options)
