"""Comparison of two runtimes in a scenario: outcomes and requests, step by step, without what always differs."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from linuxbroker_fake.journal import Call

# A token's own, made anew for each.
_OF_EACH_TOKEN = frozenset({"nonce", "iat", "nbf", "exp", "uti", "jti", "rh", "aio", "ts", "auth_time"})
# What Microsoft's runtime notes beside the ID token's claims in an account's additional fields.
NOTES = frozenset({"astatus", "debug_info", "fpcid"})
VERSIONS = ("msal_version", "msalruntime_version")
# Now and then Microsoft's runtime gives telemetry of another kind: without the one key, with many others beside these.
_IN_SHORT_TELEMETRY = "DATA LIMITED"
_IN_LONG_TELEMETRY = ("api_name", "api_status_code", "broker_app_used", "client_id", "is_successful")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
# Read-only calls, which the runtime may repeat for one and the same purpose (PROTOCOL.md, "getAccounts").
_REPEATED = ("getAccounts", "getLinuxBrokerVersion")

Json = dict[str, Any]


def compared(outcomes: Sequence[Json], calls: Sequence[Call]) -> list[Json]:
    """Bring what a runtime did into a form in which equal means equal.

    Left out are ids, times, versions and SKU strings; the order of accounts and scopes, which are sets; and the notes
    of Microsoft's runtime in the additional fields of accounts. ``test_what_is_left_out_is_really_there`` shows each.

    Args:
        outcomes: one a step, from ``runtime_driver.py``.
        calls: what the broker got.

    Returns:
        An object a step, with the requests that were made for it; behind them those that were made for none.
    """
    steps = [_outcome(outcome) for outcome in outcomes]
    places = {outcome["correlation_id"]: place for place, outcome in enumerate(outcomes)}
    requests: list[list[Any]] = [[] for _ in range(len(steps) + 1)]
    for call in calls:
        if call.member == "Ping":
            continue
        made = requests[places.get(call.correlation_id, len(steps))]
        request = [call.member, _request(call.request)]
        if not (call.member in _REPEATED and request in made):
            made.append(request)
    for place, step in enumerate(steps):
        step["requests"] = requests[place]
    return [*steps, {"requests": requests[-1]}]


def differences(theirs: Sequence[Json], ours: Sequence[Json]) -> dict[str, tuple[Any, Any]]:
    """Find where two runtimes differ.

    Args:
        theirs: from ``compared``.
        ours: from ``compared``.

    Returns:
        Both values by where they are: ``STEP: KEY.KEY``, steps from 1 on; ``…`` stands for a value that is not there.
        Where one failed and the other did not, ``STEP: outcome`` says so, and no more is said of the outcome; where
        they made other requests, ``STEP: requests`` names the methods, and no more is said of the requests.
    """
    found: dict[str, tuple[Any, Any]] = {}
    for place, (one, other) in enumerate(zip(theirs, ours, strict=True), start=1):
        found |= {f"{place}: {where}": values for where, values in _of_step(one, other)}
    return found


def _of_step(theirs: Json, ours: Json) -> Iterator[tuple[str, tuple[Any, Any]]]:
    methods = [[member for member, _ in step["requests"]] for step in (theirs, ours)]
    if methods[0] != methods[1]:
        yield "requests", (" ".join(methods[0]), " ".join(methods[1]))
    else:
        for (member, one), (_, other) in zip(theirs["requests"], ours["requests"], strict=True):
            yield from _differing(member, one, other)
    outcomes = [_in_short(step) for step in (theirs, ours)]
    if "success" in outcomes and outcomes[0] != outcomes[1]:
        yield "outcome", (outcomes[0], outcomes[1])
    else:
        rest = [{key: value for key, value in step.items() if key != "requests"} for step in (theirs, ours)]
        if _is_long(theirs):
            for step in rest:
                step["telemetry"] = {
                    key: value for key, value in step["telemetry"].items() if key in _IN_LONG_TELEMETRY
                }
        yield from _differing("", rest[0], rest[1])


def _is_long(step: Json) -> bool:
    return "telemetry" in step and _IN_SHORT_TELEMETRY not in step["telemetry"]


def _in_short(step: Json) -> str:
    error = step.get("error")
    if error:
        return f"{error['status']}: {error['context']}"
    return next((f"{name}: {step[name]}" for name in ("refused", "timed_out") if name in step), "success")


def _differing(where: str, theirs: Any, ours: Any) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        for key in sorted({*theirs, *ours}):
            yield from _differing(f"{where}.{key}".lstrip("."), theirs.get(key, "…"), ours.get(key, "…"))
    elif theirs != ours:
        yield where, (theirs, ours)


def _outcome(outcome: Json) -> Json:
    made = {key: value for key, value in outcome.items() if key != "correlation_id"}
    if "error" in made:
        made["error"] = {**made["error"], "context": _UUID.sub("id", made["error"]["context"])}
    telemetry = made.pop("telemetry", None)
    if telemetry is not None:
        made["telemetry"] = _telemetry(telemetry)
    if "access_token" in made:
        made["expires_on"] = _relative(made["expires_on"], made["access_token"])
    for key in ("access_token", "authorization_header", "id_token"):
        if made.get(key):
            made[key] = _token(made[key])
    if "id_token_claims" in made:
        made["id_token_claims"] = _without(made["id_token_claims"], _OF_EACH_TOKEN)
    if "granted_scopes" in made:
        made["granted_scopes"] = sorted(made["granted_scopes"])
    if made.get("account"):
        made["account"] = _account(made["account"])
    if "accounts" in made:
        shown = sorted(made["accounts"], key=lambda account: str(account["home_account_id"]))
        made["accounts"] = {str(place): _account(account) for place, account in enumerate(shown)}
    return made


def _telemetry(telemetry: Json) -> Json:
    return _without(telemetry, {"correlation_id", *VERSIONS})


def _account(account: Json) -> Json:
    fields = json.loads(account["additional_fields"])
    return {**account, "additional_fields": _without(fields, _OF_EACH_TOKEN | NOTES)}


def _relative(expiry: int, token: str | None) -> int:
    """The expiry from the token's own on, where that has one."""
    claims = claims_of(token or "")
    inner = claims_of(str(claims.get("at", "")))
    return expiry - int((inner or claims).get("exp", 0))


def _token(token: str) -> Any:
    scheme, _, text = token.rpartition(" ")
    claims = claims_of(text)
    if "at" in claims:
        claims["at"] = _without(claims_of(claims["at"]), _OF_EACH_TOKEN)
    return {"scheme": scheme, **_without(claims, _OF_EACH_TOKEN)} if claims else token


def claims_of(token: str) -> Json:
    """Read the claims of a token that need not be one.

    Args:
        token: a text.

    Returns:
        The claims; empty where it is no JWT.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}


def _without(values: Mapping[str, Any], names: Any) -> Json:
    return {key: value for key, value in values.items() if key not in names}


def _request(request: Any) -> Any:
    if isinstance(request, Mapping):
        made = {key: _request(value) for key, value in request.items() if key != "x-client-xtra-sku"}
        if "msalCppVersion" in made:
            made["msalCppVersion"] = "any"
        if "onboardingBlob" in made:
            made["onboardingBlob"] = json.loads(_TIME.sub("time", _UUID.sub("id", made["onboardingBlob"])))
        return made
    if isinstance(request, list):
        return [_request(item) for item in request]
    return request
