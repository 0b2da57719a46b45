"""A case for a broker: sends the calls of a vector and checks the replies."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from linuxbroker.bus import BusError, Connection, Message, MessageKind, RemoteError
from linuxbroker.wire.names import BROKER_BUS_NAME, BROKER_INTERFACE, BROKER_OBJECT_PATH
from linuxbroker_fake.conformance.case import SECRET_KEYS, Problem
from linuxbroker_fake.conformance.matching import Difference, outcome_differences
from linuxbroker_fake.conformance.vectors import Vector

_NO_ANSWER_ERRORS = frozenset(
    f"org.freedesktop.DBus.Error.{name}" for name in ("NoReply", "ServiceUnknown", "Disconnected", "Timeout")
)
_ERRORS = ("error", "Error", "brokerTokenResponse.error")


class NoAnswerError(Exception):
    """The broker did not reply."""


@dataclass(frozen=True)
class Answer:
    """The reply to a call.

    Attributes:
        value: the reply, decoded; None if it is not JSON.
        error: the name and the text of a D-Bus error, or ``""``.
        is_empty: whether the reply is an empty text.
    """

    value: Any = None
    error: str = ""
    is_empty: bool = False

    @property
    def is_not_implemented(self) -> bool:
        """Whether the broker does not implement the method: by its text, or an empty reply (Himmelblau up to 3.1)."""
        texts = [self.error, *(str(_value_at(self.value, f"{place}.context")) for place in _ERRORS)]
        return self.is_empty or any("not implemented" in text.casefold() for text in texts)

    def for_report(self) -> Any:
        """Return the reply for a report, without tokens and cookies (PROTOCOL.md, SE-01)."""
        if self.is_empty:
            return ""
        return {"D-Bus error": self.error} if self.error else without_secrets(self.value)


class BrokerCase:
    """A case of a ``broker`` vector.

    Args:
        vector: the vector.
        connection: an open connection to the broker's bus.
        values: the values of ``{"$broker": NAME}``.
        limit: time limit for each reply, seconds.
    """

    def __init__(self, vector: Vector, connection: Connection, values: Mapping[str, Any], limit: float) -> None:
        self._vector = vector
        self._connection = connection
        self._values = values
        self._limit = limit
        self._pending: asyncio.Task[Answer] | None = None
        self.problems: list[Problem] = []

    async def play(self) -> list[Problem]:
        """Play the steps.

        Returns:
            The problems; empty if the case passed.
        """
        try:
            for step in self._vector.steps:
                await self._step(step)
                if self.problems:
                    break
        except NoAnswerError as error:
            self.problems.append(Problem(str(error)))
        finally:
            if self._pending is not None:
                self._pending.cancel()
                await asyncio.gather(self._pending, return_exceptions=True)
        return self.problems

    async def accounts(self) -> list[dict[str, Any]]:
        """Call ``getAccounts``.

        Returns:
            The accounts; empty if the broker returns no list.
        """
        request = {"clientId": self._values["clientId"], "redirectUri": self._values["redirectUri"]}
        try:
            calling = asyncio.ensure_future(self._call({"method": "getAccounts", "request": request}))
            answer = await self._wait_for(calling)
        except NoAnswerError:
            return []
        listed = _value_at(answer.value, "accounts")
        return (
            [item for item in cast("list[object]", listed) if isinstance(item, dict)]
            if isinstance(listed, list)
            else []
        )

    async def _step(self, step: Mapping[str, Any]) -> None:
        if step.get("event") == "answer":
            assert self._pending is not None
            answer = await self._wait_for(self._pending)
        else:
            calling = asyncio.ensure_future(self._call(_fill(step["call"], self._values)))
            if step.get("pending"):
                self._pending = calling
                return
            answer = await self._wait_for(calling)
        self._check(_fill(step.get("outcome", {}), self._values), answer)

    async def _wait_for(self, answer: asyncio.Task[Answer]) -> Answer:
        try:
            return await asyncio.wait_for(asyncio.shield(answer), self._limit)
        except asyncio.TimeoutError:
            answer.cancel()
            raise NoAnswerError(f"the broker did not answer within {self._limit:g} s") from None

    async def _call(self, call: Mapping[str, Any]) -> Answer:
        interface, body = call.get("interface", BROKER_INTERFACE), call.get("body", [])
        if interface == BROKER_INTERFACE:
            body = ["0.0", str(uuid.uuid4()), json.dumps(call["request"])]
        message = Message(
            MessageKind.CALL,
            destination=BROKER_BUS_NAME,
            path=BROKER_OBJECT_PATH,
            interface=interface,
            member=call["method"],
            signature="s" * len(body),
            body=body,
        )
        try:
            reply = await self._connection.call(message, limit=None)
        except RemoteError as error:
            if error.name in _NO_ANSWER_ERRORS:
                raise NoAnswerError(f"the broker did not start, or exited: {error.name}") from None
            return Answer(error=f"{error.name}: {error.text}")
        except BusError as error:
            raise NoAnswerError(str(error)) from None
        if interface != BROKER_INTERFACE:
            return Answer({"returned": list(reply.body)})
        if reply.signature != "s":
            return Answer({"signature": reply.signature})
        text = str(reply.body[0])
        try:
            return Answer(json.loads(text))
        except (ValueError, RecursionError):
            return Answer(is_empty=not text)

    def _check(self, expected: Mapping[str, Any], answer: Answer) -> None:
        if expected.get("answered") or (expected.get("unsupported") and answer.is_not_implemented):
            return
        if answer.error:
            self._problem("the reply is a D-Bus error", expected.get("reply"), answer)
            return
        if "reply" not in expected:
            return
        if differences := outcome_differences(expected["reply"], answer.value):
            self._problem("unexpected reply", expected["reply"], answer, differences)
        absent = [key for key in expected.get("absent", ()) if _value_at(answer.value, key) is not None]
        for key in absent:
            self._problem(f"the reply must not contain {key}", None, answer)

    def _problem(self, what: str, expected: Any, answer: Answer, differences: Sequence[Difference] = ()) -> None:
        reported = [
            Difference(item.place, item.expected, without_secrets(item.got, item.place.rpartition(".")[2]))
            for item in differences
        ]
        self.problems.append(Problem(what, expected, answer.for_report(), tuple(reported)))


def without_secrets(value: Any, key: str = "") -> Any:
    """Replace the secrets in a reply.

    Args:
        value: any part of a reply.
        key: the key of that part.

    Returns:
        The value with ``(hidden)`` for tokens, cookies and signed requests.
    """
    if isinstance(value, dict):
        return {name: without_secrets(item, name) for name, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [without_secrets(item, key) for item in cast("list[object]", value)]
    return "(hidden)" if isinstance(value, str) and key in SECRET_KEYS else value


def _fill(value: Any, values: Mapping[str, Any]) -> Any:
    """Replace each ``{"$broker": NAME}`` by its value; keys beside ``$broker`` override the value's."""
    if isinstance(value, list):
        return [_fill(item, values) for item in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    given = {key: _fill(item, values) for key, item in cast("dict[str, Any]", value).items()}
    if "$broker" not in given:
        return given
    named = values[given.pop("$broker")]
    return {**named, **given} if given else named


def _value_at(value: Any, place: str) -> Any:
    for key in place.split("."):
        value = cast("dict[str, Any]", value).get(key) if isinstance(value, dict) else None
    return value
