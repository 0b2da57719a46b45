"""This library's ``PublicClientApplication`` against MSAL's on Microsoft's runtime, as an application sees them.

Each scenario is run through both, one after the other, against the same fake broker in the same state. The outcomes are
equal but for times, ids and telemetry, and for what the table of agreed differences has. A scenario names the rows that
show in it: a difference that is named and not there is a failure too.
"""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from linuxbroker_fake import FakeConfig, RunningFake
from tests.compat.agreed_differences import AGREED
from tests.compat.application_scenarios import HANDED_OVER, ORGANIZATIONS, SCENARIOS, Scenario
from tests.compat.desktop import User

DRIVER = str(Path(__file__).with_name("application_driver.py"))
WSL = "5.15.167.4-microsoft-standard-WSL2"
TIMES_AND_IDS = {
    "auth_uri",
    "code_verifier",
    "correlation_id",
    "_correlation_id",
    "exp",
    "expires_at",
    "iat",
    "latest_attempt_at",
    "msal_telemetry",
    "nbf",
    "nonce",
    "rh",
    "state",
    "uti",
}


@pytest.fixture
def scenario() -> Scenario:
    return HANDED_OVER


@pytest.fixture
def fake_broker_config(scenario: Scenario) -> FakeConfig:
    return FakeConfig.model_validate({"persona": "microsoft-2.5.2", **scenario.broker})


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_an_application_sees_the_same(scenario: Scenario, user: User, fake_broker: RunningFake) -> None:
    if not scenario.has_broker:
        fake_broker.stop_broker()
    theirs = _run("msal", scenario, user)
    fake_broker.reset()
    if scenario.has_broker:
        fake_broker.start_broker()  # some failures end it
    ours = _run("linuxbroker", scenario, user)

    differences = set[str]()
    for one, other in zip(theirs, ours, strict=True):
        differences |= {name for name, agreed in AGREED.items() if agreed.settle(one, other)}
    assert ours == theirs
    assert differences == set(scenario.differs)


def test_every_agreed_difference_is_seen_in_a_scenario() -> None:
    assert {name for scenario in SCENARIOS for name in scenario.differs} == set(AGREED)


def test_no_scenario_is_there_twice() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS) >= 40


@pytest.mark.parametrize("flag", ["enable_broker_on_wsl", "enable_broker_on_linux"])
def test_on_wsl_the_flag_is_handed_to_msal(flag: str, scenario: Scenario, user: User, fake_broker: RunningFake) -> None:
    scenario = dataclasses.replace(scenario, application={"enable_broker_on_linux": False, flag: True})
    theirs = _run("msal", scenario, user, kernel=WSL)
    assert theirs[0]["result"]["token_source"] == "broker"
    fake_broker.reset()
    assert _run("linuxbroker", scenario, user, kernel=WSL) == theirs


def _run(library: str, scenario: Scenario, user: User, **more: str) -> list[dict[str, Any]]:
    application = {"authority": ORGANIZATIONS, **scenario.application}
    question = {"application": application, "steps": scenario.steps, **more}
    outcomes = json.loads(user.python(DRIVER, library, stdin=json.dumps(question)))
    return [_comparable(copy.deepcopy(outcome)) for outcome in outcomes]


def _comparable(value: Any, key: str = "") -> Any:
    """The value without times and ids, with tokens read, and scopes, which are a set, in order."""
    if key in TIMES_AND_IDS:
        return "*"
    if key == "scope":
        return sorted(value.split() if isinstance(value, str) else value)
    if key == "expires_in" and value in range(3590, 3601):
        return "about an hour"
    if isinstance(value, Mapping):
        return {name: _comparable(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, str) and value.startswith("eyJ") and value.count(".") == 2:
        payload = value.split(".")[1]
        return _comparable(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
    return value
