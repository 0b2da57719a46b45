"""Does the README hold? Its examples are run as pasted, and its tables are compared with the code."""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import linuxbroker
from linuxbroker import BrokerClient, BrokerError, Timeouts
from linuxbroker.errors import ERROR_CLASSES
from linuxbroker.integrations.azure import BrokerCredential
from linuxbroker_fake import FakeConfig, Fault, FaultKind, PersonaName, RunningFake
from linuxbroker_fake.control import CONTROL_XML
from tests.docs.examples import EXAMPLES, README, ROOT, SCRIPTS, SHELL, STORAGE, TEST_SUITES, Example, moved

CI_SCRIPT = ROOT / ".ci" / "run"
CLIENT_ID = "00000000-0000-0000-0000-0000000000c1"
SCOPES = ("https://graph.microsoft.com/User.Read", "https://graph.microsoft.com/Mail.Read")
# A guard against an example that hangs; nothing is measured with it.
_PATIENCE_SECONDS = 120


SIGN_IN = SCRIPTS[0]
DEMO_SETUP, TEST_SETUP = (example for example in SHELL if "apt-get" in example.code)


def _at_line(example: Example) -> str:
    return f"line {example.line}"


def _only(examples: Iterable[Example], text: str) -> Example:
    (found,) = (example for example in examples if text in example.code)
    return found


def _table(first_heading: str) -> list[dict[str, str]]:
    """The rows of the one table whose first heading is this, each with its cells by heading."""
    tables = re.findall(r"^\| " + re.escape(first_heading) + r" \|.*\n(?:\|.*\n)+", README, re.MULTILINE)
    rows = [[cell.strip() for cell in line[1:-1].split("|")] for table in tables for line in table.splitlines()]
    (headings,) = (row for row in rows if row[0] == first_heading)
    return [dict(zip(headings, row, strict=True)) for row in rows[2:]]


def _names(cell: str) -> list[str]:
    return re.findall(r"`(\w[^`]*)`", cell)


def _first_column(first_heading: str) -> list[str]:
    return [name for row in _table(first_heading) for name in _names(row[first_heading])]


def _class(name: str) -> Any:
    return getattr(linuxbroker, name)


def _public(owner: type) -> set[str]:
    return {name for name in vars(owner) if not name.startswith("_")}


@pytest.fixture
def fake() -> Iterator[RunningFake]:
    with RunningFake() as running:
        yield running


@dataclass(frozen=True)
class Shell:
    """A folder with ``signin.py`` in it, as the README has its reader make one, to run commands in."""

    folder: Path

    def environment(self, bus_address: str | None = None) -> dict[str, str]:
        """What commands see: the commands of this interpreter's environment, and a session bus if one is given."""
        environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
        environment.pop("DBUS_SESSION_BUS_ADDRESS", None)
        if bus_address is not None:
            environment["DBUS_SESSION_BUS_ADDRESS"] = bus_address
        return environment

    def run(self, *command: str, bus_address: str | None = None) -> str:
        """Run a command, which must end with 0; gives its standard output."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(bus_address),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "signin.py").write_text(SIGN_IN.code, encoding="utf-8")
    return Shell(tmp_path)


# The examples


@pytest.mark.parametrize("example", [example for example in SCRIPTS if example is not STORAGE], ids=_at_line)
def test_python_example_runs(example: Example, shell: Shell, fake: RunningFake) -> None:
    script = shell.folder / "pasted.py"
    script.write_text(example.code, encoding="utf-8")
    assert shell.run(sys.executable, "-X", "dev", "-W", "error", str(script), bus_address=fake.address)


def test_first_example_gets_a_token_in_twenty_lines(shell: Shell, fake: RunningFake) -> None:
    assert len(SIGN_IN.code.splitlines()) <= 20
    assert shell.run(sys.executable, "signin.py", bus_address=fake.address).startswith("Bearer token for " + SCOPES[0])
    assert [call.member for call in fake.calls] == ["getAccounts", "acquireTokenSilently"]


def test_first_example_asks_the_user_when_it_must(shell: Shell, fake: RunningFake) -> None:
    fake.plant("mfa_expired", method="acquireTokenSilently")
    assert shell.run(sys.executable, "signin.py", bus_address=fake.address).startswith("Bearer token for " + SCOPES[0])
    assert fake.calls_of("acquireTokenInteractively")


def test_httpx_example_is_challenged_and_answers(shell: Shell, fake: RunningFake) -> None:
    script = shell.folder / "pasted.py"
    script.write_text(_only(SCRIPTS, "BrokerAuth(broker, SCOPES)").code, encoding="utf-8")
    assert shell.run(sys.executable, str(script), bus_address=fake.address) == "200 after 2 requests\n"


def test_moving_from_msal_leads_to_the_example() -> None:
    assert moved("+") == _only(SCRIPTS, "app.get_accounts()").code
    assert compile(moved("-"), "before.py", "exec").co_names[0] == "msal"


@pytest.mark.parametrize("example", TEST_SUITES, ids=_at_line)
def test_pytest_example_passes(example: Example, shell: Shell) -> None:
    (shell.folder / "test_pasted.py").write_text(example.code, encoding="utf-8")
    (shell.folder / "pytest.ini").touch()  # else one further up would count
    said = shell.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_pasted.py")
    assert f"{example.code.count('def test_')} passed" in said


@pytest.mark.parametrize("example", [example for example in SHELL if example.is_run], ids=_at_line)
def test_shell_example_runs(example: Example, shell: Shell) -> None:
    for tool in ("gdbus", "busctl"):
        if f"{tool} " in example.code and shutil.which(tool) is None:
            pytest.skip(f"there is no {tool} on this machine")
    assert shell.run("sh", "-ec", example.code)


def test_run_example_serves_until_it_is_told_to_end(shell: Shell) -> None:
    command = shlex.split(_only(SHELL, "linuxbroker-fake run").code)
    with RunningFake(start=False) as bus:
        environment = shell.environment(bus.address)
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as service:
            try:
                assert service.stdout is not None
                assert service.stdout.readline().endswith("is ready\n")
                assert "broker 2.0.1" in shell.run("linuxbroker", "version", bus_address=bus.address)
            finally:
                service.terminate()
            assert service.wait(_PATIENCE_SECONDS) == 0


def test_configuration_example_is_taken(shell: Shell) -> None:
    (example,) = (example for example in EXAMPLES if example.language == "json")
    config = shell.folder / "config.json"
    config.write_text(example.code, encoding="utf-8")
    assert set(FakeConfig.load(config).model_fields_set) == set(FakeConfig.model_fields) - {"directory"}
    accounts = ("linuxbroker", "accounts", "--client-id", CLIENT_ID)
    said = shell.run("linuxbroker-fake", "exec", "--config", "config.json", "--", *accounts)
    assert "grace@fabrikam.example" in said
    assert "ada@contoso.example" not in said


def test_every_other_shell_block_is_run_here() -> None:
    not_marked = [example for example in SHELL if not example.is_run]
    assert not_marked == [DEMO_SETUP, TEST_SETUP, _only(SHELL, "linuxbroker-fake run")]


# The two commands that set everything up


def _commands(example: Example) -> list[str]:
    joined = example.code.replace("\\\n", " ").replace("sudo ", "")
    return [" ".join(command.split()) for command in joined.split("&&")]


def test_first_setup_command_ends_in_the_demo(shell: Shell) -> None:
    last = _commands(DEMO_SETUP)[-1]
    assert last == ".venv/bin/linuxbroker demo"
    assert "FAILED" not in shell.run("sh", "-ec", last.removeprefix(".venv/bin/"))


def test_continuous_integration_installs_what_the_readme_names() -> None:
    (in_script,) = re.findall(r"^packages=\((.*?)^\)", CI_SCRIPT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    install, *_test_commands = _commands(TEST_SETUP)
    in_readme = install.removeprefix("apt-get install -y ").split()
    assert sorted(shlex.split(in_script, comments=True)) == sorted(in_readme)


def test_continuous_integration_installs_tools_as_the_readme_names_them() -> None:
    npm, go, cargo, _ = re.findall(r"packages\+=\((.*?)\)", CI_SCRIPT.read_text(encoding="utf-8"))
    words = " ".join(README.split())
    assert f"on Debian the packages `{npm}`" in words
    assert f"on Debian the package `{go}`" in words
    assert f"on Debian 12 the package `{cargo}`" in words


def test_continuous_integration_calls_the_test_command_of_the_readme() -> None:
    script = " ".join(CI_SCRIPT.read_text(encoding="utf-8").split())
    _install, *test_commands = _commands(TEST_SETUP)
    assert [command for command in test_commands if command not in script] == []


# The tables


def test_error_table_has_every_exception_and_its_place_in_the_tree() -> None:
    kind_of = {_names(row["exception"])[0]: _names(row["kind of"]) for row in _table("exception")}
    exceptions = {name for name in linuxbroker.__all__ if isinstance(_class(name), type) and name.endswith("Error")}
    assert set(kind_of) == exceptions
    for name, bases in kind_of.items():
        assert bases == [base.__name__ for base in _class(name).__bases__ if issubclass(base, BrokerError)]


def test_error_table_has_every_status() -> None:
    classes = {
        int(number): name
        for row in _table("exception")
        for name in _names(row["exception"])
        for number in filter(None, row["status"].split(", "))
    }
    assert classes == {status.value: error_class.__name__ for status, error_class in ERROR_CLASSES.items()}


def test_attributes_of_errors_are_named() -> None:
    for error in (
        linuxbroker.BrokerResponseError(method="getAccounts"),
        linuxbroker.BrokerUnreachableError("no answer"),
    ):
        sentence = README.partition(f"A `{type(error).__name__}` has ")[2].partition(".")[0]
        assert set(_names(sentence)) == set(vars(error))


def test_fault_table_has_every_fault() -> None:
    assert _first_column("kind") == [kind.value for kind in FaultKind]


def test_faults_section_has_every_field_of_a_fault() -> None:
    section = README.partition("### What can go wrong")[2].partition("\n## ")[0]
    assert set(Fault.model_fields) <= set(_names(section))


_FAULT_DETAILS: dict[str, dict[str, Any]] = {"status": {"status": 2}, "slow": {"delay": 0.01}}


@pytest.mark.parametrize("row", _table("kind"), ids=lambda row: _names(row["kind"])[0])
async def test_fault_has_the_effect_that_the_table_says(row: dict[str, str], fake: RunningFake) -> None:
    (kind,) = _names(row["kind"])
    is_of_windows = kind == "no_display"
    method = "acquireTokenInteractively" if is_of_windows else "acquireTokenSilently"
    fake.plant(kind, method=method, **_FAULT_DETAILS.get(kind, {}))
    expected = tuple(_class(name) for name in _names(row["what the application sees"]))
    timeouts = Timeouts(call=1.0 if kind == "hang" else 60.0, start_up=0.05)
    async with BrokerClient(CLIENT_ID, bus_address=fake.address, timeouts=timeouts) as broker:
        try:
            acquire = broker.acquire_token_interactive if is_of_windows else broker.acquire_token_silent
            outcome: object = await acquire(SCOPES)
        except BrokerError as error:
            outcome = error
    assert type(outcome) in (expected or (linuxbroker.TokenResult,))


def test_exit_code_table_has_what_the_help_has(shell: Shell) -> None:
    in_help = re.findall(r"^  (\d)  ", shell.run("linuxbroker", "--help"), re.MULTILINE)
    assert [row["exit code"] for row in _table("exit code")] == in_help


def test_command_table_has_every_command(shell: Shell) -> None:
    in_help = re.findall(r"^    (\w[\w-]*)(?:  |\n)", shell.run("linuxbroker", "--help"), re.MULTILINE)
    assert [command.split()[1] for command in _first_column("command")] == in_help


def test_client_table_has_every_method() -> None:
    assert set(_first_column("method of `BrokerClient`")) == _public(BrokerClient)


def test_azure_table_has_every_option() -> None:
    assert _first_column("option of `BrokerCredential`") == list(inspect.signature(BrokerCredential).parameters)


def test_fake_table_has_every_method() -> None:
    of_instances = {"address", "broker"}
    assert set(_first_column("of `RunningFake`")) == _public(RunningFake) | of_instances


def test_persona_table_has_every_persona() -> None:
    assert set(_first_column("persona")) == {persona.value for persona in PersonaName}


def test_control_table_has_every_method() -> None:
    assert _first_column("method") == re.findall(r'<method name="(\w+)"', CONTROL_XML)


def test_time_limit_table_has_the_defaults() -> None:
    in_table = [(_names(row["of `Timeouts`"])[0], row["seconds"]) for row in _table("of `Timeouts`")]
    assert in_table == [(field.name, str(field.default)) for field in dataclasses.fields(Timeouts)]


# What it points to


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")


def test_links_lead_somewhere() -> None:
    anchors = {_anchor(heading) for heading in re.findall(r"^#+ (.*)$", README, re.MULTILINE)}
    leads: Callable[[str], bool] = lambda link: (link[1:] in anchors) if link[0] == "#" else (ROOT / link).exists()  # noqa: E731
    assert [link for link in re.findall(r"\]\(([^)]+)\)", README) if not leads(link)] == []
