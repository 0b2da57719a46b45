"""How do the brokers in the field differ? One record of data for each; PROTOCOL.md, "Brokers in the field"."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class PersonaName(str, enum.Enum):
    """The brokers that the fake can pass for."""

    MICROSOFT_JAVA = "microsoft-2.0.1"
    MICROSOFT_CPP = "microsoft-2.5.2"
    HIMMELBLAU = "himmelblau"


@dataclass(frozen=True)
class Persona:
    """What tells one broker from another.

    Attributes:
        version: what ``getLinuxBrokerVersion`` answers.
        introspectable: whether Introspect is answered.
        flat_cookie: whether a PRT cookie reply is one flat object, not a list.
        failures_are_dbus_errors: whether every failure is a D-Bus error.
        diagnostics: whether an error object's ``diagnostics`` is filled.
        missing_methods: methods that answer "Not implemented".
        missing_account_keys: keys that its accounts lack.
        token_names_account: whether a token reply has an ``account``.
        only_callers_account: whether it serves only the account of the calling user id.
        extended_expiry_in_seconds: whether ``extendedExpiresOn`` counts seconds, not milliseconds.
        start_up_failure: the D-Bus error text of a call that the fault ``starting`` strikes.
        telemetry: what each reply's telemetry holds.
    """

    version: str
    introspectable: bool
    flat_cookie: bool
    failures_are_dbus_errors: bool = False
    diagnostics: bool = False
    missing_methods: frozenset[str] = frozenset()
    missing_account_keys: frozenset[str] = frozenset()
    token_names_account: bool = True
    only_callers_account: bool = False
    extended_expiry_in_seconds: bool = False
    start_up_failure: str = "broker socket connect failed"
    telemetry: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())


PERSONAS: dict[PersonaName, Persona] = {
    PersonaName.MICROSOFT_JAVA: Persona(
        version="2.0.1",
        introspectable=True,
        flat_cookie=True,
        diagnostics=True,
        telemetry={"broker_version": "2.0.1", "ui_visible": "false", "os_version": "22.04", "http_event_count": "1"},
    ),
    PersonaName.MICROSOFT_CPP: Persona(
        version="2.5.2",
        introspectable=False,
        flat_cookie=False,
        telemetry={"broker_version": "2.5.2", "auth_flow": "PRT"},
    ),
    PersonaName.HIMMELBLAU: Persona(
        version="1.0.0",
        introspectable=True,
        flat_cookie=True,
        failures_are_dbus_errors=True,
        missing_methods=frozenset({"removeAccount", "generateSignedHttpRequest", "cancelInteractiveFlow"}),
        missing_account_keys=frozenset({"familyName", "clientInfo"}),
        token_names_account=False,
        only_callers_account=True,
        extended_expiry_in_seconds=True,
    ),
}
