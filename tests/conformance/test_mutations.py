"""Mistakes put into the plain driver one by one, each of which the vectors must detect."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from linuxbroker_fake.conformance.report import describe
from linuxbroker_fake.conformance.runner import run_client
from linuxbroker_fake.conformance.vectors import load_vectors, select

SOURCE = (Path(__file__).parent / "plain_driver.py").read_text(encoding="utf-8")
VECTORS = load_vectors()


@dataclass(frozen=True)
class Mistake:
    """A deliberate mistake.

    Attributes:
        what: the mistake.
        right: a text of the driver's source.
        wrong: what stands there instead.
        caught_by: the vectors that fail with it, each of them.
        ends: whether the driver comes to a stop over it, in place of saying or sending something wrong.
        patience: seconds that it has for what it does not do.
    """

    what: str
    right: str
    wrong: str
    caught_by: str
    ends: bool = False
    patience: float = 60.0


# What a client that introspects does before its first call.
INTROSPECTS = 'await self.bus.call(Message(NAME, PATH, BUS + ".Introspectable", "Introspect"))'
LOOKS_UP = 'await self.bus.call(Message(BUS, "/org/freedesktop/DBus", BUS, "GetNameOwner", signature="s", body=[NAME]))'
MAKES_A_PROXY = (
    'await self.bus.call(Message(NAME, PATH, BUS + ".Properties", "GetAll", signature="s", body=[INTERFACE]))'
)
SENDS = '        body = ["0.0", own_id or self.id, json.dumps(request)]\n'

MISTAKES = [
    Mistake(
        "writes a key in another case",
        '"clientId": self.line["clientId"],',
        '"clientID": self.line["clientId"],',
        "req-silent-account",
    ),
    Mistake("sends another protocol version", '"0.0"', '"1.0"', "req-version"),
    Mistake(
        "sends the request as the second argument",
        "own_id or self.id, json.dumps(request)]",
        "json.dumps(request), self.id]",
        "req-version",
    ),
    Mistake(
        "has a correlation id in capitals",
        "self.id = str(uuid.uuid4())",
        "self.id = str(uuid.uuid4()).upper()",
        "req-version",
    ),
    Mistake(
        "has one correlation id for all operations",
        "self.id = str(uuid.uuid4())",
        'self.id = "5e2f8c1a-7b94-4d36-9a60-3c8f1e7d2b45"',
        "seq-restart",
    ),
    Mistake(
        "has a correlation id of its own for each call",
        "own_id or self.id",
        "own_id or str(uuid.uuid4())",
        "req-silent-no-account",
    ),
    Mistake(
        "writes the interface with a small b",
        'microsoft.identity.Broker1"',
        'microsoft.identity.broker1"',
        "req-version",
    ),
    Mistake("introspects", SENDS, f"        {INTROSPECTS}\n{SENDS}", "req-not-introspected"),
    Mistake(
        "makes a proxy that asks for properties", SENDS, f"        {MAKES_A_PROXY}\n{SENDS}", "req-not-introspected"
    ),
    Mistake("looks the broker up before the first call", SENDS, f"        {LOOKS_UP}\n{SENDS}", "seq-activation"),
    Mistake(
        "takes milliseconds for seconds",
        "seconds = expiry if expiry < 10**11 else expiry // 1000",
        "seconds = expiry",
        "rep-token",
    ),
    Mistake(
        "takes seconds for milliseconds",
        "seconds = expiry if expiry < 10**11 else expiry // 1000",
        "seconds = expiry // 1000",
        "rep-seconds",
    ),
    Mistake(
        "does not believe exp",
        'claims_of(token or "").get("exp") or ',
        "",
        "rep-token-jwt-exp rep-token-expiry-old-himmelblau",
    ),
    Mistake(
        "takes expiresOn for a number only",
        'int(response.get("expiresOn") or 0)',
        '(response.get("expiresOn") or 0)',
        "rep-token-expiry-text",
        ends=True,
        patience=2.0,
    ),
    Mistake(
        "does not list the accounts before a silent call without one",
        "            accounts = await self.listed()\n            if len",
        "            accounts = []\n            if len",
        "req-silent-no-account",
    ),
    Mistake(
        "picks one of several users by itself",
        "for account in accounts}) == 1",
        "for account in accounts}) >= 1",
        "req-silent-no-account-several",
    ),
    Mistake(
        "leaves isSignIn out",
        '                more["isSignIn"] = True\n        more',
        "                pass\n        more",
        "req-silent-no-account-several",
    ),
    Mistake(
        "writes isSignIn always",
        "return {**parameters, **more}",
        'return {**parameters, "isSignIn": True, **more}',
        "req-silent-account",
    ),
    Mistake(
        "leaves common as it is for an account",
        'tenant not in ("common", "organizations")',
        "True",
        "req-silent-account",
    ),
    Mistake(
        "leaves organizations as it is for an account",
        '("common", "organizations")',
        '("common",)',
        "req-silent-organizations",
    ),
    Mistake(
        "asks for a guest in the home tenant",
        'realm = chosen["realm"] if',
        "realm = halves(chosen)[1] if",
        "req-silent-guest",
    ),
    Mistake(
        "puts the account's tenant in place of a named one",
        'if not chosen or tenant not in ("common", "organizations")',
        "if not chosen",
        "req-silent-tenant-kept",
    ),
    Mistake(
        "drops unknown account keys",
        'self.account: dict[str, Any] | None = line.get("account")',
        'self.account: Any = line.get("account") and {k: v for k, v in line["account"].items() if k != "fictionalKey"}',
        "seq-unknown-account-keys seq-unknown-account-keys-remove",
    ),
    Mistake(
        "ignores a top-level error",
        'error = document.get("error")',
        "error = None",
        "rep-error-alone rep-accounts-error-wins",
    ),
    Mistake(
        "ignores an error in the token reply", 'error = inner.get("error")', "error = None", "rep-token-error-wins"
    ),
    Mistake(
        "takes the token where there is an error too",
        "        if error is not None:\n            if not isinstance(error, dict):",
        '        if error is not None and not inner.get("accessToken"):\n            if not isinstance(error, dict):',
        "rep-token-error-wins rep-token-top-level-error-wins",
    ),
    Mistake(
        "takes a D-Bus error for one kind of failure",
        "            raise dbus_failure(",
        '            raise Failure("broker") or dbus_failure(',
        "rep-dbus-interaction seq-absent",
    ),
    Mistake(
        "does not know Not implemented",
        'text == "not implemented"',
        "False",
        "rep-dbus-not-implemented rep-remove-not-implemented",
    ),
    Mistake(
        "compares texts with regard to case",
        "text = context.strip().lower()",
        "text = context.strip()",
        "rep-dbus-not-implemented rep-text-case",
    ),
    Mistake(
        "does not know the codes that a sign-in mends",
        "if INTERACTION_CODES.intersection(",
        "if set().intersection(",
        "rep-dbus-interaction rep-text-aadsts",
    ),
    Mistake(
        "reads no text",
        "for known, whole, status in TEXTS:",
        "for known, whole, status in []:",
        "rep-text-silent rep-text-load-account",
    ),
    Mistake(
        "reads a text whatever the status",
        "if status == 0 else (",
        "if status in (0, 3) else (",
        "rep-text-status-wins",
    ),
    Mistake("finds texts within texts", "if text == known or", "if known in text or", "rep-text-part"),
    Mistake(
        "reads no Code",
        'CODES.get(code[1], "Unexpected") if code',
        '"Unexpected" if code',
        "rep-text-code-invalid-grant",
    ),
    Mistake(
        "reads no sub-error of a text",
        "sub_error = sub_error or (",
        'sub_error = sub_error or "" and (',
        "rep-error-2.5.2",
    ),
    Mistake("does not know stsSubError", ' or inner.get("stsSubError")', "", "rep-error-sts-sub-error"),
    Mistake(
        "takes an empty text for nonsense",
        "            raise empty_reply(member)",
        '            raise Failure("malformed")',
        "rep-empty-silent rep-empty-accounts rep-empty-remove",
    ),
    Mistake(
        "takes an empty text for a sign-out",
        '        if reply.body[0] == "":\n',
        '        if reply.body[0] == "" == member.replace("removeAccount", ""):\n            return {}\n'
        '        if reply.body[0] == "":\n',
        "rep-empty-remove",
    ),
    Mistake(
        "looks for an error of a sign-out at two levels only",
        'if error is None and member == "removeAccount":',
        "if False:",
        "rep-remove-error-deep rep-remove-error-capital",
    ),
    Mistake(
        "takes success false for a sign-out",
        'if reply.get("success") is False:',
        "if False:",
        "rep-remove-success-false",
    ),
    Mistake(
        "takes a Bearer token for a proof of possession",
        'if kind == "Bearer" and "uriHost" in pop:',
        "if False:",
        "rep-pop-bearer rep-pop-bearer-sign-in rep-pop-bearer-password",
    ),
    Mistake(
        "wants a signed request for a key id as well",
        'if kind == "Bearer" and "uriHost" in pop:',
        'if kind == "Bearer" and pop:',
        "rep-pop-kid",
    ),
    Mistake("takes a proof that nobody asked for", 'if kind == "pop" and not pop:', "if False:", "rep-pop-unasked"),
    Mistake(
        "takes anybody's token",
        "if not self.is_for(response, asked):",
        "if False:",
        "rep-token-other-user-account rep-token-other-tenant seq-silent-sole-user-other",
    ),
    Mistake(
        "compares ids with regard to case",
        "one.lower() != other.lower()",
        "one != other",
        "rep-token-same-user-case",
    ),
    Mistake(
        "compares the object id of another tenant",
        'if same_tenant and differ(id_token.get("oid")',
        'if differ(id_token.get("oid")',
        "rep-token-same-user-guest",
    ),
    Mistake(
        "does not sign in again with the only user's account",
        "if not may_repeat or not failure.wants_account:",
        "if True:",
        "seq-account-wanted seq-account-wanted-empty",
    ),
    Mistake(
        "signs in again whatever the failure",
        "if not may_repeat or not failure.wants_account:",
        "if not may_repeat:",
        "seq-account-wanted-other-failure",
    ),
    Mistake(
        "picks one of several users for a sign-in",
        '        if len({account["homeAccountId"] for account in accounts}) > 1:\n            raise',
        "        if False:\n            raise",
        "seq-account-wanted-several",
    ),
    Mistake(
        "takes the only account in place of the hint's",
        'if hint in ("", account["username"].lower())]',
        "]",
        "seq-account-wanted-hint-other",
    ),
    Mistake(
        "puts the only account in place of a choice",
        'self.account is None and self.line.get("prompt") != "select_account"',
        "self.account is None",
        "seq-account-wanted-select-account",
    ),
    Mistake(
        "does not remember who wants an account",
        "        Client.wants_account = await self.owner()\n",
        "",
        "seq-account-wanted-remembered",
    ),
    Mistake(
        "remembers it of every broker",
        "if may_repeat and Client.wants_account and Client.wants_account == await self.owner():",
        "if may_repeat and Client.wants_account:",
        "seq-account-wanted-restart",
    ),
    Mistake(
        "does not know a dead bus",
        "if short in UNREACHABLE:",
        "if False:",
        "rep-dbus-access-denied rep-dbus-access-denied-code",
    ),
    Mistake("does not know systemd", ' or name.startswith("org.freedesktop.systemd1.")', "", "rep-dbus-systemd-masked"),
    Mistake("takes .default for declined", ' and not bare(scope).endswith("/.default")', "", "rep-declined-default"),
    Mistake(
        "does not know a bare name",
        "return name if name and name != ",
        "return scope.lower() if name and name != ",
        "rep-declined-spelling rep-scope-short-granted",
    ),
    Mistake(
        "takes a bare name for any resource's", " and host in GRAPH_HOSTS else", " else", "rep-scope-other-resource"
    ),
    Mistake(
        "refuses a list for one broken record",
        'return [account for account in accounts if isinstance(account, dict) and account.get("homeAccountId")]',
        'return accounts if all(account["homeAccountId"] for account in accounts) else []',
        "rep-accounts-one-broken",
    ),
    Mistake(
        "puts any realm into the authority",
        'TENANT.fullmatch(chosen["realm"])',
        "True",
        "req-silent-odd-realm",
    ),
    Mistake(
        "takes any text for a token",
        'if not all(HEADER_VALUE.fullmatch(text) for text in (token, response.get("idToken") or "")):',
        "if False:",
        "rep-token-line-break rep-token-blank",
    ),
    Mistake(
        "prefers the first account to the work account",
        'if account.get("realm") != PERSONAL_TENANT] or accounts',
        "]",
        "seq-work-before-personal seq-account-wanted-hint-work",
    ),
    Mistake(
        "does not know a lifetime in seconds",
        "return int(extended) if is_himmelblau else expires_on",
        "return expires_on",
        "rep-token-expiry-opaque-himmelblau",
    ),
    Mistake(
        "is off by one in the statuses",
        "(STATUSES[status] if",
        "(STATUSES[status - 1] if",
        "rep-status-02 rep-status-21",
    ),
    Mistake(
        "fails at a status that it does not know",
        'if 0 <= status < len(STATUSES) else "Unexpected"',
        "",
        "rep-status-unknown",
        ends=True,
        patience=2.0,
    ),
    Mistake("reads a tag from the wrong end", "(24, 18, 12, 6, 0)", "(0, 6, 12, 18, 24)", "rep-tag-965ya"),
    Mistake("spells a tag of 0", "if tag > 0 and max", "if max", "rep-tag-zero"),
    Mistake(
        "times out an interactive call",
        "request, limit=None",
        "request, limit=DEFAULT_LIMIT",
        "seq-interactive-no-limit",
    ),
    Mistake(
        "has no time limit for any call",
        'self.line.get("timeLimit", limit)',
        "None",
        "seq-hang",
        ends=True,
        patience=2.0,
    ),
    Mistake(
        "does not tell the broker of a cancelled sign-in",
        '            await self.send("cancelInteractiveFlow"',
        '            None and await self.send("cancelInteractiveFlow"',
        "seq-cancel-simple",
        patience=2.0,
    ),
    Mistake(
        "cancels with the correlation id of the sign-in",
        '{"error": CANCELLATION}, own_id=str(uuid.uuid4()))',
        '{"error": CANCELLATION})',
        "seq-cancel-simple",
    ),
    Mistake(
        "does not wait for the reply of a cancelled sign-in",
        "            await asyncio.gather(sign_in, return_exceptions=True)\n            raise",
        "            raise",
        "seq-cancel",
    ),
    Mistake("sends another status in a cancel", '    "status": 7,\n', '    "status": 8,\n', "seq-cancel"),
    Mistake(
        "gives one window handle only",
        '"parentWindowHandle": handle}',
        '"parentWindowHandle": 0}',
        "req-interactive-window",
    ),
    Mistake(
        "sends the account along with select_account",
        '            self.account = None\n            more["isSignIn"] = True',
        '            more |= {"isSignIn": True, "account": self.account}',
        "req-interactive-select-account",
    ),
    Mistake(
        "leaves hsu out",
        'parameters["additionalQueryParametersForAuthorization"]["hsu"] = "1"',
        "pass",
        "req-interactive-account",
    ),
    Mistake(
        "puts hsu into every sign-in",
        "        if self.account is not None:\n            parameters",
        "        if True:\n            parameters",
        "req-interactive",
    ),
    Mistake("leaves the login hint out", 'self.line.get("loginHint", "")', '""', "req-interactive-hint"),
    Mistake("passes req_cnf on", 'extra.pop("req_cnf", None)', 'extra.get("req_cnf", None)', "req-silent-ssh"),
    Mistake(
        "writes a claims challenge anew",
        'self.line.get("claims", "")',
        'self.line.get("claims") and json.dumps(json.loads(self.line["claims"]))',
        "req-silent-claims-spaces",
    ),
    Mistake("puts the whole URL into uriHost", '"uriHost": url.netloc', '"uriHost": given["url"]', "req-silent-pop"),
    Mistake(
        "asks for openid of its own",
        '"requestedScopes": self.line["scopes"]',
        '"requestedScopes": [*self.line["scopes"], "openid"]',
        "req-silent-account",
    ),
    Mistake(
        "takes declined scopes for granted",
        "        if declined:\n",
        "        if False:\n",
        "rep-declined-scope rep-scope-other-resource",
    ),
    Mistake(
        "compares scopes with regard to case",
        "present = {bare(scope) for scope in granted}",
        "present = set(granted)",
        "rep-token-scopes-case",
    ),
    Mistake(
        "takes grantedScopes for a text only",
        "granted = granted.split() if isinstance(granted, str) else granted",
        "granted = granted.split()",
        "rep-token-scopes-list",
        ends=True,
        patience=2.0,
    ),
    Mistake(
        "takes a reply without a token for success",
        "if not token or not kind or not expiry:",
        'token = token or "none"\n        if not kind or not expiry:',
        "rep-no-access-token",
    ),
    Mistake("does not look at the type of a token", '"tokenType": kind', '"tokenType": "Bearer"', "rep-token-pop"),
    Mistake(
        "makes no account from an ID token",
        " or account_of(response)",
        "",
        "rep-token-account-of-id-token rep-3.0.2-password",
    ),
    Mistake("knows the flat cookie only", 'reply.get("cookieItems") or ', "", "rep-cookie-items"),
    Mistake(
        "knows the list of cookies only", ' or ([reply] if "cookieName" in reply else [])', " or []", "rep-cookie-flat"
    ),
    Mistake(
        "takes any text for a sign-out",
        "        if not isinstance(document, dict):\n            raise",
        '        if not isinstance(document, dict) and member == "removeAccount":\n            return {}\n'
        "        if not isinstance(document, dict):\n            raise",
        "rep-remove-not-json rep-remove-false rep-remove-list",
    ),
    Mistake(
        "takes the first of several users whose names differ in case",
        'if account["username"] == username] or mine',
        "] or mine",
        "seq-find-exact-spelling",
    ),
    Mistake(
        "takes what ends a cookie for a part of one",
        '[!#-+\\--:<-\\[\\]-~]+")',
        '[!-~]+")',
        "rep-cookie-two-in-one",
    ),
    Mistake("takes an address for a domain", "(?![0-9])", "", "req-silent-realm-address"),
    Mistake(
        "compares UPNs with regard to case",
        'account["username"].lower() == username.lower()',
        'account["username"] == username',
        "seq-one-upn-two-tenants",
    ),
    Mistake(
        "takes the first of two records of one UPN",
        "next(iter(at_home + mine), None)",
        "next(iter(mine), None)",
        "seq-one-upn-two-tenants",
    ),
    Mistake(
        "sends a password again when the broker dies",
        """        return self.token(await self.send("acquireTokenSilently", request), request["authParameters"])
""",
        """        try:
            return self.token(await self.send("acquireTokenSilently", request), request["authParameters"])
        except Failure:
            return self.token(await self.send("acquireTokenSilently", request), request["authParameters"])
""",
        "seq-crash-password",
    ),
    Mistake(
        "shows the whole reply in an error",
        'if not token or not kind or not expiry:\n            raise Failure("malformed")',
        'if not token or not kind or not expiry:\n            raise Failure("malformed", detail=reply)',
        "rep-token-no-expiry",
    ),
    Mistake(
        "prints the request",
        "        message = Message(NAME, PATH, INTERFACE",
        "        print(request, file=sys.stderr, flush=True)\n        message = Message(NAME, PATH, INTERFACE",
        "req-password",
    ),
    Mistake(
        "watches without the present state",
        'changes.put_nowait("online" if owned.body[0] else "offline")',
        "pass",
        "seq-watch-does-not-start",
        ends=True,
        patience=2.0,
    ),
    Mistake(
        "starts the broker when it watches",
        '"NameHasOwner", signature="s", body=[NAME]',
        '"StartServiceByName", signature="su", body=[NAME, 0]',
        "seq-watch-does-not-start",
    ),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.what.replace(" ", "-"))
def test_vectors_detect_each_mistake_in_a_driver(mistake: Mistake, tmp_path: Path) -> None:
    assert mistake.right in SOURCE, "the mistake has no place in plain_driver.py any more"
    driver = tmp_path / "driver.py"
    driver.write_text(SOURCE.replace(mistake.right, mistake.wrong), encoding="utf-8")
    compile(driver.read_text(encoding="utf-8"), driver, "exec")
    vectors = select(VECTORS, mistake.caught_by.split())
    results = asyncio.run(run_client(vectors, [sys.executable, str(driver)], limit=mistake.patience))
    assert [result.vector.id for result in results if result.passed] == []
    for result in results:
        assert result.problems[0].what.startswith("the driver ") is mistake.ends, describe(result)


def test_there_are_enough_mistakes_and_the_unchanged_driver_passes() -> None:
    assert len(MISTAKES) >= 20
    vectors = select(VECTORS, {name for mistake in MISTAKES for name in mistake.caught_by.split()})
    driver = str(Path(__file__).parent / "plain_driver.py")
    results = asyncio.run(run_client(vectors, [sys.executable, driver], limit=60.0))
    assert [result.vector.id for result in results if not result.passed] == []
