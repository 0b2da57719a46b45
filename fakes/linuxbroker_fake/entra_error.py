"""The errors of the fake Entra: Entra's numbers with texts of this project."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "APP_UNKNOWN",
    "CONSENT_REQUIRED",
    "PASSWORD_WRONG",
    "REDIRECT_URI_UNKNOWN",
    "REQUEST_MALFORMED",
    "SCOPES_MISSING",
    "SCOPE_INVALID",
    "SCOPE_OF_TWO_RESOURCES",
    "TENANT_UNKNOWN",
    "USER_UNKNOWN",
    "EntraError",
    "Refusal",
]


class EntraError(Exception):
    """An error of Entra.

    Args:
        code: the AADSTS number, such as 65001.
        oauth_error: the OAuth 2.0 error, such as ``invalid_grant``.
        description: a text that begins with ``AADSTS<code>: ``.
        suberror: Entra's sub-error, such as ``consent_required``, or ``""``.
    """

    def __init__(self, code: int, oauth_error: str, description: str, suberror: str = "") -> None:
        super().__init__(code, oauth_error, description, suberror)
        self.code = code
        self.oauth_error = oauth_error
        self.description = description
        self.suberror = suberror

    def __str__(self) -> str:
        return self.description


@dataclass(frozen=True)
class Refusal:
    """A kind of error: numbers, and a text with ``{}`` for the details."""

    code: int
    oauth_error: str
    text: str
    suberror: str = ""

    def error(self, **details: str) -> EntraError:
        """Create the exception, for the caller to raise.

        Args:
            details: a value for each ``{}`` in the text; never a password or a token.

        Returns:
            The exception.
        """
        description = f"AADSTS{self.code}: {self.text.format(**details)}"
        return EntraError(self.code, self.oauth_error, description, self.suberror)


USER_UNKNOWN = Refusal(50034, "invalid_grant", "No user {upn!r} in the directory {tenant!r}.")
PASSWORD_WRONG = Refusal(50126, "invalid_grant", "Invalid username or password.")
TENANT_UNKNOWN = Refusal(90002, "invalid_request", "No tenant {tenant!r}; check the authority.")
APP_UNKNOWN = Refusal(
    700016, "unauthorized_client", "No application {client_id!r}; register it, or check the client ID."
)
REDIRECT_URI_UNKNOWN = Refusal(
    50011, "invalid_request", "The redirect URI {redirect_uri!r} is not registered for the application {client_id!r}."
)
CONSENT_REQUIRED = Refusal(
    65001, "invalid_grant", "No consent for {scopes} for the application {client_id!r}.", "consent_required"
)
SCOPE_OF_TWO_RESOURCES = Refusal(
    28000, "invalid_request", "The scopes are of several resources, but a token is for one: {resources}."
)
SCOPES_MISSING = Refusal(900144, "invalid_request", "The request has no scope.")
SCOPE_INVALID = Refusal(70011, "invalid_scope", "The scope {scope!r} is invalid.")
REQUEST_MALFORMED = Refusal(9002313, "invalid_request", "The request is malformed: {reason}.")
