"""Faults: errors and delays that a test plants for some calls, and the failures that they cause."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .scopes import GRAPH, resource_of


class FaultKind(str, enum.Enum):
    """The faults that can be planted. ``client_secret_wanted`` is an old name of ``client_secret_required``."""

    STATUS = "status"
    MFA_EXPIRED = "mfa_expired"
    CONSENT_MISSING = "consent_missing"
    REDIRECT_URI_UNKNOWN = "redirect_uri_unknown"
    CLIENT_SECRET_REQUIRED = "client_secret_required"
    SCOPES_DECLINED = "scopes_declined"
    SCOPES_REFUSED = "scopes_refused"
    SILENT_REFUSED = "silent_refused"
    WRONG_PASSWORD = "wrong_password"
    DEVICE_NOT_REGISTERED = "device_not_registered"
    NO_NETWORK = "no_network"
    KEYRING_LOCKED = "keyring_locked"
    NO_DISPLAY = "no_display"
    TENANT_UNKNOWN = "tenant_unknown"
    SLOW = "slow"
    STARTING = "starting"
    OBJECT_MISSING = "object_missing"
    FULL_BLOCK = "full_block"
    HANG = "hang"
    CRASH = "crash"
    DBUS_ERROR = "dbus_error"
    RAW_REPLY = "raw_reply"
    REPLY_NOT_TEXT = "reply_not_text"

    CLIENT_SECRET_WANTED = CLIENT_SECRET_REQUIRED

    @classmethod
    def _missing_(cls, value: object) -> FaultKind | None:
        return cls.CLIENT_SECRET_REQUIRED if value == "client_secret_wanted" else None


@dataclass(frozen=True)
class Failure:
    """A failure that the broker reports (PROTOCOL.md, "The error object").

    Attributes:
        context: the text.
        status: the status number.
        tag: the tag number; None: the persona's default, 0 unless ``from_entra``.
        error_code: the error code number.
        sub_status: the sub-status number.
        sub_error: Entra's sub-error.
        oauth_error: Entra's OAuth error, for the diagnostics of brokers that have them.
        top_level: whether the error object is at the top level of a token reply.
        from_entra: whether Entra caused it: the C++ brokers hide Entra's text, and its sub-error except in their text.
        verbatim: whether Himmelblau reports ``context`` too, instead of its general text for the method.
    """

    context: str
    status: int = 2
    tag: int | None = None
    error_code: int = 0
    sub_status: int = 0
    sub_error: str = ""
    oauth_error: str = ""
    top_level: bool = False
    from_entra: bool = False
    verbatim: bool = False


class BrokerFailure(Exception):
    """The reply to a call is a failure."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.context)
        self.failure = failure


class DBusFailure(Exception):
    """The reply to a call is a D-Bus error."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name, text)
        self.name = name
        self.text = text


class CrashRequested(Exception):
    """The broker leaves the bus during a call, without a reply."""


class RawReply(Exception):
    """A planted fault replaces the reply with a value, of the D-Bus signature ``signature``."""

    def __init__(self, signature: str, value: Any) -> None:
        super().__init__(signature)
        self.signature = signature
        self.value = value


def _entra_failure(
    context: str, *, status: int = 2, oauth_error: str = "invalid_grant", sub_error: str = ""
) -> Failure:
    return Failure(context, status=status, oauth_error=oauth_error, sub_error=sub_error, from_entra=True)


NAMED_FAILURES: dict[FaultKind, Failure] = {
    FaultKind.MFA_EXPIRED: _entra_failure(
        "AADSTS50078: The multi-factor authentication has expired; sign in again.",
        sub_error="basic_action",
    ),
    FaultKind.CONSENT_MISSING: _entra_failure(
        "AADSTS65001: The user or an administrator has not consented to the application.", sub_error="consent_required"
    ),
    FaultKind.REDIRECT_URI_UNKNOWN: _entra_failure(
        "AADSTS50011: The redirect URI of the request is not registered for the application.",
        status=9,
        oauth_error="invalid_request",
    ),
    FaultKind.CLIENT_SECRET_REQUIRED: _entra_failure(
        "AADSTS7000218: The request body must contain client_assertion or client_secret.",
        status=9,
        oauth_error="invalid_client",
    ),
    FaultKind.WRONG_PASSWORD: _entra_failure("AADSTS50126: Invalid username or password."),
    FaultKind.SILENT_REFUSED: _entra_failure(
        "AADSTS70043: The refresh token has expired or is invalid due to sign-in frequency checks; sign in again.",
        oauth_error="interaction_required",
        sub_error="token_expired",
    ),
    # 3.0 itself checks the granted scopes: seen with short names of scopes (PROTOCOL.md, SC-11).
    FaultKind.SCOPES_REFUSED: Failure("Token response failed because declined scopes are present", status=6),
    FaultKind.DEVICE_NOT_REGISTERED: Failure("The device is not registered.", status=17),
    FaultKind.NO_NETWORK: Failure("No network connection.", status=3),
}


FAILED = "org.freedesktop.DBus.Error.Failed"
# A method of org.freedesktop.DBus.Peer, which a broker that hangs does not answer either.
PING = "Ping"
TOKEN_METHODS = frozenset({"acquireTokenSilently", "acquireTokenInteractively"})
# The faults that apply to some methods only.
_METHODS_BY_KIND = {
    FaultKind.SCOPES_DECLINED: TOKEN_METHODS,
    FaultKind.SCOPES_REFUSED: TOKEN_METHODS,
    FaultKind.SILENT_REFUSED: frozenset({"acquireTokenSilently"}),
    FaultKind.NO_DISPLAY: frozenset({"acquireTokenInteractively"}),
    FaultKind.TENANT_UNKNOWN: frozenset({"getAccounts"}),
}


class Fault(BaseModel):
    """A fault and the calls that it applies to.

    Attributes:
        kind: the kind of fault.
        method: the method that it applies to; None: every method.
        account: the UPN of the account that it applies to; None: any account, or none.
        times: the number of calls that it applies to; None: all calls until it is cleared.
        skip: the number of matching calls that pass first.
        delay: seconds before it takes effect, 0 to 3600 (``slow``: before the normal reply).
        status, context, tag, error_code, sub_status, sub_error, top_level: for ``status``, the error object; a tag of
            None is 0.
        name, context: for ``dbus_error``, the error's name and text; default name ``Failed``. For ``object_missing``,
            the default name is the persona's form of ``UnknownObject``.
        reply: for ``raw_reply``, the text of the reply.
        scopes: for ``scopes_declined``, the scopes to remove; empty: all but the first. For ``silent_refused``, scopes
            of the resources to refuse; empty: every resource.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    method: str | None = None
    account: str | None = None
    times: int | None = Field(default=None, ge=1)
    skip: int = Field(default=0, ge=0)
    delay: float = Field(default=0.0, ge=0.0, le=3600.0)
    status: int = 0
    context: str = "a planted failure"
    tag: int | None = None
    error_code: int = 0
    sub_status: int = 0
    sub_error: str = ""
    top_level: bool = False
    name: str | None = None
    reply: str = ""
    scopes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _slow_has_a_delay(self) -> Fault:
        if self.kind is FaultKind.SLOW and not self.delay:
            raise ValueError("a 'slow' fault requires a delay in seconds")
        return self

    def failure(self) -> Failure | None:
        """Return the failure that the fault causes; None if its kind causes none."""
        if self.kind is not FaultKind.STATUS:
            return NAMED_FAILURES.get(self.kind)
        return Failure(
            self.context,
            status=self.status,
            tag=self.tag,
            error_code=self.error_code,
            sub_status=self.sub_status,
            sub_error=self.sub_error,
            top_level=self.top_level,
            verbatim=True,
        )


class FaultPlan:
    """The planted faults in order; the first that matches a call applies to it."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        self._entries: list[_PlantedFault] = []
        for fault in faults:
            self.plant(fault)

    def plant(self, fault: Fault) -> None:
        """Add a fault at the end."""
        self._entries.append(_PlantedFault(fault, fault.skip, fault.times))

    def clear(self) -> None:
        """Remove all faults."""
        self._entries.clear()

    def match(self, method: str, account: str | None, resource: str | None = None) -> Fault | None:
        """Find the fault that applies to a call, and count the call.

        Args:
            method: the method.
            account: the UPN that the call is about, if any.
            resource: the resource of the requested token, in the form of ``resource_key``.

        Returns:
            The fault, or None.
        """
        for entry in self._entries:
            if not entry.matches(method, account, resource):
                continue
            if entry.skips_left:
                entry.skips_left -= 1
                continue
            if entry.strikes_left is None:
                return entry.fault
            if entry.strikes_left > 0:
                entry.strikes_left -= 1
                return entry.fault
        return None

    def refuses(self, account: str, resource: str) -> bool:
        """Whether ``silent_refused`` applies to a resource, in the form of ``resource_key``."""
        return any(entry.refuses(account, resource) for entry in self._entries)

    def lift_refusals(self, account: str, resource: str) -> bool:
        """End ``silent_refused`` for a resource, as an interactive call does.

        Args:
            account: the UPN of the call.
            resource: the resource, in the form of ``resource_key``.

        Returns:
            Whether silent calls were refused.
        """
        refusals = [entry for entry in self._entries if entry.refuses(account, resource)]
        for entry in refusals:
            entry.lifted.add(resource)
        return bool(refusals)


@dataclass
class _PlantedFault:
    fault: Fault
    skips_left: int
    strikes_left: int | None
    lifted: set[str] = field(default_factory=lambda: set[str]())

    def matches(self, method: str, account: str | None, resource: str | None) -> bool:
        kind = self.fault.kind
        if self.fault.method not in (None, method):
            return False
        if method == PING and self.fault.method is None and kind is not FaultKind.HANG:
            return False
        if method not in _METHODS_BY_KIND.get(kind, (method,)):
            return False
        if kind is FaultKind.SILENT_REFUSED:
            return self.refuses(account or "", resource or GRAPH)
        return self._matches_account(account or "")

    def refuses(self, account: str, resource: str) -> bool:
        if self.fault.kind is not FaultKind.SILENT_REFUSED or self.strikes_left == 0 or resource in self.lifted:
            return False
        resources = {resource_of([scope]) for scope in self.fault.scopes}
        return self._matches_account(account) and (not resources or resource in resources)

    def _matches_account(self, account: str) -> bool:
        return self.fault.account is None or self.fault.account.casefold() == account.casefold()
