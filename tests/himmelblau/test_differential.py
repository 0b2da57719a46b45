"""The personas compared with Himmelblau's own crates, request by request."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from linuxbroker.bus import CallTimeoutError
from linuxbroker_fake import FakeConfig
from tests.himmelblau.corpus import EXCHANGES, SETUPS, Exchange
from tests.himmelblau.differences import LEFT_OUT, MOST_LEFT_OUT, differences
from tests.himmelblau.stages import Answer, Stage, fake, judge
from tests.himmelblau.toolchain import JUDGES, build_judges

Both = tuple[Answer, Answer]
_LANES = 6  # 3.1 answers a failure after a second, and all other calls after that


def answers(persona: str) -> Mapping[str, Both]:
    """What the judge and the persona answered to each exchange, by its name."""
    found = _attempt(persona, build_judges()[persona])
    if isinstance(found, Exception):
        raise found
    return found


@cache
def _attempt(persona: str, program: Path) -> Mapping[str, Both] | Exception:
    try:
        return asyncio.run(_answers(persona, program))
    except Exception as error:  # not once for each test
        return error


async def _answers(persona: str, program: Path) -> dict[str, Both]:
    lanes: list[tuple[str, Sequence[Exchange]]] = []
    for setup in SETUPS:
        exchanges = [exchange for exchange in EXCHANGES if exchange.setup == setup]
        size = -(-len(exchanges) // _LANES) if setup == "usual" else len(exchanges)
        lanes += [(setup, exchanges[at : at + size]) for at in range(0, len(exchanges), size)]
    found = await asyncio.gather(*(_lane(persona, program, setup, exchanges) for setup, exchanges in lanes))
    return dict(itertools.chain.from_iterable(lane.items() for lane in found))


async def _lane(persona: str, program: Path, setup: str, exchanges: Sequence[Exchange]) -> dict[str, Both]:
    config = FakeConfig.model_validate({"persona": persona, "signed_in": ["ada@contoso.example"], **SETUPS[setup].fake})
    async with judge(program, SETUPS[setup].judge) as judged, fake(config) as faked:
        return {exchange.name: await _both(exchange, judged, faked) for exchange in exchanges}


async def _both(exchange: Exchange, judged: Stage, faked: Stage) -> Both:
    try:
        return await judged.ask(exchange.call), await faked.ask(exchange.call)
    except CallTimeoutError as error:
        raise AssertionError(f"{exchange.name}: {error}") from None


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.name)
@pytest.mark.parametrize("persona", JUDGES)
def test_a_persona_answers_as_the_crate(persona: str, exchange: Exchange) -> None:
    judged, faked = answers(persona)[exchange.name]
    assert differences(exchange, judged, faked) == []


def test_the_comparison_detects_a_persona_of_another_release() -> None:
    judged, faked = answers("himmelblau-4.0"), answers("himmelblau-3.1")
    told = [item for item in EXCHANGES if differences(item, judged[item.name][0], faked[item.name][1])]
    alike = {item.call.member for item in EXCHANGES} - {item.call.member for item in told}
    assert len(told) > 100
    assert alike == {"Ping", "GetMachineId", "GetManagedObjects", "GetAccounts", "getToken"}


def test_the_corpus_covers_every_method_and_its_names_are_unique() -> None:
    names = {exchange.name for exchange in EXCHANGES}
    assert len(names) == len(EXCHANGES) >= 60
    assert {exchange.call.member for exchange in EXCHANGES} >= {
        "getAccounts",
        "getLinuxBrokerVersion",
        "acquireTokenSilently",
        "acquireTokenInteractively",
        "acquirePrtSsoCookie",
        "generateSignedHttpRequest",
        "removeAccount",
        "cancelInteractiveFlow",
    }


def test_ignored_differences_are_few_and_have_reasons() -> None:
    assert len(LEFT_OUT) <= MOST_LEFT_OUT
    assert all(item.reason for item in LEFT_OUT)
    kept = ("context", "error", "status", "linuxBrokerVersion", "accounts", "brokerTokenResponse", "cookieName")
    assert not [item for item in LEFT_OUT if item.place.rpartition(".")[2] in kept]


def _of(name: str) -> tuple[Exchange, Answer]:
    exchange = next(item for item in EXCHANGES if item.name == name)
    return exchange, answers("himmelblau-4.0")[name][0]


TOKEN, ACCOUNTS = "acquireTokenSilently: the smallest in the field", "getAccounts: clientId alone"
REFUSAL, COOKIE = "removeAccount: as the runtime asks", "acquirePrtSsoCookie: as linux-entra-sso asks"


@pytest.mark.parametrize(
    ("name", "place", "value", "told"),
    [
        (TOKEN, "brokerTokenResponse.accessTokenType", 1, "accessTokenType: 0, and the fake has 1"),
        (TOKEN, "brokerTokenResponse.accessTokenType", "0", 'accessTokenType: 0, and the fake has "0"'),
        (TOKEN, "brokerTokenResponse.accessTokenType", False, "accessTokenType: 0, and the fake has false"),
        (TOKEN, "brokerTokenResponse.accessToken", "opaque", 'the fake has "opaque"'),
        (TOKEN, "brokerTokenResponse.account", {}, "account: the fake alone has it"),
        (TOKEN, "brokerTokenResponse.extendedExpiresOn", 1_900_000_000_000, "and the fake has 1900000000000"),
        (TOKEN, "brokerTokenResponse.idToken", None, "and the fake has null"),
        (TOKEN, "telemetry", {}, "telemetry: the fake alone has it"),
        (ACCOUNTS, "accounts.0.environment", "login.microsoftonline.com", 'the fake has "login.microsoftonline.com"'),
        (ACCOUNTS, "accounts.0.familyName", "Lovelace", "familyName: the fake alone has it"),
        (ACCOUNTS, "accounts.0.passwordExpiry", 0.0, "and the fake has 0.0"),
        (ACCOUNTS, "accounts", [], "accounts: 1 items, and the fake has 0"),
        (REFUSAL, "error.context", "not implemented", 'and the fake has "not implemented"'),
        (REFUSAL, "error.errorCode", 0, "errorCode: the fake alone has it"),
        (COOKIE, "cookieName", "x-ms-DeviceCredential", 'and the fake has "x-ms-DeviceCredential"'),
        (COOKIE, "account.name", "Ada", "name: the fake alone has it"),
    ],
)
def test_the_comparison_detects_a_changed_reply(name: str, place: str, value: Any, told: str) -> None:
    exchange, answer = _of(name)
    reply = json.loads(answer.body[0])
    drifted = copy.deepcopy(reply)
    *way, last = place.split(".")
    target = drifted
    for key in way:
        target = target[int(key)] if isinstance(target, list) else target[key]
    target[last] = value
    assert differences(exchange, answer, replace(answer, body=(json.dumps(reply, indent=1),))) == []
    (line,) = differences(exchange, answer, replace(answer, body=(json.dumps(drifted),)))
    assert told in line


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"error": "org.freedesktop.DBus.Error.UnknownInterface"}, "the error's name"),
        ({"text": "no"}, "the error's text"),
        ({"error": "", "text": "", "signature": "s", "body": ("{}",)}, "the error's name"),
    ],
)
def test_the_comparison_detects_a_changed_dbus_error(change: dict[str, Any], told: str) -> None:
    exchange, answer = _of("bus: a method that is not there")
    lines = differences(exchange, answer, replace(answer, **change))
    assert lines[0].startswith(told)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name="Ping"', 'name="Pong"'),
        ('name="request_json" type="s"', 'name="request_json" type="ay"'),
        ("org.freedesktop.DBus.Peer", "org.freedesktop.DBus.Properties"),
    ],
)
def test_the_comparison_detects_changed_introspection(old: str, new: str) -> None:
    exchange, answer = _of("bus: Introspect")
    text = str(answer.body[0])
    assert differences(exchange, answer, replace(answer, body=(text.replace("\n", ""),))) == []
    assert differences(exchange, answer, replace(answer, body=(text.replace(old, new, 1),)))


def test_the_comparison_distinguishes_an_empty_text_from_an_object() -> None:
    exchange, answer = _of(REFUSAL)
    assert differences(exchange, answer, replace(answer, body=("",)))
