"""Runs the newcomer's path of CONFORMANCE.md in an empty folder, with the wheel, up to a passing vector.

python tests/build/newcomers_path.py FOLDER    the folder holds one wheel
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "interfaces" / "CONFORMANCE.md"
HEADING = "## From an empty folder to the first passing vector"
REQUIREMENT = "'linuxbroker[fake]'"


def walk() -> tuple[str, str]:
    """Read the path.

    Returns:
        A shell script with every command of it, which writes the driver where the page has it written; and what the
        page says that the last command prints.
    """
    section = PAGE.read_text(encoding="utf-8").partition(f"{HEADING}\n")[2].partition("\n## ")[0]
    script = "set -eu\n"
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
        if language == "text":
            return script, block
        is_driver = block.startswith("#!")
        script += f"cat > driver.sh <<'END OF DRIVER'\n{block}END OF DRIVER\n" if is_driver else block
    raise SystemExit("the page does not say what is printed in the end")


def main() -> None:
    """Walk the path with the wheel in place of the published package."""
    (wheel,) = Path(sys.argv[1]).resolve().glob("*.whl")
    script, printed = walk()
    assert script.count(REQUIREMENT) == 1, "where does the page install the package?"
    script = script.replace(REQUIREMENT, f"--quiet 'linuxbroker[fake] @ {wheel.as_uri()}'")
    with tempfile.TemporaryDirectory(prefix="linuxbroker-newcomer-") as folder:
        done = subprocess.run(["sh", "-c", script], cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout.endswith(printed), done.stdout
    print(f"from an empty folder to:\n{printed}", end="")


if __name__ == "__main__":
    main()
