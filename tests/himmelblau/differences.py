"""Differences of two answers: keys, JSON types, values, names and texts of D-Bus errors.

The values in ``LEFT_OUT`` are decided behind the broker: only their types and forms are compared.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from tests.himmelblau.corpus import Exchange
from tests.himmelblau.stages import Answer

MOST_LEFT_OUT = 20


@dataclass(frozen=True)
class LeftOut:
    """A value that is compared by type and form only.

    Attributes:
        place: the keys on the way to it; the bus's name of a method comes first.
        reason: why not.
        are_alike: what is compared in its place.
    """

    place: str
    reason: str
    are_alike: Callable[[Any, Any], bool]


def _are_tokens(*values: Any) -> bool:
    return all(re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", value) for value in values)


def _are_within_a_minute(unit: int) -> Callable[[int, int], bool]:
    return lambda one, other: abs(one - other) < 60 * unit


def _say_the_same(one: str, other: str) -> bool:
    return bool(_client_info(one) == _client_info(other))


def _client_info(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def _are_machine_ids(*values: Any) -> bool:
    return all(re.fullmatch(r"[0-9a-f]{32}", value) for value in values)


_TOKEN = "acquireToken*.brokerTokenResponse"
LEFT_OUT = (
    LeftOut(f"{_TOKEN}.accessToken", "Entra makes it", _are_tokens),
    LeftOut(f"{_TOKEN}.idToken", "Entra makes it", _are_tokens),
    LeftOut(f"{_TOKEN}.clientInfo", "Entra writes its JSON, with or without blanks", _say_the_same),
    LeftOut(f"{_TOKEN}.expiresOn", "the clock", _are_within_a_minute(1000)),
    LeftOut(f"{_TOKEN}.extendedExpiresOn", "the clock", _are_within_a_minute(1)),
    LeftOut(f"{_TOKEN}.grantedScopes", "Entra decides, and adds openid and profile", lambda one, other: True),
    LeftOut("acquirePrtSsoCookie.cookieContent", "Entra's key and the device's make it", _are_tokens),
    LeftOut("GetMachineId.0", "whose machine it is", _are_machine_ids),
)


def differences(exchange: Exchange, judged: Answer, faked: Answer) -> list[str]:
    """Tell how an answer of the fake differs from the judge's.

    Args:
        exchange: what was asked.
        judged: what the judge answered.
        faked: what the fake answered.

    Returns:
        A line for each difference; none: they are equal in shape.
    """
    found = [
        f"{what}: {theirs!r}, and the fake has {ours!r}"
        for what, theirs, ours in (
            ("the error's name", judged.error, faked.error),
            ("the error's text", judged.text, faked.text),
            ("the signature", judged.signature, faked.signature),
        )
        if theirs != ours
    ]
    if found:
        return found
    place = "acquireToken*" if exchange.call.member.startswith("acquireToken") else exchange.call.member
    return _compared(place, _readable(judged), _readable(faked))


def _readable(answer: Answer) -> Any:
    """A body as it is compared: JSON and XML parsed."""
    if answer.signature != "s":
        return [_plain(value) for value in answer.body]
    text = str(answer.body[0])
    if text.startswith("<!DOCTYPE"):
        return _element(ElementTree.fromstring(text))
    try:
        return json.loads(text)
    except ValueError:
        return [text]


def _plain(value: Any) -> Any:
    """A D-Bus value without its library's types."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return {"signature": value.signature, "value": value.value} if hasattr(value, "signature") else value


def _element(element: ElementTree.Element) -> Any:
    """An element of introspection data. Interfaces, methods and children have no order, arguments have."""
    content = [_element(child) for child in element]
    if any(child.tag != "arg" for child in element):
        content.sort(key=repr)
    return {"tag": element.tag, "attributes": dict(element.attrib), "content": content}


def _compared(place: str, judged: Any, faked: Any) -> list[str]:
    if type(judged) is not type(faked):
        return [f"{place}: {_shown(judged)}, and the fake has {_shown(faked)}"]
    if isinstance(judged, dict):
        lacking, additional = sorted(judged.keys() - faked.keys()), sorted(faked.keys() - judged.keys())
        return [
            *(f"{place}.{key}: the fake lacks it" for key in lacking),
            *(f"{place}.{key}: the fake alone has it" for key in additional),
            *(
                line
                for key in sorted(judged.keys() & faked.keys())
                for line in _compared(f"{place}.{key}", judged[key], faked[key])
            ),
        ]
    if isinstance(judged, list):
        if len(judged) != len(faked):
            return [f"{place}: {len(judged)} items, and the fake has {len(faked)}"]
        pairs = enumerate(zip(judged, faked, strict=True))
        return [line for index, pair in pairs for line in _compared(f"{place}.{index}", *pair)]
    left_out = next((item for item in LEFT_OUT if item.place == place), None)
    if left_out is not None and left_out.are_alike(judged, faked):
        return []
    return [] if judged == faked else [f"{place}: {_shown(judged)}, and the fake has {_shown(faked)}"]


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 200 else f"{text[:200]}…"
