"""What do all wire types have in common? Frozen, camelCase on the wire, unknown keys kept, secrets out of sight."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from linuxbroker.redaction import texts
from linuxbroker.redaction.secrets import HiddenText

_building = threading.RLock()


def _renew_after_fork() -> None:
    """In a child nobody builds: the thread that did so is in the parent."""
    global _building
    _building = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)


class WireModel(BaseModel):
    """A JSON object of the protocol.

    Keys that this library does not know are kept and written back. ``repr`` and ``str`` show neither those nor any
    field declared with ``Secret``.
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
        """Build the type's validator and serializer, which its first use does, in one thread at a time.

        pydantic before 2.13 has no lock of its own: one thread could take away what another has just built.

        Args:
            options: as for ``pydantic.BaseModel.model_rebuild``.

        Returns:
            What pydantic returns: None if they were built already.
        """
        with _building:
            return super().model_rebuild(**options)

    def to_json(self) -> str:
        """Write the object as it goes over the wire.

        Returns:
            JSON text; a field that was never set and has no default of the wire's own is left out. Its ``repr`` does
            not show it.
        """
        return HiddenText(self.model_dump_json(by_alias=True))

    def out_of_sight(self) -> Iterator[object]:
        """Give what ``repr`` does not show: fields declared with ``Secret``, and keys that this library does not know.

        Returns:
            The values, those of inner wire types included.
        """
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if not field.repr:
                yield value
            elif isinstance(value, WireModel):
                yield from value.out_of_sight()
        yield from (self.model_extra or {}).values()

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, field in type(self).model_fields.items():
            if field.repr:
                yield name, getattr(self, name)

    def __repr_str__(self, join_str: str) -> str:
        return join_str.join(f"{name}={texts.brief(value)}" for name, value in self.__repr_args__())


def Secret(default: Any = ..., **options: Any) -> Any:  # noqa: N802 - reads as a field declaration
    """Declare a field that never shows in ``repr``: a token, a cookie, a password.

    Args:
        default: as for ``pydantic.Field``.
        options: as for ``pydantic.Field``.

    Returns:
        The field declaration.
    """
    if "default_factory" not in options:
        options["default"] = default
    return Field(repr=False, **options)
