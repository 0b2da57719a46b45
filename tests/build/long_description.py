"""The page of the package index: the README and, below it, the pages that it links to, in one text.

A relative link leads nowhere on the index. So a link to another page becomes one to that page's heading further down in
the same text, and a link to a file that the index does not show becomes the name of the file. This file is a metadata
hook of ``pyproject.toml``.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

PAGES = (
    "README.md",
    "linuxbroker/README.md",
    "linuxbroker/integrations/README.md",
    "linuxbroker/runtime/README.md",
    "linuxbroker/cli/README.md",
    "fakes/README.md",
    "interfaces/README.md",
)
_FENCED = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


class LongDescription(MetadataHookInterface):
    """Sets the long description when sdist and wheel are built."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the field."""
        metadata["readme"] = {"content-type": "text/markdown", "text": long_description(Path(self.root))}


def long_description(root: Path) -> str:
    """Join the pages.

    Args:
        root: the source tree.

    Returns:
        Markdown without relative links.
    """
    texts = {page: (root / page).read_text(encoding="utf-8") for page in PAGES}
    titles = {page: headings(text)[0] for page, text in texts.items()}

    def joined(page: str) -> str:
        def link(found: re.Match[str]) -> str:
            label, target = found.groups()
            path, _, fragment = target.partition("#")
            if not path or "://" in target:
                return found[0]
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
            if path in titles:
                return f"[{label}](#{fragment or anchor(titles[path])})"
            return f"`{path}`" if path.endswith(label.strip("/")) else f"{label} (`{path}`)"

        parts = _FENCED.split(texts[page])
        return "".join(part if _FENCED.fullmatch(part) else _LINK.sub(link, part) for part in parts)

    return "\n".join(joined(page) for page in PAGES)


def headings(text: str) -> list[str]:
    """List the headings of a Markdown page, in order."""
    return _HEADING.findall(_FENCED.sub("", text))


def links(text: str) -> list[str]:
    """List the targets of a Markdown page's links, in order."""
    return [target for _, target in _LINK.findall(_FENCED.sub("", text))]


def anchor(heading: str) -> str:
    """Give the anchor that GitHub and the package index make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
