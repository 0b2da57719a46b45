"""Checks what a missing extra does: an error that names it, and no harm to a test suite without the fake broker.

python tests/build/check_extras.py FOLDER    the folder holds one wheel
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

SUITE = """
import pytest

def test_without_a_broker():
    assert True

@pytest.mark.fake_broker(persona="himmelblau")
def test_with_the_fake_broker(fake_broker):
    assert True
"""


def main() -> None:
    """Install the wheel without extras, then take away what the fake broker requires."""
    (wheel,) = Path(sys.argv[1]).resolve().glob("*.whl")
    with tempfile.TemporaryDirectory(prefix="linuxbroker-extras-") as directory:
        environment = Path(directory) / "venv"
        venv.create(environment, with_pip=True)

        def run(*command: str) -> tuple[int, str]:
            program, *arguments = command
            done = subprocess.run(
                [str(environment / "bin" / program), *arguments],
                cwd=directory,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            return done.returncode, done.stdout

        def pip(*arguments: str) -> None:
            code, output = run("python", "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check")
            assert code == 0, output

        def fails_with(text: str, *command: str) -> None:
            code, output = run(*command)
            assert code != 0, f"{command} succeeded"
            assert text in output, f"{command} does not say {text!r}: {output}"

        pip("install", str(wheel), "pytest")
        for module, package, extra in (
            ("linuxbroker.integrations.httpx_auth", "httpx", "httpx"),
            ("linuxbroker.integrations.azure", "azure", "azure"),
        ):
            text = f"{module} requires {package}: pip install 'linuxbroker[{extra}]'"
            fails_with(text, "python", "-I", "-c", f"import {module}")

        # MSAL requires both, so that they are missing only where it is, too.
        pip("uninstall", "--yes", "pyjwt", "cryptography", "msal")
        text = "linuxbroker_fake requires jwt: pip install 'linuxbroker[fake]'"
        fails_with(text, "python", "-I", "-c", "from linuxbroker_fake import RunningFake")
        fails_with(text, "linuxbroker", "demo")
        fails_with(text, "linuxbroker-fake", "--help")
        (Path(directory) / "test_app.py").write_text(SUITE, encoding="utf-8")
        options = ("-q", "-p", "no:cacheprovider", "-W", "error", "test_app.py")
        fails_with("1 passed, 1 error", "python", "-I", "-m", "pytest", *options)
        fails_with(text, "python", "-I", "-m", "pytest", *options)
    print(f"{wheel.name} without its extras names the missing one, and leaves other test suites alone")


if __name__ == "__main__":
    main()
