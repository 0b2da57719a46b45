"""Challenges of a resource that the auth for httpx answers, and those that it ignores, as they break the grammar."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest

from linuxbroker import BrokerClient
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID
from tests.integrations.test_httpx_auth import NONCE, Answer, Asked, _http, _serving, _unauthorized, _with_cp1

CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}'
ENCODED = base64.b64encode(CLAIMS.encode()).decode()
INSUFFICIENT = f'Bearer error="insufficient_claims", claims="{ENCODED}"'


def _once(*challenges: str) -> Callable[[Asked], Answer]:
    """A resource that refuses the first request."""
    answers = [_unauthorized(*challenges)]
    return lambda asked: answers.pop() if answers else Answer()


@pytest.mark.parametrize(
    "challenge",
    [
        INSUFFICIENT,
        f", ,{INSUFFICIENT},, \t,",
        f"Negotiate YII=, {INSUFFICIENT}",
        f"Digest, {INSUFFICIENT}, PoP nonce=n",
        f'BEARER  Claims = "{ENCODED}" ,\tERROR\t=\tinsufficient_claims',
        f'Bearer realm="a, \\"b\\", Basic c=d", error=insufficient_claims, claims="{ENCODED}"',
    ],
)
async def test_claims_are_found_among_whatever_else_is_there(fake_broker: RunningFake, challenge: str) -> None:
    async with _serving(_once(challenge)) as site, BrokerClient(CLIENT_ID) as client, _http(client) as http:
        assert (await http.get(site.url)).status_code == 200
    refused, met = site.asked
    asked = [call.request["authParameters"] for call in fake_broker.calls_of("acquireTokenSilently")]
    claims = [json.loads(parameters["decodedClaims"]) for parameters in asked]
    assert claims == [_with_cp1(), _with_cp1(CLAIMS)]
    assert asked[1]["accessTokenToRenew"] == refused.token != met.token


@pytest.mark.parametrize(
    "challenge",
    [
        f'error="insufficient_claims", claims="{ENCODED}"',
        f'Bearer\terror="insufficient_claims", claims="{ENCODED}"',
        f"{INSUFFICIENT}, =d",
        f'{INSUFFICIENT}, CLAIMS="{ENCODED}"',
        f"{INSUFFICIENT}, realm=a b",
        f'{INSUFFICIENT}, realm="a"b',
        f'{INSUFFICIENT}, realm="a',
        f'{INSUFFICIENT}, realm="a\\"',
        f'{INSUFFICIENT}, realm="\x01"',
        f'Bearer abc=, error="insufficient_claims", claims="{ENCODED}"',
        f'"Bearer" error="insufficient_claims", claims="{ENCODED}"',
        'Bearer error="insufficient_claims"',
        'Bearer error="insufficient_claims", claims="W10="',
        'Bearer error="insufficient_claims", claims="a"',
        f'Bearer error="invalid_token", claims="{ENCODED}"',
        f'PoP error="insufficient_claims", claims="{ENCODED}"',
    ],
)
async def test_what_is_no_claims_challenge_is_given_back(fake_broker: RunningFake, challenge: str) -> None:
    async with _serving(_once(challenge)) as site, BrokerClient(CLIENT_ID) as client, _http(client) as http:
        answer = await http.get(site.url)
    assert answer.status_code == 401
    assert len(site.asked) == len(fake_broker.calls_of("acquireTokenSilently")) == 1


async def test_a_header_that_breaks_the_grammar_does_not_spoil_the_next_one(fake_broker: RunningFake) -> None:
    challenges = ('Bearer realm="', INSUFFICIENT)
    async with _serving(_once(*challenges)) as site, BrokerClient(CLIENT_ID) as client, _http(client) as http:
        assert (await http.get(site.url)).status_code == 200
    assert len(site.asked) == 2


@pytest.mark.parametrize(
    ("challenge", "signed"),
    [
        ('Digest nonce="d", PoP nonce="n-1, \\"quoted\\""', True),
        ('Bearer nonce="b", PoP nonce="n-1, \\"quoted\\"", Negotiate', True),
        ('Bearer nonce="n-1"', False),
        ('PoP nonce=""', False),
        ("PoP", False),
        ('PoP nonce="n-1", nonce="n-1"', False),
    ],
)
async def test_a_nonce_is_signed_where_a_pop_challenge_has_one(
    fake_broker: RunningFake, challenge: str, signed: bool
) -> None:
    async with (
        _serving(_once(challenge)) as site,
        BrokerClient(CLIENT_ID) as client,
        _http(client, proof_of_possession=True) as http,
    ):
        answer = await http.get(f"{site.url}/me")
    nonces = [fake_broker.broker.entra.verify_signed_http_request(asked.token)["nonce"] for asked in site.asked]
    assert answer.status_code == (200 if signed else 401)
    assert nonces[1:] == ([NONCE] if signed else [])
    assert not nonces[0].startswith("n-1")
