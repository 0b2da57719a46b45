"""The agreed differences between this library and MSAL as an application sees them, each with its reason.

`AGREED` is the table. Each row settles its difference in one step of a scenario: it makes both outcomes the same in
that respect, and says whether there was anything to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Outcome = dict[str, Any]

_FAILURE_KEYS = ("_broker_status", "_broker_error_code", "_broker_tag")


@dataclass(frozen=True)
class Difference:
    """A row of the table.

    Attributes:
        reason: why it is agreed.
        settle: takes MSAL's outcome and this library's, changes them, and says whether it did.
    """

    reason: str
    settle: Callable[[Outcome, Outcome], bool]


def _failure_keys(theirs: Outcome, ours: Outcome) -> bool:
    failed, told = _results(theirs, ours, "error")
    return "error" in failed and all(
        key in told and key not in failed and told.pop(key) is not None for key in _FAILURE_KEYS
    )


def _wording(theirs: Outcome, ours: Outcome) -> bool:
    failed, told = _results(theirs, ours, "error_description")
    said, say = str(failed.get("error_description")), str(told.get("error_description"))
    same_status = _status(said) == _status(say) != ""
    if said == say or not same_status:
        return False
    told["error_description"] = said
    return True


def _exceptions(theirs: Outcome, ours: Outcome) -> bool:
    raised, raises = theirs.get("raised", []), ours.get("raised", [])
    if not raised or (raised == raises and theirs["text"] == ours["text"]):
        return False
    if not (ours["text"] and raised[0] == raises[0] and set(raised) <= set(raises)):
        return False
    ours.update(theirs)
    return True


def _refused(theirs: Outcome, ours: Outcome) -> bool:
    if "result" not in theirs or "ValueError" not in ours.get("raised", []):
        return False
    ours.clear()
    ours.update(theirs)
    return True


def _broker_accounts(theirs: Outcome, ours: Outcome) -> bool:
    listed, lists = theirs.get("result"), ours.get("result")
    if listed != [] or not isinstance(lists, list) or not lists or "home_account_id" not in lists[0]:
        return False
    ours["result"] = []
    return True


def _tenant_records(theirs: Outcome, ours: Outcome) -> bool:
    listed, lists = theirs.get("result"), ours.get("result")
    if not isinstance(listed, list) or not isinstance(lists, list):
        return False
    signed_in = {each["local_account_id"] for each in listed}
    homes: dict[str, Outcome] = {}
    # MSAL's is the record of the tenant that the user signed in to.
    for each in sorted(lists, key=lambda each: each["local_account_id"] not in signed_in):
        homes.setdefault(each["home_account_id"], each)
    ours["result"] = list(homes.values())
    return len(homes) < len(lists)


def _realm(theirs: Outcome, ours: Outcome) -> bool:
    listed, lists = theirs.get("result"), ours.get("result")
    if not isinstance(listed, list) or not isinstance(lists, list):
        return False
    seen = False
    for one, other in zip(listed, lists, strict=False):
        home_tenant = one["home_account_id"].partition(".")[2]
        if one["realm"] != other["realm"] == home_tenant:
            other["realm"], seen = one["realm"], True
    return seen


def _hint(theirs: Outcome, ours: Outcome) -> bool:
    if (theirs.get("launched"), ours.get("launched")) != (["broker"], []):
        return False
    ours["launched"] = ["broker"]
    return True


def _prompt(theirs: Outcome, ours: Outcome) -> bool:
    if (theirs.get("launched"), ours.get("launched")) != ([], ["broker"]):
        return False
    ours["launched"] = []
    return True


def _cache(theirs: Outcome, ours: Outcome) -> bool:
    cached, fresh = _results(theirs, ours, "token_source")
    if (cached.get("token_source"), fresh.get("token_source")) != ("cache", "broker"):
        return False
    for key in [key for key in fresh if key not in cached]:
        del fresh[key]
    fresh["token_source"] = "cache"
    return True


def _pop(theirs: Outcome, ours: Outcome) -> bool:
    if (theirs.get("result"), ours.get("result")) != (False, True):
        return False
    ours["result"] = False
    return True


def _password(theirs: Outcome, ours: Outcome) -> bool:
    posted, asked = _results(theirs, ours, "token_source")
    if (posted.get("token_source"), asked.get("token_source")) != ("identity_provider", "broker"):
        return False
    ours["result"] = theirs["result"]
    return True


def _results(theirs: Outcome, ours: Outcome, key: str) -> tuple[Outcome, Outcome]:
    """The results of both where both are dicts with a key, else two empty ones."""
    one, other = theirs.get("result"), ours.get("result")
    if isinstance(one, dict) and isinstance(other, dict) and key in one and key in other:
        return one, other
    return {}, {}


def _status(description: str) -> str:
    found = re.search(r"Status: (\S+),", description)
    return found[1] if found else ""


AGREED = {
    "failure keys": Difference(
        "MSAL's broker module puts _broker_status, _broker_error_code and _broker_tag into a failure, and its "
        "application takes them out again; without them an application has to read error_description",
        _failure_keys,
    ),
    "wording": Difference(
        "where the runtime, not the broker, finds fault, the text and the tag are the runtime's own; the status is the "
        "same",
        _wording,
    ),
    "exceptions": Difference(
        "an exception is of MSAL's class and of one of this library's as well; the text says what to do here",
        _exceptions,
    ),
    "refused": Difference(
        "what can't be right is refused before anything is sent: with reserved scopes MSAL's broker flow goes on, and "
        "claims that are not JSON come back as a failure of the broker",
        _refused,
    ),
    "broker's accounts": Difference(
        "MSAL lists the accounts that its token cache has seen sign in; tokens are not cached here, so that the "
        "broker's accounts are listed, which need no first sign-in",
        _broker_accounts,
    ),
    "tenant records": Difference(
        "the broker has a record for every tenant that a user is known in, and an account with one UPN can be told "
        "apart by it; MSAL lists one for each home account",
        _tenant_records,
    ),
    "realm": Difference(
        "MSAL writes its authority's tenant there, such as organizations; here it is the record's", _realm
    ),
    "hint": Difference(
        "a hint that stands for an account of the broker's, in any case, is served without a window; MSAL knows only "
        "accounts of its token cache, and compares the hint with the token's UPN as it is written",
        _hint,
    ),
    "prompt": Difference(
        "a prompt that is asked for is shown; MSAL leaves it out where a hint stands for an account that it knows, "
        "which here would be every account of the broker's",
        _prompt,
    ),
    "cache": Difference("tokens are not cached here: the broker does that", _cache),
    "proof of possession": Difference("the broker supports it on Linux; MSAL's code for Linux does not", _pop),
    "password": Difference(
        "MSAL on Linux posts the password to the login host although the broker takes it; here the broker gets it, "
        "and the token is bound to the device",
        _password,
    ),
}
