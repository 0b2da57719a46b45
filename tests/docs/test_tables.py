"""The tables of the pages, compared with the code."""

from __future__ import annotations

import configparser
import dataclasses
import inspect
import json
import re
import shlex
import subprocess
import sys
from typing import Any

import pytest

import linuxbroker
from linuxbroker import BrokerClient, BrokerError, Timeouts
from linuxbroker.call.trust.policy import TRUST_POLICIES
from linuxbroker.call.trust.programs import KNOWN_PROGRAMS
from linuxbroker.errors import ERROR_CLASSES
from linuxbroker.integrations.azure import BrokerCredential
from linuxbroker_fake import FakeConfig, Fault, FaultKind, PersonaName, RunningFake
from linuxbroker_fake.control import CONTROL_XML
from tests.build.long_description import PAGES as ON_THE_INDEX
from tests.docs.examples import PAGES, ROOT, first_column, names, table

CLIENT_ID = "00000000-0000-0000-0000-0000000000c1"
SCOPES = ("https://graph.microsoft.com/User.Read", "https://graph.microsoft.com/Mail.Read")
LIBRARY, FAKE, TESTS = (PAGES[f"{folder}/README.md"] for folder in ("linuxbroker", "fakes", "tests"))


def _class(name: str) -> Any:
    return getattr(linuxbroker, name)


def _public(owner: type) -> set[str]:
    return {name for name in vars(owner) if not name.startswith("_")}


def _help(*command: str, module: str = "linuxbroker") -> str:
    arguments = [sys.executable, "-m", module, *command, "--help"]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout


# The library


def test_client_table_has_every_method() -> None:
    assert set(first_column("method of `BrokerClient`")) == _public(BrokerClient)


def test_attributes_of_a_token_are_named() -> None:
    sentence = LIBRARY.partition("A `TokenResult` has ")[2].partition(".\n")[0]
    properties = {"authorization_header"}
    fields = {field.name for field in dataclasses.fields(linuxbroker.TokenResult)}
    assert set(names(sentence)) - {"datetime"} == fields | properties


def test_error_table_has_every_exception_and_its_place_in_the_tree() -> None:
    kind_of = {names(row["exception"])[0]: names(row["kind of"]) for row in table("exception")}
    exceptions = {name for name in linuxbroker.__all__ if isinstance(_class(name), type) and name.endswith("Error")}
    assert set(kind_of) == exceptions
    for name, bases in kind_of.items():
        assert bases == [base.__name__ for base in _class(name).__bases__ if issubclass(base, BrokerError)]


def test_error_table_has_every_status() -> None:
    classes = {
        int(number): name
        for row in table("exception")
        for name in names(row["exception"])
        for number in filter(None, row["status"].split(", "))
    }
    assert classes == {status.value: error_class.__name__ for status, error_class in ERROR_CLASSES.items()}


def test_attributes_of_errors_are_named() -> None:
    for error in (
        linuxbroker.BrokerResponseError(method="getAccounts"),
        linuxbroker.BrokerUnreachableError("no answer"),
    ):
        sentence = LIBRARY.partition(f"A `{type(error).__name__}` has ")[2].partition(".")[0]
        assert set(names(sentence)) == set(vars(error))


def test_time_limit_table_has_the_defaults() -> None:
    in_table = [(names(row["of `Timeouts`"])[0], row["default"]) for row in table("of `Timeouts`")]
    assert in_table == [(field.name, str(field.default)) for field in dataclasses.fields(Timeouts)]


def test_every_trusted_program_is_listed() -> None:
    rows = [(row["program"], row["package"], row["source"]) for row in table("program")]
    assert rows == [(f"`{program.path}`", program.package, program.source) for program in KNOWN_PROGRAMS]


def test_every_trust_policy_is_in_both_tables() -> None:
    section = LIBRARY.partition("\n## Security\n")[2]
    rows = re.findall(r"^\| `(off|warn|strict)`", section, re.MULTILINE)
    assert sorted(rows) == sorted(2 * list(TRUST_POLICIES))


def test_every_room_is_listed() -> None:
    listed = set(first_column("room"))
    folders = {f"{path.parent.name}/" for path in (ROOT / "linuxbroker").glob("*/__init__.py")}
    assert folders <= listed
    assert {name for name in listed if not (ROOT / "linuxbroker" / name).exists()} == set()


# Integrations and the command


def test_azure_table_has_every_option() -> None:
    assert first_column("option of `BrokerCredential`") == list(inspect.signature(BrokerCredential).parameters)


def test_exit_code_table_has_what_the_help_has() -> None:
    in_help = re.findall(r"^  (\d)  (.*)$", _help(), re.MULTILINE)
    assert [(row["exit code"], row["meaning"].replace("`", "")) for row in table("exit code")] == [
        (code, meaning.replace("'", "")) for code, meaning in in_help
    ]


def test_command_table_has_every_command() -> None:
    in_help = re.findall(r"^    (\w[\w-]*)(?:  |\n)", _help(), re.MULTILINE)
    assert [command.split()[1] for command in first_column("command")] == in_help


_COMMANDS = {
    "linuxbroker": ("token", "sign-request", "run"),
    "linuxbroker_fake": ("run", "exec", "write-service", "conformance"),
}


def test_every_option_that_a_page_names_exists() -> None:
    helps = [_help(command, module=module) for module, commands in _COMMANDS.items() for command in commands]
    known = {option for text in helps for option in re.findall(r"--[a-z][a-z-]*", text)}
    pages = [page for page in ON_THE_INDEX if page != "README.md"]
    code = [found for page in pages for found in re.findall(r"`([^`\n]*)`", PAGES[page])]
    ours = [text for text in code if not re.match(r"(dsreg|journalctl|systemctl) ", text)]
    named = {option for text in ours for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", text)}
    assert len(named) > 15
    assert named - known == set()


# The fake broker


def test_configuration_keys_are_named() -> None:
    sentence = FAKE.partition("those of `FakeConfig`: ")[2].partition(". ")[0]
    assert set(names(sentence)) == set(FakeConfig.model_fields)


def test_fault_table_has_every_fault() -> None:
    assert first_column("kind") == [kind.value for kind in FaultKind]


def test_faults_section_has_every_field_of_a_fault() -> None:
    section = FAKE.partition("\n## Faults\n")[2].partition("\n## ")[0]
    assert set(Fault.model_fields) <= set(names(section))


_FAULT_DETAILS: dict[str, dict[str, Any]] = {"status": {"status": 2}, "slow": {"delay": 0.01}}


@pytest.mark.parametrize("row", table("kind"), ids=lambda row: names(row["kind"])[0])
async def test_fault_has_the_effect_that_the_table_says(row: dict[str, str], fake_broker: RunningFake) -> None:
    (kind,) = names(row["kind"])
    is_of_windows = kind == "no_display"
    method = "acquireTokenInteractively" if is_of_windows else "acquireTokenSilently"
    fake_broker.plant(kind, method=method, **_FAULT_DETAILS.get(kind, {}))
    expected = tuple(_class(name) for name in names(row["what the application sees"]))
    timeouts = Timeouts(call=0.2 if kind == "hang" else 60.0, start_up=0.05)
    async with BrokerClient(CLIENT_ID, bus_address=fake_broker.address, timeouts=timeouts) as broker:
        try:
            acquire = broker.acquire_token_interactive if is_of_windows else broker.acquire_token_silent
            outcome: object = await acquire(SCOPES)
        except BrokerError as error:
            outcome = error
    assert type(outcome) in (expected or (linuxbroker.TokenResult,))


def test_fake_table_has_every_method() -> None:
    of_instances = {"address", "broker"}
    assert set(first_column("of `RunningFake`")) == _public(RunningFake) | of_instances


def test_persona_table_has_every_persona() -> None:
    assert set(first_column("persona")) == {persona.value for persona in PersonaName}


def test_control_table_has_every_method() -> None:
    assert first_column("method") == re.findall(r'<method name="(\w+)"', CONTROL_XML)


# Interfaces and tests


def test_the_number_of_vectors_is_about_right() -> None:
    folder = ROOT / "interfaces" / "vectors"
    files = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    count = sum(len(file.get("vectors", ())) for file in files)
    assert f"some {round(count, -2)} cases" in PAGES["interfaces/README.md"]


def test_every_environment_of_tox_is_explained() -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    environments = {section.removeprefix("testenv:") for section in tox.sections() if section.startswith("testenv:")}
    assert environments <= set(first_column("environment"))


def test_every_folder_of_tests_is_explained() -> None:
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/*.py")}
    assert folders == set(first_column("folder"))


def test_every_package_that_continuous_integration_installs_is_named() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    groups = re.findall(r"packages\+?=\(([^)]*)\)", script)
    packages = {package for group in groups for package in shlex.split(group, comments=True)}
    assert packages - {word for name in names(TESTS) for word in name.split()} == set()
