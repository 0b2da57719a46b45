"""A case for a driver: plays the steps of a vector and collects problems."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from linuxbroker_fake.conformance.driver import Driver, DriverError
from linuxbroker_fake.conformance.matching import Difference, outcome_differences, request_differences
from linuxbroker_fake.conformance.rules import History, rule_violations
from linuxbroker_fake.conformance.stage import Stage
from linuxbroker_fake.conformance.vectors import Vector
from linuxbroker_fake.conformance.wire import SentCall

CLIENT_ID = "0d1b6f3a-94c7-4e0e-a2f5-7c3b8e61d950"
# The keys of every operation, unless the vector overrides them.
DEFAULTS: Mapping[str, str] = {
    "clientId": CLIENT_ID,
    "redirectUri": "https://login.microsoftonline.com/common/oauth2/nativeclient",
    "authority": "https://login.microsoftonline.com/common",
}
# The keys whose texts are never reported.
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
    """A reason why a case failed.

    Attributes:
        what: a short description.
        expected: the expected value, if any.
        got: the actual value, if any.
        differences: the places where the two differ.
    """

    what: str
    expected: Any = None
    got: Any = None
    differences: tuple[Difference, ...] = ()


@dataclass
class CaseResult:
    """The result of a case.

    Attributes:
        vector: the vector.
        problems: the reasons for a failure; empty if the case passed or was skipped.
        skipped: the reason why it was skipped, or ``""``.
        stderr: what the driver wrote to standard error during the case.
        seconds: the duration.
    """

    vector: Vector
    problems: list[Problem] = field(default_factory=lambda: list[Problem]())
    skipped: str = ""
    stderr: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether there are no problems; also true if the case was skipped."""
        return not self.problems


ResultCallback = Callable[[CaseResult], None]


class Case:
    """A case of a ``request``, ``reply`` or ``sequence`` vector.

    Args:
        vector: the vector.
        stage: the bus, with the broker in the initial state of the vector.
        driver: a running driver.
        history: the earlier calls of the driver.
        limit: time limit for each line of the driver, seconds.

    Attributes:
        problems: the problems so far.
        late_cases: the IDs of earlier cases about which the driver wrote a line during this one.
    """

    def __init__(self, vector: Vector, stage: Stage, driver: Driver, history: History, limit: float) -> None:
        self._vector = vector
        self._stage = stage
        self._driver = driver
        self._history = history
        self._limit = limit
        self.problems: list[Problem] = []
        self.late_cases: list[str] = []
        self._seen = 0
        self._pending: str = ""
        self._operation = ""
        self._accounts: list[Any] = []

    async def play(self) -> list[Problem]:
        """Play the steps.

        Returns:
            The problems; empty if the case passed.

        Raises:
            DriverError: the driver exited, timed out, or wrote an invalid line.
        """
        self._stage.wire.clear()
        self._history.cases.add(self._vector.id)
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
        extra_calls = self._stage.wire.calls(self._seen)
        if extra_calls and not self.problems:
            self._problem(f"made further calls after answering: {_call_names(extra_calls)}")
        return self.problems

    async def _call(self, step: Mapping[str, Any], line: str) -> None:
        call = _resolve_account(step["call"], self._accounts)
        self._operation = str(call["operation"])
        await self._driver.send({"id": line, **DEFAULTS, **call})
        if step.get("pending"):
            self._pending = line
            await self._check_presence(step)
            await self._wait_for_calls(step)
        else:
            await self._check_answer(step, line)

    async def _event(self, step: Mapping[str, Any], line: str) -> None:
        event = str(step["event"])
        if event == "cancel":
            await self._driver.send({"id": line, "operation": "cancel", "cancels": self._pending})
            await self._wait_for_calls(step)
        elif event == "answer":
            pending, self._pending = self._pending, ""
            await self._check_answer(step, pending)
            return
        else:
            await self._stage.event(event)
        await self._check_presence(step)

    async def _check_presence(self, step: Mapping[str, Any]) -> None:
        if "presence" in step:
            message = await self._receive()
            expected = {"id": self._pending, "presence": step["presence"]}
            if differences := outcome_differences(expected, message):
                self._problem("reported an unexpected presence", expected, message, differences)

    async def _check_answer(self, step: Mapping[str, Any], line: str) -> None:
        message = await self._receive()
        if message.get("id") != line:
            what = (
                "answered a call that must stay pending"
                if message.get("id") == self._pending
                else "answered another operation"
            )
            self._problem(what, {"id": line}, {"id": message.get("id")}, [Difference("id", line, message.get("id"))])
            return
        outcome: Any = message.get("outcome")
        if not isinstance(outcome, dict):
            self._problem("the answer has no object under outcome", {"outcome": {}}, message)
            return
        outcome = cast("dict[str, Any]", outcome)
        self._remember_accounts(outcome)
        self._check_secrets(outcome)
        if "outcome" in step and (differences := outcome_differences(step["outcome"], outcome)):
            self._problem("unexpected outcome", step["outcome"], outcome, differences)
        await self._stage.wire.settle()
        self._check_sent(step)

    async def _receive(self) -> dict[str, Any]:
        """Return the driver's next line; lines about earlier cases are noted and skipped."""
        while True:
            message = await self._driver.receive(self._limit)
            name = case_of(message)
            if name == self._vector.id or name not in self._history.cases:
                return message
            self.late_cases.append(name)

    async def _wait_for_calls(self, step: Mapping[str, Any]) -> None:
        """Wait until the calls of a step are on the bus, as no answer shows that they were sent."""
        count, seen = len(step.get("sent", ())), self._seen

        def enough(calls: list[SentCall]) -> bool:
            return sum(call.is_broker_call for call in calls[seen:]) >= count

        sending = asyncio.ensure_future(self._stage.wire.wait_for(enough))
        answering = asyncio.ensure_future(self._driver.wait_for_output())
        try:
            await asyncio.wait({sending, answering}, timeout=self._limit, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done() and not answering.done():
                self._problem(f"did not send the expected calls within {self._limit:g} s")
            elif not sending.done():
                await self._stage.wire.settle()
                if not enough(self._stage.wire.calls()):
                    self._problem("answered before sending the expected calls", got=await self._receive())
        finally:
            sending.cancel()
            answering.cancel()
            await asyncio.gather(sending, answering, return_exceptions=True)
        self._check_sent(step)

    def _check_sent(self, step: Mapping[str, Any]) -> None:
        calls = self._stage.wire.calls(self._seen)
        self._seen += len(calls)
        for violation in rule_violations(self._operation, calls, self._history):
            self._problem(violation)
        if "sent" not in step:
            return
        expected = cast("Sequence[Mapping[str, Any]]", step["sent"])
        sent = [call for call in calls if call.is_broker_call]
        methods, expected_methods = [call.member for call in sent], [item["method"] for item in expected]
        if methods != expected_methods:
            self._problem(
                "unexpected calls",
                expected_methods,
                methods,
                [Difference("calls", expected_methods, methods)],
            )
            return
        for item, call in zip(expected, sent, strict=True):
            if "request" in item and (differences := request_differences(item["request"], call.request)):
                self._problem(f"unexpected request of {call.member}", item["request"], call.request, differences)

    def _remember_accounts(self, outcome: Mapping[str, Any]) -> None:
        if isinstance(outcome.get("accounts"), list):
            self._accounts = outcome["accounts"]
        elif isinstance(outcome.get("account"), dict):
            self._accounts = [outcome["account"]]

    def _check_secrets(self, outcome: Mapping[str, Any]) -> None:
        if "error" in outcome and any(secret in json.dumps(outcome) for secret in secrets_of(self._vector)):
            self._problem("the error contains a token, a cookie, a password or a nonce (SE-01, SE-02)")

    def _problem(
        self, what: str, expected: Any = None, got: Any = None, differences: Sequence[Difference] = ()
    ) -> None:
        self.problems.append(Problem(what, expected, got, tuple(differences)))


def case_of(line: Mapping[str, Any]) -> str:
    """Return the case of a driver's line.

    Args:
        line: the line.

    Returns:
        The vector's ID, or ``""``.
    """
    return str(line.get("id")).rpartition("/")[0]


def secrets_of(vector: Vector) -> set[str]:
    """Return the secrets of a case.

    Args:
        vector: the vector.

    Returns:
        The tokens, cookies, passwords and nonces in its calls and replies.
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


def _resolve_account(call: Mapping[str, Any], accounts: Sequence[Any]) -> dict[str, Any]:
    """Replace ``{"$listed": N}`` by the account N of the driver's last list."""
    account: Any = call.get("account")
    if not isinstance(account, dict) or "$listed" not in account:
        return dict(call)
    place = cast("dict[str, int]", account)["$listed"]
    if place >= len(accounts):
        raise DriverError(f"the driver listed {len(accounts)} accounts; the case requires account {place} (from 0)")
    return {**call, "account": accounts[place]}


def _call_names(calls: Sequence[SentCall]) -> str:
    return ", ".join(f"{call.interface}.{call.member}" for call in calls)
