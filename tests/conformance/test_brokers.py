"""The runner with brokers under test: which pass, which fail, and what is reported."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from linuxbroker_fake.cli import main
from linuxbroker_fake.conformance.vectors import load_vectors

FOR_BROKERS = [vector.id for vector in load_vectors() if vector.kind == "broker"]


def run(persona: str, *options: str, config: Path | None = None) -> int:
    fake = [sys.executable, "-m", "linuxbroker_fake", "run", "--persona", persona]
    more = ["--config", str(config)] if config else []
    return main(["conformance", "--broker", *options, "--", *fake, *more])


@pytest.fixture
def nobody_at_the_screen(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text('{"user": {"action": "never"}}')
    return path


@pytest.mark.parametrize("persona", ["microsoft-2.0.1", "microsoft-2.5.2", "microsoft-3.0.2"])
def test_microsofts_brokers_pass_all_broker_vectors(
    persona: str, nobody_at_the_screen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(persona, "--interactive", config=nobody_at_the_screen)
    output = capsys.readouterr().out
    assert code == 0, output
    assert output.splitlines()[-1] == f"{len(FOR_BROKERS)} cases: {len(FOR_BROKERS)} passed, 0 failed"


HIMMELBLAUS = ["himmelblau-3.1", "himmelblau-4.0"]


@pytest.mark.parametrize("persona", HIMMELBLAUS)
def test_himmelblau_fails_exactly_the_known_broker_vectors(
    persona: str, nobody_at_the_screen: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    assert run(persona, "--interactive", "--quiet", "--json", str(report), config=nobody_at_the_screen) == 1
    failed = {case["id"]: case["problems"] for case in json.loads(report.read_text())["cases"] if not case["passed"]}
    without_account = {"bk-account-null", "bk-account-by-username", "bk-cancel"}
    assert set(failed) == {"bk-token-keys", "bk-failure", "bk-pop", *without_account}
    assert failed["bk-token-keys"][0]["differences"][0]["place"] == "brokerTokenResponse.extendedExpiresOn"
    assert failed["bk-pop"][0]["differences"][0]["place"] == "brokerTokenResponse.accessTokenType"


@pytest.mark.parametrize("persona", HIMMELBLAUS)
def test_a_method_that_is_not_implemented_does_not_fail_its_vector(persona: str) -> None:
    # 3.1 answers with an empty text, 4.0 with an error object.
    assert run(persona, "--only", "bk-sign", "bk-cancel-nothing") == 0


def test_an_empty_reply_fails_a_vector_of_a_required_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("himmelblau-3.1", "--only", "bk-account-null") == 1
    assert 'full actual value   ""' in capsys.readouterr().out


def test_reports_hide_the_tokens_of_a_broker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.json"
    run("himmelblau", "--json", str(report), "--only", "bk-token-keys")
    text = report.read_text() + capsys.readouterr().out
    assert '"accessToken": "(hidden)"' in text
    assert (
        "eyJ" not in json.loads(report.read_text())["cases"][0]["problems"][0]["got"]["brokerTokenResponse"]["idToken"]
    )


def test_vectors_whose_needs_are_not_met_are_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"signed_in": []}')
    assert run("microsoft-2.5.2", config=config) == 0
    output = capsys.readouterr().out
    assert "skip  bk-token-keys: the broker lists no account" in output
    assert "skip  bk-cancel: it opens a window" in output
    assert "ok    bk-ping" in output


def test_client_id_and_scopes_select_the_application(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.json"
    app, scope = "7f3b1c52-0d4e-4c7a-9b61-2f8a5e90d3c4", "https://graph.microsoft.com/User.Read"
    registered = {"client_id": app, "name": "The only one", "consented_scopes": [scope]}
    tenant, user = "00000000-0000-0000-0000-0000000000f1", "00000000-0000-0000-0000-0000000000a1"
    ada = {"upn": "ada@contoso.example", "name": "Ada", "given_name": "Ada", "family_name": "L", "object_id": user}
    directory = {
        "tenants": [{"id": tenant, "domain": "contoso.example", "name": "Contoso"}],
        "users": [{**ada, "home_tenant": tenant, "password": "fictional"}],
        "apps": [registered],
        "allow_unregistered_apps": False,
    }
    config.write_text(json.dumps({"directory": directory}))
    only = ["--only", "bk-granted-scopes", "bk-silent-small"]
    assert run("microsoft-2.5.2", *only, config=config) == 1
    assert run("microsoft-2.5.2", "--client-id", app, "--scopes", scope, *only, config=config) == 0, (
        capsys.readouterr().out
    )


def test_a_broker_that_does_not_start_fails_every_vector(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "--broker", "--only", "bk-ping", "bk-activation", "--", "false"]) == 1
    output = capsys.readouterr().out
    assert "2 cases: 0 passed, 2 failed" in output


def test_a_missing_broker_program_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "--broker", "--", "/nowhere/broker"]) == 2
    assert "cannot start '/nowhere/broker'" in capsys.readouterr().err
