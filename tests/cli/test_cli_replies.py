"""The command with replies that are written in an unusual way or make no sense."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from linuxbroker_fake import RunningFake
from tests.cli.test_cli import error_of, linuxbroker

NUMBERS: tuple[object, ...] = (7, 7.0, "7", " 7 ", "7.0")
NO_NUMBERS: tuple[object, ...] = (7.5, 1e300, "x", "", "9" * 5000, [])
ADA = {"homeAccountId": "a.b", "realm": "b", "username": "ada@contoso.example"}


@pytest.fixture
def fake() -> Iterator[RunningFake]:
    with RunningFake() as running:
        yield running


def _listed(**more: object) -> str:
    return json.dumps({"accounts": [{**ADA, **more}]})


@pytest.mark.parametrize(
    "reply",
    [
        *(_listed(passwordExpiry=number) for number in NUMBERS),
        _listed(unknown="\ud83d\ude00"),
        _listed(unknown={"nested": [[[[]]]] * 100}),
    ],
)
def test_a_reply_that_is_written_in_another_way_is_read(fake: RunningFake, reply: str) -> None:
    fake.plant("raw_reply", method="getAccounts", reply=reply)
    shown = linuxbroker(fake, "accounts", "--json")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert [account["username"] for account in json.loads(shown.stdout)] == ["ada@contoso.example"]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        *((_listed(passwordExpiry=number), "passwordExpiry") for number in NO_NUMBERS),
        ('{"accounts": "all"}', "accounts"),
        ('{"accounts": [], "unknown": NaN}', "not JSON"),
        ('{"accounts": [], "unknown": "\\ud800"}', "not JSON"),
        ('{"accounts": [}', "not JSON"),
        ("]" + "[" * 300, "not JSON"),
        ("[" * 300, "deep"),
        ("[" * 5000 + "]" * 5000, "deep"),
        ('{"accounts":' * 300 + "1" + "}" * 300, "deep"),
        ("[]", "not a JSON object"),
    ],
)
def test_a_reply_that_can_not_be_read_is_told_with_the_place(fake: RunningFake, reply: str, why: str) -> None:
    fake.plant("raw_reply", method="getAccounts", reply=reply)
    shown = linuxbroker(fake, "accounts", "--json")
    assert shown.returncode == 3
    error = error_of(shown)
    assert error["type"] == "BrokerProtocolError"
    assert why in error["message"]


def test_what_is_no_number_of_json_is_null_in_its_output(fake: RunningFake) -> None:
    fake.plant(
        "raw_reply", reply='{"error": {"diagnostics": {"a": 1e999, "b": 1.5}, "status": 2}, "telemetry": {"c": 1e999}}'
    )
    error = error_of(linuxbroker(fake, "accounts", "--json"))
    assert error["diagnostics"] == {"b": 1.5}
    assert error["telemetry"] == {}
