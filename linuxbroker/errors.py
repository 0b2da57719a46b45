"""Exceptions raised by linuxbroker.

    BrokerError
    ├── InvalidArgumentError (also a ValueError)   an argument is invalid; nothing was sent
    ├── BrokerResponseError                        the broker returned an error
    │   ├── InteractionRequiredError               the user must act: acquire_token_interactive
    │   ├── NoNetworkError                         the broker has no network connection
    │   ├── ServerUnavailableError                 Entra or the broker is temporarily unavailable
    │   ├── ApiContractError                       the broker rejected the request
    │   │   ├── DeclinedScopesError                the token lacks requested scopes
    │   │   ├── MismatchedTokenError               the token is for another account or tenant than requested
    │   │   └── AccountRequiredError               the broker requires an account or a login hint
    │   ├── CanceledError                          the sign-in was canceled
    │   │   └── UserCanceledError                  ... by the user
    │   ├── ConfigurationError                     misconfigured: app registration, authority or device
    │   │   └── RedirectUriError                   the app registration lacks the broker's redirect URI
    │   ├── AccountUnusableError                   the account cannot be used: sign in again, or use another
    │   │   └── AccountNotFoundError               the broker does not know the account
    │   │       └── NoAccountError                 the broker has no account for this user
    │   ├── DeviceNotRegisteredError               the device is not enrolled
    │   ├── NoDisplayError                         no sign-in window: there is no graphical session
    │   └── UnsupportedOperationError              this broker does not implement the method or the kind of token
    └── BrokerUnreachableError                     no usable reply
        ├── NoSessionBusError                      there is no session bus, or no connection to it
        ├── BrokerNotInstalledError                no broker is installed
        ├── BrokerStartError                       the broker is installed, but did not start
        ├── BrokerTimeoutError                     no reply within the time limit
        ├── BrokerDisconnectedError                the broker or the bus disconnected during the call
        ├── UntrustedBrokerError                   bus or name owner not trusted; nothing was sent
        └── BrokerProtocolError                    the reply is invalid

Messages never contain a token, a cookie or a password.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from linuxbroker.redaction import texts
from linuxbroker.wire.models import status as wire_status
from linuxbroker.wire.models.status import Status

NATIVE_CLIENT_REDIRECT_URI = "https://login.microsoftonline.com/common/oauth2/nativeclient"


# Added to the message of a failed method whose effect might otherwise be assumed.
NOT_DONE: Mapping[str, str] = {"removeAccount": " Nobody was signed out."}


class BrokerError(Exception):
    """Base class of all exceptions raised by this library.

    Its message is one printable line of at most 4,000 characters.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(
            *(texts.shown(arg, texts.MAX_MESSAGE_CHARACTERS) if isinstance(arg, str) else arg for arg in args)
        )


class InvalidArgumentError(BrokerError, ValueError):
    """An argument is invalid; nothing was sent."""


class BrokerResponseError(BrokerError):
    """The broker returned an error. Source: PROTOCOL.md, "Errors".

    Attributes:
        method: the D-Bus method that was called.
        status: the status; ``Status.UNEXPECTED`` if it is unknown.
        sub_status: the sub-status number.
        error_code: the error code number.
        tag: the number of the place in the broker's code.
        tag_name: the tag as Microsoft's logs spell it (``965ya``), or the empty string.
        context: the broker's description, without anything that could be a secret.
        sub_error: Entra's sub-error (``token_expired``), or the empty string.
        oauth_error: Entra's OAuth error (``invalid_grant``) if the broker quotes it, or the empty string.
        diagnostics: the broker's own details, without anything that could be a secret.
        aadsts_codes: Entra's error codes in the context, such as ``("AADSTS50078",)``.
        telemetry: the broker's telemetry for the call.
        correlation_id: the ID of the call in the broker's and Entra's logs.
        username: the UPN of the account concerned, or the empty string.
        dbus_error: the name of the D-Bus error if the broker returned one, or the empty string.
        empty_reply: whether the reply was the empty text, which gives no reason.
    """

    advice = ""

    def __init__(
        self,
        *,
        method: str,
        status: Status = Status.UNEXPECTED,
        context: str = "",
        sub_status: int = 0,
        error_code: int = 0,
        tag: int = 0,
        sub_error: str = "",
        diagnostics: Mapping[str, Any] | None = None,
        telemetry: Mapping[str, Any] | None = None,
        correlation_id: str = "",
        username: str = "",
        dbus_error: str = "",
        empty_reply: bool = False,
    ) -> None:
        self.method = method
        self.status = status
        self.sub_status = sub_status
        self.error_code = error_code
        self.tag = tag
        self.tag_name = wire_status.tag_name(tag)
        self.context = context
        self.diagnostics = dict(diagnostics or {})
        self.sub_error = sub_error or wire_status.sub_error(context) or self._diagnostic("oauth2_sub_error_code")
        self.aadsts_codes = wire_status.aadsts_codes(context)
        self.oauth_error = wire_status.oauth_error(context) or self._diagnostic("raw_error_code")
        self.telemetry = dict(telemetry or {})
        self.correlation_id = correlation_id
        self.username = username
        self.dbus_error = dbus_error
        self.empty_reply = empty_reply
        super().__init__(self._message())

    def __reduce__(self) -> tuple[Any, ...]:
        """Support copying and pickling, which cannot pass keyword arguments."""
        return _restore, (type(self), self.args, self.__dict__)

    def _diagnostic(self, key: str) -> str:
        """A value that Microsoft's broker 2.0.1 reports in its diagnostics only (PROTOCOL.md, "Errors")."""
        return str(self.diagnostics.get(key) or "")

    def _message(self) -> str:
        user = f" for {self.username}" if self.username else ""
        details = [f"status {self.status.wire_name}"]
        if self.error_code:
            details.append(f"error code {self.error_code}")
        if self.tag_name:
            details.append(f"tag {self.tag_name}")
        if self.correlation_id:
            details.append(f"correlation ID {self.correlation_id}")
        reason = (self.context or "the broker gave no reason").rstrip(".")
        advice = f" {self.advice}" if self.advice else ""
        return f"{self.method} failed{user}: {reason}.{NOT_DONE.get(self.method, '')} ({', '.join(details)}){advice}"


def _restore(
    kind: type[BrokerResponseError], args: tuple[Any, ...], attributes: Mapping[str, Any]
) -> BrokerResponseError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


class InteractionRequiredError(BrokerResponseError):
    """The user must act: sign in, consent, or pass multi-factor authentication."""

    advice = "Sign the user in with acquire_token_interactive (linuxbroker token --interactive --scope SCOPE)."


class NoNetworkError(BrokerResponseError):
    """The broker has no network connection."""

    advice = "Check the network connection and try again."


class ServerUnavailableError(BrokerResponseError):
    """Entra or the broker is temporarily unavailable."""

    advice = "Try again later."


class ApiContractError(BrokerResponseError):
    """The broker rejected the request."""


class DeclinedScopesError(ApiContractError):
    """The token lacks requested scopes; it was discarded.

    Attributes:
        declined_scopes: the requested scopes that were not granted.
        granted_scopes: the scopes that were granted.
    """

    advice = (
        "Request scopes by their full names, such as https://graph.microsoft.com/Files.ReadWrite, request only those "
        "that were granted, or have the user or an administrator consent to the others."
    )

    def __init__(self, *, declined_scopes: Sequence[str], granted_scopes: Sequence[str], **details: Any) -> None:
        self.declined_scopes = tuple(declined_scopes)
        self.granted_scopes = tuple(granted_scopes)
        super().__init__(**details)


class MismatchedTokenError(ApiContractError):
    """The token is for another account or tenant than requested; it was discarded."""

    advice = "Pass an account from get_accounts, and an authority whose tenant the broker serves."


class AccountRequiredError(ApiContractError):
    """The broker requires an account or a login hint for a sign-in.

    Attributes:
        usernames: the UPNs of the users that the broker lists, each once.
    """

    advice = (
        "Pass account= from get_accounts, or login_hint= (linuxbroker token --interactive --account UPN --scope SCOPE)."
    )

    def __init__(self, *, usernames: Sequence[str] = (), **details: Any) -> None:
        self.usernames = tuple(usernames)
        super().__init__(**details)


class CanceledError(BrokerResponseError):
    """The sign-in was canceled."""


class UserCanceledError(CanceledError):
    """The user canceled the sign-in."""


class ConfigurationError(BrokerResponseError):
    """The app registration, the authority or the device is misconfigured."""

    advice = "Check the app registration (client ID, redirect URI, permissions) and the authority."


class RedirectUriError(ConfigurationError, ValueError):
    """The app registration lacks the redirect URI that the broker uses (AADSTS50011, AADSTS7000218).

    It is a ``ValueError`` because MSAL's exception of this name is one.
    """

    advice = (
        f"Register the redirect URI {NATIVE_CLIENT_REDIRECT_URI} for the app (Entra admin center, App registrations, "
        "Authentication, Mobile and desktop applications) and allow public client flows."
    )


class AccountUnusableError(BrokerResponseError):
    """The account cannot be used: it is signed out or disabled, or its data are missing."""

    advice = "List the accounts again (get_accounts), or sign in again with acquire_token_interactive."


class AccountNotFoundError(AccountUnusableError):
    """The broker does not know the account."""


class NoAccountError(AccountNotFoundError):
    """The broker has no account for this user, who is local to this machine."""

    advice = (
        "Sign in to the machine with a work account, or enroll the machine (Microsoft: Company Portal; Himmelblau: "
        "aad-tool)."
    )


class NoDisplayError(BrokerResponseError):
    """The broker cannot open a sign-in window because there is no graphical session."""

    advice = (
        "Sign in from a graphical session. If this is one, pass its display to the bus that starts the broker: run "
        "'dbus-update-activation-environment --systemd DISPLAY WAYLAND_DISPLAY'."
    )


class DeviceNotRegisteredError(BrokerResponseError):
    """The device is not registered with the tenant."""

    advice = "Enroll the device: open Company Portal (package intune-portal), or run 'aad-tool enroll' with Himmelblau."


class UnsupportedOperationError(BrokerResponseError):
    """This broker does not implement the method or the kind of token."""

    advice = "This broker does not support the operation; 'linuxbroker version' shows its version."


class BrokerUnreachableError(BrokerError):
    """There is no usable reply: the bus or the broker is unavailable or not trusted, or the reply is invalid.

    Attributes:
        method: the D-Bus method that was called, or the empty string.
        correlation_id: the ID of the call in the broker's logs, or the empty string.
    """

    def __init__(self, message: str, *, method: str = "", correlation_id: str = "") -> None:
        super().__init__(message)
        self.method = method
        self.correlation_id = correlation_id


class NoSessionBusError(BrokerUnreachableError):
    """There is no session bus, or no connection to it."""


class BrokerNotInstalledError(BrokerUnreachableError):
    """No broker is installed."""


class BrokerStartError(BrokerUnreachableError):
    """The broker is installed, but did not start."""


class BrokerTimeoutError(BrokerUnreachableError, TimeoutError):
    """There was no reply within the time limit."""


class BrokerDisconnectedError(BrokerUnreachableError):
    """The broker or the bus disconnected during the call."""


class UntrustedBrokerError(BrokerUnreachableError):
    """The bus, or the process that owns the broker's bus name, is not trusted; nothing was sent to it.

    With ``trust="strict"`` every call is checked. Otherwise only a password, a token to renew and a sign-in are
    refused, if the bus belongs to another user who is not root and ``allow_bus_of_other_user=True`` is not set.

    Attributes:
        pid: the process ID of the owner of the broker's name; None if the bus does not report it, or is itself not
            trusted.
        uid: the user ID of that process, or of the bus; None if it is unknown.
        executable: the path of the process's executable, or the empty string if it is unknown.
        reason: why it is not trusted.
    """

    pid: int | None = None
    uid: int | None = None
    executable: str = ""
    reason: str = ""


class BrokerProtocolError(BrokerUnreachableError):
    """The broker's reply is invalid."""


ERROR_CLASSES: Mapping[Status, type[BrokerResponseError]] = {
    Status.UNEXPECTED: BrokerResponseError,
    Status.RESERVED: BrokerResponseError,
    Status.INTERACTION_REQUIRED: InteractionRequiredError,
    Status.NO_NETWORK: NoNetworkError,
    Status.NETWORK_TEMPORARILY_UNAVAILABLE: NoNetworkError,
    Status.SERVER_TEMPORARILY_UNAVAILABLE: ServerUnavailableError,
    Status.API_CONTRACT_VIOLATION: ApiContractError,
    Status.USER_CANCELED: UserCanceledError,
    Status.APPLICATION_CANCELED: CanceledError,
    Status.INCORRECT_CONFIGURATION: ConfigurationError,
    Status.INSUFFICIENT_BUFFER: BrokerResponseError,
    Status.AUTHORITY_UNTRUSTED: ConfigurationError,
    Status.USER_SWITCH: AccountUnusableError,
    Status.ACCOUNT_UNUSABLE: AccountUnusableError,
    Status.USER_DATA_REMOVAL_REQUIRED: AccountUnusableError,
    Status.TRANSIENT_ERROR: ServerUnavailableError,
    Status.ACCOUNT_SWITCH: AccountUnusableError,
    Status.DEVICE_NOT_REGISTERED: DeviceNotRegisteredError,
    Status.KEY_NOT_FOUND: AccountUnusableError,
    Status.ACCOUNT_NOT_FOUND: AccountNotFoundError,
    Status.REQUIRED_BROKER_MISSING: ConfigurationError,
    Status.FALLBACK_TO_NATIVE_MSAL: BrokerResponseError,
}
