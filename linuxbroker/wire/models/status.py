"""The codes of a failure: statuses, tags, and Entra's error codes."""

from __future__ import annotations

import enum
import re


class Status(enum.IntEnum):
    """The status of a failed call; all values of the protocol. Source: PROTOCOL.md, "Errors"."""

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
    """Decode a tag to the text that Microsoft's logs print.

    Args:
        tag: the number from an error object: five characters of six bits, the first in the highest bits.

    Returns:
        Such as ``965ya`` for 595719680; empty for 0 and for a number that is not a tag.
        Source: PROTOCOL.md, "Errors".
    """
    digits = [tag >> shift & 0x3F for shift in (24, 18, 12, 6, 0)]
    if tag <= 0 or tag >> 30 or max(digits) >= len(_TAG_ALPHABET):
        return ""
    return "".join(_TAG_ALPHABET[digit] for digit in digits)


_AADSTS = re.compile(r"AADSTS\d{4,9}")
# Entra's codes as quoted by Microsoft's brokers from 2.0.2 on (PROTOCOL.md, "Errors").
_OAUTH_ERROR = re.compile(r"\bcode: ?'([A-Za-z0-9_.-]{1,100})'", re.IGNORECASE)
_SUB_ERROR = re.compile(r"\bsub_?error: ?'([A-Za-z0-9_.-]{1,100})'", re.IGNORECASE)


def aadsts_codes(text: str) -> tuple[str, ...]:
    """Find the Entra error codes in a text.

    Args:
        text: such as an error's context.

    Returns:
        Each code once, such as ``AADSTS50078``, in order of appearance.
    """
    return tuple(dict.fromkeys(_AADSTS.findall(text)))


def oauth_error(text: str) -> str:
    """Find Entra's OAuth error in a text.

    Args:
        text: such as an error's context.

    Returns:
        Such as ``interaction_required``, or the empty string.
    """
    return _first(_OAUTH_ERROR, text)


def sub_error(text: str) -> str:
    """Find Entra's sub-error in a text.

    Args:
        text: such as an error's context.

    Returns:
        Such as ``token_expired``, or the empty string.
    """
    return _first(_SUB_ERROR, text)


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""
