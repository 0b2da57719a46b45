"""Failures of calls, with the status, tag and context of Microsoft's runtime.

The tags and texts were observed (PROTOCOL.md, "Errors"); tests/compat compares them.
"""

from __future__ import annotations

from linuxbroker.errors import (
    BrokerDisconnectedError,
    BrokerError,
    BrokerProtocolError,
    BrokerResponseError,
    BrokerTimeoutError,
    DeclinedScopesError,
    InvalidArgumentError,
)
from linuxbroker.runtime.enums import Response_Status
from linuxbroker.runtime.logs import mask_pii
from linuxbroker.runtime.results import MSALRuntimeError
from linuxbroker.wire.models import Status

# The places in Microsoft's runtime at which failures occur.
_DBUS_ERROR_TAG = 508605725
_NO_DBUS_REPLY_TAG = 508605727
_NO_USABLE_REPLY_TAG = 507316096
_DECLINED_SCOPES_TAG = 593794722
# The tags for failures of brokers that report none, by Entra's error if the broker names it.
_TAG_WITHOUT_DIAGNOSTICS = 529117665
_TAG_OF_OTHER_ERRORS = 529117664
_TAGS_BY_OAUTH_ERROR = {"invalid_grant": 529117662, "interaction_required": 526767490}


class LocalError(Exception):
    """A failure that the runtime itself detects; nothing more is sent.

    Args:
        status: the status.
        tag: the number of the place in Microsoft's runtime at which it occurs.
        context: the description.
    """

    def __init__(self, status: Status, tag: int, context: str) -> None:
        super().__init__(context)
        self.status = status
        self.tag = tag
        self.context = context


def authority_missing() -> LocalError:
    """The authority is not a URL."""
    return LocalError(Status.API_CONTRACT_VIOLATION, 507605313, "Authority cannot be null.")


def client_id_missing() -> LocalError:
    """A token request has no client ID."""
    return LocalError(Status.API_CONTRACT_VIOLATION, 590899092, "Client ID is a required authentication parameter")


def client_id_missing_in_discovery() -> LocalError:
    """A listing of accounts has no client ID."""
    return LocalError(Status.API_CONTRACT_VIOLATION, 576582992, "ClientID cannot be empty while discovering accounts")


def claims_malformed(claims: str) -> LocalError:
    """The claims challenge is not a JSON object."""
    return LocalError(
        Status.API_CONTRACT_VIOLATION,
        591975578,
        f"Failed to parse non-empty claims challenge '{mask_pii(claims)}' to Json due to invalid format.",
    )


def parameter_reserved(name: str) -> LocalError:
    """An additional parameter is reserved for the runtime."""
    return LocalError(
        Status.API_CONTRACT_VIOLATION, 590899090, f"Disallowed additional query parameter was used: '{name}'"
    )


def key_id_missing() -> LocalError:
    """A request for a token bound to a key does not contain the key ID."""
    return LocalError(Status.API_CONTRACT_VIOLATION, 521203746, "req_cnf parameter should contain a key id (kid)")


def redirect_uri_missing() -> LocalError:
    """An interactive sign-in has no redirect URI."""
    return LocalError(
        Status.API_CONTRACT_VIOLATION,
        590899094,
        "Called AcquireTokenInteractively but no redirect URI was provided",
    )


def scopes_missing() -> LocalError:
    """A token request has no scopes besides ``openid``, ``profile`` and ``offline_access``."""
    return LocalError(
        Status.API_CONTRACT_VIOLATION,
        504698626,
        "Scopes are a required authentication parameter in token acquisition flow",
    )


def username_missing() -> LocalError:
    """A password is set without a user name."""
    return LocalError(Status.API_CONTRACT_VIOLATION, 590899099, "Username cannot be empty in UsernamePassword flow")


def password_missing() -> LocalError:
    """The password is empty."""
    return LocalError(Status.API_CONTRACT_VIOLATION, 590899100, "Password cannot be empty in UsernamePassword flow")


def no_personal_account() -> LocalError:
    """The authority is that of personal accounts, and the broker has work accounts only."""
    return LocalError(Status.INTERACTION_REQUIRED, 527512645, "Default account could not be found")


def no_personal_refresh_token() -> LocalError:
    """The authority is that of personal accounts, and the account is a work account."""
    return LocalError(Status.INTERACTION_REQUIRED, 592585054, "No valid refresh tokens available in the cache.")


def account_signed_out() -> LocalError:
    """The account was signed out of the application and has not been signed in since."""
    return LocalError(Status.ACCOUNT_UNUSABLE, 540940121, "Account has previously been signed out of this application.")


def account_unknown(account_id: str) -> LocalError:
    """There is no account with the ID."""
    return LocalError(Status.ACCOUNT_NOT_FOUND, 525678464, f"Account with id '{mask_pii(account_id)}' not found")


def sign_in_in_progress() -> LocalError:
    """Another sign-in of this process is in progress."""
    return LocalError(
        Status.API_CONTRACT_VIOLATION,
        523883728,
        "An interactive authentication flow is already in progress. Please close the existing window and try again.",
    )


def pop_unavailable() -> LocalError:
    """The broker returned another kind of token than the requested proof-of-possession token."""
    return LocalError(Status.UNEXPECTED, 589969245, "PoP is not available")


def account_missing() -> LocalError:
    """The reply does not name the account of the token."""
    return LocalError(Status.UNEXPECTED, 544879267, "No error and no account in the result")


def canceled_sign_in() -> LocalError:
    """The application canceled an interactive sign-in; the text is that of the broker's cancellation."""
    return LocalError(Status.USER_CANCELED, 579379414, "The InteractiveRequest was canceled on behalf of the user")


def canceled() -> LocalError:
    """The application canceled a call without interaction."""
    return LocalError(Status.APPLICATION_CANCELED, 0, "The application canceled the call.")


def to_runtime_error(error: BaseException) -> tuple[Status, MSALRuntimeError]:
    """Convert an exception to the error object for the application.

    Args:
        error: the exception that ended a call.

    Returns:
        The status, and the error object.
    """
    if isinstance(error, LocalError):
        return _failure(error.status, 0, error.tag, error.context)
    if isinstance(error, DeclinedScopesError):
        declined = mask_pii(" ".join(error.declined_scopes))
        text = f"Token response failed because declined scopes are present:'{declined}'"
        return _failure(error.status, error.error_code, _DECLINED_SCOPES_TAG, text)
    if isinstance(error, BrokerResponseError):
        if error.dbus_error:
            return _failure(error.status, error.error_code, _DBUS_ERROR_TAG, _dbus_context(error))
        if error.empty_reply:
            return _failure(error.status, error.error_code, _NO_USABLE_REPLY_TAG, "The broker gave no reason.")
        if not error.tag:
            return _untagged(error)
        return _failure(error.status, error.error_code, error.tag, error.context)
    if isinstance(error, InvalidArgumentError):
        return _failure(Status.API_CONTRACT_VIOLATION, 0, 0, str(error))
    if isinstance(error, BrokerProtocolError):
        return _failure(Status.UNEXPECTED, 0, _NO_USABLE_REPLY_TAG, str(error))
    if isinstance(error, (BrokerTimeoutError, BrokerDisconnectedError)):
        return _failure(Status.UNEXPECTED, 0, _NO_DBUS_REPLY_TAG, f"DBUS failed to send a message. Error: {error}")
    if isinstance(error, BrokerError):
        return _failure(Status.UNEXPECTED, 0, _DBUS_ERROR_TAG, f"DBUS failed to send a message. Error: {error}")
    # A bug: its message may contain secrets.
    return _failure(Status.UNEXPECTED, 0, 0, f"linuxbroker failed: {type(error).__name__}")


def _untagged(error: BrokerResponseError) -> tuple[Status, MSALRuntimeError]:
    """Convert a failure of a broker up to 2.0.1: Entra's error is appended to the context."""
    oauth_error = str(error.diagnostics.get("raw_error_code", ""))
    tag = _TAGS_BY_OAUTH_ERROR.get(oauth_error, _TAG_OF_OTHER_ERRORS)
    if not error.diagnostics:
        tag = _TAG_WITHOUT_DIAGNOSTICS
    return _failure(error.status, error.error_code, tag, f"{error.context}|{oauth_error}")


def _dbus_context(error: BrokerResponseError) -> str:
    text = error.context.removesuffix(f" ({error.dbus_error})")
    return f"DBUS failed to send a message. Error: {error.dbus_error} ({text})."


def _failure(status: Status, error_code: int, tag: int, context: str) -> tuple[Status, MSALRuntimeError]:
    return status, MSALRuntimeError(Response_Status[f"Status_{status.wire_name}"], error_code, tag, context)
