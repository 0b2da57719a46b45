"""``linuxbroker demo``: its steps, its texts and its last lines, on each persona."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from linuxbroker_fake import PersonaName

STEPS = [
    "watch",
    "is_available",
    "version",
    "accounts",
    "token_silent",
    "token_interactive",
    "token_username_password",
    "claims_challenge",
    "token_pop",
    "prt_cookie",
    "signed_http_request",
    "sign_out",
]
NOT_OF_HIMMELBLAU = ["token_username_password", "claims_challenge", "token_pop", "signed_http_request", "sign_out"]

CONTOSO, FABRIKAM = (f"00000000-0000-0000-0000-0000000000{end}" for end in ("f1", "f2"))


def demo(*arguments: str) -> str:
    """Run the demo, which must succeed and write nothing on standard error; returns its standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "linuxbroker", "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def text() -> str:
    """What the demo prints for a person."""
    return demo()


@pytest.mark.parametrize("persona", list(PersonaName))
def test_every_operation_is_a_step(persona: PersonaName) -> None:
    printed = demo("--json", "--persona", persona.value)
    steps = json.loads(printed)
    assert list(steps) == STEPS
    unsupported = [name for name, step in steps.items() if step.get("unsupported")]
    assert unsupported == (NOT_OF_HIMMELBLAU if persona.value.startswith("himmelblau") else [])
    assert all(step["ok"] is (name not in unsupported) for name, step in steps.items())
    assert steps["token_silent"]["claims"]["aud"] == "https://graph.microsoft.com"
    assert steps["accounts"]["accounts"][0] == {"username": "ada@contoso.example", "tenant": CONTOSO}
    assert "eyJ" not in printed


def test_each_step_is_named_and_no_secret_is_shown(text: str) -> None:
    assert all(f"({name})" in text for name in STEPS)
    assert "eyJ" not in text
    assert "not-a-real-password" not in text


def test_tenants_have_names(text: str) -> None:
    assert "username=ada@contoso.example, tenant=Contoso; username=ada@contoso.example, tenant=Fabrikam" in text
    assert CONTOSO not in text
    assert FABRIKAM not in text


def test_the_account_that_stays_after_a_sign_out_is_explained(text: str) -> None:
    step = text.partition("(sign_out)")[2]
    assert "signed_out: ada@contoso.example\n    tenant: Contoso\n" in step
    assert "accounts_left: username=ada@contoso.example, tenant=Fabrikam; " in step
    assert "note: a user has one account in each tenant" in step


def test_the_last_lines_count_the_steps_and_say_what_is_next(text: str) -> None:
    *_, counts, local, following = text.splitlines()
    assert counts == f"{len(STEPS)} of {len(STEPS)} steps succeeded."
    assert local.startswith("Nothing left this machine: ")
    assert "'linuxbroker version'" in following
    assert "'linuxbroker-fake exec -- COMMAND'" in following


def test_what_a_broker_lacks_is_counted_and_is_no_failure() -> None:
    text = demo("--persona", "himmelblau")
    assert text.count("not supported by this broker: ") == len(NOT_OF_HIMMELBLAU)
    assert "FAILED" not in text
    succeeded = len(STEPS) - len(NOT_OF_HIMMELBLAU)
    assert (
        f"\n{succeeded} of {len(STEPS)} steps succeeded; {len(NOT_OF_HIMMELBLAU)} not supported by this broker.\n"
        in text
    )
