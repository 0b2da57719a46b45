"""The pages of the tree, their examples and their tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BUILT = {"node_modules", "target"}


def _pages() -> Iterator[tuple[str, str]]:
    folders = [ROOT / name for name in ("linuxbroker", "fakes", "interfaces", "tests")]
    found = [ROOT / "README.md", *(page for folder in folders for page in sorted(folder.rglob("*.md")))]
    for page in found:
        if not _BUILT & set(page.parts):
            yield page.relative_to(ROOT).as_posix(), page.read_text(encoding="utf-8")


# By path, each with its text.
PAGES = dict(_pages())
README = PAGES["README.md"]


@dataclass(frozen=True)
class Example:
    """A fenced block of a page.

    Attributes:
        page: the page's path.
        line: the line where the block begins.
        language: the word after the opening fence.
        code: the block.
        is_run: whether it is marked with ``<!-- run -->``.
    """

    page: str
    line: int
    language: str
    code: str
    is_run: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def _examples() -> Iterator[Example]:
    for page, text in PAGES.items():
        if not page.endswith("README.md"):  # test_conformance_page.py is about CONFORMANCE.md
            continue
        for found in re.finditer(r"^(<!-- run -->\n)?```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, found.start()) + 1
            yield Example(page, line, found[2], found[3], found[1] is not None)


EXAMPLES = tuple(_examples())
SCRIPTS = tuple(example for example in EXAMPLES if example.language == "python" and "def test_" not in example.code)
TEST_SUITES = tuple(example for example in EXAMPLES if example.language == "python" and "def test_" in example.code)
SHELL = tuple(example for example in EXAMPLES if example.language == "sh")


def example_with(text: str) -> Example:
    """Find the one example that contains a text."""
    (found,) = (example for example in EXAMPLES if text in example.code)
    return found


# The one that needs a storage service: tests/azurite runs it.
STORAGE = example_with("azure.storage")


def moved(sign: str) -> str:
    """One side of the change that moves a program from MSAL.

    Args:
        sign: ``-`` for the program before, ``+`` for the one after.

    Returns:
        The program.
    """
    page = PAGES["linuxbroker/integrations/README.md"]
    ((indent, change),) = re.findall(r"^( *)```diff\n(.*?)^ *```$", page, re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix(indent) for line in change.splitlines(keepends=True)]
    return "".join(line[1:] for line in lines if line[0] in (" ", sign))


def table(first_heading: str) -> list[dict[str, str]]:
    """Read the one table of the READMEs whose first heading is this.

    Returns:
        Its rows, each with its cells by heading.
    """
    pages = [text for page, text in PAGES.items() if page.endswith("README.md")]
    pattern = r"(?<!\|\n)^\| " + re.escape(first_heading) + r" \|.*\n(?:\|.*\n)+"
    (found,) = (text for page in pages for text in re.findall(pattern, page, re.MULTILINE))
    headings, _, *rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in found.splitlines())
    return [dict(zip(headings, row, strict=True)) for row in rows]


def names(cell: str) -> list[str]:
    """List what is in code font in a cell and begins like a word."""
    return re.findall(r"`(\w[^`]*)`", cell)


def first_column(first_heading: str) -> list[str]:
    """List what is in code font in the first column of a table."""
    return [name for row in table(first_heading) for name in names(row[first_heading])]
