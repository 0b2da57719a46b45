"""What does a broker say when it fails? The statuses, the tag and the error object."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Any, cast

from linuxbroker.models.base import WireModel
from linuxbroker.models.engine import field_validator


class Status(enum.IntEnum):
    """The outcome of a failed call. Source: PROTOCOL.md, "Errors"; complete and in the wire's order."""

    UNEXPECTED = 0
    RESERVED = 1
    INTERACTION_REQUIRED = 2
    NO_NETWORK = 3
    NETWORK_TEMPORARILY_UNAVAILABLE = 4
    SERVER_TEMPORARILY_UNAVAILABLE = 5
    API_CONTRACT_VIOLATION = 6
    USER_CANCELED = 7
    APPLICATION_CANCELED = 8
    INCORRECT_CONFIGURATION = 9
    INSUFFICIENT_BUFFER = 10
    AUTHORITY_UNTRUSTED = 11
    USER_SWITCH = 12
    ACCOUNT_UNUSABLE = 13
    USER_DATA_REMOVAL_REQUIRED = 14
    TRANSIENT_ERROR = 15
    ACCOUNT_SWITCH = 16
    DEVICE_NOT_REGISTERED = 17
    KEY_NOT_FOUND = 18
    ACCOUNT_NOT_FOUND = 19
    REQUIRED_BROKER_MISSING = 20
    FALLBACK_TO_NATIVE_MSAL = 21

    @classmethod
    def _missing_(cls, value: object) -> Status:
        return cls.UNEXPECTED

    @property
    def wire_name(self) -> str:
        """The name that Microsoft's runtime shows, such as ``InteractionRequired``."""
        return "".join(part.capitalize() for part in self.name.split("_"))


_TAG_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


def tag_name(tag: int) -> str:
    """Spell a tag the way Microsoft's logs print it.

    Args:
        tag: the number from an error object: five characters of six bits, the first in the highest.

    Returns:
        Such as ``965ya`` for 595719680; the empty string for 0 and for a number that spells no tag.
        Source: PROTOCOL.md, "Errors".
    """
    digits = [tag >> shift & 0x3F for shift in (24, 18, 12, 6, 0)]
    if tag <= 0 or tag >> 30 or max(digits) >= len(_TAG_ALPHABET):
        return ""
    return "".join(_TAG_ALPHABET[digit] for digit in digits)


_AADSTS = re.compile(r"AADSTS\d{4,9}")


def aadsts_codes(text: str) -> tuple[str, ...]:
    """Find the Entra error codes in a text.

    Args:
        text: such as an error's context.

    Returns:
        Each code once, such as ``AADSTS50078``, in the order in which they stand there.
    """
    return tuple(dict.fromkeys(_AADSTS.findall(text)))


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
