"""The error object of a reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import field_validator

from linuxbroker.wire.models.base import WireModel
from linuxbroker.wire.models.status import Status


class BrokerErrorBody(WireModel):
    """The error object of a reply. Source: PROTOCOL.md, "Errors"."""

    context: str = ""
    diagnostics: Mapping[str, Any] | None = None
    error_code: int = 0
    status: int = Status.UNEXPECTED
    sub_status: int = 0
    tag: int = 0

    @field_validator("context", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return "" if value is None else value

    @field_validator("error_code", "status", "sub_status", "tag", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return 0 if value is None else value

    @field_validator("diagnostics", mode="before")
    @classmethod
    def _object_or_none(cls, value: Any) -> Any:
        return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else None
