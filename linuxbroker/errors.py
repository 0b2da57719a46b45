"""What can an application catch?

    BrokerError
    ├── InvalidArgumentError (also a ValueError)   nothing was sent: an argument can't be right
    ├── BrokerResponseError                        the broker answered with a failure
    │   ├── InteractionRequiredError               ask the user: acquire_token_interactive
    │   ├── NoNetworkError                         no network, or not at the moment
    │   ├── ServerUnavailableError                 Entra, or the broker, asks to try again later
    │   ├── ApiContractError                       the request was not one the broker accepts
    │   │   ├── DeclinedScopesError                a token came without some of the scopes that were asked for
    │   │   ├── MismatchedTokenError               a token came for another account or tenant than was asked for
    │   │   └── AccountRequiredError               the broker must be told whose sign-in it is
    │   ├── CanceledError                          the sign-in was cancelled
    │   │   └── UserCanceledError                  ... by the user
    │   ├── ConfigurationError                     the app's registration, the authority or the device is set up wrongly
    │   │   └── RedirectUriError                   the app lacks the redirect URI of the broker
    │   ├── AccountUnusableError                   the account can't be used (any more): sign in again, or pick another
    │   │   └── AccountNotFoundError               the broker does not know the account
    │   │       └── NoAccountError                 it has no account for this user at all
    │   ├── DeviceNotRegisteredError               the device is not enrolled
    │   ├── NoDisplayError                         the broker can't ask the user: there is no graphical session
    │   └── UnsupportedOperationError              this broker lacks the method, or what was asked of it
    └── BrokerUnreachableError                     no answer of the broker's was to be had
        ├── NoSessionBusError                      there is no session bus, or it can't be connected to
        ├── BrokerNotInstalledError                nothing on the machine provides the broker
        ├── BrokerStartError                       the broker is installed, but did not start
        ├── BrokerTimeoutError                     no reply within the time limit
        ├── BrokerDisconnectedError                the broker, or the bus, went away during the call
        ├── UntrustedBrokerError                   another program may have taken the broker's name; nothing was sent
        └── BrokerProtocolError                    the reply made no sense

Texts never hold a token, a cookie or a password.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from linuxbroker import texts
from linuxbroker.models import status as words
from linuxbroker.models.status import Status

NATIVE_CLIENT_REDIRECT_URI = "https://login.microsoftonline.com/common/oauth2/nativeclient"


# What did not happen where a method failed, for those who could think that it did.
NOT_DONE: Mapping[str, str] = {"removeAccount": " Nobody was signed out."}


class BrokerError(Exception):
    """Anything that this library raises on purpose. Its text can be shown: one line, of at most 4,000 characters."""

    def __init__(self, *args: object) -> None:
        super().__init__(*(texts.shown(arg, texts.LONGEST_MESSAGE) if isinstance(arg, str) else arg for arg in args))


class InvalidArgumentError(BrokerError, ValueError):
    """An argument can't be right; nothing was sent."""


class BrokerResponseError(BrokerError):
    """The broker answered with a failure. Source: PROTOCOL.md, "Errors".

    Attributes:
        method: the method that was called, as the interface names it.
        status: the status; one that is not known reads as ``Status.UNEXPECTED``.
        sub_status: the sub-status number.
        error_code: the error code number.
        tag: the number that says where in the broker it happened.
        tag_name: the same as Microsoft's logs spell it (``965ya``), or the empty string.
        context: what the broker said, without anything that could be a secret.
        sub_error: Entra's sub-error (``token_expired``), or the empty string.
        oauth_error: Entra's OAuth error (``invalid_grant``) where the broker quotes it, or the empty string.
        diagnostics: the broker's own details, without anything that could be a secret.
        aadsts_codes: Entra's error codes in the context, such as ``("AADSTS50078",)``.
        telemetry: the broker's telemetry for the call.
        correlation_id: the id that the broker's and Entra's logs have for the call.
        dbus_error: the D-Bus error's name where the failure came as one, else the empty string.
        empty_reply: whether the broker answered with the empty text, and so gave no reason.
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
        self.tag_name = words.tag_name(tag)
        self.context = context
        self.diagnostics = dict(diagnostics or {})
        self.sub_error = sub_error or words.sub_error(context) or self._diagnosed("oauth2_sub_error_code")
        self.aadsts_codes = words.aadsts_codes(context)
        self.oauth_error = words.oauth_error(context) or self._diagnosed("raw_error_code")
        self.telemetry = dict(telemetry or {})
        self.correlation_id = correlation_id
        self.username = username
        self.dbus_error = dbus_error
        self.empty_reply = empty_reply
        super().__init__(self._describe())

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a failure be copied, and pickled out of a worker process, which can't give keywords by itself."""
        return _restored, (type(self), self.args, self.__dict__)

    def _diagnosed(self, key: str) -> str:
        """What Microsoft's broker 2.0.1 says in its diagnostics (PROTOCOL.md, "Errors")."""
        return str(self.diagnostics.get(key) or "")

    def _describe(self) -> str:
        who = f" for {self.username}" if self.username else ""
        details = [f"status {self.status.wire_name}"]
        if self.error_code:
            details.append(f"error code {self.error_code}")
        if self.tag_name:
            details.append(f"tag {self.tag_name}")
        if self.correlation_id:
            details.append(f"correlation id {self.correlation_id}")
        said = (self.context or "the broker gave no reason").rstrip(".")
        advice = f" {self.advice}" if self.advice else ""
        return f"{self.method} failed{who}: {said}.{NOT_DONE.get(self.method, '')} ({', '.join(details)}){advice}"


def _restored(
    kind: type[BrokerResponseError], args: tuple[Any, ...], attributes: Mapping[str, Any]
) -> BrokerResponseError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


class InteractionRequiredError(BrokerResponseError):
    """The user has to do something: sign in, consent, pass a multi-factor prompt."""

    advice = "Sign the user in with acquire_token_interactive (linuxbroker token --interactive)."


class NoNetworkError(BrokerResponseError):
    """The broker can't reach the network."""

    advice = "Check the network connection and try again."


class ServerUnavailableError(BrokerResponseError):
    """The service, or the broker, is not available at the moment."""

    advice = "Try again in a moment."


class ApiContractError(BrokerResponseError):
    """The broker does not accept the request as it was."""


class DeclinedScopesError(ApiContractError):
    """A token came, but without some of the scopes that were asked for; the token was thrown away.

    Attributes:
        declined_scopes: the scopes asked for and not granted.
        granted_scopes: the scopes that were granted.
    """

    advice = (
        "Ask with full names, such as https://graph.microsoft.com/Files.ReadWrite, or for the granted scopes only, or "
        "have the user or an administrator consent to the others."
    )

    def __init__(self, *, declined_scopes: Sequence[str], granted_scopes: Sequence[str], **details: Any) -> None:
        self.declined_scopes = tuple(declined_scopes)
        self.granted_scopes = tuple(granted_scopes)
        super().__init__(**details)


class MismatchedTokenError(ApiContractError):
    """A token came, but for another account or tenant than was asked for; it was thrown away."""

    advice = "List the accounts (get_accounts) and ask for one of them, in a tenant that the broker serves."


class AccountRequiredError(ApiContractError):
    """The broker does not ask who signs in: it must be told the account.

    Attributes:
        usernames: the UPNs of the users whom the broker lists, each once.
    """

    advice = "Pass account= from get_accounts, or login_hint= (linuxbroker token --interactive --account UPN)."

    def __init__(self, *, usernames: Sequence[str] = (), **details: Any) -> None:
        self.usernames = tuple(usernames)
        super().__init__(**details)


class CanceledError(BrokerResponseError):
    """The sign-in was cancelled."""


class UserCanceledError(CanceledError):
    """The user cancelled the sign-in."""


class ConfigurationError(BrokerResponseError):
    """The app's registration, the authority or the device is set up in a way that can't work."""

    advice = "Check the app registration (client id, redirect URI, permissions) and the authority."


class RedirectUriError(ConfigurationError, ValueError):
    """The app registration lacks the redirect URI that the broker uses (AADSTS50011, AADSTS7000218).

    A ``ValueError`` as MSAL's own of this name is.
    """

    advice = (
        f"Register the redirect URI {NATIVE_CLIENT_REDIRECT_URI} for the app (Entra admin center, App registrations, "
        "Authentication, Mobile and desktop applications) and allow public client flows."
    )


class AccountUnusableError(BrokerResponseError):
    """The account can't be used: signed out, disabled, or its data are gone."""

    advice = "List the accounts again (get_accounts), or sign in anew with acquire_token_interactive."


class AccountNotFoundError(AccountUnusableError):
    """The broker does not know the account."""


class NoAccountError(AccountNotFoundError):
    """The broker has no account for this user: on this machine they are a local user."""

    advice = (
        "Sign in to the machine with a work account, or enrol it (Himmelblau: aad-tool; Microsoft's: Company Portal)."
    )


class NoDisplayError(BrokerResponseError):
    """The broker can't ask the user, as there is no graphical session."""

    advice = (
        "Sign in from a graphical session. In one, the bus that starts the broker must know it: run "
        "'dbus-update-activation-environment --systemd DISPLAY WAYLAND_DISPLAY'."
    )


class DeviceNotRegisteredError(BrokerResponseError):
    """The device is not registered with the tenant."""

    advice = (
        "Enrol the device: open Company Portal (the package intune-portal), or run aad-tool enroll with Himmelblau."
    )


class UnsupportedOperationError(BrokerResponseError):
    """The broker on this machine does not have this method, or this kind of token."""

    advice = "Himmelblau and old brokers lack some operations; 'linuxbroker version' shows the broker's version."


class BrokerUnreachableError(BrokerError):
    """No answer of the broker's was to be had.

    Attributes:
        method: the method that was called, as the interface names it, or the empty string.
        correlation_id: the id that the broker's logs may have for the call, or the empty string.
    """

    def __init__(self, message: str, *, method: str = "", correlation_id: str = "") -> None:
        super().__init__(message)
        self.method = method
        self.correlation_id = correlation_id


class NoSessionBusError(BrokerUnreachableError):
    """There is no session bus, or it can't be connected to."""


class BrokerNotInstalledError(BrokerUnreachableError):
    """Nothing on the machine provides the broker."""


class BrokerStartError(BrokerUnreachableError):
    """The broker is installed, but did not start."""


class BrokerTimeoutError(BrokerUnreachableError, TimeoutError):
    """No reply within the time limit."""


class BrokerDisconnectedError(BrokerUnreachableError):
    """The broker, or the bus, went away during the call."""


class UntrustedBrokerError(BrokerUnreachableError):
    """The bus, or the process that owns the broker's bus name, is not trusted; nothing was sent to it.

    With ``trust="strict"`` that goes for every call; otherwise for a password, a token to renew and a sign-in where the
    bus belongs to another user who is not root, unless ``allow_bus_of_other_user=True`` was given.

    Attributes:
        pid: the id of the process that owns the broker's name; None where the bus does not tell, or is itself meant.
        uid: that process's user id, or that of the bus; None where it is not told.
        executable: the path of the process's executable, or the empty string where that can't be seen.
        reason: why it is not trusted.
    """

    pid: int | None = None
    uid: int | None = None
    executable: str = ""
    reason: str = ""


class BrokerProtocolError(BrokerUnreachableError):
    """The broker's reply made no sense."""


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
