"""The scenarios of an application that are run on MSAL and on this library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from linuxbroker import Status

ADA, GRACE = "ada@contoso.example", "grace@fabrikam.example"
CONTOSO, FABRIKAM = "00000000-0000-0000-0000-0000000000f1", "00000000-0000-0000-0000-0000000000f2"
ORGANIZATIONS = "https://login.microsoftonline.com/organizations"
GRAPH, STORAGE = "https://graph.microsoft.com/.default", "https://storage.azure.com/user_impersonation"
CLAIMS = '{"access_token": {"nbf": {"essential": true, "value": "1604106651"}}}'
CONSOLE = "console"


@dataclass(frozen=True)
class Scenario:
    """What is done, and to which broker.

    Attributes:
        name: what the scenario shows.
        steps: as ``application_driver.py`` has them.
        application: arguments of the constructor.
        broker: keys of the fake broker's configuration.
        has_broker: whether there is a broker at all.
        differs: rows of the table of agreed differences that show in it.
    """

    name: str
    steps: tuple[dict[str, Any], ...]
    application: dict[str, Any] = field(default_factory=dict)
    broker: dict[str, Any] = field(default_factory=dict)
    has_broker: bool = True
    differs: tuple[str, ...] = ()


def _call(method: str, **arguments: Any) -> dict[str, Any]:
    return {"call": method, "arguments": arguments}


def _sign_in(**arguments: Any) -> dict[str, Any]:
    defaults = {"scopes": [GRAPH], "parent_window_handle": CONSOLE, "on_before_launching_ui": True}
    return _call("acquire_token_interactive", **{**defaults, **arguments})


ACCOUNTS = _call("get_accounts")
ADA_ONLY = {"signed_in": [ADA]}
NOBODY: dict[str, Any] = {"signed_in": []}


def _silent(**arguments: Any) -> dict[str, Any]:
    return _call("acquire_token_silent_with_error", **{"scopes": [STORAGE], "account": ADA, **arguments})


def _failing(kind: str, **details: Any) -> dict[str, Any]:
    methods = ("acquireTokenSilently", "acquireTokenInteractively")
    return {**ADA_ONLY, "faults": [{"kind": kind, "method": method, **details} for method in methods]}


def _quoting(broker: dict[str, Any]) -> dict[str, Any]:
    """The same with a broker that quotes Entra's text, with its AADSTS code; later ones leave it out."""
    return {**broker, "persona": "microsoft-2.0.1"}


SCENARIOS = [
    Scenario("signed in: nobody is asked", (_sign_in(),), broker=ADA_ONLY),
    Scenario("signed in: with a window", (_sign_in(parent_window_handle=4711),), broker=ADA_ONLY),
    Scenario("nobody signed in: the user is asked", (_sign_in(), ACCOUNTS), broker=NOBODY, differs=("realm",)),
    Scenario(
        "the user cancels",
        (_sign_in(), ACCOUNTS),
        broker={**NOBODY, "user": {"action": "cancel"}},
        differs=("failure keys",),
    ),
    Scenario("prompt none, signed in", (_sign_in(prompt="none"),), broker=ADA_ONLY),
    Scenario(
        "prompt none, nobody signed in",
        (_sign_in(prompt="none"),),
        broker=NOBODY,
        differs=(
            "failure keys",
            "wording",
        ),
    ),
    Scenario("prompt login", (_sign_in(prompt="login"),), broker=ADA_ONLY),
    Scenario("prompt consent", (_sign_in(prompt="consent"),), broker=ADA_ONLY),
    Scenario("prompt select_account", (_sign_in(prompt="select_account"),), broker=ADA_ONLY),
    Scenario(
        "prompt select_account with a hint", (_sign_in(prompt="select_account", login_hint=GRACE),), broker=ADA_ONLY
    ),
    Scenario("a prompt that the broker does not know", (_sign_in(prompt="create"),), broker=ADA_ONLY),
    Scenario("hint: the one who is signed in", (_sign_in(login_hint=ADA),), broker=ADA_ONLY),
    Scenario("hint: in capitals", (_sign_in(login_hint=ADA.upper()),), broker=ADA_ONLY, differs=("hint",)),
    Scenario("hint: the second of two", (_sign_in(login_hint=GRACE),), differs=("hint",)),
    Scenario("hint: someone who is not signed in", (_sign_in(login_hint=GRACE),), broker=ADA_ONLY),
    Scenario("hint: someone else, prompt none", (_sign_in(login_hint=GRACE, prompt="none"),), broker=ADA_ONLY),
    Scenario("hint: prompt login", (_sign_in(login_hint=GRACE, prompt="login"),)),
    Scenario(
        "hint: prompt login, when MSAL knows the account",
        (_sign_in(), _sign_in(login_hint=ADA, prompt="login")),
        broker=ADA_ONLY,
        differs=("prompt",),
    ),
    Scenario("hint: prompt consent", (_sign_in(login_hint=GRACE, prompt="consent"),), broker=ADA_ONLY),
    Scenario("hint: again, when MSAL knows the account", (_sign_in(), _sign_in(login_hint=ADA)), broker=ADA_ONLY),
    Scenario("authority: common", (_sign_in(),), {"authority": "https://login.microsoftonline.com/common"}, ADA_ONLY),
    Scenario("authority: none given", (_sign_in(),), {"authority": None}, ADA_ONLY),
    Scenario(
        "authority: home tenant",
        (_sign_in(), ACCOUNTS),
        {"authority": f"https://login.microsoftonline.com/{CONTOSO}"},
        ADA_ONLY,
        differs=("tenant records",),
    ),
    Scenario(
        "authority: as a guest",
        (_sign_in(), ACCOUNTS),
        {"authority": f"https://login.microsoftonline.com/{FABRIKAM}"},
        ADA_ONLY,
        differs=("tenant records",),
    ),
    Scenario(
        "authority: United States",
        (_sign_in(), ACCOUNTS),
        {"authority": "https://login.microsoftonline.us/organizations"},
        ADA_ONLY,
        differs=("tenant records", "realm"),
    ),
    Scenario(
        "authority: China",
        (_sign_in(), ACCOUNTS),
        {"authority": "https://login.partner.microsoftonline.cn/organizations"},
        ADA_ONLY,
        differs=("tenant records", "realm"),
    ),
    Scenario(
        "authority: France",
        (_sign_in(), ACCOUNTS),
        {"authority": "https://login.sovcloud-identity.fr/organizations"},
        ADA_ONLY,
        differs=("tenant records", "realm"),
    ),
    Scenario(
        "authority: an alias",
        (_sign_in(), ACCOUNTS),
        {"authority": "https://login.windows.net/organizations"},
        ADA_ONLY,
        differs=("tenant records", "realm"),
    ),
    Scenario("claims challenge", (_sign_in(claims_challenge=CLAIMS),), broker=ADA_ONLY),
    Scenario("claims that are not JSON", (_sign_in(claims_challenge="nope"),), broker=ADA_ONLY, differs=("refused",)),
    Scenario("client capabilities", (_sign_in(claims_challenge=CLAIMS),), {"client_capabilities": ["CP1"]}, ADA_ONLY),
    Scenario("max_age", (_sign_in(max_age=60),), broker=ADA_ONLY),
    Scenario("extra scopes to consent", (_sign_in(extra_scopes_to_consent=[STORAGE]),), broker=ADA_ONLY),
    Scenario("extra parameters", (_sign_in(data={"lc": "1031"}),), broker=ADA_ONLY),
    Scenario("no window handle", (_sign_in(parent_window_handle=None),), broker=ADA_ONLY, differs=("exceptions",)),
    Scenario("reserved scopes", (_sign_in(scopes=[GRAPH, "openid"]),), broker=ADA_ONLY, differs=("refused",)),
    Scenario(
        "two scopes",
        (_sign_in(scopes=["https://graph.microsoft.com/User.Read", "https://graph.microsoft.com/Mail.Read"]),),
        broker=ADA_ONLY,
    ),
    *(
        Scenario(
            f"status {status.wire_name}",
            (_sign_in(prompt="none"),),
            broker=_failing("status", status=int(status), context="It failed.", error_code=3, tag=595719680),
            differs=("failure keys",),
        )
        for status in Status
    ),
    Scenario(
        "MFA expired: the user is asked",
        (_sign_in(),),
        broker={**ADA_ONLY, "faults": [{"kind": "mfa_expired", "method": "acquireTokenSilently"}]},
    ),
    Scenario(
        "consent is missing",
        (_sign_in(prompt="none"),),
        broker=_quoting(_failing("consent_missing")),
        differs=("failure keys", "wording"),
    ),
    Scenario(
        "device not registered",
        (_sign_in(),),
        broker=_failing("device_not_registered"),
        differs=("failure keys", "wording"),
    ),
    Scenario("no network", (_sign_in(),), broker=_failing("no_network"), differs=("failure keys", "wording")),
    Scenario(
        "keyring locked",
        (_sign_in(),),
        broker=_failing("keyring_locked"),
        differs=(
            "failure keys",
            "wording",
        ),
    ),
    Scenario(
        "wrong redirect URI", (_sign_in(),), broker=_quoting(_failing("redirect_uri_unknown")), differs=("exceptions",)
    ),
    Scenario(
        "a client secret is wanted",
        (_sign_in(),),
        broker=_quoting(_failing("client_secret_required")),
        differs=("exceptions",),
    ),
    Scenario(
        "scopes are declined",
        (_sign_in(scopes=["https://graph.microsoft.com/User.Read", "https://graph.microsoft.com/Mail.Read"]),),
        broker=_failing("scopes_declined"),
        differs=(
            "failure keys",
            "wording",
        ),
    ),
    Scenario(
        "a D-Bus error",
        (_sign_in(prompt="none"),),
        broker=_failing("dbus_error", context="It broke."),
        differs=(
            "failure keys",
            "wording",
        ),
    ),
    Scenario(
        "a reply that makes no sense",
        (_sign_in(prompt="none"),),
        broker=_failing("raw_reply", reply="{}"),
        differs=(
            "failure keys",
            "wording",
        ),
    ),
    Scenario(
        "silent, another resource",
        (_sign_in(), ACCOUNTS, _silent()),
        broker=ADA_ONLY,
        differs=("tenant records", "realm"),
    ),
    Scenario(
        "silent, the same scope again",
        (_sign_in(), ACCOUNTS, _silent(scopes=[GRAPH])),
        broker=ADA_ONLY,
        differs=("cache", "tenant records", "realm"),
    ),
    Scenario(
        "silent, no account",
        (_silent(account=None), _call("acquire_token_silent", scopes=[GRAPH], account=None)),
        broker=ADA_ONLY,
    ),
    Scenario(
        "silent, claims challenge",
        (_sign_in(), ACCOUNTS, _silent(claims_challenge=CLAIMS)),
        broker=ADA_ONLY,
        differs=("tenant records", "realm"),
    ),
    Scenario(
        "silent, forced refresh",
        (_sign_in(), ACCOUNTS, _silent(force_refresh=True)),
        broker=ADA_ONLY,
        differs=("tenant records", "realm"),
    ),
    Scenario(
        "silent fails, with the error",
        (_sign_in(), ACCOUNTS, _silent()),
        broker=_quoting({**ADA_ONLY, "faults": [{"kind": "mfa_expired", "method": "acquireTokenSilently", "skip": 1}]}),
        differs=("failure keys", "tenant records", "realm", "wording"),
    ),
    Scenario(
        "silent fails, without",
        (_sign_in(), ACCOUNTS, _call("acquire_token_silent", scopes=[STORAGE], account=ADA)),
        broker={**ADA_ONLY, "faults": [{"kind": "mfa_expired", "method": "acquireTokenSilently", "skip": 1}]},
        differs=("tenant records", "realm"),
    ),
    Scenario(
        "silent, an account that nobody knows",
        (
            _silent(
                account={
                    "home_account_id": "x.y",
                    "local_account_id": "x",
                    "environment": "login.microsoftonline.com",
                    "username": "x@y.example",
                    "realm": "y",
                }
            ),
        ),
        broker=ADA_ONLY,
    ),
    Scenario(
        "accounts of one user",
        (_sign_in(), _call("get_accounts", username=ADA.upper())),
        broker=ADA_ONLY,
        differs=("tenant records", "realm"),
    ),
    Scenario("accounts of nobody", (_sign_in(), _call("get_accounts", username="x@y.example")), broker=ADA_ONLY),
    Scenario("accounts before the first sign-in", (ACCOUNTS,), broker=ADA_ONLY, differs=("broker's accounts",)),
    Scenario(
        "remove account",
        (_sign_in(), ACCOUNTS, _call("remove_account", account=ADA), ACCOUNTS),
        broker=ADA_ONLY,
        differs=("tenant records", "realm"),
    ),
    Scenario("proof of possession", (_call("is_pop_supported"),), broker=ADA_ONLY, differs=("proof of possession",)),
    Scenario(
        "username and password",
        (
            _call(
                "acquire_token_by_username_password", username=ADA, password="not-a-real-password-ada", scopes=[GRAPH]
            ),
        ),
        broker=ADA_ONLY,
        differs=("password",),
    ),
    Scenario(
        "device code",
        (_call("initiate_device_flow", scopes=[GRAPH]), _call("acquire_token_by_device_flow", flow="last")),
        broker=ADA_ONLY,
    ),
    Scenario(
        "auth code",
        (_call("initiate_auth_code_flow", scopes=[GRAPH], redirect_uri="http://localhost"),),
        broker=ADA_ONLY,
    ),
    Scenario(
        "AD FS",
        (ACCOUNTS, _call("is_pop_supported"), _call("initiate_device_flow", scopes=[GRAPH])),
        {"authority": "https://adfs.contoso.example/adfs"},
        ADA_ONLY,
    ),
    Scenario(
        "Azure AD B2C",
        (ACCOUNTS, _call("is_pop_supported")),
        {"authority": "https://contoso.b2clogin.com/contoso.onmicrosoft.com/B2C_1_policy"},
        ADA_ONLY,
    ),
    Scenario(
        "no opt-in",
        (ACCOUNTS, _call("initiate_device_flow", scopes=[GRAPH])),
        {"enable_broker_on_linux": False},
        ADA_ONLY,
    ),
    Scenario(
        "no broker",
        (
            ACCOUNTS,
            _call("is_pop_supported"),
            _call("initiate_device_flow", scopes=[GRAPH]),
            _call("acquire_token_by_device_flow", flow="last"),
        ),
        has_broker=False,
    ),
    Scenario("hint: empty", (_sign_in(login_hint=""),), broker=ADA_ONLY),
    Scenario("hint: empty, prompt login", (_sign_in(login_hint="", prompt="login"),), broker=ADA_ONLY),
    Scenario("authority: empty", (_sign_in(),), {"authority": "", "oidc_authority": ""}, ADA_ONLY),
    Scenario("a client credential", (), {"client_credential": "secret"}, ADA_ONLY, differs=("exceptions",)),
    Scenario(
        "two authorities", (), {"oidc_authority": "https://login.contoso.example/x"}, ADA_ONLY, differs=("exceptions",)
    ),
    Scenario(
        "broker 2.0.1",
        (_sign_in(), ACCOUNTS, _silent()),
        broker={**ADA_ONLY, "persona": "microsoft-2.0.1"},
        differs=("tenant records", "realm"),
    ),
    Scenario(
        "Himmelblau",
        (_sign_in(), ACCOUNTS),
        broker={**ADA_ONLY, "persona": "himmelblau-4.0"},
        differs=("realm",),
    ),
]

# What is left to MSAL on a machine whose broker support is MSAL's.
HANDED_OVER = Scenario("handed over", (_sign_in(), ACCOUNTS, _silent()), broker=ADA_ONLY)
