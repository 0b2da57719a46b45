"""The command against each persona of the fake broker."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from linuxbroker_fake import FakeConfig, PersonaName, RunningFake
from tests.cli.test_cli import claims_of, error_of, linuxbroker, on_a_terminal
from tests.constants import ADA, SCOPE

HIMMELBLAU = (PersonaName.HIMMELBLAU_3_1, PersonaName.HIMMELBLAU_4_0)


@pytest.fixture(params=list(PersonaName), ids=str)
def persona(request: pytest.FixtureRequest) -> PersonaName:
    return PersonaName(str(request.param.value))


@pytest.fixture
def fake(persona: PersonaName) -> Iterator[RunningFake]:
    with RunningFake(FakeConfig(persona=persona, signed_in=(ADA,))) as running:
        yield running


def test_a_token_is_printed_also_where_the_user_is_to_be_asked(fake: RunningFake) -> None:
    for arguments in (["token"], ["token", "--interactive"]):
        shown = linuxbroker(fake, *arguments, "--scope", SCOPE)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert claims_of(shown.stdout)["tid"]


def test_a_sign_out_that_was_none_is_a_failure(persona: PersonaName, fake: RunningFake) -> None:
    shown = linuxbroker(fake, "sign-out", "--account", ADA, "--json")
    if persona in HIMMELBLAU:
        assert shown.returncode == 1
        assert "Nobody was signed out" in error_of(shown)["message"]
    else:
        assert (shown.returncode, json.loads(shown.stdout)["signed_out"]["username"]) == (0, ADA)


def test_on_a_terminal_the_user_is_asked_for_what_a_silent_call_is_refused(fake: RunningFake) -> None:
    fake.plant("silent_refused")
    refused = linuxbroker(fake, "token", "--scope", SCOPE)
    assert refused.returncode == 4
    shown = on_a_terminal(fake, "token", "--scope", SCOPE)
    assert shown.returncode == 0
    assert claims_of(shown.stdout)["tid"]


def test_a_bearer_token_is_not_printed_for_a_proof_of_possession(persona: PersonaName, fake: RunningFake) -> None:
    pop = ("--pop-method", "GET", "--pop-url", "https://graph.microsoft.com/v1.0/me")
    shown = linuxbroker(fake, "token", "--scope", SCOPE, *pop)
    assert (shown.returncode, bool(shown.stdout)) == ((1, False) if persona in HIMMELBLAU else (0, True))
