"""Does a driver pass one case? Plays the vector's steps, and notes what was not as it should be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from linuxbroker_fake.conformance.driver import Driver, DriverError
from linuxbroker_fake.conformance.matching import Difference, outcome_differences, request_differences
from linuxbroker_fake.conformance.rules import Past, broken_rules
from linuxbroker_fake.conformance.stage import Stage
from linuxbroker_fake.conformance.vectors import Vector
from linuxbroker_fake.conformance.wire import SentCall

CLIENT_ID = "0d1b6f3a-94c7-4e0e-a2f5-7c3b8e61d950"
# What every operation carries, unless the vector says otherwise.
DEFAULTS: Mapping[str, str] = {
    "clientId": CLIENT_ID,
    "redirectUri": "https://login.microsoftonline.com/common/oauth2/nativeclient",
    "authority": "https://login.microsoftonline.com/common",
}
# Texts under these keys are shown nowhere.
SECRET_KEYS = frozenset(
    {
        "accessToken",
        "accessTokenToRenew",
        "cookieContent",
        "idToken",
        "nonce",
        "password",
        "refreshToken",
        "signedHttpRequest",
    }
)


@dataclass(frozen=True)
class Problem:
    """Something that was not as it should be.

    Attributes:
        what: one sentence.
        expected: what should have been, where a value can say it.
        got: what was.
        differences: where the two differ.
    """

    what: str
    expected: Any = None
    got: Any = None
    differences: tuple[Difference, ...] = ()


@dataclass
class CaseResult:
    """How one case went.

    Attributes:
        vector: the case.
        problems: what was wrong; none where it passed.
        skipped: why it was not played, or the empty string.
        stderr: what the driver wrote to standard error meanwhile.
        seconds: how long it took.
    """

    vector: Vector
    problems: list[Problem] = field(default_factory=lambda: list[Problem]())
    skipped: str = ""
    stderr: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong."""
        return not self.problems


class Case:
    """A vector that is played to a driver.

    Args:
        vector: what is played.
        stage: the bus, with the broker in the state that the vector names.
        driver: a running driver.
        past: what the driver did before.
        limit: seconds that it has for each answer.

    Attributes:
        problems: what was wrong so far.
        late: the ids of the cases before that the driver has said something about meanwhile.
    """

    def __init__(self, vector: Vector, stage: Stage, driver: Driver, past: Past, limit: float) -> None:
        self._vector = vector
        self._stage = stage
        self._driver = driver
        self._past = past
        self._limit = limit
        self.problems: list[Problem] = []
        self.late: list[str] = []
        self._seen = 0
        self._pending: str = ""
        self._operation = ""
        self._accounts: list[Any] = []

    async def play(self) -> list[Problem]:
        """Play the steps.

        Returns:
            What was wrong.

        Raises:
            DriverError: the driver can't go on.
        """
        self._stage.wire.clear()
        self._past.cases.add(self._vector.id)
        for number, step in enumerate(self._vector.steps, start=1):
            self._stage.plant(step.get("replies", ()))
            line = f"{self._vector.id}/{number}"
            if "call" in step:
                await self._call(step, line)
            else:
                await self._event(step, line)
            if self.problems:
                break
        await self._stage.wire.settle()
        left = self._stage.wire.calls(self._seen)
        if left and not self.problems:
            self._problem(f"sent more when it had answered: {_names(left)}")
        return self.problems

    async def _call(self, step: Mapping[str, Any], line: str) -> None:
        call = _with_accounts(step["call"], self._accounts)
        self._operation = str(call["operation"])
        await self._driver.send({"id": line, **DEFAULTS, **call})
        if step.get("pending"):
            self._pending = line
            await self._presence(step)
            await self._sent(step)
        else:
            await self._answer(step, line)

    async def _event(self, step: Mapping[str, Any], line: str) -> None:
        event = str(step["event"])
        if event == "cancel":
            await self._driver.send({"id": line, "operation": "cancel", "cancels": self._pending})
            await self._sent(step)
        elif event == "answer":
            pending, self._pending = self._pending, ""
            await self._answer(step, pending)
            return
        else:
            await self._stage.event(event)
        await self._presence(step)

    async def _presence(self, step: Mapping[str, Any]) -> None:
        if "presence" in step:
            said = await self._receive()
            expected = {"id": self._pending, "presence": step["presence"]}
            if differences := outcome_differences(expected, said):
                self._problem("said something else about the broker's presence", expected, said, differences)

    async def _answer(self, step: Mapping[str, Any], line: str) -> None:
        said = await self._receive()
        if said.get("id") != line:
            what = "answered a call that had to wait" if said.get("id") == self._pending else "answered something else"
            self._problem(what, {"id": line}, {"id": said.get("id")}, [Difference("id", line, said.get("id"))])
            return
        outcome: Any = said.get("outcome")
        if not isinstance(outcome, dict):
            self._problem("the line has no outcome that is an object", {"outcome": {}}, said)
            return
        outcome = cast("dict[str, Any]", outcome)
        self._keep_accounts(outcome)
        self._secrets(outcome)
        if "outcome" in step and (differences := outcome_differences(step["outcome"], outcome)):
            self._problem("the outcome is not the expected one", step["outcome"], outcome, differences)
        await self._stage.wire.settle()
        self._check_sent(step)

    async def _receive(self) -> dict[str, Any]:
        """The driver's next line; one about an earlier case is that one's fault."""
        while True:
            said = await self._driver.receive(self._limit)
            name = case_of(said)
            if name == self._vector.id or name not in self._past.cases:
                return said
            self.late.append(name)

    async def _sent(self, step: Mapping[str, Any]) -> None:
        """Wait until the step's calls are on the bus: nothing is answered yet that would tell."""
        count, seen = len(step.get("sent", ())), self._seen

        def enough(calls: list[SentCall]) -> bool:
            return sum(call.is_broker_call for call in calls[seen:]) >= count

        sending = asyncio.ensure_future(self._stage.wire.wait_for(enough))
        speaking = asyncio.ensure_future(self._driver.speaks())
        try:
            await asyncio.wait({sending, speaking}, timeout=self._limit, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done() and not speaking.done():
                self._problem(f"did not send what it should within {self._limit:g} s")
            elif not sending.done():
                await self._stage.wire.settle()
                if not enough(self._stage.wire.calls()):
                    self._problem("answered before it had sent what it should", got=await self._receive())
        finally:
            sending.cancel()
            speaking.cancel()
            await asyncio.gather(sending, speaking, return_exceptions=True)
        self._check_sent(step)

    def _check_sent(self, step: Mapping[str, Any]) -> None:
        calls = self._stage.wire.calls(self._seen)
        self._seen += len(calls)
        for broken in broken_rules(self._operation, calls, self._past):
            self._problem(broken)
        if "sent" not in step:
            return
        expected = cast("Sequence[Mapping[str, Any]]", step["sent"])
        sent = [call for call in calls if call.is_broker_call]
        methods, wanted = [call.member for call in sent], [item["method"] for item in expected]
        if methods != wanted:
            self._problem("sent other calls than expected", wanted, methods, [Difference("calls", wanted, methods)])
            return
        for item, call in zip(expected, sent, strict=True):
            if "request" in item and (differences := request_differences(item["request"], call.request)):
                self._problem(
                    f"the request of {call.member} is not the expected one", item["request"], call.request, differences
                )

    def _keep_accounts(self, outcome: Mapping[str, Any]) -> None:
        if isinstance(outcome.get("accounts"), list):
            self._accounts = outcome["accounts"]
        elif isinstance(outcome.get("account"), dict):
            self._accounts = [outcome["account"]]

    def _secrets(self, outcome: Mapping[str, Any]) -> None:
        if "error" in outcome and any(secret in json.dumps(outcome) for secret in secrets_of(self._vector)):
            self._problem("the error shows a token, a cookie, a password or a nonce (SE-01, SE-02)")

    def _problem(
        self, what: str, expected: Any = None, got: Any = None, differences: Sequence[Difference] = ()
    ) -> None:
        self.problems.append(Problem(what, expected, got, tuple(differences)))


def case_of(line: Mapping[str, Any]) -> str:
    """Find the case that a driver's line is about.

    Args:
        line: the line.

    Returns:
        The vector's id, or the empty string.
    """
    return str(line.get("id")).rpartition("/")[0]


def secrets_of(vector: Vector) -> set[str]:
    """Find what must not be shown in a case.

    Args:
        vector: the case.

    Returns:
        The tokens, cookies, passwords and nonces that are in its calls and replies.
    """
    found: set[str] = set()
    for step in vector.steps:
        for part in (step.get("call"), step.get("replies")):
            found.update(_texts_under(part, ""))
    return found


def _texts_under(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in cast("dict[str, Any]", value).items():
            yield from _texts_under(item, name)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _texts_under(item, key)
    elif isinstance(value, str) and key in SECRET_KEYS and value:
        yield value


def _with_accounts(call: Mapping[str, Any], accounts: Sequence[Any]) -> dict[str, Any]:
    """Put in the account that the driver gave in an earlier outcome, where the call asks for it by its place."""
    account: Any = call.get("account")
    if not isinstance(account, dict) or "$listed" not in account:
        return dict(call)
    place = cast("dict[str, int]", account)["$listed"]
    if place >= len(accounts):
        raise DriverError(f"the driver listed {len(accounts)} accounts; the case needs account number {place}")
    return {**call, "account": accounts[place]}


def _names(calls: Sequence[SentCall]) -> str:
    return ", ".join(f"{call.interface}.{call.member}" for call in calls)
