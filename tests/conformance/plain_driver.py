"""A minimal client written against ``interfaces/`` alone, with its conformance driver.

It shares only the D-Bus library with linuxbroker: an example for a port, and the program that ``test_mutations.py``
puts mistakes into.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import sys
import traceback
import uuid
from typing import Any
from urllib.parse import urlsplit

from dbus_next import Message, MessageType
from dbus_next.aio import MessageBus

NAME, PATH, INTERFACE = (
    "com.microsoft.identity.broker1",
    "/com/microsoft/identity/broker1",
    "com.microsoft.identity.Broker1",
)
BUS, DBUS = "org.freedesktop.DBus", "org.freedesktop.DBus.Error."
DEFAULT_LIMIT = 60.0
STATUSES = [
    "Unexpected",
    "Reserved",
    "InteractionRequired",
    "NoNetwork",
    "NetworkTemporarilyUnavailable",
    "ServerTemporarilyUnavailable",
    "ApiContractViolation",
    "UserCanceled",
    "ApplicationCanceled",
    "IncorrectConfiguration",
    "InsufficientBuffer",
    "AuthorityUntrusted",
    "UserSwitch",
    "AccountUnusable",
    "UserDataRemovalRequired",
    "TransientError",
    "AccountSwitch",
    "DeviceNotRegistered",
    "KeyNotFound",
    "AccountNotFound",
    "RequiredBrokerMissing",
    "FallbackToNativeMsal",
]
INTERACTION_CODES = {
    "AADSTS" + code
    for code in [
        "16000",
        "50055",
        "50058",
        "50072",
        "50074",
        "50076",
        "50078",
        "50079",
        "50126",
        "50132",
        "50133",
        "50144",
        "50158",
        "50173",
        "65001",
        "70008",
        "70043",
        "70044",
        "700082",
        "700084",
    ]
}
# PROTOCOL.md, "What a text means": the beginning of a text in lower case, whether that is all of it, and the status.
TEXTS = [
    ("failed to authenticate user", True, "InteractionRequired"),
    ("failed to fetch prt sso cookie", True, "InteractionRequired"),
    ("interactive authentication failed", False, "InteractionRequired"),
    ("unable to find account", True, "AccountNotFound"),
    ("unable to load account", True, "AccountNotFound"),
    ("invalid request for user!", True, "AccountNotFound"),
    ("missing account", True, "ApiContractViolation"),
    ("missing account username in request", True, "ApiContractViolation"),
    ("no interactive prompt available", False, "Unexpected"),
    ("broker socket read timeout", True, "TransientError"),
    ("invalid redirecturi", False, "IncorrectConfiguration"),
    ('error("', False, "ApiContractViolation"),
]
CODES = {
    "interaction_required": "InteractionRequired",
    "invalid_grant": "InteractionRequired",
    "login_required": "InteractionRequired",
    "consent_required": "InteractionRequired",
    "invalid_client": "IncorrectConfiguration",
    "unauthorized_client": "IncorrectConfiguration",
    "invalid_request": "IncorrectConfiguration",
    "invalid_scope": "IncorrectConfiguration",
    "temporarily_unavailable": "ServerTemporarilyUnavailable",
}
ACCOUNT_WANTED = ("missing account", "missing account username in request")
DECLINED = "token response failed because declined scopes are present"
TOKEN_METHODS = ("acquireTokenSilently", "acquireTokenInteractively", "acquirePrtSsoCookie")
UNREACHABLE = ("AccessDenied", "LimitsExceeded", "NoMemory", "NoServer", "IOError", "AuthFailed")
NO_TENANT = ("common", "organizations", "consumers")
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
GRAPH_HOSTS = ("graph.microsoft.com", "graph.microsoft.us", "dod-graph.microsoft.us", "microsoftgraph.chinacloudapi.cn")
LACKS_METHOD = ("UnknownMethod", "UnknownInterface", "UnknownObject", "NotSupported", "InvalidArgs")
# PROTOCOL.md, SE-10 and SE-11.
LABEL = "[0-9A-Za-z](?:[0-9A-Za-z-]*[0-9A-Za-z])?"
TENANT = re.compile(rf"[0-9A-Fa-f]{{8}}(?:-[0-9A-Fa-f]{{4}}){{3}}-[0-9A-Fa-f]{{12}}|(?:{LABEL}\.)+(?![0-9]){LABEL}")
HEADER_VALUE = re.compile("[!-~]*")
COOKIE = re.compile(r"[0-9A-Za-z!#$%&'*+.^_`|~-]+=[!#-+\--:<-\[\]-~]+")
CANCELLATION = {
    "context": "The InteractiveRequest was canceled on behalf of the user",
    "diagnostics": None,
    "errorCode": 0,
    "status": 7,
    "subStatus": 0,
    "tag": 579379414,
}
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


class Failure(Exception):
    """An outcome that is an error."""

    def __init__(self, family: str, **details: Any) -> None:
        super().__init__(family)
        self.wants_account = False
        self.outcome = {"family": family, "message": f"the broker: {family}", **details}


def tag_name(tag: int) -> str:
    digits = [tag >> shift & 63 for shift in (24, 18, 12, 6, 0)]
    return "".join(ALPHABET[digit] for digit in digits) if tag > 0 and max(digits) < len(ALPHABET) else ""


def broker_failure(status: int, context: str, tag: int = 0, sub_error: str = "") -> Failure:
    """The failure that an error object tells of, or the text of a D-Bus error where that is all there is."""
    text = context.strip().lower()
    if status == 6 and text.startswith(DECLINED):
        return Failure("declined", status="ApiContractViolation", declinedScopes=[])
    if status == 0 and text == "not implemented":
        return Failure("unsupported")
    name = (
        status_of_text(context) if status == 0 else (STATUSES[status] if 0 <= status < len(STATUSES) else "Unexpected")
    )
    codes = list(dict.fromkeys(re.findall(r"AADSTS\d+", context)))
    in_text = re.search(r"suberror: '([^']*)'", context)
    sub_error = sub_error or (in_text[1] if in_text else "")
    failure = Failure("broker", status=name, tag=tag_name(tag), codes=codes, subError=sub_error)
    failure.wants_account = status == 0 and text in ACCOUNT_WANTED
    return failure


def status_of_text(context: str) -> str:
    """PROTOCOL.md, "What a text means"."""
    text = context.strip().lower()
    if "broker socket connect" in text or "no such file or directory (os error 2)" in text:
        return "TransientError"
    for known, whole, status in TEXTS:
        if text == known or (not whole and text.startswith(known)):
            return status
    if INTERACTION_CODES.intersection(re.findall(r"AADSTS\d+", context)):
        return "InteractionRequired"
    code = re.search(r"Code: '([^']*)'", context)
    return CODES.get(code[1], "Unexpected") if code else "Unexpected"


def empty_reply(member: str) -> Failure:
    """A broker that failed and said nothing."""
    if member in TOKEN_METHODS:
        failure = broker_failure(2, "")
        failure.wants_account = True
        return failure
    if member in ("removeAccount", "generateSignedHttpRequest"):
        return Failure("unsupported")
    return broker_failure(19, "") if member == "getAccounts" else Failure("malformed")


def dbus_failure(name: str, text: str) -> Failure:
    """PROTOCOL.md, "What a client makes of a D-Bus error"."""
    short = name.removeprefix(DBUS) if name.startswith(DBUS) else ""
    if short == "NameHasNoOwner" and text.startswith("Could not activate"):
        return Failure("start")
    if short in ("ServiceUnknown", "NameHasNoOwner", "Spawn.ServiceNotFound"):
        return Failure("absent")
    if short.startswith("Spawn.") or short == "TimedOut" or name.startswith("org.freedesktop.systemd1."):
        return Failure("start")
    if short in ("NoReply", "Disconnected"):
        return Failure("disconnected")
    if short == "Timeout":
        return Failure("timeout")
    if short in UNREACHABLE:
        return Failure("unreachable")
    if short in LACKS_METHOD or name == "org.freedesktop.dbus.errors.UnknownObject":
        return Failure("unsupported")
    return broker_failure(0, text)


def error_in(value: Any) -> dict[str, Any] | None:
    """An error object at any depth of a reply."""
    if not isinstance(value, dict):
        return None
    own = [value[key] for key in ("error", "Error") if value.get(key) is not None]
    if own:
        if not isinstance(own[0], dict):
            raise Failure("malformed")
        return own[0]
    return next((error for error in map(error_in, value.values()) if error is not None), None)


def json_of(segment: str) -> dict[str, Any]:
    """A JSON object in base64url, such as a JWT's payload; an empty one where it is none."""
    try:
        value = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def claims_of(token: str) -> dict[str, Any]:
    parts = token.split(".")
    return json_of(parts[1]) if len(parts) == 3 else {}


class Client:
    """The operations, each for one line of the runner's."""

    wants_account = ""  # the unique name of the owner that refused a sign-in without an account

    def __init__(self, bus: MessageBus, line: dict[str, Any]) -> None:
        self.bus = bus
        self.line = line
        self.id = str(uuid.uuid4())
        self.account: dict[str, Any] | None = line.get("account")

    async def send(
        self, member: str, request: Any, limit: float | None = DEFAULT_LIMIT, own_id: str = ""
    ) -> dict[str, Any]:
        """Call a method of the broker, and read its reply; an error in it wins over all else."""
        body = ["0.0", own_id or self.id, json.dumps(request)]
        message = Message(NAME, PATH, INTERFACE, member, signature="sss", body=body)
        if limit is not None:
            limit = self.line.get("timeLimit", limit)
        try:
            reply = await asyncio.wait_for(self.bus.call(message), limit)
        except asyncio.TimeoutError:
            raise Failure("timeout") from None
        assert reply is not None
        if reply.message_type is MessageType.ERROR:
            raise dbus_failure(reply.error_name, str(reply.body[0]) if reply.body else "")
        if reply.signature != "s":
            raise Failure("malformed")
        if reply.body[0] == "":
            raise empty_reply(member)
        try:
            document = json.loads(reply.body[0])
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise Failure("malformed")
        inner = document.get("brokerTokenResponse") or {}
        error = document.get("error")
        if error is None:
            error = inner.get("error")
        if error is None and member == "removeAccount":
            error = error_in(document)
        if error is not None:
            if not isinstance(error, dict):
                raise Failure("malformed")
            context = str(error.get("context", ""))
            sub_error = str(inner.get("subError") or inner.get("stsSubError") or "")
            raise broker_failure(error.get("status", 0), context, error.get("tag", 0), sub_error)
        return document

    def authority(self) -> str:
        """The application's, with the chosen account's tenant in place of common and organizations."""
        authority: str = self.line["authority"].rstrip("/")
        host, tenant = urlsplit(authority).netloc, urlsplit(authority).path.strip("/")
        chosen = self.account
        if not chosen or tenant not in ("common", "organizations"):
            return authority
        realm = chosen["realm"] if TENANT.fullmatch(chosen["realm"]) else halves(chosen)[1]
        return f"https://{host}/{realm}"

    def parameters(self, kind: int, **more: Any) -> dict[str, Any]:
        extra, pop = dict(self.line.get("extraQueryParameters", {})), self.pop()
        if confirmation := extra.pop("req_cnf", None):
            pop = {"kid": (json.loads(confirmation) if "{" in confirmation else json_of(confirmation))["kid"]}
        parameters = {
            "authority": self.line["authority"].rstrip("/"),
            "authorizationType": kind,
            "clientId": self.line["clientId"],
            "redirectUri": self.line["redirectUri"],
            "requestedScopes": self.line["scopes"],
            "additionalQueryParametersForAuthorization": extra,
            "decodedClaims": self.claims(),
            "accessTokenToRenew": self.line.get("accessTokenToRenew", ""),
            "popParams": pop,
        }
        return {**parameters, **more}

    def claims(self) -> str:
        """The challenge as it is, or with the client's capabilities merged in."""
        challenge: str = self.line.get("claims", "")
        if "clientCapabilities" not in self.line:
            return challenge
        merged = json.loads(challenge or "{}")
        merged["access_token"] = merged.get("access_token") or {}
        merged["access_token"]["xms_cc"] = {"values": self.line["clientCapabilities"]}
        return json.dumps(merged)

    def pop(self) -> dict[str, Any] | None:
        given = self.line.get("pop")
        if not given:
            return None
        params = {"clientClaims": given.get("clientClaims", ""), "nonce": given.get("nonce", "")}
        if "url" in given:
            url = urlsplit(given["url"])
            params |= {"httpMethod": given["httpMethod"], "uriHost": url.netloc, "uriPath": url.path}
        if "kid" in given:
            params |= {"authenticationScheme": "pop", "kid": given["kid"]}
        return params

    def is_for(self, response: dict[str, Any], asked: dict[str, Any]) -> bool:
        """PROTOCOL.md, "Whose token it is"."""
        given = account_in(response) or {}
        id_token, info = claims_of(response.get("idToken") or ""), json_of(response.get("clientInfo") or "")
        account = asked.get("account")
        if account is not None:
            uid, utid = halves(account)
            theirs, ours = [halves(given), (info.get("uid"), info.get("utid"))], (uid, utid)
            if any(differ(mine, other) for their in theirs for mine, other in zip(ours, their, strict=True)):
                return False
            same_tenant = same(id_token.get("tid"), account.get("realm"))
            if same_tenant and differ(id_token.get("oid"), account.get("localAccountId")):
                return False
        elif asked["authorizationType"] == 3:
            names = [id_token.get(key) for key in ("preferred_username", "upn", "unique_name")]
            told = [name for name in (*names, given.get("username")) if isinstance(name, str) and name]
            if told and not any(same(name, asked["username"]) for name in told):
                return False
        access_token = claims_of(response.get("accessToken") or "")
        tenant = id_token.get("tid") or access_token.get("tid") or given.get("realm")
        return not differ(tenant, tenant_of(asked["authority"], account))

    def token(self, reply: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
        response = reply.get("brokerTokenResponse") or {}
        kinds = {0: "Bearer", 1: "pop", "bearer": "Bearer", "pop": "pop"}
        kind = response.get("accessTokenType", 0)
        kind = kinds.get(kind.lower() if isinstance(kind, str) else kind)
        token = response.get("accessToken")
        expiry = claims_of(token or "").get("exp") or stated_expiry(response)
        if not token or not kind or not expiry:
            raise Failure("malformed")
        if not all(HEADER_VALUE.fullmatch(text) for text in (token, response.get("idToken") or "")):
            raise Failure("malformed")
        pop = asked["popParams"] or {}
        if kind == "pop" and not pop:
            raise Failure("malformed")
        if kind == "Bearer" and "uriHost" in pop:
            raise Failure("unsupported")
        if not self.is_for(response, asked):
            raise broker_failure(6, "")
        seconds = expiry if expiry < 10**11 else expiry // 1000
        requested = self.line["scopes"]
        granted = response.get("grantedScopes", requested)
        granted = granted.split() if isinstance(granted, str) else granted
        present = {bare(scope) for scope in granted} | {"openid", "profile", "offline_access", "email"}
        declined = [
            scope for scope in requested if bare(scope) not in present and not bare(scope).endswith("/.default")
        ]
        if declined:
            raise Failure("declined", status="ApiContractViolation", declinedScopes=declined)
        account = account_in(response) or self.account or account_of(response)
        id_token = response.get("idToken", "")
        return {
            "token": {
                "accessToken": token,
                "tokenType": kind,
                "expiresOn": seconds,
                "scopes": granted,
                "idToken": id_token,
                "account": account,
            }
        }

    async def listed(self) -> list[dict[str, Any]]:
        request = {"clientId": self.line["clientId"], "redirectUri": self.line["clientId"]}
        accounts: list[Any] | None = (await self.send("getAccounts", request)).get("accounts")
        if accounts is None:
            raise Failure("malformed")
        return [account for account in accounts if isinstance(account, dict) and account.get("homeAccountId")]

    async def get_accounts(self) -> dict[str, Any]:
        return {"accounts": await self.listed()}

    async def find_account(self) -> dict[str, Any]:
        username = self.line["username"]
        named = [account for account in await self.listed() if same(account["username"], username)]
        return {"account": pick(self.preferred(named), username, self.line.get("tenant"))}

    def preferred(self, accounts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """PROTOCOL.md, AR-11: of accounts of one UPN the work accounts, where the authority is for them."""
        if self.line["authority"].rpartition("/")[2] in ("common", "consumers"):
            return accounts
        return [account for account in accounts if account.get("realm") != PERSONAL_TENANT] or accounts

    async def version(self) -> dict[str, Any]:
        version = (await self.send("getLinuxBrokerVersion", {"msalCppVersion": "1.0"})).get("linuxBrokerVersion")
        if not version:
            raise Failure("malformed")
        return {"version": version}

    async def silent(self) -> dict[str, Any]:
        more: dict[str, Any] = {}
        authority = self.authority()
        if self.account is None:
            accounts = await self.listed()
            if len({account["homeAccountId"] for account in accounts}) == 1:
                self.account = pick(accounts, accounts[0]["username"], None)
            else:
                more["isSignIn"] = True
        more |= {"account": self.account, "username": (self.account or {}).get("username", "")}
        parameters = self.parameters(1, **more, authority=authority)
        return self.token(await self.send("acquireTokenSilently", {"authParameters": parameters}), parameters)

    async def interactive(self) -> dict[str, Any]:
        may_repeat = self.account is None and self.line.get("prompt") != "select_account"
        if may_repeat and Client.wants_account and Client.wants_account == await self.owner():
            self.account = await self.only_user()
            may_repeat = self.account is None
        try:
            return await self.sign_in()
        except Failure as failure:
            if not may_repeat or not failure.wants_account:
                raise
            refusal = failure
        Client.wants_account = await self.owner()
        self.account = await self.only_user()
        if self.account is None:
            raise broker_failure(2, "") if "loginHint" not in self.line else refusal
        return await self.sign_in()

    async def only_user(self) -> dict[str, Any] | None:
        """The only user's account, or the login hint's; None where nobody is listed, or nobody of that name."""
        accounts, hint = await self.listed(), self.line.get("loginHint", "").lower()
        accounts = [account for account in accounts if hint in ("", account["username"].lower())]
        accounts = self.preferred(accounts) if hint else accounts
        if len({account["homeAccountId"] for account in accounts}) > 1:
            raise broker_failure(6, "")
        return pick(accounts, accounts[0]["username"], None) if accounts else None

    async def owner(self) -> str:
        call = Message(BUS, "/org/freedesktop/DBus", BUS, "GetNameOwner", signature="s", body=[NAME])
        reply = await self.bus.call(call)
        return str(reply.body[0]) if reply is not None and reply.message_type is MessageType.METHOD_RETURN else ""

    async def sign_in(self) -> dict[str, Any]:
        handle, prompt = self.line.get("parentWindowHandle", 0), self.line.get("prompt")
        more: dict[str, Any] = {"parentWindow": {"handle": handle}}
        if prompt:
            more["prompt"] = prompt
        if prompt == "select_account":
            self.account = None
            more["isSignIn"] = True
        elif self.account is None:
            more |= {"account": None, "isSignIn": True, "username": self.line.get("loginHint", "")}
        else:
            more |= {"account": self.account, "username": self.account["username"], "authority": self.authority()}
        parameters = self.parameters(6, **more)
        if self.account is not None:
            parameters["additionalQueryParametersForAuthorization"]["hsu"] = "1"
        request = {"authParameters": parameters, "parentWindowHandle": handle}
        sign_in = asyncio.ensure_future(self.send("acquireTokenInteractively", request, limit=None))
        try:
            return self.token(await asyncio.shield(sign_in), parameters)
        except asyncio.CancelledError:
            with contextlib.suppress(Failure):
                await self.send("cancelInteractiveFlow", {"error": CANCELLATION}, own_id=str(uuid.uuid4()))
            await asyncio.gather(sign_in, return_exceptions=True)
            raise

    async def password(self) -> dict[str, Any]:
        more = {"account": None, "username": self.line["username"], "password": self.line["password"], "isSignIn": True}
        request = {"authParameters": self.parameters(3, **more)}
        return self.token(await self.send("acquireTokenSilently", request), request["authParameters"])

    async def cookies(self) -> dict[str, Any]:
        assert self.account is not None
        more = {"account": self.account, "username": self.account["username"], "ssoUrl": self.line["ssoUrl"]}
        request = {
            "account": self.account, "authParameters": self.parameters(8, **more), "ssoUrl": self.line["ssoUrl"]
        }  # fmt: skip
        reply = await self.send("acquirePrtSsoCookie", request)
        items = reply.get("cookieItems") or ([reply] if "cookieName" in reply else [])
        cookies = [{"name": item.get("cookieName"), "content": item.get("cookieContent") or ""} for item in items]
        if not cookies or not all(COOKIE.fullmatch("{name}={content}".format(**cookie)) for cookie in cookies):
            raise Failure("malformed")
        return {"cookies": cookies}

    async def sign(self) -> dict[str, Any]:
        assert self.account is not None
        pop = {**(self.pop() or {}), "authenticationScheme": "pop", "homeAccountId": self.account["homeAccountId"]}
        reply = await self.send("generateSignedHttpRequest", {"clientId": self.line["clientId"], "popParams": pop})
        if not reply.get("signedHttpRequest") or not HEADER_VALUE.fullmatch(reply["signedHttpRequest"]):
            raise Failure("malformed")
        return {"signedHttpRequest": reply["signedHttpRequest"]}

    async def remove(self) -> dict[str, Any]:
        reply = await self.send("removeAccount", {"clientId": self.line["clientId"], "account": self.account})
        if reply.get("success") is False:
            raise broker_failure(0, "")
        return {"removed": True}

    async def available(self) -> dict[str, Any]:
        reply = await self.bus.call(Message(NAME, PATH, BUS + ".Peer", "Ping"))
        return {"available": reply is not None and reply.message_type is MessageType.METHOD_RETURN}

    async def watch(self) -> dict[str, Any]:
        changes: asyncio.Queue[str] = asyncio.Queue()

        def on_message(message: Message) -> None:
            if message.member == "NameOwnerChanged" and message.body[0] == NAME:
                changes.put_nowait("online" if message.body[2] else "offline")

        rule = f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{NAME}'"
        self.bus.add_message_handler(on_message)
        await self.bus.call(Message(BUS, "/org/freedesktop/DBus", BUS, "AddMatch", signature="s", body=[rule]))
        owned = await self.bus.call(
            Message(BUS, "/org/freedesktop/DBus", BUS, "NameHasOwner", signature="s", body=[NAME])
        )
        assert owned is not None
        changes.put_nowait("online" if owned.body[0] else "offline")
        last = ""
        try:
            while True:
                presence = await changes.get()
                if presence != last:
                    say({"id": self.line["id"], "presence": presence})
                last = presence
        finally:
            self.bus.remove_message_handler(on_message)


def pick(accounts: list[dict[str, Any]], username: str, tenant: str | None) -> dict[str, Any] | None:
    """PROTOCOL.md, AR-05 and AR-06."""
    mine = [account for account in accounts if account["username"].lower() == username.lower()]
    mine = [account for account in mine if account["username"] == username] or mine
    if tenant is not None:
        return next((account for account in mine if account["realm"] == tenant), None)
    at_home = [account for account in mine if account["realm"] == account["homeAccountId"].partition(".")[2]]
    return next(iter(at_home + mine), None)


def stated_expiry(response: dict[str, Any]) -> int:
    """PROTOCOL.md, EX-01 to EX-05 and EX-09."""
    expires_on, extended = int(response.get("expiresOn") or 0), response.get("extendedExpiresOn") or 0
    is_himmelblau = expires_on >= 10**11 and 1 < extended - expires_on // 1000 <= 110_000
    return int(extended) if is_himmelblau else expires_on


def halves(account: dict[str, Any]) -> tuple[str, str]:
    uid, _, utid = str(account.get("homeAccountId") or "").partition(".")
    return uid, utid


def differ(one: Any, other: Any) -> bool:
    """An id that is missing, empty or no text never differs."""
    both = isinstance(one, str) and isinstance(other, str)
    return both and bool(one) and bool(other) and one.lower() != other.lower()


def same(one: Any, other: Any) -> bool:
    return isinstance(one, str) and isinstance(other, str) and one.lower() == other.lower()


def tenant_of(authority: str, account: dict[str, Any] | None) -> str | None:
    """The id of the tenant that an authority names; None where it names none, or nobody tells a domain's id."""
    tenant = authority.rpartition("/")[2].lower()
    if "." not in tenant:
        return None if tenant in NO_TENANT else tenant
    at_home = account is not None and same(account.get("realm"), halves(account)[1])
    same_domain = account is not None and str(account.get("username")).lower().endswith("@" + tenant)
    return account["realm"] if account is not None and at_home and same_domain else None


def bare(scope: str) -> str:
    """A scope as it is compared: without Graph's host."""
    host, _, name = scope.lower().removeprefix("https://").partition("/")
    return name if name and name != ".default" and host in GRAPH_HOSTS else scope.lower()


def account_in(response: dict[str, Any]) -> dict[str, Any] | None:
    account = response.get("account")
    return account if isinstance(account, dict) and account.get("homeAccountId") else None


def account_of(response: dict[str, Any]) -> dict[str, Any] | None:
    claims, home = claims_of(response.get("idToken") or ""), json_of(response.get("clientInfo") or "")
    if "oid" not in claims or "tid" not in claims:
        return None
    return {
        "homeAccountId": f"{home.get('uid', claims['oid'])}.{home.get('utid', claims['tid'])}",
        "localAccountId": claims["oid"],
        "realm": claims["tid"],
        "username": claims.get("preferred_username", ""),
    }


OPERATIONS = {
    "getAccounts": Client.get_accounts,
    "findAccount": Client.find_account,
    "getLinuxBrokerVersion": Client.version,
    "acquireTokenSilently": Client.silent,
    "acquireTokenInteractively": Client.interactive,
    "acquireTokenByUsernamePassword": Client.password,
    "acquirePrtSsoCookie": Client.cookies,
    "generateSignedHttpRequest": Client.sign,
    "removeAccount": Client.remove,
    "isAvailable": Client.available,
    "watchPresence": Client.watch,
}


def say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


async def answer(bus: MessageBus, line: dict[str, Any]) -> None:
    try:
        outcome: dict[str, Any] = await OPERATIONS[line["operation"]](Client(bus, line))
    except Failure as failure:
        outcome = {"error": failure.outcome}
    except asyncio.CancelledError:
        outcome = {"canceled": True}
    except Exception:  # better no driver than one that never answers
        traceback.print_exc()
        os._exit(1)
    say({"id": line["id"], "outcome": outcome})


async def main() -> None:
    bus = await MessageBus().connect()
    stdin = asyncio.StreamReader(limit=2**26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    running: dict[str, asyncio.Task[None]] = {}
    while text := await stdin.readline():
        line = json.loads(text)
        if line["operation"] == "cancel":
            running[line["cancels"]].cancel()
        else:
            running[line["id"]] = asyncio.ensure_future(answer(bus, line))


if __name__ == "__main__":
    asyncio.run(main())
