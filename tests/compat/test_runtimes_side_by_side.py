"""The replacement runtime against Microsoft's: the same calls through both, against the same fake broker."""

from __future__ import annotations

import json
from typing import Any

import pytest

from linuxbroker_fake import FakeConfig, RunningFake
from tests.compat.desktop import MICROSOFTS, OURS, User
from tests.compat.runtime_comparison import NOTES, VERSIONS, compared, differences
from tests.compat.runtime_differences import AGREED
from tests.compat.runtime_scenarios import SCENARIOS, Scenario


@pytest.fixture
def fake_broker_config(scenario: Scenario) -> FakeConfig:
    return FakeConfig.model_validate({"persona": scenario.persona, "signed_in": scenario.signed_in})


def _carried_out(scenario: Scenario, runtime: str, user: User, fake: RunningFake) -> list[dict[str, Any]]:
    scenario.prepare(fake)
    outcomes = user.run(*scenario.steps, client_id=scenario.client_id, runtime=runtime, limit=120)
    assert len(fake.calls_of("Ping")) == 1
    return compared(outcomes, fake.calls)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_both_do_the_same_but_for_what_is_agreed(scenario: Scenario, user: User, fake_broker: RunningFake) -> None:
    theirs = _carried_out(scenario, MICROSOFTS, user, fake_broker)
    ours = _carried_out(scenario, OURS, user, fake_broker)
    agreed = {where: values for where, values, _ in AGREED.get(scenario.name, ())}
    assert differences(theirs, ours) == agreed


@pytest.mark.parametrize("scenario", [Scenario("", ())])
def test_what_is_left_out_of_the_comparison_is_really_there(user: User, fake_broker: RunningFake) -> None:
    seen: dict[str, tuple[Any, ...]] = {}
    for runtime in (MICROSOFTS, OURS):
        fake_broker.reset()
        asked = {
            "scopes": ["https://graph.microsoft.com/.default"],
            "additional_parameters": {"req_cnf": '{"kid":"k"}'},
        }
        (outcome,) = user.run({"call": "signin_silently", **asked}, runtime=runtime)
        fields = json.loads(outcome["account"]["additional_fields"])
        (call,) = fake_broker.calls_of("acquireTokenSilently")
        sku = call.request["authParameters"]["additionalQueryParametersForAuthorization"]["x-client-xtra-sku"]
        told = [outcome["telemetry"][name] for name in VERSIONS]
        repeated = len(fake_broker.calls_of("getLinuxBrokerVersion"))
        seen[runtime] = (NOTES & fields.keys(), sku, told, repeated, outcome["granted_scopes"])
    notes, skus, versions, repetitions, scopes = zip(*seen.values(), strict=True)
    assert notes[0] >= {"astatus", "debug_info"} and not notes[1]
    assert skus[0] != skus[1] and versions[0] != versions[1]
    assert repetitions[0] > repetitions[1] == 1
    assert scopes[0] != scopes[1] and sorted(scopes[0]) == sorted(scopes[1])


def test_at_least_60_calls_are_made_through_both() -> None:
    assert sum(len(scenario.steps) for scenario in SCENARIOS) >= 60


def test_nothing_is_agreed_on_scenarios_that_there_are_not() -> None:
    assert AGREED.keys() <= {scenario.name for scenario in SCENARIOS}
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
