"""The table of causes: what a call can end with in place of a result, and the exception, text and advice for each.

Rows of D-Bus errors are found by name, failures without a status of their own by text: those of Himmelblau have status
0 or are D-Bus errors with a text, and Microsoft's brokers quote Entra's OAuth error. Source of a row, unless it names
one: PROTOCOL.md, "Errors" and "What a text means".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from linuxbroker import errors
from linuxbroker.bus import (
    AddressError,
    BadMessageError,
    BusError,
    CallTimeoutError,
    ConnectError,
    DisconnectedError,
    RemoteError,
    ReplyTooLargeError,
)
from linuxbroker.call.trust.policy import UntrustedError
from linuxbroker.wire.models.status import Status, aadsts_codes, oauth_error
from linuxbroker.wire.reading import MalformedReplyError


@dataclass(frozen=True)
class Cause:
    """A row of the table.

    Attributes:
        error_class: the exception that it becomes.
        text: what happened; ``{said}`` stands for the words of the bus, the broker or the library. Not used for a
            ``BrokerResponseError``, which quotes the broker.
        advice: what to do, in sentences.
        status: the status of a ``BrokerResponseError``.
        by_surroundings: whether a sandbox or sudo can be the reason.
    """

    error_class: type[errors.BrokerError]
    text: str = ""
    advice: str = ""
    status: Status = Status.UNEXPECTED
    by_surroundings: bool = False


WHERE_TO_LOOK = (
    "Look at 'systemctl --user --failed', 'journalctl --user -t microsoft-identity-broker' and 'dsreg --status'."
)
HOW_TO_INSTALL = (
    "Install Microsoft's with 'sudo apt install microsoft-identity-broker' or 'sudo dnf install "
    "microsoft-identity-broker' (from packages.microsoft.com), or Himmelblau (himmelblau-idm.org), and enroll the "
    "device (Company Portal: the package intune-portal)."
)
_HOW_TO_GET_A_BUS = (
    "A desktop session has one; in a service or a container set XDG_RUNTIME_DIR to the user's runtime directory (as "
    "systemd does: /run/user/UID) or DBUS_SESSION_BUS_ADDRESS to the bus's address, or start the program with "
    "'dbus-run-session -- PROGRAM'."
)
_CONFINED = (
    "A sandbox, AppArmor, SELinux or the bus's own policy keeps this program from the broker: 'journalctl -b' shows "
    "what was denied."
)
_FULL = "The bus has no room for more: end programs that use it a lot, or log out and in again."
_FAILING = "The bus, or a proxy in front of it, is failing: log out and in again, or restart the sandbox."
_UPDATE = "If the broker is not up to date, update it."


def _refused(advice: str) -> Cause:
    return Cause(errors.BrokerUnreachableError, "the {who} refused the call: {said}.", advice, by_surroundings=True)


NO_BUS = Cause(errors.NoSessionBusError, "cannot connect to the bus: {said}.", _HOW_TO_GET_A_BUS, by_surroundings=True)
NO_REPLY = Cause(
    errors.BrokerTimeoutError,
    "{said}.",
    "The broker may be starting, or waiting for the keyring to be unlocked: try again, or increase the time limit.",
)
UNUSABLE_REPLY = Cause(errors.BrokerProtocolError, "invalid reply from the broker: {said}.{not_done}", _UPDATE)
# What the library itself raises; the first row that fits.
_RAISED: tuple[tuple[type[Exception], Cause], ...] = (
    (AddressError, NO_BUS),
    (ConnectError, replace(NO_BUS, text="{said}.")),
    (CallTimeoutError, NO_REPLY),
    (DisconnectedError, Cause(errors.BrokerDisconnectedError, "{said}.", "The next call reconnects.")),
    (
        ReplyTooLargeError,
        Cause(
            errors.BrokerProtocolError,
            "invalid reply from the broker: {said}.{not_done}",
            "If the reply is meant to be that long, increase max_reply_bytes.",
        ),
    ),
    (BadMessageError, Cause(errors.BrokerProtocolError, "{said}.")),
    (UntrustedError, Cause(errors.UntrustedBrokerError, "nothing was sent: {said}.")),
    (MalformedReplyError, UNUSABLE_REPLY),
    (BusError, Cause(errors.BrokerUnreachableError, "{said}")),
)

ABSENT = Cause(
    errors.BrokerNotInstalledError,
    "no identity broker is installed for this user: {said}.",
    HOW_TO_INSTALL,
    by_surroundings=True,
)
NOT_STARTED = Cause(
    errors.BrokerStartError, "the identity broker is installed, but did not start: {said}.", WHERE_TO_LOOK
)
# A broker without a display, or with a locked keyring, ends so.
EXITED = Cause(
    errors.BrokerDisconnectedError,
    "the identity broker exited before it replied: {said}.",
    "A broker without a display, or with a locked keyring, exits so: unlock the keyring, and tell the bus of the "
    "display with 'dbus-update-activation-environment --systemd DISPLAY WAYLAND_DISPLAY XAUTHORITY'.",
)
UNSUPPORTED = Cause(errors.UnsupportedOperationError)
_STARTING = Cause(errors.ERROR_CLASSES[Status.TRANSIENT_ERROR], status=Status.TRANSIENT_ERROR)

DBUS_ERROR = "org.freedesktop.DBus.Error."
# Microsoft's broker 2.0.1, in Java, names D-Bus's own errors so.
_JAVA_ERROR = "org.freedesktop.dbus.errors."
_SYSTEMD_ERROR = "org.freedesktop.systemd1."
# D-Bus errors by name: of the bus, of a proxy in front of it, of a broker.
_NAMED: dict[str, Cause] = {
    **{DBUS_ERROR + name: ABSENT for name in ("ServiceUnknown", "NameHasNoOwner", "Spawn.ServiceNotFound")},
    DBUS_ERROR + "TimedOut": NOT_STARTED,
    DBUS_ERROR + "NoReply": EXITED,
    DBUS_ERROR + "Timeout": NO_REPLY,
    DBUS_ERROR + "AccessDenied": _refused(_CONFINED),
    DBUS_ERROR + "AuthFailed": _refused(_CONFINED),
    DBUS_ERROR + "LimitsExceeded": _refused(_FULL),
    DBUS_ERROR + "NoMemory": _refused(_FULL),
    DBUS_ERROR + "NoServer": _refused(_FAILING),
    DBUS_ERROR + "IOError": _refused(_FAILING),
    DBUS_ERROR + "Disconnected": _refused(_FAILING),
    **{
        prefix + name: UNSUPPORTED
        for prefix in (DBUS_ERROR, _JAVA_ERROR)
        for name in ("UnknownMethod", "UnknownInterface", "UnknownObject", "NotSupported", "InvalidArgs")
    },
}
_NOT_STARTED_PREFIXES = (DBUS_ERROR + "Spawn.", _SYSTEMD_ERROR)
# dbus-broker's words if the program of a name does not take it; the error's name else means that there is no program.
_ACTIVATION_FAILED = "could not activate remote peer"
_NO_OBJECT = {DBUS_ERROR + "UnknownObject", _JAVA_ERROR + "UnknownObject"}
# systemd's words for a unit that the user or an administrator has switched off.
_MASKED_UNIT = re.compile(r"\bUnit ([\w:.\\@-]+) is masked")
_BROKERS_UNIT = "microsoft-identity-broker.service"


def _status(status: Status, error_class: type[errors.BrokerResponseError] | None = None) -> Cause:
    return Cause(error_class or errors.ERROR_CLASSES[status], status=status)


_INTERACTION = _status(Status.INTERACTION_REQUIRED)
_NO_ACCOUNT = _status(Status.ACCOUNT_NOT_FOUND, errors.NoAccountError)
_ACCOUNT_REQUIRED = _status(Status.API_CONTRACT_VIOLATION, errors.AccountRequiredError)
_CONFIGURATION = _status(Status.INCORRECT_CONFIGURATION)
MISMATCHED = _status(Status.API_CONTRACT_VIOLATION, errors.MismatchedTokenError)

# The whole text of a failure, in lower case. Source: Himmelblau 4.0, run; its crate identity_dbus_broker is version
# 0.2.1, and 0.1.4 up to Himmelblau 3.1.
_TEXTS: dict[str, Cause] = {
    "failed to authenticate user": _INTERACTION,  # a silent call
    "failed to fetch prt sso cookie": _INTERACTION,
    "unable to find account": _NO_ACCOUNT,  # the caller is a local user
    "unable to load account": _NO_ACCOUNT,
    "unable to load accounts": _NO_ACCOUNT,
    "invalid request for user!": _status(Status.ACCOUNT_NOT_FOUND),  # not the caller's account
    "missing account": _ACCOUNT_REQUIRED,
    "missing account username in request": _ACCOUNT_REQUIRED,  # an interactive call
    "not implemented": UNSUPPORTED,  # an older one says so as a D-Bus error
    "broker socket read timeout": _STARTING,  # its daemon does not answer
}
# The beginning of the text of a failure.
_BEGINNINGS: tuple[tuple[str, Cause], ...] = (
    ("interactive authentication failed:", _INTERACTION),  # its prompt was closed, or failed
    ("no interactive prompt available", _status(Status.UNEXPECTED, errors.NoDisplayError)),
    ("invalid redirecturi", _CONFIGURATION),
    ('error("', _status(Status.API_CONTRACT_VIOLATION)),  # the request can't be read
)
# Anywhere in the text, while Himmelblau's daemon is not there yet: up to 3.1 the second alone.
_WHILE_STARTING = ("broker socket connect", "no such file or directory (os error 2)")
# What the empty text of Himmelblau up to 3.1 means, by method: it answers so to whatever fails.
SILENCES: dict[str, Cause] = {
    "acquireTokenSilently": _INTERACTION,
    "acquireTokenInteractively": _INTERACTION,
    "acquirePrtSsoCookie": _INTERACTION,
    "getAccounts": _NO_ACCOUNT,
    "removeAccount": UNSUPPORTED,
    "generateSignedHttpRequest": UNSUPPORTED,
}
# The broker's own check of the granted scopes (PROTOCOL.md, "Scopes").
_DECLINED = "token response failed because declined scopes are present"

# Signing in helps with these: a session, a factor or a sign-in is missing or has expired, a new password or consent is
# required. Source: Entra's list of AADSTS error codes.
_INTERACTION_CODES = {
    f"AADSTS{code}"
    for code in (
        16000, 50055, 50058, 50072, 50074, 50076, 50078, 50079, 50126, 50132, 50133, 50144, 50158, 50173, 65001,
        70008, 70043, 70044, 700082, 700084,
    )
}  # fmt: skip
# Entra's two ways to say that the redirect URI is not registered (PROTOCOL.md, "MSAL Python on top").
_REDIRECT_URI_CODES = {"AADSTS50011", "AADSTS7000218"}
# Entra's OAuth errors, as Microsoft's brokers from 2.0.2 on quote them. Source: brokers 2.5.2 and 3.0.2; OAuth 2.0 (RFC
# 6749, 5.2) and OpenID Connect Core (3.1.2.6) for those that were not seen.
_OAUTH_ERRORS: dict[str, Cause] = {
    **dict.fromkeys(("interaction_required", "invalid_grant", "login_required", "consent_required"), _INTERACTION),
    **dict.fromkeys(("invalid_client", "unauthorized_client", "invalid_request", "invalid_scope"), _CONFIGURATION),
    "temporarily_unavailable": _status(Status.SERVER_TEMPORARILY_UNAVAILABLE),
}


def cause_of_exception(error: Exception) -> Cause:
    """Find the row of what the library raised.

    Args:
        error: of ``linuxbroker.bus``, ``call.trust`` or ``wire.reading``; not a D-Bus error.

    Returns:
        The row.
    """
    return next(cause for kind, cause in _RAISED if isinstance(error, kind))


def cause_of_remote(error: RemoteError) -> Cause:
    """Find the row of a D-Bus error.

    Args:
        error: the error that came back in place of a reply.

    Returns:
        The row; by the text if the name says nothing.
    """
    named = _NAMED.get(error.name)
    if named is None and error.name.startswith(_NOT_STARTED_PREFIXES):
        return NOT_STARTED
    if named is ABSENT and error.text.casefold().startswith(_ACTIVATION_FAILED):
        return NOT_STARTED
    return named or cause_of_text(error.text)


def cause_of_text(text: str, status: Status = Status.UNEXPECTED) -> Cause:
    """Find the row of a failure that the broker reports.

    Args:
        text: what the broker says.
        status: the status that it gives; unexpected if it gives none.

    Returns:
        The row: by the text if the status says nothing, else that of the status.
    """
    codes, said = aadsts_codes(text), text.strip().casefold()
    if _REDIRECT_URI_CODES.intersection(codes):
        return _status(status, errors.RedirectUriError)
    if status is Status.API_CONTRACT_VIOLATION and said.startswith(_DECLINED):
        return _status(status, errors.DeclinedScopesError)
    if status is not Status.UNEXPECTED:
        return _status(status)
    if _says_starting(text):
        return _STARTING
    if _INTERACTION_CODES.intersection(codes):
        return _INTERACTION
    by_beginning = (cause for beginning, cause in _BEGINNINGS if said.startswith(beginning))
    found = _TEXTS.get(said) or next(by_beginning, None) or _OAUTH_ERRORS.get(oauth_error(text).casefold())
    return found or _status(status)


def is_starting(error: RemoteError) -> bool:
    """Whether the broker is there, and what it depends on is not there yet: it did nothing with the call.

    Args:
        error: the error that came back. A broker's object can come later than its name. Source: PROTOCOL.md, "Brokers
            in the field".
    """
    return is_object_missing(error) or _says_starting(error.text)


def is_object_missing(error: RemoteError) -> bool:
    """Whether the broker's object is not on the bus, as it can be just after its name.

    Args:
        error: the error that came back.
    """
    return error.name in _NO_OBJECT


def masked_unit(error: RemoteError) -> str:
    """Name the systemd unit that does not start because it is masked.

    Args:
        error: the error that came back.

    Returns:
        Its name; the empty string if the error says nothing of the kind.
    """
    named = _MASKED_UNIT.search(error.text)
    if named:
        return named[1]
    is_masked = error.name.endswith(".UnitMasked") or "masked" in error.text.casefold()
    return _BROKERS_UNIT if is_masked else ""


def _says_starting(text: str) -> bool:
    return any(said in text.casefold() for said in _WHILE_STARTING)
