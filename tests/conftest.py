"""The levels of the tests: what runs without paths, what runs when it is named, what measures coverage.

``pytest`` without paths and without ``-m`` runs the quick suite: all but the tests marked ``slow`` or ``thorough``, and
what needs a peer of another make. ``pytest PATH`` runs all that is there but the slow ones.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent

# What only the full run has, once, on one interpreter: each takes seconds, and says little more on another one. A test
# that is marked with ``thorough`` itself is one too.
THOROUGH = {
    "bus/test_forged_answers.py": "forged answers",
    "bus/test_hostile_peers.py": "hostile peers",
    "bus/test_messages.py": "mutated messages",
    "cli/test_cli_brokers.py": "the command with every broker",
    "cli/test_cli_replies.py": "the command with broken replies",
    "cli/test_interrupts.py": "Ctrl-C at any moment",
    "conformance/test_library.py": "conformance vectors",
    "conformance/test_mutations.py": "wrong drivers",
    "conformance/test_runner.py": "the runner of vectors",
    "docs/test_conformance_page.py": "examples of the pages",
    "docs/test_examples.py": "examples of the pages",
    "fake/test_driving.py": "the fake broker as a program",
    "faults": "faults",
    "fuzz": "mutated input",
    "integrations/public_client/test_fallbacks.py": "MSAL without a broker",
    "replies/test_limits.py": "replies of the largest sizes",
    "runtime/test_cancel.py": "programs that cancel",
    "runtime/test_exit.py": "programs that end",
    "runtime/test_failures.py": "programs that see failures",
    "runtime/test_fork.py": "programs that fork",
    "runtime/test_msal.py": "programs on MSAL",
    "runtime/test_refusals.py": "programs that are refused",
    "runtime/test_threads.py": "programs with threads",
    "trust/test_owner.py": "brokers that are replaced",
    "trust/test_stand_in.py": "trust of programs",
}
# The environments whose tests need programs of other makers.
PEERS = ("compat", "azurite", "ports", "himmelblau")
_IS_QUICK = pytest.StashKey[bool]()
_LEFT_OUT = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fake-broker-only", action="store_true", help="leave out modules that have nothing to do with a fake broker"
    )


def pytest_configure(config: pytest.Config) -> None:
    # A worker of pytest-xdist is told by the process that started it.
    of_worker: dict[str, Any] = getattr(config, "workerinput", {})
    is_named = config.args_source is pytest.Config.ArgsSource.ARGS or config.option.markexpr != "not slow"
    config.stash[_IS_QUICK] = of_worker.get("is_quick", not is_named)
    config.stash[_LEFT_OUT] = 0


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["is_quick"] = node.config.stash[_IS_QUICK]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[_LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_sessionfinish(session: pytest.Session) -> None:
    of_worker: dict[str, Any] = getattr(session.config, "workeroutput", {})
    of_worker["left_out"] = session.config.stash[_LEFT_OUT]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    is_peer = collection_path.parent == HERE and collection_path.name in PEERS
    return True if is_peer and config.args_source is not pytest.Config.ArgsSource.ARGS else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        path = item.path.relative_to(HERE) if item.path.is_relative_to(HERE) else item.path
        if THOROUGH.keys() & {path.as_posix(), path.parts[0]}:
            item.add_marker("thorough")
    if config.stash[_IS_QUICK]:
        thorough = [item for item in items if item.get_closest_marker("thorough")]
        config.stash[_LEFT_OUT] = len(thorough)
        _deselect(config, items, thorough)
    if config.getoption("--fake-broker-only"):
        of_fake = {path for path in {item.path for item in items} if "linuxbroker_fake" in path.read_text("utf-8")}
        _deselect(config, items, [item for item in items if item.path not in of_fake])


def _deselect(config: pytest.Config, items: list[pytest.Item], left_out: list[pytest.Item]) -> None:
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.stash[_IS_QUICK]:
        return
    terminalreporter.section("not in the quick suite")
    families = ", ".join(dict.fromkeys(THOROUGH.values()))
    lines = [
        f"{config.stash[_LEFT_OUT]} thorough tests ({families}), and the longest of all: tox -e slow",
        f"Pythons other than {sys.version_info[0]}.{sys.version_info[1]}: tox -e py310,py311,py312,py313,py314",
        "the lowest versions of the dependencies: tox -e lowest",
        "another bus: tox -e dbus-broker",
        f"programs of other makers: tox -e {','.join(PEERS)}",
        "the package as it is installed: tox -e build",
        "measurements: tox -e coverage,fuzz,bench",
    ]
    if os.geteuid() != 0:
        lines.append("tests that act as root or as another user, skipped above: run this as root, as in a container")
    lines.append("all of these: tox -m full")
    for line in lines:
        terminalreporter.write_line(line)
