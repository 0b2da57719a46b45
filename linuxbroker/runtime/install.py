"""What does ``import pymsalruntime`` give in this process? Microsoft's where it is installed, else the stand-in."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import os
    from importlib.abc import Loader

    from linuxbroker.call.trust.policy import TrustPolicy

NAME = "pymsalruntime"
_STAND_IN = "linuxbroker.runtime.pymsalruntime"


# What the clients of the stand-in are made with.
_client_options: dict[str, Any] = {}


def client_options() -> Mapping[str, Any]:
    """Give the options of ``BrokerClient`` that the stand-in's clients are made with."""
    return _client_options


def install(
    force: bool = False,
    *,
    trust: TrustPolicy = "off",
    trusted_programs: Sequence[str | os.PathLike[str]] = (),
    allow_bus_of_other_user: bool = False,
) -> bool:
    """Have ``import pymsalruntime`` give the stand-in, for the rest of this process.

    To be called before MSAL's first use of a broker, which is when it imports ``pymsalruntime``. Nothing is sent yet:
    the import asks for the broker, and raises ``RuntimeError`` where there is none, upon which MSAL does without one.

    Args:
        force: whether to put it in the place of a ``pymsalruntime`` that is installed or imported, too.
        trust, trusted_programs, allow_bus_of_other_user: as for ``linuxbroker.BrokerClient``, for the stand-in's calls
            from the first one on. The import itself asks whoever owns the broker's name for a sign of life, whatever
            ``trust`` is.

    Returns:
        Whether the stand-in is in place; False where Microsoft's was left alone.

    Raises:
        ValueError: one of the options can't be right.
    """
    if trust != "off" or trusted_programs != () or allow_bus_of_other_user is not False:
        from linuxbroker.call.trust.options import (
            trust_options,  # what it imports costs too much for programs that need none of it
        )

        options = trust_options(trust, trusted_programs, allow_bus_of_other_user)
        _client_options.update(
            trust=options.policy,
            trusted_programs=options.programs,
            allow_bus_of_other_user=options.allow_bus_of_other_user,
        )
    if _is_in_place():
        return True
    if not force and _is_installed():
        return False
    sys.modules.pop(NAME, None)
    sys.meta_path.insert(0, _Finder())
    return True


def _is_in_place() -> bool:
    imported = sys.modules.get(NAME)
    if imported is not None:
        return imported.__name__ == _STAND_IN
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


def _is_installed() -> bool:
    import importlib.util  # what it imports itself is dear to a program that needs none of it

    return NAME in sys.modules or importlib.util.find_spec(NAME) is not None


class _Finder:
    """Finds ``pymsalruntime`` before anyone else does."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Answer for one name; every other is left to the next finder."""
        if fullname != NAME:
            return None
        loader = cast("Loader", _Loader())  # it lacks what the import system has not called since Python 3.4
        return ModuleSpec(NAME, loader, origin=_STAND_IN)


class _Loader:
    """Gives the stand-in, which has a name of its own, under the other name too."""

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to the import system to make the module that ``exec_module`` puts aside."""

    def exec_module(self, module: ModuleType) -> None:
        """Put the stand-in in the module's place.

        Raises:
            RuntimeError: no broker answers.
        """
        sys.modules[NAME] = importlib.import_module(_STAND_IN)
