"""How does the runtime say that a call failed? Each failure in the status, tag and words of Microsoft's runtime.

The tags and texts are those that it was seen to give (PROTOCOL.md, "Errors", and tests/compat, which compares them).
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
from linuxbroker.runtime.answers import MSALRuntimeError
from linuxbroker.runtime.logs import personal
from linuxbroker.runtime.values import Response_Status
from linuxbroker.wire.models import Status

# Where in Microsoft's runtime a failure arises, by what goes wrong.
_DBUS_ERROR_TAG = 508605725
_NO_DBUS_REPLY_TAG = 508605727
_NO_USABLE_REPLY_TAG = 507316096
_DECLINED_SCOPES_TAG = 593794722
# What stands in place of the tag of a broker that gives none, by Entra's error where the broker names it.
_TAG_WITHOUT_DIAGNOSTICS = 529117665
_TAG_OF_OTHER_ERRORS = 529117664
_TAGS_BY_OAUTH_ERROR = {"invalid_grant": 529117662, "interaction_required": 526767490}


class RefusedError(Exception):
    """A call that fails here: nothing, or nothing more, is sent.

    Args:
        status: the outcome.
        tag: where in Microsoft's runtime it arises.
        context: what happened.
    """

    def __init__(self, status: Status, tag: int, context: str) -> None:
        super().__init__(context)
        self.status = status
        self.tag = tag
        self.context = context


def authority_missing() -> RefusedError:
    """The authority is no URL."""
    return RefusedError(Status.API_CONTRACT_VIOLATION, 507605313, "Authority cannot be null.")


def client_id_missing() -> RefusedError:
    """There is no client id to get a token for."""
    return RefusedError(Status.API_CONTRACT_VIOLATION, 590899092, "Client ID is a required authentication parameter")


def client_id_missing_in_discovery() -> RefusedError:
    """There is no client id to list accounts for."""
    return RefusedError(Status.API_CONTRACT_VIOLATION, 576582992, "ClientID cannot be empty while discovering accounts")


def claims_malformed(claims: str) -> RefusedError:
    """The claims challenge is not the text of a JSON object."""
    return RefusedError(
        Status.API_CONTRACT_VIOLATION,
        591975578,
        f"Failed to parse non-empty claims challenge '{personal(claims)}' to Json due to invalid format.",
    )


def parameter_reserved(name: str) -> RefusedError:
    """An additional parameter is one that the runtime sets itself."""
    return RefusedError(
        Status.API_CONTRACT_VIOLATION, 590899090, f"Disallowed additional query parameter was used: '{name}'"
    )


def key_id_missing() -> RefusedError:
    """A token is to be bound to a key, and the key has no id."""
    return RefusedError(Status.API_CONTRACT_VIOLATION, 521203746, "req_cnf parameter should contain a key id (kid)")


def redirect_uri_missing() -> RefusedError:
    """The user can't be asked without a redirect URI."""
    return RefusedError(
        Status.API_CONTRACT_VIOLATION,
        590899094,
        "Called AcquireTokenInteractively but no redirect URI was provided",
    )


def scopes_missing() -> RefusedError:
    """Nothing is asked for; ``openid``, ``profile`` and ``offline_access`` don't count."""
    return RefusedError(
        Status.API_CONTRACT_VIOLATION,
        504698626,
        "Scopes are a required authentication parameter in token acquisition flow",
    )


def username_missing() -> RefusedError:
    """There is a password without a user name."""
    return RefusedError(Status.API_CONTRACT_VIOLATION, 590899099, "Username cannot be empty in UsernamePassword flow")


def password_missing() -> RefusedError:
    """The password is the empty text."""
    return RefusedError(Status.API_CONTRACT_VIOLATION, 590899100, "Password cannot be empty in UsernamePassword flow")


def no_personal_account() -> RefusedError:
    """The broker has work accounts only, and the authority is that of personal ones."""
    return RefusedError(Status.INTERACTION_REQUIRED, 527512645, "Default account could not be found")


def no_personal_refresh_token() -> RefusedError:
    """A work account has no token for the authority of personal accounts."""
    return RefusedError(Status.INTERACTION_REQUIRED, 592585054, "No valid refresh tokens available in the cache.")


def account_signed_out() -> RefusedError:
    """The account was signed out of the application, and not signed in since."""
    return RefusedError(
        Status.ACCOUNT_UNUSABLE, 540940121, "Account has previously been signed out of this application."
    )


def account_unknown(account_id: str) -> RefusedError:
    """No account has the id."""
    return RefusedError(Status.ACCOUNT_NOT_FOUND, 525678464, f"Account with id '{personal(account_id)}' not found")


def already_asking() -> RefusedError:
    """Another sign-in of this process has its window open."""
    return RefusedError(
        Status.API_CONTRACT_VIOLATION,
        523883728,
        "An interactive authentication flow is already in progress. Please close the existing window and try again.",
    )


def pop_unavailable() -> RefusedError:
    """A proof-of-possession token was asked for, and another kind came."""
    return RefusedError(Status.UNEXPECTED, 589969245, "PoP is not available")


def account_missing() -> RefusedError:
    """The reply does not say whose token it holds."""
    return RefusedError(Status.UNEXPECTED, 544879267, "No error and no account in the result")


def canceled_sign_in() -> RefusedError:
    """The application cancelled a sign-in: in the words in which the broker is told."""
    return RefusedError(Status.USER_CANCELED, 579379414, "The InteractiveRequest was canceled on behalf of the user")


def canceled() -> RefusedError:
    """The application cancelled a call that asks nobody."""
    return RefusedError(Status.APPLICATION_CANCELED, 0, "The application canceled the call.")


def failure_of(error: BaseException) -> tuple[Status, MSALRuntimeError]:
    """Give what ended a call as the application gets it.

    Args:
        error: what was raised.

    Returns:
        The status, and the error with it.
    """
    if isinstance(error, RefusedError):
        return _failure(error.status, 0, error.tag, error.context)
    if isinstance(error, DeclinedScopesError):
        declined = personal(" ".join(error.declined_scopes))
        text = f"Token response failed because declined scopes are present:'{declined}'"
        return _failure(error.status, error.error_code, _DECLINED_SCOPES_TAG, text)
    if isinstance(error, BrokerResponseError):
        if error.dbus_error:
            return _failure(error.status, error.error_code, _DBUS_ERROR_TAG, _of_dbus(error))
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
    # A bug: its text may hold anything.
    return _failure(Status.UNEXPECTED, 0, 0, f"linuxbroker failed: {type(error).__name__}")


def _untagged(error: BrokerResponseError) -> tuple[Status, MSALRuntimeError]:
    """A failure as brokers up to 2.0.1 report it: Entra's error goes behind the context."""
    oauth_error = str(error.diagnostics.get("raw_error_code", ""))
    tag = _TAGS_BY_OAUTH_ERROR.get(oauth_error, _TAG_OF_OTHER_ERRORS)
    if not error.diagnostics:
        tag = _TAG_WITHOUT_DIAGNOSTICS
    return _failure(error.status, error.error_code, tag, f"{error.context}|{oauth_error}")


def _of_dbus(error: BrokerResponseError) -> str:
    text = error.context.removesuffix(f" ({error.dbus_error})")
    return f"DBUS failed to send a message. Error: {error.dbus_error} ({text})."


def _failure(status: Status, error_code: int, tag: int, context: str) -> tuple[Status, MSALRuntimeError]:
    return status, MSALRuntimeError(Response_Status[f"Status_{status.wire_name}"], error_code, tag, context)
