"""The files of ``interfaces/``: inside the installed package, or beside it in a source tree."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
XML_NAME = "com.microsoft.identity.broker1.xml"


def interfaces_folder() -> Path:
    """Find the folder of the interface XML, PROTOCOL.md and the JSON Schemas.

    Returns:
        Its path.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for folder in (_PACKAGE / "interfaces", _PACKAGE.parent / "interfaces"):
        if (folder / XML_NAME).is_file():
            return folder
    raise FileNotFoundError(f"{XML_NAME} is missing from the installed package; reinstall linuxbroker")


@lru_cache(maxsize=1)
def interface_xml() -> str:
    """Read the D-Bus interface.

    Returns:
        The introspection XML.
    """
    return (interfaces_folder() / XML_NAME).read_text(encoding="utf-8")
