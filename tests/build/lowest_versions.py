"""Prints the lowest version that pyproject.toml allows of each dependency that users install, as constraints for pip.

Reads the metadata of the installed package: run it in an environment that has linuxbroker.
"""

from __future__ import annotations

import importlib.metadata
import re

# Such as "pyjwt[crypto]<3,>=2.9; extra == 'fake'".
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,-]+\])?(?P<bounds>[^;]*)")
_OF_DEVELOPMENT = re.compile(r"extra == ['\"](dev|lint|test)['\"]")
_LOWEST = re.compile(r"(?:>=|==)([\w.]+)")


def lowest_versions(requirements: list[str]) -> dict[str, str]:
    """Find the lowest versions.

    Args:
        requirements: as in a package's metadata.

    Returns:
        The version for each name; without the requirements that have no lower bound, and without those of this
        project's own development.
    """
    versions: dict[str, str] = {}
    for requirement in requirements:
        if _OF_DEVELOPMENT.search(requirement):
            continue
        parts = _REQUIREMENT.match(requirement)
        lowest = parts and _LOWEST.search(parts["bounds"])
        if parts and lowest:
            version = versions.setdefault(parts["name"].lower(), lowest[1])
            assert version == lowest[1], f"{parts['name']} has two lowest versions: {version} and {lowest[1]}"
    return versions


if __name__ == "__main__":
    for name, version in lowest_versions(importlib.metadata.requires("linuxbroker") or []).items():
        print(f"{name}=={version}")
