"""Do wire types read and write the same with pydantic and with what a short-lived process has in its place?"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from linuxbroker import short_lived
from tests.fuzz import corpus
from tests.fuzz.mutations import mutated_reply
from tests.fuzz.targets import REPLY_TYPES
from tests.models.outcomes import outcome

NAMES = [kind.__name__ for kind in REPLY_TYPES]
ADA = {"homeAccountId": "a.b", "realm": "b", "username": "ada@contoso.example", "unknown": {"kept": [1, 2.5, None]}}
# Where pydantic converts, or does not: what a key may hold that asks for a number, a text, a list or an object.
NUMBERS: tuple[object, ...] = (
    None, True, 1.5, 2.0, 1e300, 2**63, 2**70, -(2**63), 2.0**63, 2.0**63 - 1024, -(2.0**63), 1024 - 2.0**63, "3",
    " 4 ", "1_0", "1.0", "1.", "+5", "x", "1e3", "", "-0", "1__0", "_1", "1.0_0", "1_0.0", ".0", "1.00 ", "- 1", "１",
    "0x1", "9" * 4300, "9" * 4301, [], {},
)  # fmt: skip
TEXTS: tuple[object, ...] = (None, "", "text", 5, True, [], {}, "\u00e9\U0001f642", "\x7f\x1f\u2028")
LISTS: tuple[object, ...] = (None, "a b", "", {}, [], ["a", 1], [1, 2], [[]], [None], 5, {"a": 1}, ["a"] * 10_001)
OBJECTS: tuple[object, ...] = (
    None,
    "text",
    5,
    [],
    {},
    {"homeAccountId": 5},
    {**ADA, "realm": None},
    {"home_account_id": "x"},
)


def _texts() -> Sequence[tuple[str, str]]:
    """Each kind of value at each kind of key; then the corpus, and what can be made of it by chance."""
    token = {"accessToken": "t", "expiresOn": 1, "account": ADA}
    made: list[tuple[str, object]] = []
    for number in NUMBERS:
        made += [("AcquireTokenReply", {"error": {key: number}}) for key in ("status", "tag", "errorCode", "subStatus")]
        made += [
            ("AcquireTokenReply", {"brokerTokenResponse": {**token, key: number}})
            for key in ("expiresOn", "extendedExpiresOn", "accessTokenType")
        ]
        made.append(("GetAccountsReply", {"accounts": [{**ADA, "passwordExpiry": number}]}))
    for text in TEXTS:
        keys = ("accessToken", "idToken", "clientInfo", "subError", "grantedScopes", "accessTokenType")
        made += [("AcquireTokenReply", {"brokerTokenResponse": {**token, key: text}}) for key in keys]
        made += [("GetAccountsReply", {"accounts": [{**ADA, key: text}]}) for key in (*ADA, "copy", "", "__extra__")]
        made += [("GetLinuxBrokerVersionReply", {"linuxBrokerVersion": text})]
        made += [("AcquirePrtSsoCookieReply", {"cookieName": "a", "cookieContent": text})]
    for items in LISTS:
        made += [("AcquireTokenReply", {"brokerTokenResponse": {**token, "grantedScopes": items}})]
        made += [("GetAccountsReply", {"accounts": items}), ("AcquirePrtSsoCookieReply", {"cookieItems": items})]
    for value in OBJECTS:
        made += [("AcquireTokenReply", {"brokerTokenResponse": value}), ("AcquireTokenReply", {"error": value})]
        made += [("AcquireTokenReply", {"telemetry": value}), ("AcquireTokenReply", {"error": {"diagnostics": value}})]
        made += [("AcquireTokenReply", {"brokerTokenResponse": {**token, "account": value}})]
        made += [("AcquirePrtSsoCookieReply", {"account": value}), ("GetAccountsReply", {"accounts": [value, ADA]})]
    texts = [(name, json.dumps(document)) for name, document in made]
    odd = [
        "",
        "null",
        "NaN",
        '{"a":NaN}',
        '{"a":-Infinity}',
        '{"a":"\\ud800"}',
        "{} ",
        "\ufeff{}",
        '{"a":1,"a":2}',
        "[" * 300,
    ]
    odd += ["[" * 5000, '{"a":' * 199 + "1" + "}" * 199, '{"a":' * 201 + "1" + "}" * 201, "{'a':1}", '{"a":01}', "[]"]
    odd += ["[" * 100 + '"' + "[" * 200, "[" + "[]," * 200 + '"' + '\\"' * 100_000, "[" * 100 + '"\\\n' + '["' * 200]
    texts += [(name, text) for name in NAMES for text in (*odd, *corpus.replies())]
    random_ = random.Random(1)
    texts += [(random_.choice(NAMES), mutated_reply(random_, random_.choice(corpus.replies()))) for _ in range(4000)]
    return texts


def test_replies_are_read_and_written_the_same() -> None:
    texts = [pair for pair in _texts() if _can_be_sent(pair[1])]
    program = [sys.executable, str(Path(__file__).with_name("outcomes.py"))]
    lines = "".join(json.dumps(pair) + "\n" for pair in texts)
    done = subprocess.run(program, input=lines, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == len(texts)
    for (name, text), light in zip(texts, told, strict=True):
        made = outcome(name, text)
        if light != made and not _is_json(text):  # a text with two faults is refused for either
            made, light = made.keys(), light.keys()
        assert light == made, f"{name} of {text[:300]!r}"


def _is_json(text: str) -> bool:
    if re.search(r"[0-9]{4301}", text):  # longer than any number that is read
        return False
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    return True


def _can_be_sent(text: str) -> bool:
    """Half a surrogate pair can't come over the bus, whose texts are UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def test_a_process_in_which_the_models_are_imported_stays_with_pydantic() -> None:
    short_lived.declare()
    assert not short_lived.is_declared()


def test_whoever_imports_the_models_first_the_command_works_and_once_more() -> None:
    program = "from linuxbroker.cli.command import main; print(main(), main())"
    for before in ("", "import linuxbroker.models; "):
        command = [sys.executable, "-c", before + program, "version", "--bus-address", "unix:path=/nowhere/at/all"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout.endswith("3 3\n"), done.stderr
        assert "Traceback" not in done.stderr


def test_a_long_text_among_many_brackets_takes_no_more_time_or_memory_than_another() -> None:
    """Each would take minutes, or gigabytes, if every quote in it were tried as the beginning of a text."""
    many = "[]," * 201
    texts = ['{"a":[' + many + '"' + '\\"' * 500_000, '{"a":[' + many + '"' + "x" * 5_000_000 + '"]}']
    program = [sys.executable, str(Path(__file__).with_name("outcomes.py"))]
    lines = "".join(json.dumps(["GetAccountsReply", text]) + "\n" for text in texts)
    limited = ["prlimit", f"--as={1024**3}", "--cpu=20", *program]
    done = subprocess.run(limited, input=lines, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    refused, read = (json.loads(line) for line in done.stdout.splitlines())
    assert refused == {"refused": "it is not JSON"}
    assert len(read["sent back"]["a"]) == 202


def test_equal_accounts_are_equal_in_a_short_lived_process() -> None:
    program = (
        "from linuxbroker import short_lived; short_lived.declare()\n"
        "from linuxbroker.models import Account\n"
        "one, same = (Account(home_account_id='a', unknown=1) for _ in range(2))\n"
        "others = Account(home_account_id='b', unknown=1), Account(home_account_id='a', unknown=2)\n"
        "print(one == same, hash(one) == hash(same), one in others, len({one, same}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True True False 1\n", "")
