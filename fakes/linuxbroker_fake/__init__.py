"""A fake identity broker, a real D-Bus service, for the tests of apps that use one.

The names below are imported when they are first used: the pytest plugin is loaded by every test run.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linuxbroker_fake.broker import FakeBroker
    from linuxbroker_fake.config import FakeConfig, InteractiveUser, UserAction
    from linuxbroker_fake.directory import AppRegistration, Directory, GuestIn, Tenant, User
    from linuxbroker_fake.entra import Entra
    from linuxbroker_fake.faults import Fault, FaultKind
    from linuxbroker_fake.journal import Call
    from linuxbroker_fake.persona_name import PersonaName
    from linuxbroker_fake.private_bus import DBusDaemonMissingError, PrivateBus
    from linuxbroker_fake.resource import RevokedTokenError
    from linuxbroker_fake.running import RunningFake
    from linuxbroker_fake.service import FakeService, NameTakenError, serve

_HOMES = {
    "linuxbroker_fake.broker": ("FakeBroker",),
    "linuxbroker_fake.config": ("FakeConfig", "InteractiveUser", "UserAction"),
    "linuxbroker_fake.directory": ("AppRegistration", "Directory", "GuestIn", "Tenant", "User"),
    "linuxbroker_fake.entra": ("Entra",),
    "linuxbroker_fake.faults": ("Fault", "FaultKind"),
    "linuxbroker_fake.journal": ("Call",),
    "linuxbroker_fake.persona_name": ("PersonaName",),
    "linuxbroker_fake.private_bus": ("DBusDaemonMissingError", "PrivateBus"),
    "linuxbroker_fake.resource": ("RevokedTokenError",),
    "linuxbroker_fake.running": ("RunningFake",),
    "linuxbroker_fake.service": ("FakeService", "NameTakenError", "serve"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AppRegistration",
    "Call",
    "DBusDaemonMissingError",
    "Directory",
    "Entra",
    "FakeBroker",
    "FakeConfig",
    "FakeService",
    "Fault",
    "FaultKind",
    "GuestIn",
    "InteractiveUser",
    "NameTakenError",
    "PersonaName",
    "PrivateBus",
    "RevokedTokenError",
    "RunningFake",
    "Tenant",
    "User",
    "UserAction",
    "serve",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'linuxbroker_fake' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
