"""``import pymsalruntime`` after ``install``, and under ``linuxbroker run``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from linuxbroker_fake import RunningFake
from tests.runtime.conftest import PATIENCE_SECONDS, Run

NAME = "import pymsalruntime, sys; print(pymsalruntime.__name__, pymsalruntime is sys.modules['pymsalruntime'])"
STAND_IN = "linuxbroker.runtime.pymsalruntime True\n"


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """An environment in which something else is installed under the name."""
    package = tmp_path / "site" / "pymsalruntime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("CallbackData = 'theirs'\n", encoding="utf-8")
    return {"PYTHONPATH": str(package.parent)}


def _command(
    fake: RunningFake, *arguments: str, cwd: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "linuxbroker", "run", *arguments],
        env={**os.environ, **environment, "DBUS_SESSION_BUS_ADDRESS": fake.address},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_install_puts_the_stand_in_in_place(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "from linuxbroker.runtime import install\nassert install(force=True) and install() and install(force=True)\n"
        + NAME,
        prelude=False,
    )
    assert (seen.out, seen.err) == (STAND_IN, "")


def test_installing_it_asks_nobody(run: Run, fake_broker: RunningFake) -> None:
    seen = run("from linuxbroker.runtime import install\ninstall(force=True)", prelude=False)
    assert (seen.code, fake_broker.calls) == (0, ())


def test_without_a_broker_the_import_raises_each_time(run: Run) -> None:
    attempt = "try:\n    import pymsalruntime\nexcept RuntimeError as error:\n    print(str(error)[:19])\n"
    with RunningFake(start=False) as bus:
        seen = run(
            f"from linuxbroker.runtime import install\ninstall(force=True)\n{attempt}{attempt}",
            prelude=False,
            environment={"DBUS_SESSION_BUS_ADDRESS": bus.address},
        )
    assert (seen.out, seen.err) == ("ErrorTag: 507897694\n" * 2, "")


def test_one_that_is_installed_is_left_alone(run: Run, fake_broker: RunningFake, elsewhere: dict[str, str]) -> None:
    source = (
        "from linuxbroker.runtime import install\nprint(install({}))\n"
        "import pymsalruntime\nprint(pymsalruntime.__name__)"
    )
    alone, forced = (run(source.format(force), prelude=False, environment=elsewhere) for force in ("", "force=True"))
    assert alone.out == "False\npymsalruntime\n"
    assert forced.out == "True\nlinuxbroker.runtime.pymsalruntime\n"


def test_one_that_is_imported_is_left_alone(run: Run, fake_broker: RunningFake, elsewhere: dict[str, str]) -> None:
    source = (
        "import pymsalruntime\nfrom linuxbroker.runtime import install\nprint(install({}))\n"
        "import pymsalruntime\nprint(pymsalruntime.__name__)"
    )
    alone, forced = (run(source.format(force), prelude=False, environment=elsewhere) for force in ("", "force=True"))
    assert alone.out == "False\npymsalruntime\n"
    assert forced.out == "True\nlinuxbroker.runtime.pymsalruntime\n"


def test_other_imports_are_not_touched(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "from linuxbroker.runtime import install\ninstall(force=True)\nimport json, colorsys\n"
        "try:\n    import pymsalruntime_tools\nexcept ModuleNotFoundError as error:\n    print(error)",
        prelude=False,
    )
    assert seen.out == "No module named 'pymsalruntime_tools'\n"


def test_run_runs_a_script_as_python_does(fake_broker: RunningFake, tmp_path: Path) -> None:
    script = tmp_path / "scripts" / "app.py"
    script.parent.mkdir()
    (script.parent / "beside.py").write_text("VALUE = 42\n", encoding="utf-8")
    script.write_text(
        f"import sys, beside\n{NAME}\nprint(sys.argv[1:], beside.VALUE, __name__)\nsys.exit(7)", encoding="utf-8"
    )
    done = _command(fake_broker, "--force", str(script), "-m", "--json", "x", cwd=tmp_path, environment={})
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout == STAND_IN + "['-m', '--json', 'x'] 42 __main__\n"


def test_run_runs_a_module_as_python_does(fake_broker: RunningFake, tmp_path: Path) -> None:
    package = tmp_path / "tool"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "__main__.py").write_text(f"{NAME}\nprint(sys.argv[1:], __name__)", encoding="utf-8")
    done = _command(fake_broker, "--force", "-m", "tool", "--force", "-m", cwd=tmp_path, environment={})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == STAND_IN + "['--force', '-m'] __main__\n"


def test_run_leaves_an_installed_one_alone_and_says_so(
    fake_broker: RunningFake, tmp_path: Path, elsewhere: dict[str, str]
) -> None:
    script = tmp_path / "app.py"
    script.write_text("import pymsalruntime\nprint(pymsalruntime.__name__)", encoding="utf-8")
    done = _command(fake_broker, str(script), cwd=tmp_path, environment=elsewhere)
    assert done.stdout == "pymsalruntime\n"
    assert "pass --force to replace it" in done.stderr


def test_a_program_that_raises_ends_as_it_does_with_python(fake_broker: RunningFake, tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text("raise ValueError('the program')", encoding="utf-8")
    done = _command(fake_broker, "--force", str(script), cwd=tmp_path, environment={})
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: the program\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "no program given"),
        (["--force"], "no program given"),
        (["-m"], "no program given"),
        (["--verbose", "app.py"], "unknown option '--verbose'"),
        (["no-such-file.py"], "no such file: 'no-such-file.py'"),
    ],
)
def test_a_wrong_command_line_is_told(
    fake_broker: RunningFake, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    done = _command(fake_broker, *arguments, cwd=tmp_path, environment={})
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr
