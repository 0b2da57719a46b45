"""The runner with misbehaving drivers, its reports and its exit codes."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from linuxbroker_fake.cli import main
from linuxbroker_fake.conformance.report import describe
from linuxbroker_fake.conformance.runner import run_client
from linuxbroker_fake.conformance.vectors import Vector, load_vectors

HERE = Path(__file__).parent
INTERFACES = HERE.parents[1] / "interfaces"
PLAIN = [sys.executable, str(HERE / "plain_driver.py")]
VERSIONS = ["rep-version", "rep-version-error", "req-version"]
# A driver as it should be, but for the first of the three.
MISBEHAVING = """
import asyncio, os, signal, sys, time
sys.path.insert(0, {folder!r})
import plain_driver
from plain_driver import Message, NAME, PATH, say

good = plain_driver.answer

async def answer(bus, line):
    if line["id"].startswith("rep-version/"):
        {misbehaviour}
        return
    await good(bus, line)

plain_driver.answer = answer
asyncio.run(plain_driver.main())
"""
RIGHT = '{"id": line["id"], "outcome": {"version": "99.0 fictional"}}'


def run(*arguments: str) -> int:
    return main(["conformance", "--timeout", "20", *arguments])


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "report.json"


def misbehaving(path: Path, misbehaviour: str) -> list[str]:
    driver = path / "driver.py"
    driver.write_text(MISBEHAVING.format(folder=str(HERE), misbehaviour=misbehaviour))
    return [sys.executable, str(driver)]


@pytest.mark.parametrize(
    ("misbehaviour", "told"),
    [
        ("os._exit(3)", "the driver exited with code 3 before answering"),
        ("os._exit(0)", "the driver exited with code 0 before answering"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "the driver was killed by SIGSEGV before answering"),
        ("raise SystemExit('a traceback of its own')", "the driver exited with code 1 before answering"),
        ("await asyncio.Event().wait()", "the driver did not answer within 3 s"),
        ("time.sleep(600)", "the driver did not answer within 3 s"),
        ("os.close(1); await asyncio.Event().wait()", "the driver closed its standard output before answering"),
        ("print('fictional nonsense', flush=True)", "the driver's line is not a JSON object: 'fictional nonsense'"),
        ("print('[]', flush=True)", "the driver's line is not a JSON object: '[]'"),
        ("print('\\xff' * 500, flush=True)", "the driver's line is not a JSON object: '"),
        ("print(flush=True)", "the driver's line is not a JSON object: ''"),
        ("say({'id': 'another', 'outcome': {}})", "answered another operation"),
        ("say({'id': line['id']})", "the answer has no object under outcome"),
        ("say({'id': line['id'], 'outcome': 7})", "the answer has no object under outcome"),
        ("say({'id': line['id'], 'outcome': {}})", "unexpected outcome"),
        (f"say({RIGHT}); say({RIGHT})", "answered twice"),
        (
            "await bus.call(Message(NAME, PATH, 'org.freedesktop.DBus.Introspectable', 'Introspect')); "
            "await good(bus, line)",
            "sent org.freedesktop.DBus.Introspectable.Introspect to the broker (CL-01)",
        ),
    ],
)
def test_a_misbehaving_driver_fails_its_case_but_not_the_run(
    misbehaviour: str, told: str, tmp_path: Path, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    driver = misbehaving(tmp_path, misbehaviour)
    code = run("--timeout", "3", "--json", str(report), "--only", *VERSIONS, "--", *driver)
    cases = {case["id"]: case for case in json.loads(report.read_text())["cases"]}
    assert {name: case["passed"] for name, case in cases.items()} == {
        "rep-version": False,
        "rep-version-error": True,
        "req-version": True,
    }
    assert cases["rep-version"]["problems"][0]["what"].startswith(told)
    assert code == 1
    output = capsys.readouterr().out
    assert f"      {told}" in output
    assert output.endswith("3 cases: 2 passed, 1 failed: rep-version\n")


def test_the_standard_error_of_a_failing_driver_is_shown_and_never_blocks_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "sys.stderr.write('fictional trouble\\n' * 50_000); sys.stderr.flush(); os._exit(1)"
    assert run("--only", *VERSIONS, "--", *misbehaving(tmp_path, told)) == 1
    output = capsys.readouterr().out
    assert "the driver's standard error:" in output
    assert "        fictional trouble" in output
    assert len(output) < 10_000


@pytest.mark.parametrize(
    "misbehaviour",
    [
        "print('fictional-access-token', file=sys.stderr, flush=True); await good(bus, line)",
        "say({'id': line['id'], 'outcome': {'error': {'family': 'broker', 'message': 'fictional-access-token'}}})",
    ],
)
def test_a_driver_that_prints_a_secret_fails(
    misbehaviour: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    driver = misbehaving(tmp_path, misbehaviour)
    source = Path(driver[1]).read_text().replace("rep-version/", "rep-token-error-wins/")
    Path(driver[1]).write_text(source)
    assert run("--only", "rep-token-error-wins", "rep-token-pop", "--", *driver) == 1
    output = capsys.readouterr().out
    assert "contains a token, a cookie, a password or a nonce" in output
    assert output.endswith("2 cases: 1 passed, 1 failed: rep-token-error-wins\n")


def test_a_failure_shows_expected_and_actual_values_and_their_differences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = "{'msalCppVersion': 7, 'fictionalKey': None}"
    driver = misbehaving(
        tmp_path,
        f"await plain_driver.Client(bus, line).send('getLinuxBrokerVersion', {request}); "
        "say({'id': line['id'], 'outcome': {'version': 'another'}})",
    )
    source = Path(driver[1]).read_text().replace("rep-version/", "req-version/")
    Path(driver[1]).write_text(source)
    assert run("--only", "req-version", "--", *driver) == 1
    assert capsys.readouterr().out == (
        "FAIL  req-version: Asking for the broker's version sends the caller's own. "
        "(VA-01, VB-01, getLinuxBrokerVersion)\n"
        "      unexpected outcome\n"
        "        at version\n"
        '          - expected "2.5.2"\n'
        '          + actual   "another"\n'
        '        full expected value {"version": "2.5.2"}\n'
        '        full actual value   {"version": "another"}\n'
        "      unexpected request of getLinuxBrokerVersion\n"
        "        at fictionalKey\n"
        "          - expected (absent)\n"
        "          + actual   null\n"
        "        at msalCppVersion\n"
        '          - expected "a text that matches .+"\n'
        "          + actual   7\n"
        '        full expected value {"msalCppVersion": {"$pattern": ".+"}}\n'
        '        full actual value   {"fictionalKey": null, "msalCppVersion": 7}\n'
        "1 case: 0 passed, 1 failed: req-version\n"
    )


def test_an_answer_before_the_expected_call_fails_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = "{'family': 'unsupported', 'message': 'not written yet'}"
    driver = misbehaving(tmp_path, f"say({{'id': line['id'], 'outcome': {{'error': {error}}}}})")
    source = Path(driver[1]).read_text().replace("rep-version/", "seq-cancel-simple/")
    Path(driver[1]).write_text(source)
    assert run("--timeout", "600", "--only", "seq-cancel-simple", "--", *driver) == 1
    output = capsys.readouterr().out
    assert "answered before sending the expected calls" in output
    assert '"message": "not written yet"' in output


def test_the_json_report_has_every_case_and_the_interface_version(report: Path) -> None:
    assert run("--quiet", "--json", str(report), "--only", *VERSIONS, "--", *PLAIN) == 0
    written: dict[str, Any] = json.loads(report.read_text())
    assert written["summary"] == {"cases": 3, "passed": 3, "failed": 0, "skipped": 0}
    assert written["interfaces"] == (INTERFACES / "VERSION").read_text(encoding="utf-8").strip()
    assert written["command"] == PLAIN
    assert [case["id"] for case in written["cases"]] == VERSIONS
    assert all(case["rows"] and case["shows"] and not case["problems"] for case in written["cases"])


def test_the_junit_report_is_valid_junit_xml(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    driver = misbehaving(tmp_path, "print('\\x01 nonsense', file=sys.stderr, flush=True); os._exit(9)")
    assert run("--junit", str(path), "--only", *VERSIONS, "--", *driver) == 1
    suite = ElementTree.parse(path).getroot()
    assert (suite.tag, suite.get("tests"), suite.get("failures")) == ("testsuite", "3", "1")
    failures = {case.get("name"): case.find("failure") for case in suite.iter("testcase")}
    assert {name for name, failure in failures.items() if failure is not None} == {"rep-version"}
    failure = failures["rep-version"]
    assert failure is not None and failure.get("message") == "the driver exited with code 9 before answering"
    assert "? nonsense" in str(failure.text)


def test_a_missing_driver_program_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--only", "req-version", "--", "/nowhere/driver") == 2
    assert "cannot start '/nowhere/driver': No such file or directory" in capsys.readouterr().err


def test_an_unknown_vector_and_a_missing_command_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--only", "req-fictional", "--", *PLAIN) == 2
    assert "unknown vector: 'req-fictional'" in capsys.readouterr().err
    assert run("--only", "req-version") == 2
    assert "no program given; pass its command after --" in capsys.readouterr().err


def test_list_prints_the_ids_of_the_vectors(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list", "--only", "req-version", "req-available") == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in listed] == ["req-version", "req-available"]


def test_show_prints_vectors_with_their_values_resolved(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--show", "--only", "req-silent-account") == 0
    (vector,) = json.loads(capsys.readouterr().out)
    sent = vector["steps"][0]["sent"][0]["request"]["authParameters"]
    assert sent["account"]["username"] == "ada@contoso.example"
    assert vector["rows"] and vector["source"] and vector["shows"]


def test_slow_cases_run_concurrently_and_each_result_is_printed_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A driver that gives up at once makes the slow case a quick one.
    driver = misbehaving(tmp_path, "pass")
    source = Path(driver[1]).read_text().replace("rep-version/", "seq-interactive-slow/").replace("pass", "os._exit(4)")
    Path(driver[1]).write_text(source)
    assert run("--only", "req-version", "seq-interactive-slow", "--", *driver) == 1
    told = capsys.readouterr().out.splitlines()
    assert sorted(line.split(":")[0] for line in told if line.startswith(("ok", "FAIL"))) == [
        "FAIL  seq-interactive-slow",
        "ok    req-version",
    ]
    assert told[-1] == "2 cases: 1 passed, 1 failed: seq-interactive-slow"


@pytest.mark.parametrize("name", ["seq-user-cancels", "seq-calls-beside-sign-in"])
def test_the_user_answers_a_window_that_opens_late(name: str) -> None:
    vector = next(vector for vector in load_vectors() if vector.id == name)
    steps = tuple(
        {**step, "replies": [{"method": "acquireTokenInteractively", "delay": 0.2}]} if step.get("pending") else step
        for step in vector.steps
    )
    late: Vector = dataclasses.replace(vector, steps=steps)
    (result,) = asyncio.run(run_client([late], PLAIN, limit=5.0))
    assert result.passed, describe(result)
