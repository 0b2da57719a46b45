"""What examples are in the README?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Example:
    """A fenced block of the README.

    Attributes:
        language: what stands behind the opening fence.
        code: the block.
        is_run: whether it is marked with ``<!-- run -->``.
        line: where it begins.
    """

    language: str
    code: str
    is_run: bool
    line: int


def _examples() -> Iterator[Example]:
    for found in re.finditer(r"^(<!-- run -->\n)?```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL):
        yield Example(found[2], found[3], found[1] is not None, README.count("\n", 0, found.start()) + 1)


EXAMPLES = tuple(_examples())
SCRIPTS = tuple(example for example in EXAMPLES if example.language == "python" and "def test_" not in example.code)
TEST_SUITES = tuple(example for example in EXAMPLES if example.language == "python" and "def test_" in example.code)
SHELL = tuple(example for example in EXAMPLES if example.language == "sh")
# The one that needs a storage service: tests/azurite runs it.
(STORAGE,) = (example for example in SCRIPTS if "azure.storage" in example.code)


def moved(sign: str) -> str:
    """One side of the change that moves a program from MSAL.

    Args:
        sign: ``-`` for the program before, ``+`` for the one after.

    Returns:
        The program.
    """
    ((indent, change),) = re.findall(r"^( *)```diff\n(.*?)^ *```$", README, re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix(indent) for line in change.splitlines(keepends=True)]
    return "".join(line[1:] for line in lines if line[0] in (" ", sign))
