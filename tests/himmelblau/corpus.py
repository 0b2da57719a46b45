"""The requests that are sent to both brokers, one line each, with a name.

They are modelled on clients in the field (Microsoft's runtime, linux-entra-sso, sso-mib, onedrive, Edge and smaller
ones); some are invalid on purpose.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.himmelblau.stages import Call

ADA = "ada@contoso.example"
HOME_ACCOUNT_ID = "00000000-0000-0000-0000-0000000000a1.00000000-0000-0000-0000-0000000000f1"
APP = "d7b530a4-7680-4c23-a8bf-c52c121d2e87"
NATIVE = "https://login.microsoftonline.com/common/oauth2/nativeclient"
GRAPH = "https://graph.microsoft.com/.default"


@dataclass(frozen=True)
class Setup:
    """The settings of both brokers.

    Attributes:
        judge: settings of the judge.
        fake: configuration of the fake, JSON.
    """

    judge: Mapping[str, Any] = field(default_factory=dict)
    fake: Mapping[str, Any] = field(default_factory=dict)


SETUPS = {
    "usual": Setup(),
    "nobody": Setup({"account": None}, {"signed_in": []}),
    "closes the dialog": Setup({"prompt": "cancel"}, {"user": {"action": "cancel"}}),
    "no display": Setup({"prompt": "no_display"}, {"faults": [{"kind": "no_display"}]}),
    "refused by Entra": Setup(
        {
            "failures": {
                "acquireTokenSilently": "Failed to authenticate user",
                "acquirePrtSsoCookie": "Failed to fetch prt sso cookie",
            }
        },
        {"faults": [{"kind": "mfa_expired"}]},
    ),
}


@dataclass(frozen=True)
class Exchange:
    """A request that is sent to both brokers.

    Attributes:
        name: what it shows.
        call: the call.
        setup: which of ``SETUPS`` it is put in.
    """

    name: str
    call: Call
    setup: str = "usual"


def _ask(
    name: str, member: str, request: object, *, version: str = "0.0", correlation_id: str | None = None, setup: str = ""
) -> Exchange:
    text = request if isinstance(request, str) else json.dumps(request)
    identifier = "0b5e2b44-7d0c-4d3a-9f7f-0d6a1f3d9c11" if correlation_id is None else correlation_id
    return Exchange(f"{member}: {name}", Call(member, (version, identifier, text), "sss"), setup or "usual")


def _bus(name: str, member: str, interface: str | None = None, *body: Any, **where: str) -> Exchange:
    named = {} if interface is None else {"interface": interface}
    call = Call(member, body, where.pop("signature", "s" * len(body)), **named, **where)
    return Exchange(f"bus: {name}", call)


def _without(values: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}


_ACCOUNT = {
    "alternativeAccountId": "",
    "clientInfo": "",
    "environment": "login.windows.net",
    "familyName": "Lovelace",
    "givenName": "Ada",
    "homeAccountId": HOME_ACCOUNT_ID,
    "homeEnvironment": "",
    "localAccountId": HOME_ACCOUNT_ID.partition(".")[0],
    "middleName": "",
    "name": "Ada Lovelace",
    "passwordChangeUrl": "",
    "passwordExpiry": 0,
    "realm": HOME_ACCOUNT_ID.partition(".")[2],
    "username": ADA,
}
_FEW = {"homeAccountId": HOME_ACCOUNT_ID, "username": ADA}
_EVE = {"username": "eve@contoso.example"}
_RUNTIME = {
    "accessTokenToRenew": "",
    "account": _ACCOUNT,
    "additionalQueryParametersForAuthorization": {"x-client-xtra-sku": "|,|0.20.7,|,|,|12.0.2"},
    "authority": "https://login.microsoftonline.com/common",
    "authorizationType": 1,
    "clientId": APP,
    "decodedClaims": "",
    "enrollmentId": "",
    "isTestMode": False,
    "password": "",
    "popParams": None,
    "redirectUri": NATIVE,
    "requestedScopes": [GRAPH],
    "username": ADA,
    "uxContextHandle": -1,
}
_SMALL = {
    "account": _FEW,
    "authority": "https://login.microsoftonline.com/common",
    "authorizationType": 1,
    "clientId": APP,
    "redirectUri": NATIVE,
    "requestedScopes": [GRAPH],
    "username": ADA,
}
_ASKING = {**_RUNTIME, "authorizationType": 6, "parentWindow": {"handle": 0}}
_ANYONE = {**_ASKING, "account": None, "isSignIn": True, "username": ""}
_POP = {
    "authenticationScheme": "pop",
    "clientClaims": "",
    "httpMethod": "GET",
    "kid": "",
    "nonce": "",
    "uriHost": "graph.microsoft.com",
    "uriPath": "/v1.0/me",
}
_SSO_URL = "https://login.microsoftonline.com/common/oauth2/authorize?sso_nonce=AQAB"
_COOKIE = {"account": _ACCOUNT, "authParameters": {**_SMALL, "ssoUrl": _SSO_URL}, "ssoUrl": _SSO_URL}
_CANCEL = {**_without(_SMALL, "account", "authorizationType"), "correlationId": "0b5e2b44-7d0c-4d3a-9f7f-0d6a1f3d9c11"}
_LISTING = {"clientId": APP, "redirectUri": APP}


def _silent(name: str, change: Mapping[str, Any] | None = None, **root: Any) -> Exchange:
    return _ask(name, "acquireTokenSilently", {"authParameters": {**_SMALL, **(change or {})}, **root})


def _silent_of(name: str, parameters: object, **root: Any) -> Exchange:
    return _ask(name, "acquireTokenSilently", {"authParameters": parameters, **root})


def _interactive(name: str, parameters: object, setup: str = "", **root: Any) -> Exchange:
    return _ask(name, "acquireTokenInteractively", {"authParameters": parameters, **root}, setup=setup)


_NESTED = "[" * 200 + "]" * 200
_GOOD = json.dumps({"authParameters": _SMALL})
_WITHOUT_END = _GOOD[:-1]

ACCOUNTS = (
    _ask("as the runtime asks", "getAccounts", {"clientId": APP, "redirectUri": NATIVE}),
    _ask("as linux-entra-sso asks", "getAccounts", _LISTING),
    _ask("clientId alone", "getAccounts", {"clientId": APP}),
    _ask("with environment", "getAccounts", {**_LISTING, "environment": "login.windows.net"}),
    _ask("an empty object", "getAccounts", {}),
    _ask("an empty text", "getAccounts", ""),
    _ask("not JSON", "getAccounts", "accounts, please"),
    _ask("an array", "getAccounts", [APP]),
    _ask("wrong types", "getAccounts", {"clientId": 5, "redirectUri": None}),
    _ask("protocol version 1.0", "getAccounts", _LISTING, version="1.0"),
    _ask("protocol version empty", "getAccounts", _LISTING, version=""),
    _ask("correlation id empty", "getAccounts", _LISTING, correlation_id=""),
    _ask("correlation id of free text", "getAccounts", _LISTING, correlation_id="my laptop, 3rd try"),
    _ask("correlation id of 10 kB", "getAccounts", _LISTING, correlation_id="x" * 10_000),
    _ask("nobody has signed in", "getAccounts", _LISTING, setup="nobody"),
)
VERSION = (
    _ask("as the runtime asks", "getLinuxBrokerVersion", {"msalCppVersion": "12.0.2"}),
    _ask("an empty object", "getLinuxBrokerVersion", {}),
    _ask("clientId alone", "getLinuxBrokerVersion", {"clientId": APP}),
    _ask("an empty text", "getLinuxBrokerVersion", ""),
    _ask("nobody has signed in", "getLinuxBrokerVersion", {}, setup="nobody"),
)
SILENT = (
    _silent_of("every key of the runtime", _RUNTIME),
    _silent_of("the smallest in the field", _SMALL),
    _silent_of("what must be there, and nothing else", {"account": {"username": ADA}, "requestedScopes": [GRAPH]}),
    _silent_of("the account at the root", _without(_SMALL, "account"), account=_ACCOUNT),
    _silent("the account in both places", account=_ACCOUNT),
    _silent("the root's account null", account=None),
    _silent("the root's account counts, and is the right one", {"account": _EVE}, account=_FEW),
    _silent("the root's account counts, and is unknown", account=_EVE),
    _silent("user name in capitals", {"account": {**_FEW, "username": ADA.upper()}}),
    _silent("a wrong homeAccountId", {"account": {**_ACCOUNT, "homeAccountId": "no.body"}}),
    _silent("homeAccountId alone", {"account": {"homeAccountId": HOME_ACCOUNT_ID}}),
    _silent("an unknown user", {"account": _EVE}),
    _silent("an empty user name", {"account": {"username": ""}}),
    _silent("a user name beyond ASCII", {"account": {"username": "zoë🦊@contoso.example"}}),
    _silent("a user name with escapes", {"account": {"username": 'a"\\\n\u0000@contoso.example'}}),
    _silent("account null", {"account": None}),
    _silent_of("no account", _without(_SMALL, "account")),
    _silent("account empty", {"account": {}}),
    _silent("account an array", {"account": []}),
    _silent("account a text", {"account": ADA}),
    _silent("account a number", {"account": 5}),
    _silent("account a fraction", {"account": 5.5}),
    _silent("account a negative number", {"account": -5}),
    _silent("account true", {"account": True}),
    _silent("the root's account a number", account=5),
    _silent("user name null", {"account": {"username": None}}),
    _silent("user name a number", {"account": {"username": 5}}),
    _silent("another tenant's authority", {"authority": "https://login.microsoftonline.com/fabrikam.example"}),
    _silent("another cloud's authority", {"authority": "https://login.microsoftonline.us/common"}),
    _silent("an authority that is none", {"authority": "nowhere"}),
    _silent_of("no authority", _without(_SMALL, "authority")),
    _silent("authorizationType 8", {"authorizationType": 8}),
    _silent("authorizationType 99", {"authorizationType": 99}),
    _silent("authorizationType a text", {"authorizationType": "silent"}),
    _silent("authorizationType of an interactive call", {"authorizationType": 6}),
    _silent_of("no clientId", _without(_SMALL, "clientId")),
    _silent("clientId null", {"clientId": None}),
    _silent("clientId a number", {"clientId": 5}),
    _silent_of("no redirectUri", _without(_SMALL, "redirectUri")),
    _silent("redirectUri null", {"redirectUri": None}),
    _silent("redirectUri that is no URI", {"redirectUri": APP}),
    _silent("redirectUri empty", {"redirectUri": ""}),
    _silent("redirectUri with a fragment", {"redirectUri": "https://localhost/#here"}),
    _silent("redirectUri of a broker client", {"redirectUri": f"ms-appx-web://Microsoft.AAD.BrokerPlugin/{APP}"}),
    _silent_of("no scopes", _without(_SMALL, "requestedScopes")),
    _silent("scopes empty", {"requestedScopes": []}),
    _silent("scopes null", {"requestedScopes": None}),
    _silent("scopes a text", {"requestedScopes": GRAPH}),
    _silent("scopes of numbers", {"requestedScopes": [GRAPH, 5]}),
    _silent("scopes an object", {"requestedScopes": {GRAPH: True}}),
    _silent("short scope names", {"requestedScopes": ["User.Read", "Files.ReadWrite"]}),
    _silent("as Edge asks, 205", {"additionalQueryParametersForAuthorization": {"mkt": "en-US"}}, requestOptions=[205]),
    _silent("as Edge asks, 205 and 202", {"requestOptions": [205, 202]}, requestOptions=[205, 202]),
    _silent("mkt beside the rest", {"mkt": "de-DE"}),
    _silent("popParams with scheme bearer", {"popParams": {**_POP, "authenticationScheme": "bearer"}}),
    _silent("proof of possession with a URL", {"popParams": _POP}),
    _silent("proof of possession with a kid", {"popParams": {"authenticationScheme": "pop", "kid": "fictional-kid"}}),
    _silent("popParams empty", {"popParams": {}}),
    _silent("claims", {"decodedClaims": '{"access_token":{"xms_cc":{"values":["cp1"]}}}'}),
    _silent("claims that are no JSON", {"decodedClaims": "challenge"}),
    _silent("claims of another type", {"decodedClaims": 5}),
    _silent("a token to renew", {"accessTokenToRenew": "fictional"}),
    _silent("user name and password", {"account": None, "authorizationType": 3, "password": "fictional"}),
    _silent("sign-in by hint", {"account": None, "isSignIn": True}),
    _silent("sign-in of anyone", {"account": None, "isSignIn": True, "username": ""}),
    _silent("unknown keys everywhere", {"fictional": {"a": [1]}, "account": {**_FEW, "fictional": 1}}, fictional=None),
    _silent("an unknown key of 1 MB", {"fictional": "x" * 1_000_000}),
    _silent("an unknown user, and a scope of 100 kB", {"account": _EVE, "requestedScopes": ["x" * 100_000]}),
    _ask("an unknown key, nested", "acquireTokenSilently", f'{_WITHOUT_END}, "fictional": {_NESTED}}}'),
    _ask("an unknown key, a huge number", "acquireTokenSilently", f'{_WITHOUT_END}, "fictional": 1e999}}'),
    _ask("blanks around", "acquireTokenSilently", f"\n\t {_GOOD} \r\n"),
    _ask("something behind", "acquireTokenSilently", f"{_GOOD} x"),
    _ask("a comma too many", "acquireTokenSilently", f"{_WITHOUT_END},}}"),
    _ask("no end", "acquireTokenSilently", _WITHOUT_END),
    _ask("ends within a text", "acquireTokenSilently", _GOOD[:40]),
    _ask("a key twice", "acquireTokenSilently", f'{{"account": null, "account": null, {_GOOD[1:]}'),
    _ask("an unknown key twice", "acquireTokenSilently", f'{{"x": 1, "x": 2, {_GOOD[1:]}'),
    _ask("an object", "acquireTokenSilently", {}),
    _ask("authParameters null", "acquireTokenSilently", {"authParameters": None}),
    _ask("authParameters a text", "acquireTokenSilently", {"authParameters": "all"}),
    _ask("authParameters a number", "acquireTokenSilently", {"authParameters": 17}),
    _ask("authParameters an array", "acquireTokenSilently", {"authParameters": []}),
    _ask("what belongs into authParameters at the root", "acquireTokenSilently", _SMALL),
    _ask("an empty text", "acquireTokenSilently", ""),
    _ask("not JSON", "acquireTokenSilently", "a token, please"),
    _ask("an empty array", "acquireTokenSilently", []),
    _ask("null", "acquireTokenSilently", "null"),
    _ask("a number", "acquireTokenSilently", "17"),
    _ask("a text", "acquireTokenSilently", '"token"'),
    _ask("nested arrays", "acquireTokenSilently", _NESTED),
    _ask("single quotes", "acquireTokenSilently", "{'authParameters': {}}"),
    _ask("not a number", "acquireTokenSilently", f'{{"x": NaN, {_GOOD[1:]}'),
    _ask("protocol version 1.0", "acquireTokenSilently", _GOOD, version="1.0"),
    _ask("correlation id empty", "acquireTokenSilently", _GOOD, correlation_id=""),
    _ask("nobody has signed in", "acquireTokenSilently", _GOOD, setup="nobody"),
    _ask("no account, and nobody has signed in", "acquireTokenSilently", {}, setup="nobody"),
    _ask("Entra refuses", "acquireTokenSilently", _GOOD, setup="refused by Entra"),
)
INTERACTIVE = (
    _interactive("an account", _ASKING, parentWindowHandle=0),
    _interactive("the account at the root", _without(_ASKING, "account"), account=_FEW),
    _interactive("the root's account null", _ASKING, account=None),
    _interactive(
        "four keys", {key: _SMALL[key] for key in ("clientId", "redirectUri", "authority", "requestedScopes")}
    ),
    _interactive("anyone, as the runtime writes it", _ANYONE, parentWindowHandle=0),
    _interactive("a login hint alone", {**_ANYONE, "username": ADA}),
    _interactive("select_account", _without({**_ANYONE, "promptType": "select_account"}, "account", "username")),
    _interactive("a window under Wayland", {**_ASKING, "parentWindow": {"exportedHandle": "wayland:abc"}}),
    _interactive("authorizationType 1", {**_ASKING, "authorizationType": 1}),
    _interactive("authorizationType 99", {**_ASKING, "authorizationType": 99}),
    _interactive("proof of possession with a URL", {**_ASKING, "popParams": _POP}),
    _interactive("user name in capitals", {**_ASKING, "account": {"username": ADA.upper()}}),
    _interactive("no scopes", _without(_ASKING, "requestedScopes")),
    _interactive("scopes a text", {**_ASKING, "requestedScopes": GRAPH}),
    _interactive("redirectUri with a fragment", {**_ASKING, "redirectUri": "https://localhost/#here"}),
    _interactive("account a text", {**_ASKING, "account": ADA}),
    _interactive("user name a number", {**_ASKING, "account": {"username": 5}}),
    _ask("an empty object", "acquireTokenInteractively", {}),
    _ask("an empty text", "acquireTokenInteractively", ""),
    _ask("not JSON", "acquireTokenInteractively", "a window, please"),
    _ask("an array", "acquireTokenInteractively", [1, 2]),
    _interactive("the user closes the dialog", _ASKING, "closes the dialog"),
    _interactive("anyone, where the user would close the dialog", _ANYONE, "closes the dialog"),
    _interactive("no display", _ASKING, "no display"),
    _interactive("anyone, without a display", _ANYONE, "no display"),
)
COOKIE = (
    _ask("as linux-entra-sso asks", "acquirePrtSsoCookie", _COOKIE),
    _ask("the account at the root alone", "acquirePrtSsoCookie", {"account": _FEW, "ssoUrl": _SSO_URL}),
    _ask("the account in authParameters alone", "acquirePrtSsoCookie", _without(_COOKIE, "account")),
    _ask("account null", "acquirePrtSsoCookie", {**_COOKIE, "account": None}),
    _ask("no user name", "acquirePrtSsoCookie", {**_COOKIE, "account": {"homeAccountId": HOME_ACCOUNT_ID}}),
    _ask("user name in capitals", "acquirePrtSsoCookie", {"account": {"username": ADA.upper()}}),
    _ask("an unknown user", "acquirePrtSsoCookie", {**_COOKIE, "account": _EVE}),
    _ask("no ssoUrl", "acquirePrtSsoCookie", {"account": _FEW}),
    _ask("ssoUrl that is no URL", "acquirePrtSsoCookie", {"account": _FEW, "ssoUrl": "nowhere"}),
    _ask("ssoUrl in authParameters alone", "acquirePrtSsoCookie", _without(_COOKIE, "ssoUrl")),
    _ask("authParameters of another type", "acquirePrtSsoCookie", {"account": _FEW, "authParameters": 5}),
    _ask("an empty object", "acquirePrtSsoCookie", {}),
    _ask("an empty text", "acquirePrtSsoCookie", ""),
    _ask("an array", "acquirePrtSsoCookie", []),
    _ask("nobody has signed in", "acquirePrtSsoCookie", _COOKIE, setup="nobody"),
    _ask("Entra refuses", "acquirePrtSsoCookie", _COOKIE, setup="refused by Entra"),
)
OTHERS = (
    _ask("as the runtime asks", "removeAccount", {"account": _ACCOUNT, "clientId": APP}),
    _ask("an empty object", "removeAccount", {}),
    _ask("an empty text", "removeAccount", ""),
    _ask("an unknown user", "removeAccount", {"account": _EVE, "clientId": APP}),
    _ask(
        "as the runtime asks",
        "generateSignedHttpRequest",
        {"clientId": APP, "popParams": {**_POP, "homeAccountId": HOME_ACCOUNT_ID}},
    ),
    _ask("an empty object", "generateSignedHttpRequest", {}),
    _ask("six keys", "cancelInteractiveFlow", _CANCEL),
    _ask("an empty object", "cancelInteractiveFlow", {}),
    _ask("an empty text", "cancelInteractiveFlow", ""),
)
_PEER = "org.freedesktop.DBus.Peer"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
_LOG = "/org/freedesktop/LogControl1"
_LOG_CONTROL = "org.freedesktop.LogControl1"
_BROKER = "com.microsoft.identity.Broker1"
BUS = (
    _bus("Ping", "Ping", _PEER),
    _bus("Ping of another object", "Ping", _PEER, path="/nowhere"),
    _bus("GetMachineId", "GetMachineId", _PEER),
    _bus("GetMachineId of another object", "GetMachineId", _PEER, path="/nowhere"),
    _bus("Introspect", "Introspect", _INTROSPECTABLE),
    _bus("Introspect the root", "Introspect", _INTROSPECTABLE, path="/"),
    _bus("Introspect a folder on the way", "Introspect", _INTROSPECTABLE, path="/com/microsoft"),
    _bus("Introspect another object", "Introspect", _INTROSPECTABLE, path="/nowhere"),
    _bus("Introspect the log's control", "Introspect", _INTROSPECTABLE, path=_LOG),
    _bus("Introspect with an argument", "Introspect", _INTROSPECTABLE, "x"),
    _bus("GetAll", "GetAll", _PROPERTIES, _BROKER),
    _bus("GetAll of every interface", "GetAll", _PROPERTIES, ""),
    _bus("GetAll of nothing", "GetAll", _PROPERTIES),
    _bus("Get", "Get", _PROPERTIES, _BROKER, "Version"),
    _bus("GetAll of the log's control", "GetAll", _PROPERTIES, _LOG_CONTROL, path=_LOG),
    _bus("GetAll of all that the log's object has", "GetAll", _PROPERTIES, "", path=_LOG),
    _bus("GetAll of what the log's object has not", "GetAll", _PROPERTIES, _BROKER, path=_LOG),
    _bus("Get of the log's control", "Get", _PROPERTIES, _LOG_CONTROL, "LogLevel", path=_LOG),
    _bus("Get of a property that the log's control has not", "Get", _PROPERTIES, _LOG_CONTROL, "Color", path=_LOG),
    _bus("GetManagedObjects", "GetManagedObjects", "org.freedesktop.DBus.ObjectManager"),
    _bus("a method that is not there", "getToken", None, "0.0", "", "{}"),
    _bus("a method in another case", "GetAccounts", None, "0.0", "", "{}"),
    _bus("an interface that is not there", "getAccounts", "com.microsoft.identity.Broker2", "0.0", "", "{}"),
    _bus("an object that is not there", "getAccounts", None, "0.0", "", "{}", path="/com/microsoft/identity/Broker1"),
    _bus("no interface", "getAccounts", "", "0.0", "", "{}"),
    _bus("no interface, a method that is not there", "getToken", ""),
    _bus("no argument", "getAccounts"),
    _bus("one argument", "getAccounts", None, "0.0"),
    _bus("two arguments", "acquireTokenSilently", None, "0.0", ""),
    _bus("four arguments", "getAccounts", None, "0.0", "", "{}", "{}"),
    _bus("a number for the version", "getAccounts", None, 0, "", "{}", signature="uss"),
    _bus("an array for the request", "getAccounts", None, "0.0", "", ["{}"], signature="ssas"),
)

EXCHANGES = (*ACCOUNTS, *VERSION, *SILENT, *INTERACTIVE, *COOKIE, *OTHERS, *BUS)
