"""The scenarios for both runtimes, as ``runtime_driver.py`` carries them out, and the broker of each."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from linuxbroker_fake import RunningFake
from linuxbroker_fake.directory import Directory

ADA, GRACE = "ada@contoso.example", "grace@fabrikam.example"
ADA_ID = "00000000-0000-0000-0000-0000000000a1"
CONTOSO, FABRIKAM = "00000000-0000-0000-0000-0000000000f1", "00000000-0000-0000-0000-0000000000f2"
HOST = "https://login.microsoftonline.com"
GRAPH = "https://graph.microsoft.com"
STORAGE = "https://storage.azure.com/user_impersonation"
CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1"}}}'
POP = {"http_method": "POST", "uri_host": "graph.microsoft.com", "uri_path": "/v1.0/me", "nonce": "from-server"}
KEY = '{"kid":"the-key"}'
# An unsigned token of Ada's, as a broker would pass it on, and what came with it.
ID_TOKEN_CLAIMS = {
    "aud": "11111111-2222-4333-8444-555555555555",
    "name": "Ada Lovelace",
    "oid": ADA_ID,
    "preferred_username": ADA,
    "tid": CONTOSO,
    "ver": "2.0",
}

Step = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """A fault that is planted before the first step: the arguments of ``RunningFake.plant``."""

    kind: str
    details: dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """Calls that are made one after another.

    Attributes:
        name: what it is about.
        steps: as ``runtime_driver.py`` has them.
        signed_in: who is signed in to the broker; None for everyone.
        persona: which broker it is.
        faults: what goes wrong.
        user: what the person does when asked.
        delay: seconds before they do it.
        client_id: of the application.
    """

    name: str
    steps: tuple[Step, ...]
    signed_in: tuple[str, ...] | None = None
    persona: str = "microsoft-2.5.2"
    faults: tuple[Fault, ...] = ()
    user: str = "approve"
    delay: float = 0.0
    client_id: str = "11111111-2222-4333-8444-555555555555"

    def prepare(self, fake: RunningFake) -> None:
        """Bring the broker into the state that the scenario begins with."""
        fake.reset()
        for fault in self.faults:
            fake.plant(fault.kind, **fault.details)
        fake.set_user(self.user, delay=self.delay)


def step(call: str, **details: Any) -> Step:
    """Make a step.

    Args:
        call: the runtime's function.
        details: the rest, as ``runtime_driver.py`` has it.

    Returns:
        The step.
    """
    return {"call": call, **details}


def silent(scope: str = f"{GRAPH}/.default", **details: Any) -> Step:
    """Make a step that signs in silently."""
    return step("signin_silently", scopes=[scope], **details)


def acquire(name: str, **details: Any) -> Step:
    """Make a step that gets Ada a token silently, for a scope of its own: no runtime has it in a cache."""
    return step("acquire_token_silently", account=ADA_ID, scopes=[f"{GRAPH}/{name}"], **details)


def interactive(**details: Any) -> Step:
    """Make a step that gets Ada a token interactively."""
    return step("acquire_token_interactively", account=ADA_ID, **details)


def fault(kind: str, method: str = "acquireTokenSilently", **details: Any) -> Fault:
    """Make a fault."""
    return Fault(kind, {"method": method, **details})


def reply(changes: dict[str, Any] | None = None, without: tuple[str, ...] = (), **top: Any) -> str:
    """Write a token reply of a broker's.

    Args:
        changes: what stands in the token part in place of, or beside, the usual.
        without: the keys of the token part that are left out.
        top: what stands at the top beside the token part.

    Returns:
        The text.
    """
    record = next(account for account in Directory.default().accounts() if account.local_account_id == ADA_ID)
    ada = record.wire()
    part = {
        "accessToken": "an-opaque-token",
        "accessTokenType": 0,
        "account": ada,
        "clientInfo": ada["clientInfo"],
        "expiresOn": 1900000000000,
        "extendedExpiresOn": 1900000000000,
        "grantedScopes": f"{GRAPH}/.default",
        "idToken": f"{_segment({'alg': 'none'})}.{_segment(ID_TOKEN_CLAIMS)}.none",
        **(changes or {}),
    }
    return json.dumps({"brokerTokenResponse": {key: part[key] for key in part if key not in without}, **top})


def _segment(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _answered(name: str, text: str) -> Scenario:
    return Scenario(f"the reply: {name}", (silent(),), (ADA,), faults=(fault("raw_reply", reply=text),))


ONE_ADA, ONE_GRACE = (ADA,), (GRACE,)
ERROR = {"context": "planted", "diagnostics": None, "errorCode": 1, "status": 2, "subStatus": 0, "tag": 595719680}

SCENARIOS: tuple[Scenario, ...] = (
    Scenario("accounts", (step("discover_accounts"), step("read_account_by_id", account=ADA_ID))),
    Scenario("accounts of nobody", (step("discover_accounts"), silent(), step("signin")), signed_in=()),
    Scenario("accounts of one user", (step("discover_accounts"),), ONE_GRACE, persona="microsoft-2.0.1"),
    Scenario("an account that nobody has", (step("discover_accounts"), step("read_account_by_id", account="nobody"))),
    Scenario("an account that was not seen", (step("read_account_by_id", account=ADA_ID),)),
    Scenario(
        "accounts that can't be listed",
        (step("discover_accounts"), silent()),
        faults=(fault("status", "getAccounts", status=3, context="planted"),),
    ),
    Scenario("accounts in a D-Bus error", (step("discover_accounts"),), faults=(fault("dbus_error", "getAccounts"),)),
    Scenario(
        "accounts in nonsense", (step("discover_accounts"),), faults=(fault("raw_reply", "getAccounts", reply="{}"),)
    ),
    Scenario(
        "silent sign-in of the only record",
        (silent(), silent(STORAGE, authority=f"{HOST}/organizations"), step("discover_accounts")),
        ONE_GRACE,
    ),
    Scenario(
        "silent sign-in of one user with two records",
        (silent(), silent(STORAGE, authority=f"{HOST}/{CONTOSO}"), silent(STORAGE, authority=f"{HOST}/{FABRIKAM}")),
        ONE_ADA,
        persona="microsoft-2.0.1",
    ),
    Scenario("silent sign-in among several users", (silent(),)),
    Scenario("silent sign-in to consumers", (silent(authority=f"{HOST}/consumers"),)),
    Scenario("silent sign-in under an alias", (silent(authority="https://login.windows.net/common/"),), ONE_GRACE),
    Scenario("silent sign-in with claims", (silent(claims=CLAIMS),), ONE_GRACE),
    Scenario("silent sign-in with a proof of possession", (silent(pop=POP),), ONE_GRACE),
    Scenario("silent sign-in with a key", (silent(additional_parameters={"req_cnf": KEY}),), ONE_GRACE),
    Scenario(
        "scopes",
        (
            step("signin_silently", scopes=[f"{GRAPH}/User.Read", "openid", "email"]),
            step("signin_silently", scopes=[f"{GRAPH}/User.Read {GRAPH}/Mail.Read", "offline_access"]),
            step("signin_silently", scopes=[f"{GRAPH}/User.Read", f"{GRAPH}/User.Read"]),
        ),
        ONE_ADA,
    ),
    Scenario("no scopes in a silent sign-in", (step("signin_silently", scopes=["openid", "profile"]),), ONE_ADA),
    Scenario("no scopes for an account", (step("discover_accounts"), interactive(scopes=[]))),
    Scenario(
        "scopes that are declined",
        (step("signin_silently", scopes=[f"{GRAPH}/User.Read", f"{GRAPH}/Mail.Read"]),),
        faults=(fault("scopes_declined"),),
    ),
    Scenario(
        "silent tokens for an account",
        (
            step("discover_accounts"),
            acquire("A"),
            acquire("B", authority=f"{HOST}/organizations"),
            acquire("C", authority=f"{HOST}/{CONTOSO}"),
            acquire("D", authority=f"{HOST}/{FABRIKAM}"),
            acquire("E", authority=f"{HOST}/consumers"),
            acquire("F", authority="https://login.windows.net/common/"),
            acquire("G", access_token_to_renew="refused"),
            acquire("H", claims=CLAIMS),
            acquire("I", pop=POP),
            acquire("J", pop={**POP, "nonce": ""}),
            acquire("K", additional_parameters={"max_age": "5", "": "dropped", "hsu": "kept"}),
            acquire("L", additional_parameters={"msal_client_sku": "SKU", "msal_client_ver": "1.2"}),
            acquire("M", additional_parameters={"req_cnf": KEY, "token_type": "ssh-cert", "key_id": "the-key"}),
            acquire("N", authority=f"{HOST}/11111111-1111-1111-1111-111111111111"),
        ),
    ),
    Scenario("a token for an account that a token came for", (silent(), acquire("A")), ONE_ADA),
    Scenario(
        "silent tokens, wrongly asked for",
        (
            step("discover_accounts"),
            acquire("A", claims="nope"),
            acquire("B", claims="[]"),
            acquire("C", additional_parameters={"domain_hint": "contoso.example"}),
            acquire("D", additional_parameters={"req_cnf": "nope"}),
            acquire("E", authority="nope"),
            acquire("F", authority=""),
        ),
    ),
    Scenario("a client id that is none", (silent(), step("discover_accounts"), step("signin")), client_id=""),
    Scenario("a client id that is no UUID", (step("discover_accounts"), silent()), ONE_ADA, client_id="my-app"),
    Scenario("no redirect URI", (silent(redirect_uri=""), step("signin_interactively", redirect_uri="")), ONE_ADA),
    Scenario("an authority without a tenant", (step("discover_accounts"), acquire("A", authority=HOST))),
    Scenario("a method in small letters", (silent(pop={**POP, "http_method": "post"}),), ONE_GRACE),
    Scenario("a proof of possession of nothing", (silent(pop={**POP, "uri_host": "", "uri_path": ""}),), ONE_GRACE),
    Scenario("a reserved parameter in capitals", (silent(additional_parameters={"Domain_Hint": "x"}),), ONE_GRACE),
    Scenario("a window handle below zero", (step("signin_interactively", parent_window=-5),)),
    Scenario("a window handle of zero", (step("signin_interactively", parent_window=0),)),
    Scenario(
        "user name and password",
        tuple(
            step("signin_silently", authority=f"{HOST}/organizations", **given)
            for given in (
                {"username": GRACE, "password": "not-a-real-password-grace"},
                {"username": GRACE, "password": "wrong"},
                {"username": GRACE, "password": "not-a-real-password-grace", "pop": POP},
                {"username": GRACE, "password": ""},
                {"password": "x"},
                {"username": GRACE},
            )
        ),
    ),
    Scenario(
        "sign-in with the user",
        (
            step("signin_interactively"),
            step("signin_interactively", account_hint=GRACE, parent_window=77),
            step("signin_interactively", additional_parameters={"login_hint": GRACE}),
            step("signin_interactively", pop=POP, claims=CLAIMS),
            step("signin_interactively", additional_parameters={"req_cnf": KEY}),
            step("signin_interactively", claims="nope"),
            step("signin_interactively", additional_parameters={"prompt": "login"}),
        ),
    ),
    Scenario(
        "tokens for an account, with the user",
        (
            step("discover_accounts"),
            interactive(),
            interactive(scopes=[STORAGE], additional_parameters={"hsu": "5"}),
            interactive(authority=f"{HOST}/organizations", parent_window=77),
            interactive(authority=f"{HOST}/contoso.example"),
            interactive(pop=POP),
            interactive(redirect_uri=""),
        ),
    ),
    Scenario("a user who declines", (step("signin_interactively"), step("signin")), signed_in=(), user="cancel"),
    Scenario(
        "sign-in, with the user if need be",
        (
            step("signin"),
            step("signin", account_hint=GRACE),
            step("signin", account_hint=""),
            step("signin", account_hint="nobody@contoso.example"),
        ),
    ),
    Scenario("sign-in of the only record", (step("signin"),), ONE_GRACE),
    Scenario(
        "sign-in, for which the user is needed",
        (step("signin"), step("signin", account_hint=GRACE)),
        faults=(fault("mfa_expired"),),
    ),
    Scenario("sign-in with an account that can't be used", (step("signin"),), faults=(fault("status", status=13),)),
    Scenario("sign-in without a network", (step("signin"),), faults=(fault("no_network"),)),
    Scenario(
        "sign-out",
        (
            step("discover_accounts"),
            step("signout_silently", account=ADA_ID),
            acquire("A"),
            silent(),
            acquire("B"),
            step("discover_accounts"),
            step("signin_interactively"),
            acquire("C"),
        ),
        ONE_ADA,
    ),
    Scenario(
        "sign-out and a token with the user",
        (step("discover_accounts"), step("signout_silently", account=ADA_ID), interactive(), acquire("A")),
        ONE_ADA,
    ),
    Scenario("a sign-in that is cancelled", (step("signin_interactively", cancel_after=0.3), silent()), delay=1.0),
    Scenario(
        "a silent sign-in that is cancelled",
        (silent(cancel_after=0.3),),
        faults=(fault("slow", delay=1.0),),
    ),
    Scenario(
        "errors without a tag",
        tuple(silent(f"api://app/{place}") for place in range(5)),
        ONE_ADA,
        faults=tuple(
            fault("raw_reply", reply=json.dumps({"error": {**ERROR, "tag": 0, "diagnostics": diagnostics}}), times=1)
            for diagnostics in (
                None,
                {},
                {"raw_error_code": "invalid_grant", "exception_type": "", "oauth2_sub_error_code": ""},
                {"raw_error_code": "interaction_required"},
                {"raw_error_code": "something_else", "exception_type": "", "oauth2_sub_error_code": ""},
            )
        ),
    ),
    Scenario("the same silent token again", (silent(), step("acquire_token_silently")), ONE_ADA),
    Scenario(
        "every status",
        tuple(silent(f"api://app/{status}") for status in range(24)),
        ONE_ADA,
        faults=tuple(
            fault(
                "status",
                status=status,
                context=f"AADSTS900{status:02}: planted",
                tag=595719680 + status,
                error_code=status * 3,
                sub_status=status,
                sub_error="planted",
                times=1,
            )
            for status in range(24)
        ),
    ),
    Scenario("an error of the older broker's", (silent(),), persona="microsoft-2.0.1", faults=(fault("mfa_expired"),)),
    Scenario("an error at the top", (silent(),), faults=(fault("status", status=9, top_level=True),)),
    Scenario(
        "a D-Bus error",
        (silent(), silent()),
        ONE_ADA,
        faults=(
            fault("dbus_error", context="the daemon is away", times=1),
            fault("dbus_error", name="org.freedesktop.DBus.Error.NoReply", context="nothing", times=2),
        ),
    ),
    Scenario("Himmelblau", (step("discover_accounts"), silent()), ONE_GRACE, persona="himmelblau-4.0"),
    *(
        Scenario(
            f"{persona}, for which the user is needed",
            (silent(), step("signin")),
            ONE_GRACE,
            persona=persona,
            faults=(fault("mfa_expired"),),
        )
        for persona in ("himmelblau-3.1", "himmelblau-4.0")
    ),
    Scenario("a reply that is a number", (silent(),), faults=(fault("reply_not_text"),)),
    _answered("whole", reply()),
    _answered("its scopes as a list", reply({"grantedScopes": [f"{GRAPH}/.default"]})),
    _answered("without scopes", reply(without=("grantedScopes",))),
    _answered("its scopes empty", reply({"grantedScopes": ""})),
    _answered("its scopes in capitals", reply({"grantedScopes": f"{GRAPH}/.default".upper()})),
    _answered("its expiry as digits", reply({"expiresOn": "1900000000000"})),
    _answered("without an account", reply(without=("account",))),
    _answered("its account null", reply({"account": None})),
    _answered("of the kind for proofs", reply({"accessTokenType": 1})),
    _answered("an error beside the token", reply({"error": ERROR})),
    _answered("an error above the token", reply(error=ERROR)),
    _answered("an error instead of the token", json.dumps({"brokerTokenResponse": None, "error": ERROR})),
    _answered("its expiry in seconds", reply({"expiresOn": 1900000000})),
    _answered("without a token", reply(without=("accessToken",))),
    _answered("without the kind of token", reply(without=("accessTokenType",))),
    _answered("its kind as a name", reply({"accessTokenType": "Bearer"})),
    _answered("of an unknown kind", reply({"accessTokenType": 7})),
    _answered("without an expiry", reply(without=("expiresOn",))),
    _answered("without a later expiry", reply(without=("extendedExpiresOn",))),
    _answered("without an ID token", reply(without=("idToken",))),
    _answered("without client info", reply(without=("clientInfo",))),
    _answered("an ID token that is none", reply({"idToken": "not.a.token"})),
    _answered("an error that is not whole", json.dumps({"error": {"context": "planted", "status": 2}})),
    _answered("no JSON", "no JSON"),
    _answered("null", "null"),
    _answered("nothing", "{}"),
    _answered("an empty token part", '{"brokerTokenResponse": {}}'),
)
