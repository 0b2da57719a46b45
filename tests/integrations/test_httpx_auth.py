"""Broker tokens sent by httpx: to which hosts, over which connections, and the answers to a resource's challenges."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from linuxbroker import BrokerClient, InteractionRequiredError, InvalidArgumentError
from linuxbroker.challenges import claims_in, parse_challenges
from linuxbroker.integrations.headers import authorization_header
from linuxbroker.integrations.httpx_auth import BrokerAuth
from linuxbroker_fake import RevokedTokenError, RunningFake
from tests.constants import ADA, CLIENT_ID

SCOPES = ["https://graph.microsoft.com/.default"]
NONCE = 'n-1, "quoted"'


@dataclass(frozen=True)
class Asked:
    """A request as the server got it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def scheme(self) -> str:
        return self.headers.get("authorization", "").partition(" ")[0]

    @property
    def token(self) -> str:
        return self.headers.get("authorization", "").partition(" ")[2]


@dataclass(frozen=True)
class Answer:
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""


def _unauthorized(*challenges: str) -> Answer:
    return Answer(401, tuple(("WWW-Authenticate", challenge) for challenge in challenges))


@dataclass
class Site:
    """An HTTP server on this machine, and what it was asked."""

    url: str
    host: str
    asked: list[Asked] = field(default_factory=list)


@asynccontextmanager
async def _serving(respond: Callable[[Asked], Answer], *, keep_alive: bool = False) -> AsyncIterator[Site]:
    site = Site("", "")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await answer_one(reader, writer)
            while keep_alive:
                await answer_one(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def answer_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _version = head[0].split(" ")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _colon, value in pairs}
        if headers.get("transfer-encoding") == "chunked":
            body = await reader.readuntil(b"0\r\n\r\n")
        else:
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        site.asked.append(Asked(method, target, headers, body))
        answer = respond(site.asked[-1])
        connection = "keep-alive" if keep_alive else "close"
        lines = [
            f"HTTP/1.1 {answer.status} X",
            f"Connection: {connection}",
            f"Content-Length: {len(answer.body.encode())}",
        ]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        writer.write(("\r\n".join(lines) + "\r\n\r\n" + answer.body).encode("latin-1"))
        await writer.drain()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        site.host = f"127.0.0.1:{port}"
        site.url = f"http://{site.host}"
        yield site


class Resource:
    """An API that takes the fake Entra's tokens, and challenges as continuous access evaluation has it.

    Attributes:
        challenge: the claims of the last revocation.
        encode: how the claims are written in the header.
    """

    def __init__(self, fake: RunningFake) -> None:
        self._fake = fake
        self.challenge = ""
        self.encode: Callable[[bytes], bytes] = base64.b64encode

    def revoke(self) -> None:
        self.challenge = self._fake.revoke(ADA)

    def __call__(self, asked: Asked) -> Answer:
        if asked.scheme != "Bearer":
            return _unauthorized('Bearer realm="no token"')
        try:
            claims = self._fake.broker.verify_access_token(asked.token)
        except RevokedTokenError as revoked:
            if revoked.challenge is None:
                return _unauthorized(revoked.www_authenticate)
            encoded = self.encode(revoked.challenge.encode()).decode()
            return _unauthorized(
                "Negotiate",
                f'Bearer realm="", error_description="a, b", error="insufficient_claims", claims="{encoded}"',
            )
        return Answer(body=str(claims["upn"]))


class SigningResource:
    """An API that takes signed HTTP requests, with a nonce of its own."""

    def __init__(self, fake: RunningFake, *, nonces: int = 1, revokes: bool = False) -> None:
        self._fake = fake
        self._nonces = nonces
        self._revokes = revokes
        self.challenge = ""
        self.signed: list[dict[str, Any]] = []

    def __call__(self, asked: Asked) -> Answer:
        signed = self._fake.broker.entra.verify_signed_http_request(asked.token)
        self.signed.append(signed)
        expected = (asked.method, asked.headers["host"], asked.path)
        if asked.scheme != "pop" or (signed["m"], signed["u"], signed["p"]) != expected:
            return Answer(403)
        if signed["nonce"] != NONCE or len(self.signed) <= self._nonces:
            escaped = NONCE.replace('"', '\\"')
            return _unauthorized('Bearer realm="x"', f'Negotiate, PoP nonce="{escaped}", realm=y')
        if self._revokes and not self.challenge:
            self.challenge = self._fake.revoke(ADA)
        try:
            return Answer(body=str(self._fake.broker.verify_access_token(signed["at"])["upn"]))
        except RevokedTokenError as revoked:
            return _unauthorized(revoked.www_authenticate.replace("Bearer", "PoP"))


@pytest.fixture
async def client(fake_broker: RunningFake) -> AsyncIterator[BrokerClient]:
    async with BrokerClient(CLIENT_ID) as broker:
        yield broker


def _http(client: BrokerClient, **options: Any) -> httpx.AsyncClient:
    pop = options.pop("proof_of_possession", False)
    auth = BrokerAuth(client, SCOPES, proof_of_possession=pop)
    return httpx.AsyncClient(auth=auth, trust_env=False, **options)


def _silent_calls(fake: RunningFake) -> list[dict[str, Any]]:
    return [dict(call.request["authParameters"]) for call in fake.calls_of("acquireTokenSilently")]


def _with_cp1(challenge: str = "{}") -> dict[str, Any]:
    """The claims that the auth asks for: the challenge's, and the capability."""
    claims: dict[str, Any] = json.loads(challenge)
    return {**claims, "access_token": {**claims.get("access_token", {}), "xms_cc": {"values": ["CP1"]}}}


# Bearer tokens


async def test_a_request_carries_a_token_that_the_resource_takes(
    client: BrokerClient, fake_broker: RunningFake
) -> None:
    async with _serving(Resource(fake_broker)) as site, _http(client) as http:
        answers = [await http.get(f"{site.url}/me") for _ in range(2)]
    assert [(answer.status_code, answer.text) for answer in answers] == [(200, ADA)] * 2
    assert len(_silent_calls(fake_broker)) == 2  # the broker caches, not the auth


async def test_the_token_is_the_named_accounts(client: BrokerClient, fake_broker: RunningFake) -> None:
    grace = await client.get_account("grace@fabrikam.example")
    async with _serving(Resource(fake_broker)) as site, httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(site.url, auth=BrokerAuth(client, SCOPES, grace))
    assert answer.text == "grace@fabrikam.example"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
async def test_a_claims_challenge_is_met_with_a_new_token(
    client: BrokerClient, fake_broker: RunningFake, encode: Callable[[bytes], bytes]
) -> None:
    resource = Resource(fake_broker)
    resource.encode = encode
    async with _serving(resource) as site, _http(client) as http:
        assert (await http.get(site.url)).status_code == 200
        resource.revoke()
        answer = await http.post(site.url, json={"n": 1})
    _first, refused, retried = site.asked
    assert (answer.status_code, answer.text) == (200, ADA)
    assert refused.token != retried.token
    assert (retried.method, retried.body) == ("POST", refused.body)
    renewal = _silent_calls(fake_broker)[-1]
    assert json.loads(renewal["decodedClaims"]) == _with_cp1(resource.challenge)
    assert renewal["accessTokenToRenew"] == refused.token


async def test_a_resource_that_challenges_nobody_without_the_capability_challenges_the_auth(
    client: BrokerClient, fake_broker: RunningFake
) -> None:
    plain = await client.acquire_token_silent(SCOPES)
    async with _serving(Resource(fake_broker)) as site, _http(client) as http:
        assert (await http.get(site.url)).status_code == 200
        fake_broker.revoke(ADA)
        without = await http.get(site.url, auth=None, headers={"Authorization": plain.authorization_header})
        assert without.status_code == 401
        assert "insufficient_claims" not in without.headers["WWW-Authenticate"]
        assert (await http.get(site.url)).status_code == 200
    declared = [json.loads(call["decodedClaims"] or "{}") for call in _silent_calls(fake_broker)]
    assert declared[:3] == [{}, _with_cp1(), _with_cp1()]


async def test_the_auth_declares_its_capability_beside_the_clients(fake_broker: RunningFake) -> None:
    for own, declared in ((["app1"], ["app1", "CP1"]), (["cp1"], ["cp1"])):
        async with BrokerClient(CLIENT_ID, client_capabilities=own) as client:
            await authorization_header(client, SCOPES)
            await client.acquire_token_silent(SCOPES)
        sent = [json.loads(call["decodedClaims"])["access_token"]["xms_cc"] for call in _silent_calls(fake_broker)]
        assert sent[-2:] == [{"values": declared}, {"values": own}]


@pytest.mark.parametrize("proof_of_possession", [False, True])
async def test_requests_at_once_share_a_call_but_for_signed_ones(
    client: BrokerClient, fake_broker: RunningFake, proof_of_possession: bool
) -> None:
    async with (
        _serving(lambda asked: Answer()) as site,
        _http(client, proof_of_possession=proof_of_possession) as http,
    ):
        await asyncio.gather(*(http.get(f"{site.url}/me") for _ in range(5)))
    assert len(_silent_calls(fake_broker)) == (5 if proof_of_possession else 1)


async def test_a_second_401_is_given_back(client: BrokerClient) -> None:
    claims = base64.b64encode(b'{"access_token":{}}').decode()
    refusal = _unauthorized(f'Bearer error="insufficient_claims", claims="{claims}"')
    async with _serving(lambda asked: refusal) as site, _http(client) as http:
        assert (await http.get(site.url)).status_code == 401
    assert len(site.asked) == 2


@pytest.mark.parametrize(
    "challenges",
    [
        (),
        ("Bearer",),
        ('Bearer error="invalid_token"',),
        ('Bearer error="insufficient_claims"',),
        ('Bearer error="insufficient_claims", claims="%%%"',),
        ('Bearer error="insufficient_claims", claims="W10="',),
        ('Bearer error="insufficient_claims", claims="e30=',),
        ('PoP nonce="n"',),
        ('Basic error="insufficient_claims", claims="e30="',),
    ],
)
async def test_a_401_that_holds_no_claims_challenge_is_given_back(
    client: BrokerClient, challenges: tuple[str, ...]
) -> None:
    async with _serving(lambda asked: _unauthorized(*challenges)) as site, _http(client) as http:
        answer = await http.get(site.url)
    assert answer.status_code == 401
    assert answer.headers.get_list("WWW-Authenticate") == list(challenges)
    assert len(site.asked) == 1


async def test_a_challenge_that_takes_the_user_raises(client: BrokerClient, fake_broker: RunningFake) -> None:
    resource = Resource(fake_broker)
    async with _serving(resource) as site, _http(client) as http:
        await http.get(site.url)
        resource.challenge = fake_broker.revoke(ADA, sign_in_again=True)
        with pytest.raises(InteractionRequiredError):
            await http.get(site.url)


async def test_a_streamed_body_is_not_sent_twice(client: BrokerClient, fake_broker: RunningFake) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"once"

    resource = Resource(fake_broker)
    async with _serving(resource) as site, _http(client) as http:
        await http.get(site.url)
        resource.revoke()
        assert (await http.put(site.url, content=chunks())).status_code == 401
    assert len(site.asked) == 2


@pytest.mark.parametrize(
    ("proof_of_possession", "kinds", "answered"),
    [
        (False, ["claims"], 1),
        (True, ["claims"], 1),
        (True, ["nonce"], 1),
        (True, ["claims", "nonce"], 2),
        (True, ["nonce", "claims"], 2),
    ],
)
async def test_each_kind_of_challenge_is_answered_once_however_they_differ(
    client: BrokerClient, proof_of_possession: bool, kinds: list[str], answered: int
) -> None:
    asked: list[Asked] = []

    def refuse(request: Asked) -> Answer:
        asked.append(request)
        if len(asked) > 8:
            return Answer()
        number = len(asked)
        if kinds[(number - 1) % len(kinds)] == "nonce":
            return _unauthorized(f'PoP nonce="n-{number}"')
        claims = base64.b64encode(json.dumps({"access_token": {"nbf": {"value": f"{number}"}}}).encode()).decode()
        return _unauthorized(f'Bearer error="insufficient_claims", claims="{claims}"')

    async with _serving(refuse) as site, _http(client, proof_of_possession=proof_of_possession) as http:
        assert (await http.get(site.url)).status_code == 401
    assert len(asked) == 1 + answered


# To whom


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example/",
        "http://192.0.2.1/",
        "http://localhost.api.example/",
        "http://127.0.0.1.api.example/",
        "http://api.example#@localhost",
        "http://localhost@api.example/",
        "ftp://localhost/",
        "http://localhost./",
        "http://localhost.evil.example/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://127.1/",
        "http://2130706433/",
        "http://[::ffff:192.0.2.1]/",
    ],
)
async def test_no_token_is_sent_without_tls(client: BrokerClient, fake_broker: RunningFake, url: str) -> None:
    async with _http(client) as http:
        with pytest.raises(InvalidArgumentError, match="https"):
            await http.get(url)
    assert not fake_broker.calls


@pytest.mark.parametrize("url", ["https://api.example/", "http://localhost:1/", "http://127.8.9.1/", "http://[::1]/"])
async def test_a_token_is_sent_over_tls_and_to_this_machine(client: BrokerClient, url: str) -> None:
    request = httpx.Request("GET", url)
    flow = BrokerAuth(client, SCOPES).async_auth_flow(request)
    assert (await flow.__anext__()).headers["Authorization"].startswith("Bearer ")
    await flow.aclose()


PROXY = "http://192.0.2.7:3128"
LOCAL_URLS = (
    "http://localhost/",
    "http://localhost:8080/",
    "http://127.0.0.1:1/",
    "http://127.8.9.1/",
    "http://[::1]:1/",
)


@pytest.mark.parametrize(
    "variables",
    [
        {"http_proxy": PROXY},
        {"HTTP_PROXY": PROXY},
        {"all_proxy": PROXY},
        {"http_proxy": "192.0.2.7:3128"},
        {"https_proxy": PROXY},
        {"http_proxy": ""},
        {"http_proxy": PROXY, "no_proxy": "localhost"},
        {"http_proxy": PROXY, "NO_PROXY": "example.com, LOCALHOST ,127.0.0.1"},
        {"http_proxy": PROXY, "no_proxy": "localhost:8080"},
        {"http_proxy": PROXY, "no_proxy": "localhost:80"},
        {"http_proxy": PROXY, "no_proxy": ".localhost,calhost,127.0.0.0/8,127.,*localhost"},
        {"http_proxy": PROXY, "no_proxy": "::1"},
        {"http_proxy": PROXY, "no_proxy": "*"},
        {"http_proxy": PROXY, "no_proxy": "example.com,*"},
        {"http_proxy": PROXY, "no_proxy": "127.0.0.1:1,127.8.9.1"},
        {"all_proxy": PROXY, "no_proxy": "http://localhost,all://127.0.0.1"},
    ],
    ids=str,
)
async def test_a_token_for_this_machine_is_sent_past_a_proxy_or_not_at_all(
    client: BrokerClient, fake_broker: RunningFake, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    sent = []
    async with httpx.AsyncClient() as http:
        for url in LOCAL_URLS:
            goes_past_proxies = http._transport_for_url(httpx.URL(url)) is http._transport
            flow = BrokerAuth(client, SCOPES).async_auth_flow(httpx.Request("GET", url))
            with contextlib.suppress(InvalidArgumentError):
                await flow.__anext__()
                assert goes_past_proxies
                sent.append(url)
            await flow.aclose()
    assert len(_silent_calls(fake_broker)) == len(sent)
    if not (variables.get("http_proxy") or variables.get("HTTP_PROXY") or variables.get("all_proxy")):
        assert sent == list(LOCAL_URLS)
    if variables.get("no_proxy") == "*":
        assert sent == list(LOCAL_URLS)
    if variables.get("no_proxy") == "localhost":
        assert sent == ["http://localhost/", "http://localhost:8080/"]


async def test_a_proxy_of_the_environment_never_sees_a_token(
    client: BrokerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with _serving(lambda asked: Answer(200)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        async with _http(client) as http:
            with pytest.raises(InvalidArgumentError, match="through a proxy"):
                await http.get("http://localhost:8080/me")
    assert not proxy.asked


CLIENTS_WITH_A_PROXY: dict[str, Callable[[str], dict[str, Any]]] = {
    "proxy": lambda url: {"proxy": url},
    "mounts": lambda url: {"mounts": {"http://": httpx.AsyncHTTPTransport(proxy=url)}},
    "mounts, this host": lambda url: {"mounts": {"all://localhost": httpx.AsyncHTTPTransport(proxy=url)}},
    "transport": lambda url: {"transport": httpx.AsyncHTTPTransport(proxy=url)},
}


@pytest.mark.parametrize("is_open", [False, True], ids=["new connection", "open connection"])
@pytest.mark.parametrize("options", CLIENTS_WITH_A_PROXY.values(), ids=list(CLIENTS_WITH_A_PROXY))
async def test_a_proxy_of_the_client_never_sees_a_token(
    client: BrokerClient, options: Callable[[str], dict[str, Any]], is_open: bool
) -> None:
    async with (
        _serving(lambda asked: Answer(200), keep_alive=True) as proxy,
        _http(client, **options(proxy.url)) as http,
    ):
        if is_open:
            assert (await http.get("http://localhost:8080/me", auth=None)).status_code == 200
        with pytest.raises(InvalidArgumentError, match="uses a proxy for it") as caught:
            await http.get("http://localhost:8080/me")
        assert "Bearer" not in repr(caught.value)
    assert [asked.headers.get("authorization") for asked in proxy.asked] == [None] * is_open


async def test_a_client_whose_proxy_is_not_for_this_machine_sends_it_a_token(
    client: BrokerClient, fake_broker: RunningFake
) -> None:
    traced: list[str] = []

    async def trace(name: str, info: object) -> None:
        traced.append(name)

    async with _serving(Resource(fake_broker)) as site:
        mounts = {"http://": httpx.AsyncHTTPTransport(proxy=PROXY), "all://127.0.0.1": None}
        async with _http(client, mounts=mounts) as http:
            answers = [await http.get(f"{site.url}/me", extensions={"trace": trace}) for _ in range(2)]
    assert [answer.text for answer in answers] == [ADA] * 2
    assert "http11.send_request_headers.started" in traced  # the application's own is called as well


async def test_a_redirect_to_another_host_carries_no_token_and_its_challenges_do_not_count(
    client: BrokerClient, fake_broker: RunningFake
) -> None:
    refusal = _unauthorized('Bearer error="insufficient_claims", claims="e30="')
    async with _serving(lambda asked: refusal) as other:
        leave = Answer(307, (("Location", f"{other.url}/there"),))
        async with _serving(lambda asked: leave) as site, _http(client, follow_redirects=True) as http:
            answer = await http.get(site.url)
    assert answer.status_code == 401
    assert [asked.scheme for asked in site.asked] == ["Bearer"]
    assert ["authorization" in asked.headers for asked in other.asked] == [False]
    assert len(_silent_calls(fake_broker)) == 1


async def test_a_redirect_there_and_back_does_not_regain_the_token(client: BrokerClient) -> None:
    home = ""

    def away(asked: Asked) -> Answer:
        return Answer(302, (("Location", f"{home}/delete-all"),))

    async with _serving(away) as other:

        def start(asked: Asked) -> Answer:
            if asked.path == "/start":
                return Answer(302, (("Location", other.url),))
            return _unauthorized('Bearer error="insufficient_claims", claims="e30="')

        async with _serving(start) as site, _http(client, follow_redirects=True) as http:
            home = site.url
            assert (await http.get(f"{home}/start")).status_code == 401
    assert [(asked.path, asked.scheme) for asked in site.asked] == [("/start", "Bearer"), ("/delete-all", "")]


async def test_after_a_redirect_only_the_refused_request_is_sent_again(
    client: BrokerClient, fake_broker: RunningFake
) -> None:
    resource = Resource(fake_broker)

    def respond(asked: Asked) -> Answer:
        return Answer(303, (("Location", "/result"),)) if asked.path == "/orders" else resource(asked)

    async with _serving(respond) as site, _http(client, follow_redirects=True) as http:
        await http.get(f"{site.url}/me")
        resource.revoke()
        answer = await http.post(f"{site.url}/orders", json={})
    assert answer.text == ADA
    assert [(asked.method, asked.path) for asked in site.asked[1:]] == [
        ("POST", "/orders"),
        ("GET", "/result"),
        ("GET", "/result"),
    ]


# Proof of possession


async def test_a_request_is_signed_with_the_nonce_of_the_resource(
    client: BrokerClient, fake_broker: RunningFake
) -> None:
    resource = SigningResource(fake_broker)
    async with _serving(resource) as site, _http(client, proof_of_possession=True) as http:
        answer = await http.put(f"{site.url}/v1.0/a%20b/me?q=1", content=b"body")
    assert (answer.status_code, answer.text) == (200, ADA)
    assert [asked.body for asked in site.asked] == [b"body"] * 2
    without, signed = resource.signed
    assert without["nonce"] != NONCE
    assert (signed["m"], signed["u"], signed["p"], signed["nonce"]) == ("PUT", site.host, "/v1.0/a%20b/me", NONCE)


async def test_a_second_nonce_is_not_answered(client: BrokerClient, fake_broker: RunningFake) -> None:
    resource = SigningResource(fake_broker, nonces=5)
    async with _serving(resource) as site, _http(client, proof_of_possession=True) as http:
        assert (await http.get(site.url)).status_code == 401
    assert len(resource.signed) == 2


async def test_a_nonce_and_then_a_claims_challenge_are_both_met(client: BrokerClient, fake_broker: RunningFake) -> None:
    resource = SigningResource(fake_broker, revokes=True)
    async with _serving(resource) as site, _http(client, proof_of_possession=True) as http:
        answer = await http.get(f"{site.url}/me")
    assert (answer.status_code, answer.text) == (200, ADA)
    asked = [json.loads(call["decodedClaims"]) for call in _silent_calls(fake_broker)]
    assert asked == [_with_cp1(), _with_cp1(), _with_cp1(resource.challenge)]


async def test_after_a_redirect_the_nonce_signs_the_request_that_was_refused(
    client: BrokerClient, fake_broker: RunningFake
) -> None:
    def respond(asked: Asked) -> Answer:
        signed = fake_broker.broker.entra.verify_signed_http_request(asked.token)
        if asked.path == "/old":
            return Answer(308, (("Location", "/new"),))
        return Answer() if (signed["p"], signed["nonce"]) == ("/new", "n") else _unauthorized("PoP nonce=n")

    async with _serving(respond) as site, _http(client, proof_of_possession=True, follow_redirects=True) as http:
        assert (await http.get(f"{site.url}/old")).status_code == 200
    assert [asked.path for asked in site.asked] == ["/old", "/new", "/new"]


# The auth itself


def test_a_sync_client_is_refused() -> None:
    auth = BrokerAuth(BrokerClient(CLIENT_ID), SCOPES)
    with httpx.Client(auth=auth) as http, pytest.raises(RuntimeError, match=r"httpx\.AsyncClient"):
        http.get("https://api.example/")


def test_bad_arguments_are_refused_at_once() -> None:
    client = BrokerClient(CLIENT_ID)
    not_a_client: Any = "client"
    not_an_account: Any = ADA
    with pytest.raises(InvalidArgumentError, match="client must be"):
        BrokerAuth(not_a_client, SCOPES)
    with pytest.raises(InvalidArgumentError, match="scopes must not be empty"):
        BrokerAuth(client, [])
    with pytest.raises(InvalidArgumentError, match="account must be"):
        BrokerAuth(client, SCOPES, not_an_account)


@pytest.mark.parametrize("proof_of_possession", [False, True])
async def test_no_token_is_in_the_logs_or_the_repr(
    client: BrokerClient, fake_broker: RunningFake, caplog: pytest.LogCaptureFixture, proof_of_possession: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    auth = BrokerAuth(client, SCOPES, proof_of_possession=proof_of_possession)
    async with _serving(lambda asked: Answer()) as site, httpx.AsyncClient(auth=auth, trust_env=False) as http:
        answer = await http.get(site.url)
    (asked,) = site.asked
    assert caplog.records
    for shown in (caplog.text, repr(auth), repr(answer), repr(answer.request.headers)):
        assert asked.token not in shown


# The header alone


async def test_other_clients_get_the_header(client: BrokerClient, fake_broker: RunningFake) -> None:
    header = await authorization_header(client, SCOPES)
    scheme, _space, token = header.partition(" ")
    assert (scheme, fake_broker.broker.verify_access_token(token)["upn"]) == ("Bearer", ADA)

    fake_broker.revoke(ADA)
    with pytest.raises(RevokedTokenError) as revoked:
        fake_broker.broker.verify_access_token(token)
    claims = claims_in(parse_challenges([revoked.value.www_authenticate]))
    assert claims is not None
    renewed = await authorization_header(client, SCOPES, claims_challenge=claims, access_token_to_renew=token)
    assert fake_broker.broker.verify_access_token(renewed.partition(" ")[2])["upn"] == ADA


async def test_other_clients_get_the_header_of_a_signed_request(client: BrokerClient, fake_broker: RunningFake) -> None:
    url = "https://api.example/v1/me?q=1"
    header = await authorization_header(client, SCOPES, method="GET", url=url, nonce="n")
    scheme, _space, signed = header.partition(" ")
    payload = fake_broker.broker.entra.verify_signed_http_request(signed)
    assert (scheme, payload["m"], payload["u"], payload["p"]) == ("pop", "GET", "api.example", "/v1/me")
    for half in ((url, None, None), (None, "GET", None), (None, None, "n")):
        with pytest.raises(InvalidArgumentError):
            await authorization_header(client, SCOPES, url=half[0], method=half[1], nonce=half[2])
