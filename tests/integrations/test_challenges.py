"""A resource's challenges, read by the grammar of RFC 9110, hostile ones included."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linuxbroker import PopAuthScheme
from linuxbroker.challenges import claims_in, nonce_in, parse_challenges

CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"},"x":{"value":"??>>~~"}}}'
STANDARD = base64.b64encode(CLAIMS.encode()).decode()
URL_SAFE = base64.urlsafe_b64encode(CLAIMS.encode()).decode()


def _read(*headers: str) -> list[tuple[str, dict[str, str], str]]:
    return [(found.scheme, dict(found.parameters), found.token68) for found in parse_challenges(headers)]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Bearer", [("bearer", {}, "")]),
        ('Bearer realm=""', [("bearer", {"realm": ""}, "")]),
        ('BEARER  Error="a", CLAIMS=b', [("bearer", {"error": "a", "claims": "b"}, "")]),
        ('Bearer a = "b" ,\tc\t=\td', [("bearer", {"a": "b", "c": "d"}, "")]),
        (r'Bearer a="say \"hi\", \\ you", b=c', [("bearer", {"a": r'say "hi", \ you', "b": "c"}, "")]),
        ('Bearer a="x, PoP nonce=y"', [("bearer", {"a": "x, PoP nonce=y"}, "")]),
        (
            'Bearer realm="r", PoP nonce="n", Negotiate, Basic YWJj==, Digest q=1',
            [
                ("bearer", {"realm": "r"}, ""),
                ("pop", {"nonce": "n"}, ""),
                ("negotiate", {}, ""),
                ("basic", {}, "YWJj=="),
                ("digest", {"q": "1"}, ""),
            ],
        ),
        ("Basic abc=", [("basic", {}, "abc=")]),
        (", ,Bearer a=b,, c=d ,", [("bearer", {"a": "b", "c": "d"}, "")]),
        ("", []),
    ],
)
def test_a_header_is_read(header: str, expected: list[tuple[str, dict[str, str], str]]) -> None:
    assert _read(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        "a=b",
        '"Bearer"',
        'Bearer a="b',
        'Bearer a="b\\"',
        'Bearer a="b"c',
        'Bearer a="b" "c"',
        "Bearer a=b c",
        "Bearer a=1, A=2",
        "Basic YWJj, a=b",
        "Bearer\ta=b",
        "Bearer a=b, =c",
        'Bearer a="b\0"',
        'Bearer a="b\r\n"',
        'Bearer a="\ud800"',
        "Bearer é=b",
    ],
)
def test_a_header_that_breaks_the_grammar_holds_nothing(header: str) -> None:
    assert _read(header) == []


def test_a_malformed_header_does_not_spoil_the_next_one() -> None:
    assert _read('Bearer a="', 'PoP nonce="n"', "Negotiate") == [("pop", {"nonce": "n"}, ""), ("negotiate", {}, "")]


@pytest.mark.parametrize("encoded", [STANDARD, URL_SAFE, STANDARD.rstrip("="), URL_SAFE.rstrip("=")])
def test_claims_are_decoded_from_both_alphabets_padded_or_not(encoded: str) -> None:
    header = f'Bearer realm="", error="insufficient_claims", claims="{encoded}"'
    assert claims_in(parse_challenges(["Negotiate", header])) == CLAIMS


@pytest.mark.parametrize(
    "encoded",
    ["", "%%%", "a", "e30=e30=", STANDARD[:-8], base64.b64encode(b"[1]").decode(), base64.b64encode(b"\xff").decode()]
    + [base64.b64encode(text.encode()).decode() for text in ("[" * 100_000, '{"a":' + "9" * 5000 + "}", "\0")],
    ids=range(10),
)
def test_claims_that_cannot_be_read_are_none(encoded: str) -> None:
    assert claims_in(parse_challenges([f'Bearer error="insufficient_claims", claims="{encoded}"'])) is None


def test_claims_count_with_their_error_and_scheme_only() -> None:
    assert claims_in(parse_challenges([f'Bearer error="invalid_token", claims="{STANDARD}"'])) is None
    pop = parse_challenges([f'PoP error="insufficient_claims", claims="{STANDARD}"'])
    assert claims_in(pop) is None
    assert claims_in(pop, "pop", "bearer") == CLAIMS


def test_a_nonce_is_found_in_a_pop_challenge_only() -> None:
    assert nonce_in(parse_challenges(['Digest nonce="d", PoP nonce="n,1"', "PoP nonce=2"])) == "n,1"
    assert nonce_in(parse_challenges(['Bearer nonce="n"', 'PoP nonce=""', "PoP"])) is None


@pytest.mark.parametrize("piece", ['"', "\\", '"\\', ", ", "a=", 'Bearer a="', "=", " ", "Bearer "])
def test_a_long_header_takes_one_pass(piece: str) -> None:
    # Would not end within the test run if it were worse than linear in steps.
    parse_challenges([piece * 200_000, "Bearer x" + piece * 200_000])


def test_nothing_of_a_challenge_is_in_its_repr() -> None:
    assert "secret" not in repr(parse_challenges(['PoP nonce="secret"', "Basic secret"]))


_PIECES = st.sampled_from(
    [
        "Bearer ",
        "PoP ",
        "nonce=",
        "claims=",
        "error=insufficient_claims",
        STANDARD,
        '"',
        "\\",
        ",",
        " ",
        "=",
        "\t",
        "e30",
    ]
)


@given(st.lists(st.one_of(st.text(), st.lists(_PIECES).map("".join))))
def test_no_header_makes_it_raise(headers: list[str]) -> None:
    challenges = parse_challenges(headers)
    claims, nonce = claims_in(challenges, "pop", "bearer"), nonce_in(challenges)
    assert claims is None or isinstance(json.loads(claims), dict)
    if nonce is not None:  # the broker is asked with it
        PopAuthScheme("GET", "https://api.example/", nonce=nonce)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,9}", fullmatch=True), st.text(st.characters(min_codepoint=32, max_codepoint=126))
    )
)
def test_what_is_quoted_is_read_back(parameters: dict[str, str]) -> None:
    escaped = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in parameters.items()}
    header = "X " + ", ".join(f'{name}="{value}"' for name, value in escaped.items())
    assert _read(header + ", Y") == [("x", parameters, ""), ("y", {}, "")]
