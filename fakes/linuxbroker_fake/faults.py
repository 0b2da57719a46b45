"""What can go wrong, on demand: faults that a test plants, each for some calls, and what each makes of a call."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .scopes import GRAPH, resource_of


class FaultKind(str, enum.Enum):
    """The faults that can be planted."""

    STATUS = "status"
    MFA_EXPIRED = "mfa_expired"
    CONSENT_MISSING = "consent_missing"
    REDIRECT_URI_UNKNOWN = "redirect_uri_unknown"
    CLIENT_SECRET_WANTED = "client_secret_wanted"
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


@dataclass(frozen=True)
class Failure:
    """A failure that the broker answers with.

    Attributes:
        context: what it says.
        status: the status number.
        tag: the tag number; None for the persona's: 0, unless Entra refused.
        error_code: the error code number.
        sub_status: the sub-status number.
        sub_error: Entra's sub-error.
        oauth_error: Entra's OAuth error, for the diagnostics of the brokers that have them.
        top_level: whether the error object stands at the top of a token reply.
        from_entra: whether Entra refused: brokers in C++ don't quote Entra, and name no sub-error beside the text.
        verbatim: whether Himmelblau too says it so, rather than that it "failed to authenticate user".
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
    """Ends the handling of a call with a failure."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.context)
        self.failure = failure


class DBusFailure(Exception):
    """Ends the handling of a call with a D-Bus error."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name, text)
        self.name = name
        self.text = text


class CrashRequested(Exception):
    """A planted fault wants the broker to die in the middle of a call."""


class RawReply(Exception):
    """A planted fault answers with a text, or a number, of its own."""

    def __init__(self, signature: str, value: Any) -> None:
        super().__init__(signature)
        self.signature = signature
        self.value = value


def _refused_by_entra(
    context: str, *, status: int = 2, oauth_error: str = "invalid_grant", sub_error: str = ""
) -> Failure:
    return Failure(context, status=status, oauth_error=oauth_error, sub_error=sub_error, from_entra=True)


NAMED_FAILURES: dict[FaultKind, Failure] = {
    FaultKind.MFA_EXPIRED: _refused_by_entra(
        "AADSTS50078: The multi-factor authentication that was presented has expired; sign in again.",
        sub_error="basic_action",
    ),
    FaultKind.CONSENT_MISSING: _refused_by_entra(
        "AADSTS65001: The user or an administrator has not consented to the application.", sub_error="consent_required"
    ),
    FaultKind.REDIRECT_URI_UNKNOWN: _refused_by_entra(
        "AADSTS50011: The redirect URI of the request is not among those of the application.",
        status=9,
        oauth_error="invalid_request",
    ),
    FaultKind.CLIENT_SECRET_WANTED: _refused_by_entra(
        "AADSTS7000218: The request body must contain client_assertion or client_secret.",
        status=9,
        oauth_error="invalid_client",
    ),
    FaultKind.WRONG_PASSWORD: _refused_by_entra("AADSTS50126: The username or the password is not right."),
    FaultKind.SILENT_REFUSED: _refused_by_entra(
        "AADSTS70043: The refresh token has expired or is invalid due to sign-in frequency checks; sign in again.",
        oauth_error="interaction_required",
        sub_error="token_expired",
    ),
    # The check is the broker's own, seen on 3.0 where scopes were asked by their short names (brokers.md).
    FaultKind.SCOPES_REFUSED: Failure("Token response failed because declined scopes are present", status=6),
    FaultKind.DEVICE_NOT_REGISTERED: Failure("The device is not registered.", status=17),
    FaultKind.NO_NETWORK: Failure("No network connection.", status=3),
}


FAILED = "org.freedesktop.DBus.Error.Failed"
# Of the interface org.freedesktop.DBus.Peer; a broker that hangs as a whole does not answer it either.
PING = "Ping"
TOKEN_METHODS = frozenset({"acquireTokenSilently", "acquireTokenInteractively"})
# The faults that make sense for some methods only.
_METHODS_OF = {
    FaultKind.SCOPES_DECLINED: TOKEN_METHODS,
    FaultKind.SCOPES_REFUSED: TOKEN_METHODS,
    FaultKind.SILENT_REFUSED: frozenset({"acquireTokenSilently"}),
    FaultKind.NO_DISPLAY: frozenset({"acquireTokenInteractively"}),
    FaultKind.TENANT_UNKNOWN: frozenset({"getAccounts"}),
}


class Fault(BaseModel):
    """A fault, and which calls it strikes.

    Attributes:
        kind: what goes wrong.
        method: the method that it strikes; None for every method.
        account: the UPN of the account that it strikes; None for any and none.
        times: how many calls it strikes; None for all until it is cleared.
        skip: how many matching calls pass before it strikes.
        delay: seconds before it strikes (``slow``: before the ordinary answer).
        status, context, tag, error_code, sub_status, sub_error, top_level: for ``status``, the error object; a tag of
            None is 0.
        name, context: for ``dbus_error``, the error's name and text; a name of None is ``Failed``. For
            ``object_missing``, None is the persona's spelling of ``UnknownObject``.
        reply: for ``raw_reply``, the text that is answered.
        scopes: for ``scopes_declined``, the scopes that are left out; empty for all but the first. For
            ``silent_refused``, scopes whose resources are refused; empty for every resource.
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
            raise ValueError("a 'slow' fault needs a delay in seconds")
        return self

    def failure(self) -> Failure | None:
        """Give the failure that the fault answers with, or None where it is of another kind."""
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
    """The faults that are planted, in the order of planting; the first that matches a call strikes."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        self._entries: list[_Planted] = []
        for fault in faults:
            self.plant(fault)

    def plant(self, fault: Fault) -> None:
        """Add a fault behind those that are planted."""
        self._entries.append(_Planted(fault, fault.skip, fault.times))

    def clear(self) -> None:
        """Take all faults back."""
        self._entries.clear()

    def strike(self, method: str, account: str | None, resource: str | None = None) -> Fault | None:
        """Find the fault that strikes a call, and count it.

        Args:
            method: the method that is called.
            account: the UPN that the call is about, if any.
            resource: the resource that it asks a token for, as ``resource_key`` spells it.

        Returns:
            The fault, or None.
        """
        for entry in self._entries:
            if not entry.matches(method, account, resource):
                continue
            if entry.to_skip:
                entry.to_skip -= 1
                continue
            if entry.left is None:
                return entry.fault
            if entry.left > 0:
                entry.left -= 1
                return entry.fault
        return None

    def refuses(self, account: str, resource: str) -> bool:
        """Whether ``silent_refused`` is planted for a resource (as ``resource_key`` spells it), and was not lifted."""
        return any(entry.refuses(account, resource) for entry in self._entries)

    def lift_refusals(self, account: str, resource: str) -> bool:
        """End ``silent_refused`` for a resource, as an interactive call does.

        Args:
            account: the UPN that it was for.
            resource: the resource, as ``resource_key`` spells it.

        Returns:
            Whether silent calls were refused.
        """
        struck = [entry for entry in self._entries if entry.refuses(account, resource)]
        for entry in struck:
            entry.lifted.add(resource)
        return bool(struck)


@dataclass
class _Planted:
    fault: Fault
    to_skip: int
    left: int | None
    lifted: set[str] = field(default_factory=lambda: set[str]())

    def matches(self, method: str, account: str | None, resource: str | None) -> bool:
        kind = self.fault.kind
        if self.fault.method not in (None, method):
            return False
        if method == PING and self.fault.method is None and kind is not FaultKind.HANG:
            return False
        if method not in _METHODS_OF.get(kind, (method,)):
            return False
        if kind is FaultKind.SILENT_REFUSED:
            return self.refuses(account or "", resource or GRAPH)
        return self._is_of(account or "")

    def refuses(self, account: str, resource: str) -> bool:
        if self.fault.kind is not FaultKind.SILENT_REFUSED or self.left == 0 or resource in self.lifted:
            return False
        resources = {resource_of([scope]) for scope in self.fault.scopes}
        return self._is_of(account) and (not resources or resource in resources)

    def _is_of(self, account: str) -> bool:
        return self.fault.account is None or self.fault.account.casefold() == account.casefold()
