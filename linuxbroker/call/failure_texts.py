"""What the text of a failure means that has no status of its own: one table, each row with its source.

Himmelblau's failures have status 0, or are D-Bus errors with a text; Microsoft's brokers quote Entra's OAuth error.
"""

from __future__ import annotations

from dataclasses import dataclass

from linuxbroker import errors
from linuxbroker.wire.models.status import Status, aadsts_codes, oauth_error


@dataclass(frozen=True)
class Meaning:
    """What a failure means.

    Attributes:
        status: the status that the failure would have, had it one.
        kind: the exception; the status's own if None.
    """

    status: Status
    kind: type[errors.BrokerResponseError] | None = None

    @property
    def error_class(self) -> type[errors.BrokerResponseError]:
        """The class of the exception."""
        return self.kind or errors.ERROR_CLASSES[self.status]


_INTERACTION = Meaning(Status.INTERACTION_REQUIRED)
_NO_ACCOUNT = Meaning(Status.ACCOUNT_NOT_FOUND, errors.NoAccountError)
_ACCOUNT_WANTED = Meaning(Status.API_CONTRACT_VIOLATION, errors.AccountRequiredError)
UNSUPPORTED = Meaning(Status.UNEXPECTED, errors.UnsupportedOperationError)
_CONFIGURATION = Meaning(Status.INCORRECT_CONFIGURATION)
_STARTING = Meaning(Status.TRANSIENT_ERROR)

# All of what is said, in lower case. Source: Himmelblau 4.0, run; its crate identity_dbus_broker is version 0.2.1, and
# 0.1.4 up to Himmelblau 3.1 (PROTOCOL.md, "What a text means").
_TEXTS: dict[str, Meaning] = {
    "failed to authenticate user": _INTERACTION,  # a silent call
    "failed to fetch prt sso cookie": _INTERACTION,
    "unable to find account": _NO_ACCOUNT,  # whoever calls is a local user
    "unable to load account": _NO_ACCOUNT,
    "unable to load accounts": _NO_ACCOUNT,
    "invalid request for user!": Meaning(Status.ACCOUNT_NOT_FOUND),  # not the caller's account
    "missing account": _ACCOUNT_WANTED,
    "missing account username in request": _ACCOUNT_WANTED,  # where it asks the user
    "not implemented": UNSUPPORTED,  # an older one says so as a D-Bus error
    "broker socket read timeout": _STARTING,  # its daemon does not answer
}
# The beginning of what is said.
_BEGINNINGS: tuple[tuple[str, Meaning], ...] = (
    ("interactive authentication failed:", _INTERACTION),  # its prompt was left, or came to nothing
    ("no interactive prompt available", Meaning(Status.UNEXPECTED, errors.NoDisplayError)),
    ("invalid redirecturi", _CONFIGURATION),
    ('error("', Meaning(Status.API_CONTRACT_VIOLATION)),  # the request can't be read
)
# What Himmelblau says, anywhere in the text, while its daemon is not there yet: up to 3.1 the second alone.
_WHILE_STARTING = ("broker socket connect", "no such file or directory (os error 2)")
# What the silence of Himmelblau up to 3.1 means, by what was asked: it answers the empty text to whatever fails.
_SILENCES: dict[str, Meaning] = {
    "acquireTokenSilently": _INTERACTION,
    "acquireTokenInteractively": _INTERACTION,
    "acquirePrtSsoCookie": _INTERACTION,
    "getAccounts": _NO_ACCOUNT,
    "removeAccount": UNSUPPORTED,
    "generateSignedHttpRequest": UNSUPPORTED,
}
# The broker's own check of the granted scopes (PROTOCOL.md, "Scopes").
_DECLINED = "token response failed because declined scopes are present"

# The user can mend these by signing in: a session, a factor or a sign-in that is missing or has expired, a new
# password or consent that is wanted. Source: Entra's list of AADSTS error codes.
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
_OAUTH_ERRORS: dict[str, Meaning] = {
    **dict.fromkeys(("interaction_required", "invalid_grant", "login_required", "consent_required"), _INTERACTION),
    **dict.fromkeys(("invalid_client", "unauthorized_client", "invalid_request", "invalid_scope"), _CONFIGURATION),
    "temporarily_unavailable": Meaning(Status.SERVER_TEMPORARILY_UNAVAILABLE),
}


def meaning_of(text: str, status: Status = Status.UNEXPECTED) -> Meaning:
    """Find out what a failure means.

    Args:
        text: what the broker says.
        status: the status that it gives; unexpected if it gives none.

    Returns:
        The meaning: by the text where the status says nothing, else that of the status.
    """
    codes, said = aadsts_codes(text), text.strip().casefold()
    if _REDIRECT_URI_CODES.intersection(codes):
        return Meaning(status, errors.RedirectUriError)
    if status is Status.API_CONTRACT_VIOLATION and said.startswith(_DECLINED):
        return Meaning(status, errors.DeclinedScopesError)
    if status is not Status.UNEXPECTED:
        return Meaning(status)
    if is_starting(text):
        return _STARTING
    if _INTERACTION_CODES.intersection(codes):
        return _INTERACTION
    by_text = (meaning for beginning, meaning in _BEGINNINGS if said.startswith(beginning))
    found = _TEXTS.get(said) or next(by_text, None) or _OAUTH_ERRORS.get(oauth_error(text).casefold())
    return found or Meaning(status)


def is_starting(text: str) -> bool:
    """Tell whether a broker says that what it depends on is not there yet.

    Args:
        text: what it says.

    Returns:
        Whether it does.
    """
    return any(said in text.casefold() for said in _WHILE_STARTING)


def meaning_of_silence(method: str) -> Meaning | None:
    """Find out what the empty text means as a reply.

    Args:
        method: the method that was called.

    Returns:
        The meaning; None where it has none, as no broker is known to answer so.
    """
    return _SILENCES.get(method)
