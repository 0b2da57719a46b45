"""The differences between the replacement runtime and Microsoft's in the scenarios, each with its reason.

``test_runtimes_side_by_side.py`` fails on a difference that is not here, and on one here that is not there any more.
"""

from __future__ import annotations

from typing import Any


def _invalid_reply(reason: str) -> str:
    return (
        f"acquireTokenSilently: invalid reply from the broker: {reason}. If the broker is not up to date, update it. "
        "(correlation ID id)"
    )


ASKS_THE_BROKER = (
    "Nothing is written to disk: an account that this process has not seen is looked for at the broker. Microsoft's "
    "runtime looks in the user's keyring."
)
NO_CACHE = "Nothing is written to disk, and no token is kept: the broker, which caches, is asked each time."
REFUSED_HERE = "What can't be right is refused before anything is sent, with a text that says what to give instead."
METHOD_IN_CAPITALS = "The signed method is to equal that of the HTTP request, which is in capitals."
NO_MEMORY_OF_ATTEMPTS = "Telemetry of Microsoft's: its second attempt within a process is marked as one."
CANCELS = (
    "A cancelled call ends at once, and the broker is told while its window is open. Microsoft's runtime tells it once "
    "the window is closed, and gives the result of a silent call all the same."
)
PLAIN_STATUS_NAMES = "The telemetry names the statuses as the results do, and no others."
SAYS_WHY = (
    "The text says what is wrong and what to do, with secrets cut out; nothing of a reply that can't be read is in it."
)
ASKS_AGAIN = "A silent call is sent a second time where the broker went away under the first: it does no harm."
READS_HIMMELBLAU = (
    "Himmelblau's failures are an empty text (3.1), or lack tag and error code (4.0): what one means counts, so "
    "that the user is asked; and asked once more with the only account, where the broker wants to be told it."
)
BELIEVES_THAT_NOTHING_IS_GRANTED = "A reply that grants the empty text grants no scope; one that is silent grants all."
TAKES_ONLY_THE_KIND_ASKED_FOR = (
    "A token that is of use only with a key is none to an application that asked for another."
)
READS_THE_HOME_RECORD_ANEW = "After a token of another tenant the account's home record is read from the broker again."
UNDERSTANDS_SECONDS = "An expiry in seconds is one in seconds; Microsoft's runtime takes the token for long expired."
NO_SUCCESS_WITHOUT_TOKEN = "A reply without a token that can be used is a failure."
READS_WHAT_IS_CLEAR = "A reply that leaves no doubt is taken, whatever else it lacks: other brokers write less."

Difference = tuple[str, tuple[Any, Any], str]

_ASKS_ON_HIMMELBLAU: tuple[Difference, ...] = (
    ("1: error.status", ("Unexpected", "InteractionRequired"), READS_HIMMELBLAU),
    (
        "1: telemetry.api_status_code",
        ("StatusInternal::Unexpected", "StatusInternal::InteractionRequired"),
        READS_HIMMELBLAU,
    ),
    (
        "2: requests",
        (
            "getAccounts acquireTokenSilently",
            "getAccounts acquireTokenSilently acquireTokenInteractively acquireTokenInteractively",
        ),
        READS_HIMMELBLAU,
    ),
)

# By scenario: where (see ``runtime_comparison.differences``), what Microsoft's runtime has there, and ours, and why.
AGREED: dict[str, tuple[Difference, ...]] = {
    "an account that nobody has": (
        ("2: requests", ("", "getAccounts"), ASKS_THE_BROKER),
        ("2: telemetry.broker_app_used", ("false", "true"), ASKS_THE_BROKER),
    ),
    "silent tokens for an account": (
        ("16: requests", ("", "getAccounts"), READS_THE_HOME_RECORD_ANEW),
        (
            "7: acquireTokenSilently.authParameters.account.familyName",
            ("", "Lovelace"),
            READS_THE_HOME_RECORD_ANEW,
        ),
        ("7: acquireTokenSilently.authParameters.account.givenName", ("", "Ada"), READS_THE_HOME_RECORD_ANEW),
    ),
    "an account that was not seen": (
        ("1: requests", ("", "getAccounts"), ASKS_THE_BROKER),
        ("1: outcome", ("AccountNotFound: Account with id '(pii)' not found", "success"), ASKS_THE_BROKER),
    ),
    "no scopes in a silent sign-in": (
        ("1: requests", ("getAccounts acquireTokenSilently", ""), REFUSED_HERE),
        (
            "1: outcome",
            (
                "success",
                "ApiContractViolation: Scopes are a required authentication parameter in token acquisition flow",
            ),
            REFUSED_HERE,
        ),
    ),
    "a client id that is no UUID": (
        ("1: requests", ("getAccounts", ""), REFUSED_HERE),
        (
            "1: outcome",
            (
                "success",
                "ApiContractViolation: client_id must be a UUID: the 'Application (client) ID' of the "
                "app registration in the Entra admin center",
            ),
            REFUSED_HERE,
        ),
        ("2: requests", ("getAccounts acquireTokenSilently", ""), REFUSED_HERE),
        (
            "2: outcome",
            (
                "success",
                "ApiContractViolation: client_id must be a UUID: the 'Application (client) ID' of the "
                "app registration in the Entra admin center",
            ),
            REFUSED_HERE,
        ),
    ),
    "no redirect URI": (
        ("1: requests", ("getAccounts acquireTokenSilently", ""), REFUSED_HERE),
        ("1: error.context", ("The request lacks redirectUri.|", "redirect_uri must not be empty"), REFUSED_HERE),
        ("1: error.tag", (529117665, 0), REFUSED_HERE),
        ("1: telemetry.broker_app_used", ("true", "false"), REFUSED_HERE),
    ),
    "an authority without a tenant": (
        (
            "2: error.context",
            (
                "Could not resolve hostname",
                "authority must be https://HOST/TENANT, such as https://login.microsoftonline.com/organizations",
            ),
            REFUSED_HERE,
        ),
        ("2: error.error_code", (6, 0), REFUSED_HERE),
        ("2: error.status", ("NoNetwork", "ApiContractViolation"), REFUSED_HERE),
        ("2: error.tag", (573683463, 0), REFUSED_HERE),
        (
            "2: telemetry.api_status_code",
            ("StatusInternal::NoNetwork", "StatusInternal::ApiContractViolation"),
            REFUSED_HERE,
        ),
    ),
    "a method in small letters": (
        ("1: acquireTokenSilently.authParameters.popParams.httpMethod", ("post", "POST"), METHOD_IN_CAPITALS),
    ),
    "a proof of possession of nothing": (
        ("1: requests", ("getAccounts acquireTokenSilently", ""), REFUSED_HERE),
        (
            "1: error.context",
            ("PoP is not available", "url must be an https URL with a host and without user info"),
            REFUSED_HERE,
        ),
        ("1: error.status", ("Unexpected", "ApiContractViolation"), REFUSED_HERE),
        ("1: error.tag", (589969245, 0), REFUSED_HERE),
        (
            "1: telemetry.api_status_code",
            ("StatusInternal::Unexpected", "StatusInternal::ApiContractViolation"),
            REFUSED_HERE,
        ),
        ("1: telemetry.broker_app_used", ("true", "false"), REFUSED_HERE),
    ),
    "a reserved parameter in capitals": (
        ("1: requests", ("getAccounts acquireTokenSilently", ""), REFUSED_HERE),
        (
            "1: outcome",
            (
                "success",
                "ApiContractViolation: extra_query_parameters must not contain domain_hint: reserved by the broker",
            ),
            REFUSED_HERE,
        ),
    ),
    "a window handle below zero": (
        ("1: requests", ("acquireTokenInteractively", ""), REFUSED_HERE),
        (
            "1: outcome",
            (
                "success",
                "refused: ErrorTag: 540870081, ErrorCode: 0, ErrorContext: Invalid window handle, ErrorStatus: "
                "Response_Status.Status_ApiContractViolation",
            ),
            REFUSED_HERE,
        ),
    ),
    "a user who declines": (
        ("2: acquireTokenInteractively.authParameters.onboardingBlob._reused", (True, "…"), NO_MEMORY_OF_ATTEMPTS),
    ),
    "a sign-in that is cancelled": (
        ("1: outcome", ("success", "UserCanceled: The InteractiveRequest was canceled on behalf of the user"), CANCELS),
    ),
    "a silent sign-in that is cancelled": (
        ("1: outcome", ("success", "ApplicationCanceled: The application canceled the call."), CANCELS),
    ),
    "the same silent token again": (
        ("2: requests", ("", "acquireTokenSilently"), NO_CACHE),
        ("2: account.additional_fields.name", ("…", "Ada Lovelace"), NO_CACHE),
        ("2: telemetry.broker_app_used", ("false", "true"), NO_CACHE),
    ),
    "every status": (
        (
            "2: telemetry.api_status_code",
            ("StatusInternal::Reserved !!!!!!", "StatusInternal::Reserved"),
            PLAIN_STATUS_NAMES,
        ),
        (
            "23: telemetry.api_status_code",
            ("StatusInternal::CertificateNotFound", "StatusInternal::Unexpected"),
            PLAIN_STATUS_NAMES,
        ),
        (
            "24: telemetry.api_status_code",
            ("StatusInternal::MdmEnrollmentHandoff", "StatusInternal::Unexpected"),
            PLAIN_STATUS_NAMES,
        ),
    ),
    "a D-Bus error": (
        (
            "1: error.context",
            (
                "DBUS failed to send a message. Error: org.freedesktop.DBus.Error.Failed ((pii)).",
                "DBUS failed to send a message. Error: org.freedesktop.DBus.Error.Failed (the daemon is away).",
            ),
            SAYS_WHY,
        ),
        (
            "2: requests",
            ("getAccounts acquireTokenSilently", "getAccounts acquireTokenSilently acquireTokenSilently"),
            ASKS_AGAIN,
        ),
        (
            "2: error.context",
            (
                "DBUS failed to send a message. Error: org.freedesktop.DBus.Error.NoReply ((pii)).",
                "DBUS failed to send a message. Error: acquireTokenSilently: the identity broker exited "
                "before it replied: nothing (org.freedesktop.DBus.Error.NoReply). So did the one that the bus started "
                "next. A broker without a display, or with a locked keyring, exits so: unlock the keyring, and "
                "tell the bus of the display with 'dbus-update-activation-environment --systemd DISPLAY "
                "WAYLAND_DISPLAY XAUTHORITY'. Look at 'systemctl --user --failed', 'journalctl --user -t "
                "microsoft-identity-broker' and 'dsreg --status'. (correlation ID id)",
            ),
            SAYS_WHY,
        ),
    ),
    "himmelblau-3.1, for which the user is needed": (
        ("1: error.context", ("responseJson is empty", "The broker gave no reason."), READS_HIMMELBLAU),
        *_ASKS_ON_HIMMELBLAU,
        ("2: outcome", ("Unexpected: responseJson is empty", "success"), READS_HIMMELBLAU),
    ),
    "himmelblau-4.0, for which the user is needed": (
        (
            "1: error.context",
            ("Key 'tag' not found in the json object '(pii)'", "Failed to authenticate user|"),
            READS_HIMMELBLAU,
        ),
        ("1: error.tag", (553769180, 529117665), READS_HIMMELBLAU),
        *_ASKS_ON_HIMMELBLAU,
        ("2: outcome", ("Unexpected: Key 'tag' not found in the json object '(pii)'", "success"), READS_HIMMELBLAU),
    ),
    "a reply that is a number": (
        (
            "1: error.context",
            (
                "Cannot get reply message '(pii)'.",
                _invalid_reply("not a string"),
            ),
            SAYS_WHY,
        ),
        ("1: error.tag", (509097814, 507316096), SAYS_WHY),
    ),
    "the reply: its scopes empty": (
        ("1: granted_scopes", (["https://graph.microsoft.com/.default"], []), BELIEVES_THAT_NOTHING_IS_GRANTED),
    ),
    "the reply: of the kind for proofs": (
        (
            "1: outcome",
            (
                "success",
                "Unexpected: " + _invalid_reply("proof-of-possession token, although a bearer token was requested"),
            ),
            TAKES_ONLY_THE_KIND_ASKED_FOR,
        ),
    ),
    "the reply: its expiry in seconds": (("1: expires_on", (1900000, 1900000000), UNDERSTANDS_SECONDS),),
    "the reply: without a token": (
        (
            "1: outcome",
            (
                "success",
                "Unexpected: " + _invalid_reply("success without an access token"),
            ),
            NO_SUCCESS_WITHOUT_TOKEN,
        ),
    ),
    "the reply: without the kind of token": (
        (
            "1: outcome",
            ("Unexpected: Key 'accessTokenType' not found in the json object '(pii)'", "success"),
            READS_WHAT_IS_CLEAR,
        ),
    ),
    "the reply: its kind as a name": (
        (
            "1: outcome",
            ("Unexpected: Failed to convert value for key 'accessTokenType' to an integer.", "success"),
            READS_WHAT_IS_CLEAR,
        ),
    ),
    "the reply: of an unknown kind": (
        (
            "1: outcome",
            (
                "success",
                "Unexpected: " + _invalid_reply("accessTokenType is neither 0 nor 1"),
            ),
            NO_SUCCESS_WITHOUT_TOKEN,
        ),
    ),
    "the reply: without an expiry": (
        (
            "1: error.context",
            (
                "Key 'expiresOn' not found in the json object '(pii)'",
                _invalid_reply("token without an expiry time"),
            ),
            SAYS_WHY,
        ),
        ("1: error.tag", (553944275, 507316096), SAYS_WHY),
    ),
    "the reply: without a later expiry": (
        (
            "1: outcome",
            ("Unexpected: Key 'extendedExpiresOn' not found in the json object '(pii)'", "success"),
            READS_WHAT_IS_CLEAR,
        ),
    ),
    "the reply: without an ID token": (
        ("1: outcome", ("Unexpected: No error and no account in the result", "success"), READS_WHAT_IS_CLEAR),
    ),
    "the reply: without client info": (
        ("1: outcome", ("Unexpected: No error and no account in the result", "success"), READS_WHAT_IS_CLEAR),
    ),
    "the reply: an ID token that is none": (
        ("1: outcome", ("Unexpected: Payload could not be decoded: '(pii)'", "success"), READS_WHAT_IS_CLEAR),
    ),
    "the reply: an error that is not whole": (
        ("1: error.context", ("Key 'tag' not found in the json object '(pii)'", "planted|"), READS_WHAT_IS_CLEAR),
        ("1: error.status", ("Unexpected", "InteractionRequired"), READS_WHAT_IS_CLEAR),
        ("1: error.tag", (553769180, 529117665), READS_WHAT_IS_CLEAR),
        (
            "1: telemetry.api_status_code",
            ("StatusInternal::Unexpected", "StatusInternal::InteractionRequired"),
            READS_WHAT_IS_CLEAR,
        ),
    ),
    "the reply: no JSON": (
        (
            "1: error.context",
            (
                "responseJson is empty",
                _invalid_reply("not JSON"),
            ),
            SAYS_WHY,
        ),
    ),
    "the reply: null": (
        (
            "1: error.context",
            (
                "responseJson is empty",
                _invalid_reply("not a JSON object"),
            ),
            SAYS_WHY,
        ),
    ),
    "the reply: nothing": (
        (
            "1: error.context",
            (
                "responseJson is empty",
                _invalid_reply("success without an access token"),
            ),
            SAYS_WHY,
        ),
    ),
    "the reply: an empty token part": (
        (
            "1: error.context",
            (
                "Key 'accessTokenType' not found in the json object '(pii)'",
                _invalid_reply("success without an access token"),
            ),
            SAYS_WHY,
        ),
        ("1: error.tag", (553944274, 507316096), SAYS_WHY),
    ),
}
