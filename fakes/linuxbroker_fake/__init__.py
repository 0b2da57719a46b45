"""A fake identity broker, a real D-Bus service, for the tests of apps that use one."""

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
