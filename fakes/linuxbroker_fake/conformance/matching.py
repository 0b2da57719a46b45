"""Is what came what was expected? JSON values compared under the rules of CONFORMANCE.md."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

Json = Any
_ABSENT = "(absent)"
# The names of one cloud's login host in an account (PROTOCOL.md, AR-04).
_ENVIRONMENTS = frozenset({"login.windows.net", "login.microsoftonline.com"})
# Keys of a request that may be left out, or written, with this value: the runtime writes them, other clients do not.
EMPTY: Mapping[str, Json] = {
    "accessTokenToRenew": "",
    "account": None,
    "additionalQueryParametersForAuthorization": {},
    "alternativeAccountId": "",
    "clientClaims": "",
    "clientInfo": "",
    "decodedClaims": "",
    "enrollmentId": "",
    "environment": "",
    "familyName": "",
    "givenName": "",
    "homeAccountId": "",
    "homeEnvironment": "",
    "isTestMode": False,
    "localAccountId": "",
    "mamEnrollment": False,
    "middleName": "",
    "name": "",
    "nonce": "",
    "parentWindow": {"handle": 0},
    "parentWindowHandle": 0,
    "password": "",
    "passwordChangeUrl": "",
    "passwordExpiry": 0,
    "popParams": None,
    "realm": "",
    "username": "",
    "uxContextHandle": -1,
}
# Keys of a request that may be left out or written with any text: they say who calls, and when.
FREE_TEXT = frozenset({"onboardingBlob", "x-client-xtra-sku", "msal_client_sku", "msal_client_ver"})
_MILLISECONDS_FROM = 10**11  # PROTOCOL.md, EX-05
_TYPES: Mapping[str, Callable[[Json], bool]] = {
    "integer": lambda value: type(value) is int,
    "milliseconds": lambda value: type(value) is int and value >= _MILLISECONDS_FROM,
    "list": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


@dataclass(frozen=True)
class Difference:
    """One place where two JSON values differ.

    Attributes:
        place: where, such as ``authParameters.account.realm``.
        expected: what should be there, or ``(absent)``.
        got: what is there, or ``(absent)``.
    """

    place: str
    expected: Json
    got: Json


def request_differences(expected: Json, got: Json, place: str = "") -> list[Difference]:
    """Compare a request that was sent with the one that a vector gives.

    Args:
        expected: from the vector.
        got: what was on the bus.
        place: where both stand.

    Returns:
        The differences: every key counts but those of ``EMPTY`` and ``FREE_TEXT``.
    """
    if not _are_objects(expected, got) or _matcher(expected):
        return _unlike(expected, got, place, request_differences)
    found: list[Difference] = []
    for key in sorted({*expected, *got}):
        where = f"{place}.{key}" if place else key
        if key in FREE_TEXT and key not in expected:
            if not isinstance(got[key], str):
                found.append(Difference(where, "a text, or nothing", got[key]))
        elif key == "environment" and _is_of_the_cloud(expected.get(key)) and _is_of_the_cloud(got.get(key)):
            pass
        elif key in EMPTY and (key not in expected or key not in got):
            there = expected.get(key, got.get(key))
            if not _is_empty(key, there):
                found.append(Difference(where, expected.get(key, _ABSENT), got.get(key, _ABSENT)))
        elif key in expected and key in got:
            found += request_differences(expected[key], got[key], where)
        else:
            found.append(Difference(where, expected.get(key, _ABSENT), got.get(key, _ABSENT)))
    return found


def outcome_differences(expected: Json, got: Json, place: str = "") -> list[Difference]:
    """Compare an outcome that a driver gave with the one that a vector gives.

    Args:
        expected: from the vector.
        got: what the driver said.
        place: where both stand.

    Returns:
        The differences: of an object only the keys that are expected count; one expected to be null may be missing.
    """
    if not _are_objects(expected, got) or _matcher(expected):
        return _unlike(expected, got, place, outcome_differences)
    found: list[Difference] = []
    for key, value in expected.items():
        where = f"{place}.{key}" if place else key
        if key == "environment" and _is_of_the_cloud(value) and _is_of_the_cloud(got.get(key)):
            continue
        if key in got:
            found += outcome_differences(value, got[key], where)
        elif value is not None and not (_matcher(value) == "$oneOf" and None in value["$oneOf"]):
            found.append(Difference(where, value, _ABSENT))
    return found


def _is_of_the_cloud(environment: Json) -> bool:
    return isinstance(environment, str) and environment in _ENVIRONMENTS


def _are_objects(expected: Json, got: Json) -> bool:
    return isinstance(expected, dict) and isinstance(got, dict)


def _are_lists(expected: Json, got: Json) -> bool:
    return isinstance(expected, list) and isinstance(got, list)


def _matcher(expected: Json) -> str:
    """The matcher that an expected value is: an object of one key that begins with ``$``."""
    if not isinstance(expected, dict) or len(cast("dict[str, Json]", expected)) != 1:
        return ""
    (key,) = cast("dict[str, Json]", expected)
    return key if key.startswith("$") else ""


def _unlike(
    expected: Json, got: Json, place: str, compare: Callable[[Json, Json, str], list[Difference]]
) -> list[Difference]:
    matcher = _matcher(expected)
    if matcher == "$pattern":
        same = isinstance(got, str) and re.fullmatch(expected[matcher], got) is not None
        return [] if same else [Difference(place, f"a text like {expected[matcher]}", got)]
    if matcher == "$json":
        return _unlike_json(expected[matcher], got, place)
    if matcher == "$type":
        same = _TYPES[expected[matcher]](got)
        return [] if same else [Difference(place, f"a value of type {expected[matcher]}", got)]
    if matcher == "$oneOf":
        same = any(not compare(choice, got, place) for choice in expected[matcher])
        return [] if same else [Difference(place, expected, got)]
    if _are_lists(expected, got):
        wanted: Sequence[Json] = expected
        there: Sequence[Json] = got
        found: list[Difference] = [
            difference
            for index, (one, other) in enumerate(zip(wanted, there, strict=False))
            for difference in compare(one, other, f"{place}[{index}]")
        ]
        for index in range(min(len(wanted), len(there)), max(len(wanted), len(there))):
            one = wanted[index] if index < len(wanted) else _ABSENT
            other = there[index] if index < len(there) else _ABSENT
            found.append(Difference(f"{place}[{index}]", one, other))
        return found
    same = type(expected) is type(got) and expected == got
    return [] if same else [Difference(place, expected, got)]


def _unlike_json(expected: Json, got: Json, place: str) -> list[Difference]:
    """Compare a text with the JSON value that it should write, in whatever spaces and order of keys."""
    try:
        written: Json = json.loads(got)
    except (TypeError, ValueError):
        return [Difference(place, f"a text of JSON: {json.dumps(expected)}", got)]
    return [] if written == expected else [Difference(place, expected, written)]


def _is_empty(key: str, value: Json) -> bool:
    if key == "additionalQueryParametersForAuthorization" and isinstance(value, dict):
        return FREE_TEXT.issuperset(cast("dict[str, Json]", value))
    return type(value) is type(EMPTY[key]) and value == EMPTY[key]
