"""Installation of the replacement for ``pymsalruntime`` in this process."""

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
_REPLACEMENT = "linuxbroker.runtime.pymsalruntime"


# Options of BrokerClient for the clients of the replacement.
_client_options: dict[str, Any] = {}


def client_options() -> Mapping[str, Any]:
    """The options of ``BrokerClient`` for the clients of the replacement."""
    return _client_options


def install(
    force: bool = False,
    *,
    trust: TrustPolicy = "off",
    trusted_programs: Sequence[str | os.PathLike[str]] = (),
    allow_bus_of_other_user: bool = False,
) -> bool:
    """Make ``import pymsalruntime`` import the replacement, for the rest of this process.

    Call it before MSAL's first use of a broker, which imports ``pymsalruntime``. It sends nothing: the import pings
    the broker, and raises ``RuntimeError`` if none answers; MSAL then continues without a broker.

    Args:
        force: whether to replace a ``pymsalruntime`` that is installed or imported, too.
        trust, trusted_programs, allow_bus_of_other_user: as for ``linuxbroker.BrokerClient``, for all calls of the
            replacement. The ping at the import is sent to the owner of the broker's name whatever ``trust`` is.

    Returns:
        Whether the replacement is installed; False if Microsoft's was kept.

    Raises:
        ValueError: an option is invalid.
    """
    if trust != "off" or trusted_programs != () or allow_bus_of_other_user is not False:
        # Imported here because its imports take time, and most programs do not need it.
        from linuxbroker.call.trust.options import trust_options

        options = trust_options(trust, trusted_programs, allow_bus_of_other_user)
        _client_options.update(
            trust=options.policy,
            trusted_programs=options.programs,
            allow_bus_of_other_user=options.allow_bus_of_other_user,
        )
    if _is_replaced():
        return True
    if not force and _is_installed():
        return False
    sys.modules.pop(NAME, None)
    sys.meta_path.insert(0, _Finder())
    return True


def _is_replaced() -> bool:
    imported = sys.modules.get(NAME)
    if imported is not None:
        return imported.__name__ == _REPLACEMENT
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


def _is_installed() -> bool:
    import importlib.util  # its imports take time, and most programs do not need it

    return NAME in sys.modules or importlib.util.find_spec(NAME) is not None


class _Finder:
    """Finds ``pymsalruntime`` before the other finders."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find ``pymsalruntime``; leave all other names to the next finder."""
        if fullname != NAME:
            return None
        loader = cast("Loader", _Loader())  # it lacks a method that the import system has not called since Python 3.4
        return ModuleSpec(NAME, loader, origin=_REPLACEMENT)


class _Loader:
    """Loads the replacement, which has its own name, as ``pymsalruntime`` too."""

    def create_module(self, spec: ModuleSpec) -> None:
        """Let the import system create a module, which ``exec_module`` replaces."""

    def exec_module(self, module: ModuleType) -> None:
        """Replace the module.

        Raises:
            RuntimeError: no broker answered.
        """
        sys.modules[NAME] = importlib.import_module(_REPLACEMENT)
