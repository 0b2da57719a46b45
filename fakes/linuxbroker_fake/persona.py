"""What can differ between brokers: the fields of a persona. Their values are in ``personas``."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .failures import FailureShape
    from .methods import Rules


class Introspection(enum.Enum):
    """What ``Introspect`` answers on the broker's path."""

    INTERFACE = enum.auto()
    EMPTY_NODE = enum.auto()
    CROSSROADS = enum.auto()


@dataclass(frozen=True)
class BusSide:
    """How a broker behaves on the bus, whatever the method.

    Attributes:
        introspection: what ``Introspect`` answers.
        properties: whether ``Properties.GetAll`` is answered, with nothing in it; else it is an error.
        paths: further objects that it has.
        unknown_interface: the text of the error for an interface that is not there, with ``{interface}``, ``{path}``.
        unknown_method: the text of the error for a method that an interface does not have, with ``{method}``.
        reads_arguments_one_by_one: whether more arguments are passed over, and an error tells the place of a wrong one.
        needs_interface: whether a call must name its interface.
        unknown_object: the name of the error of a broker whose object comes later than its bus name.
        starting: the text of the error ``Failed`` of a broker whose daemon is not there yet.
        fails_after_a_pause: whether a failure is answered only after the configuration's ``empty_reply_pause``.
        one_call_at_a_time: whether each call waits for the one before it.
        loses_full_blocks: whether a reply whose length is a multiple of 1024 bytes is never delivered.
    """

    introspection: Introspection
    properties: bool = True
    paths: tuple[str, ...] = ()
    unknown_interface: str = "No such interface “{interface}” on object at path {path}"
    unknown_method: str = "No such method “{method}”"
    reads_arguments_one_by_one: bool = False
    needs_interface: bool = False
    unknown_object: str = "org.freedesktop.DBus.Error.UnknownObject"
    starting: str = "broker socket connect failed"
    fails_after_a_pause: bool = False
    one_call_at_a_time: bool = False
    loses_full_blocks: bool = False


@dataclass(frozen=True)
class AccountShape:
    """How an account is written.

    Attributes:
        missing: the keys of the full set that it lacks.
        whole_name_as_given_name: whether ``givenName`` is the display name.
        environment_of_issuer: whether ``environment`` is the login host of today, not ``login.windows.net``.
    """

    missing: frozenset[str] = frozenset()
    whole_name_as_given_name: bool = False
    environment_of_issuer: bool = False


@dataclass(frozen=True)
class TokenShape:
    """How a token reply is written.

    Attributes:
        account: whether it has an ``account``.
        more: further keys of every token reply.
        lifetime_added_in_seconds: whether ``expiresOn`` is the time in milliseconds and the lifetime in seconds, added.
        extended_expiry_in_seconds: whether ``extendedExpiresOn`` counts seconds, not milliseconds.
    """

    account: bool = True
    more: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())
    lifetime_added_in_seconds: bool = False
    extended_expiry_in_seconds: bool = False


@dataclass(frozen=True)
class CookieShape:
    """How a PRT cookie reply is written.

    Attributes:
        account: how its account is written.
        listed: whether it has ``cookieItems``, the device's cookie too; else one cookie, flat.
        telemetry: what its telemetry holds; None: it has none.
    """

    account: AccountShape
    listed: bool = False
    telemetry: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Persona:
    """What tells one broker from another.

    Attributes:
        version: what ``getLinuxBrokerVersion`` answers.
        rules: how it reads requests, and which it refuses.
        bus: how it behaves on the bus.
        failures: how it writes a failure.
        account: how it writes an account.
        token: how it writes a token reply.
        cookie: how it writes a cookie reply.
        telemetry: what the telemetry of a token reply holds; None: it has none.
    """

    version: str
    rules: Rules
    bus: BusSide
    failures: FailureShape
    account: AccountShape
    token: TokenShape
    cookie: CookieShape
    telemetry: Mapping[str, str] | None = None
