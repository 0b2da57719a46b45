"""What can go wrong, on demand? Faults that a test plants, each for some calls, and what each makes of a call."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, model_validator


class FaultKind(str, enum.Enum):
    """The faults that can be planted."""

    STATUS = "status"
    MFA_EXPIRED = "mfa_expired"
    CONSENT_MISSING = "consent_missing"
    REDIRECT_URI_UNKNOWN = "redirect_uri_unknown"
    CLIENT_SECRET_WANTED = "client_secret_wanted"
    SCOPES_DECLINED = "scopes_declined"
    WRONG_PASSWORD = "wrong_password"
    DEVICE_NOT_REGISTERED = "device_not_registered"
    NO_NETWORK = "no_network"
    KEYRING_LOCKED = "keyring_locked"
    SLOW = "slow"
    STARTING = "starting"
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
        tag: the tag number.
        error_code: the error code number.
        sub_status: the sub-status number.
        sub_error: Entra's sub-error.
        oauth_error: Entra's OAuth error, for the diagnostics of the brokers that have them.
        top_level: whether the error object stands at the top of a token reply.
    """

    context: str
    status: int = 2
    tag: int = 595719680
    error_code: int = 0
    sub_status: int = 0
    sub_error: str = ""
    oauth_error: str = "invalid_grant"
    top_level: bool = False


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


NAMED_FAILURES: dict[FaultKind, Failure] = {
    FaultKind.MFA_EXPIRED: Failure(
        "AADSTS50078: The multi-factor authentication that was presented has expired; sign in again.",
        sub_error="basic_action",
    ),
    FaultKind.CONSENT_MISSING: Failure(
        "AADSTS65001: The user or an administrator has not consented to the application.", sub_error="consent_required"
    ),
    FaultKind.REDIRECT_URI_UNKNOWN: Failure(
        "AADSTS50011: The redirect URI of the request is not among those of the application.",
        status=9,
        oauth_error="invalid_request",
    ),
    FaultKind.CLIENT_SECRET_WANTED: Failure(
        "AADSTS7000218: The request body must contain client_assertion or client_secret.",
        status=9,
        oauth_error="invalid_client",
    ),
    FaultKind.WRONG_PASSWORD: Failure("AADSTS50126: The username or the password is not right."),
    FaultKind.DEVICE_NOT_REGISTERED: Failure("The device is not registered.", status=17, oauth_error=""),
    FaultKind.NO_NETWORK: Failure("No network connection.", status=3, oauth_error=""),
    FaultKind.KEYRING_LOCKED: Failure("The keyring is locked.", status=0, tag=0, oauth_error=""),
}


# Of the interface org.freedesktop.DBus.Peer; a broker that hangs as a whole does not answer it either.
PING = "Ping"
TOKEN_METHODS = frozenset({"acquireTokenSilently", "acquireTokenInteractively"})


class Fault(BaseModel):
    """A fault, and which calls it strikes.

    Attributes:
        kind: what goes wrong.
        method: the method that it strikes; None for every method.
        account: the UPN of the account that it strikes; None for any and none.
        times: how many calls it strikes; None for all until it is cleared.
        skip: how many matching calls pass before it strikes.
        delay: seconds before it strikes (``slow``: before the ordinary answer).
        status, context, tag, error_code, sub_status, sub_error, top_level: for ``status``, the error object.
        name, context: for ``dbus_error``, the error's name and text.
        reply: for ``raw_reply``, the text that is answered.
        scopes: for ``scopes_declined``, the scopes that are left out; empty for all but the first.
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
    tag: int = 595719680
    error_code: int = 0
    sub_status: int = 0
    sub_error: str = ""
    top_level: bool = False
    name: str = "org.freedesktop.DBus.Error.Failed"
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

    def strike(self, method: str, account: str | None) -> Fault | None:
        """Find the fault that strikes a call, and count it.

        Args:
            method: the method that is called.
            account: the UPN that the call is about, if any.

        Returns:
            The fault, or None.
        """
        for entry in self._entries:
            fault = entry.fault
            if fault.method not in (None, method):
                continue
            if method == PING and fault.method is None and fault.kind is not FaultKind.HANG:
                continue
            if fault.kind is FaultKind.SCOPES_DECLINED and method not in TOKEN_METHODS:
                continue
            if fault.account is not None and fault.account.casefold() != (account or "").casefold():
                continue
            if entry.to_skip:
                entry.to_skip -= 1
                continue
            if entry.left is None:
                return fault
            if entry.left > 0:
                entry.left -= 1
                return fault
        return None


@dataclass
class _Planted:
    fault: Fault
    to_skip: int
    left: int | None
