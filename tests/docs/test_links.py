"""The links of all pages, the length of the README, and the page of the package index."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.build.long_description import PAGES as ON_THE_INDEX
from tests.build.long_description import anchor, headings, links, long_description
from tests.docs.examples import PAGES, README, ROOT


def _leads_somewhere(page: str, link: str) -> bool:
    path, _, fragment = link.partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page
    if not target.exists():
        return False
    return not fragment or fragment in map(anchor, headings(target.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_and_anchor_resolves(page: str) -> None:
    relative = [link for link in links(PAGES[page]) if "://" not in link]
    assert [link for link in relative if not _leads_somewhere(page, link)] == []


def test_links_to_missing_files_and_headings_are_found() -> None:
    assert _leads_somewhere("README.md", "linuxbroker/README.md#errors")
    assert not _leads_somewhere("README.md", "linuxbroker/README.md#no-such-heading")
    assert not _leads_somewhere("linuxbroker/README.md", "linuxbroker/README.md")


def test_the_readme_is_short_and_leads_to_every_room() -> None:
    assert len(README.splitlines()) <= 250
    assert set(ON_THE_INDEX[1:]) <= {link.partition("#")[0] for link in links(README)}


def test_every_link_on_the_index_leads_to_a_heading_of_the_same_page() -> None:
    text = long_description(ROOT)
    found = headings(text)
    anchors = Counter(map(anchor, found))
    assert [name for name, count in anchors.items() if count > 1] == []
    targets = [link for link in links(text) if "://" not in link]
    assert targets
    assert [link for link in targets if link[0] != "#" or link[1:] not in anchors] == []


def test_the_index_has_the_text_and_the_examples_of_every_page() -> None:
    text = long_description(ROOT)
    for page in ON_THE_INDEX:
        assert f"# {headings(PAGES[page])[0]}\n" in text
        for block in re.findall(r"^```.*?^```$", PAGES[page], re.MULTILINE | re.DOTALL):
            assert block in text


@pytest.mark.parametrize(
    ("link", "becomes"),
    [
        ("[errors](linuxbroker/README.md#errors)", "[errors](#errors)"),
        ("[the library](linuxbroker/README.md)", "[the library](#library)"),
        ("[here](#title)", "[here](#title)"),
        ("[MIT](https://example.org/)", "[MIT](https://example.org/)"),
        ("[LICENSE](LICENSE)", "`LICENSE`"),
        ("[the tests](tests/README.md#figures)", "the tests (`tests/README.md`)"),
    ],
)
def test_a_link_on_the_index(link: str, becomes: str, tmp_path: Path) -> None:
    for page in ON_THE_INDEX:
        (tmp_path / page).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / page).write_text("# Library\n" if page == "linuxbroker/README.md" else "# Title\n")
    (tmp_path / "README.md").write_text(f"# Title\n\nSee {link}.\n\n```sh\n{link}\n```\n")
    assert f"See {becomes}.\n\n```sh\n{link}\n```\n" in long_description(tmp_path)
