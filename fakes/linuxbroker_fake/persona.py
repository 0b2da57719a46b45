"""The fields of a persona: what differs between brokers. Their values are in ``personas``."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .failures import FailureShape
    from .methods import Rules


class Introspection(enum.Enum):
    """The reply of ``Introspect`` on the broker's path."""

    INTERFACE = enum.auto()
    EMPTY_NODE = enum.auto()
    CROSSROADS = enum.auto()


@dataclass(frozen=True)
class BusBehavior:
    """The behavior of a broker on the bus, independent of the method.

    Attributes:
        introspection: the reply of ``Introspect``.
        properties: whether ``Properties.GetAll`` returns an empty dictionary; else it is an error.
        paths: the paths of further objects.
        unknown_interface: the text of the error for an unknown interface, with ``{interface}`` and ``{path}``.
        unknown_method: the text of the error for an unknown method, with ``{method}``.
        checks_arguments_by_position: whether extra arguments are ignored, and an error has the position of a wrong one.
        requires_interface: whether a call must name its interface.
        unknown_object: the name of the error while the object does not exist yet (PROTOCOL.md, TR-19).
        starting: the text of the error ``Failed`` while the daemon is starting (PROTOCOL.md, EL-04).
        pauses_before_failure: whether a failure is reported only after the configuration's ``empty_reply_pause``.
        one_call_at_a_time: whether each call waits for the previous one.
        drops_full_blocks: whether a reply of a multiple of 1024 bytes is never delivered (PROTOCOL.md, HB-14).
    """

    introspection: Introspection
    properties: bool = True
    paths: tuple[str, ...] = ()
    unknown_interface: str = "No such interface “{interface}” on object at path {path}"
    unknown_method: str = "No such method “{method}”"
    checks_arguments_by_position: bool = False
    requires_interface: bool = False
    unknown_object: str = "org.freedesktop.DBus.Error.UnknownObject"
    starting: str = "broker socket connect failed"
    pauses_before_failure: bool = False
    one_call_at_a_time: bool = False
    drops_full_blocks: bool = False


@dataclass(frozen=True)
class AccountShape:
    """The form of an account.

    Attributes:
        missing: the keys that it lacks.
        full_name_as_given_name: whether ``givenName`` is the display name.
        issuer_environment: whether ``environment`` is the issuer's host instead of ``login.windows.net``.
    """

    missing: frozenset[str] = frozenset()
    full_name_as_given_name: bool = False
    issuer_environment: bool = False


@dataclass(frozen=True)
class TokenShape:
    """The form of a token reply.

    Attributes:
        account: whether it has an ``account``.
        extra_keys: further keys with their values.
        lifetime_added_in_seconds: whether ``expiresOn`` is the time in milliseconds plus the lifetime in seconds.
        extended_expiry_in_seconds: whether ``extendedExpiresOn`` is in seconds instead of milliseconds.
    """

    account: bool = True
    extra_keys: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())
    lifetime_added_in_seconds: bool = False
    extended_expiry_in_seconds: bool = False


@dataclass(frozen=True)
class CookieShape:
    """The form of a cookie reply.

    Attributes:
        account: the form of its account.
        listed: whether it has ``cookieItems`` with the device cookie too; else one flat cookie.
        telemetry: the template of its telemetry; None: no telemetry.
    """

    account: AccountShape
    listed: bool = False
    telemetry: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Persona:
    """A broker to emulate.

    Attributes:
        version: the version that ``getLinuxBrokerVersion`` returns.
        rules: which methods it has, and which requests it rejects.
        bus: its behavior on the bus.
        failures: the form of its failures.
        account: the form of its accounts.
        token: the form of its token replies.
        cookie: the form of its cookie replies.
        telemetry: the template of the telemetry of a token reply; None: no telemetry.
    """

    version: str
    rules: Rules
    bus: BusBehavior
    failures: FailureShape
    account: AccountShape
    token: TokenShape
    cookie: CookieShape
    telemetry: Mapping[str, str] | None = None
