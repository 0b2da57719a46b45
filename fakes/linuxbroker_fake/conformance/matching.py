"""Comparison of requests and outcomes with vectors, under the rules of CONFORMANCE.md."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

Json = Any
_ABSENT = "(absent)"
# The equivalent values of an account's environment (PROTOCOL.md, AR-04).
_ENVIRONMENTS = frozenset({"login.windows.net", "login.microsoftonline.com"})
# Keys of a request that may be omitted or have this value: Microsoft's runtime writes them, other clients do not.
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
# Keys of a request that may be omitted or have any text: they identify the caller and the time.
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
    """A place where two JSON values differ.

    Attributes:
        place: the path, such as ``authParameters.account.realm``.
        expected: the expected value, or ``(absent)``.
        got: the actual value, or ``(absent)``.
    """

    place: str
    expected: Json
    got: Json


def request_differences(expected: Json, got: Json, place: str = "") -> list[Difference]:
    """Compare a request with the one in a vector.

    Args:
        expected: the request, or a part of it, in the vector.
        got: the request, or the same part of it, on the bus.
        place: the path of the part.

    Returns:
        The differences. All keys must be equal, except those in ``EMPTY`` and ``FREE_TEXT``.
    """
    if not _are_objects(expected, got) or _matcher(expected):
        return _value_differences(expected, got, place, request_differences)
    found: list[Difference] = []
    for key in sorted({*expected, *got}):
        where = f"{place}.{key}" if place else key
        if key in FREE_TEXT and key not in expected:
            if not isinstance(got[key], str):
                found.append(Difference(where, "a text, or absent", got[key]))
        elif key == "environment" and _is_cloud_environment(expected.get(key)) and _is_cloud_environment(got.get(key)):
            pass
        elif key in EMPTY and (key not in expected or key not in got):
            value = expected.get(key, got.get(key))
            if not _is_empty(key, value):
                found.append(Difference(where, expected.get(key, _ABSENT), got.get(key, _ABSENT)))
        elif key in expected and key in got:
            found += request_differences(expected[key], got[key], where)
        else:
            found.append(Difference(where, expected.get(key, _ABSENT), got.get(key, _ABSENT)))
    return found


def outcome_differences(expected: Json, got: Json, place: str = "") -> list[Difference]:
    """Compare the outcome of a driver with the one in a vector.

    Args:
        expected: the outcome, or a part of it, in the vector.
        got: the outcome, or the same part of it, of the driver.
        place: the path of the part.

    Returns:
        The differences. Of objects, only the expected keys are compared; a key expected to be null may be missing.
    """
    if not _are_objects(expected, got) or _matcher(expected):
        return _value_differences(expected, got, place, outcome_differences)
    found: list[Difference] = []
    for key, value in expected.items():
        where = f"{place}.{key}" if place else key
        if key == "environment" and _is_cloud_environment(value) and _is_cloud_environment(got.get(key)):
            continue
        if key in got:
            found += outcome_differences(value, got[key], where)
        elif value is not None and not (_matcher(value) == "$oneOf" and None in value["$oneOf"]):
            found.append(Difference(where, value, _ABSENT))
    return found


def _is_cloud_environment(environment: Json) -> bool:
    return isinstance(environment, str) and environment in _ENVIRONMENTS


def _are_objects(expected: Json, got: Json) -> bool:
    return isinstance(expected, dict) and isinstance(got, dict)


def _are_lists(expected: Json, got: Json) -> bool:
    return isinstance(expected, list) and isinstance(got, list)


def _matcher(expected: Json) -> str:
    """Return the name of a matcher, which is an object with one key that begins with ``$``; else ``""``."""
    if not isinstance(expected, dict) or len(cast("dict[str, Json]", expected)) != 1:
        return ""
    (key,) = cast("dict[str, Json]", expected)
    return key if key.startswith("$") else ""


def _value_differences(
    expected: Json, got: Json, place: str, compare: Callable[[Json, Json, str], list[Difference]]
) -> list[Difference]:
    matcher = _matcher(expected)
    if matcher == "$pattern":
        same = isinstance(got, str) and re.fullmatch(expected[matcher], got) is not None
        return [] if same else [Difference(place, f"a text that matches {expected[matcher]}", got)]
    if matcher == "$json":
        return _json_differences(expected[matcher], got, place)
    if matcher == "$type":
        same = _TYPES[expected[matcher]](got)
        return [] if same else [Difference(place, f"a value of type {expected[matcher]}", got)]
    if matcher == "$oneOf":
        same = any(not compare(choice, got, place) for choice in expected[matcher])
        return [] if same else [Difference(place, expected, got)]
    if _are_lists(expected, got):
        expected_items: Sequence[Json] = expected
        got_items: Sequence[Json] = got
        found: list[Difference] = [
            difference
            for index, (one, other) in enumerate(zip(expected_items, got_items, strict=False))
            for difference in compare(one, other, f"{place}[{index}]")
        ]
        counts = len(expected_items), len(got_items)
        for index in range(min(counts), max(counts)):
            one = expected_items[index] if index < len(expected_items) else _ABSENT
            other = got_items[index] if index < len(got_items) else _ABSENT
            found.append(Difference(f"{place}[{index}]", one, other))
        return found
    same = type(expected) is type(got) and expected == got
    return [] if same else [Difference(place, expected, got)]


def _json_differences(expected: Json, got: Json, place: str) -> list[Difference]:
    """Compare a JSON text with the value that it should encode, with any spaces and order of keys."""
    try:
        value: Json = json.loads(got)
    except (TypeError, ValueError):
        return [Difference(place, f"a JSON text: {json.dumps(expected)}", got)]
    return [] if value == expected else [Difference(place, expected, value)]


def _is_empty(key: str, value: Json) -> bool:
    if key == "additionalQueryParametersForAuthorization" and isinstance(value, dict):
        return FREE_TEXT.issuperset(cast("dict[str, Json]", value))
    return type(value) is type(EMPTY[key]) and value == EMPTY[key]
