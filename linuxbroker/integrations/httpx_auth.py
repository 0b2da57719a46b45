"""How does httpx send a broker's tokens? As the auth of an ``httpx.AsyncClient``; extra ``httpx``."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.request import getproxies

import httpx

from linuxbroker import validation
from linuxbroker.challenges import claims_in, nonce_in, parse_challenges
from linuxbroker.client import BrokerClient
from linuxbroker.errors import InvalidArgumentError
from linuxbroker.integrations.headers import authorization_header
from linuxbroker.models import Account
from linuxbroker.redaction import hidden

_Trace = Callable[[str, Mapping[str, Any]], Awaitable[object]]


@dataclass(frozen=True)
class _Wanted:
    """What the resource asked for so far.

    Attributes:
        claims: a claims challenge.
        nonce: for the proof of possession.
    """

    claims: str | None = field(default=None, repr=False)
    nonce: str | None = field(default=None, repr=False)


class BrokerAuth(httpx.Auth):
    """Gets a token silently for each request of an ``httpx.AsyncClient``; nothing is kept here, the broker caches.

    Tokens go out over https, and over http to this machine (``localhost``, a loopback address), unless the environment
    names a proxy for that (``http_proxy``, ``all_proxy``), which httpx would hand the token to: ``no_proxy=localhost``
    keeps it away. A proxy for http that was given to the ``httpx.AsyncClient`` itself (``proxy``, ``mounts``,
    ``transport``) is noticed before the request is sent on the connection to it, and so is a ``localhost`` that is
    another machine: httpx's own transports tell where they connect (the extension ``trace``). Two things are not
    noticed: what a transport of another kind does, and a SOCKS proxy whose connection was opened by a request without
    this auth.

    A 401 with a claims challenge is answered once: with a token that meets the claims, in place of the refused one.
    That it does so is declared: every token is asked for with the capability ``CP1``, beside the client's own. In
    proof-of-possession mode a 401 with a nonce is answered once too. A request whose body is a stream can't be sent
    twice; its 401 is given back.

    Args:
        client: who asks the broker; it must outlive the requests, and is closed by its owner.
        scopes: what the tokens are for.
        account: whose tokens; as for ``BrokerClient.acquire_token_silent``.
        proof_of_possession: whether each request is signed with the device's key, in place of a bearer token.

    Raises:
        InvalidArgumentError: an argument can't be right; from a request, also: its URL is neither https nor this
            machine's, or a proxy stands between. Nothing was sent.
        InteractionRequiredError: from a request: the user has to sign in.
        UnsupportedOperationError: from a request: the broker gave a bearer token in place of a signature.
        BrokerError: from a request: as ``BrokerClient`` says.
    """

    def __init__(
        self,
        client: BrokerClient,
        scopes: Sequence[str],
        account: Account | None = None,
        *,
        proof_of_possession: bool = False,
    ) -> None:
        self._client = validation.instance("client", client, BrokerClient)
        self._scopes = tuple(validation.scopes(scopes))
        self._account = None if account is None else validation.account(account)
        self._proof_of_possession = proof_of_possession

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Refuse an ``httpx.Client``.

        Raises:
            RuntimeError: always: the broker is asked with asyncio.
        """
        raise RuntimeError("BrokerAuth works with httpx.AsyncClient only, not with httpx.Client")

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Put the header on a request, and answer the resource's challenges.

        Args:
            request: what is to be sent.

        Yields:
            The request, once more for each challenge that is answered.

        Raises:
            BrokerError: as the class says.
        """
        wanted: _Wanted | None = _Wanted()
        refused: str | None = None
        while wanted is not None:
            header = await self._header(request, wanted, refused)
            request.headers["Authorization"] = header
            _watch_connection(request)
            response = yield request
            wanted = self._asked_anew(response, header, wanted)
            # After a redirect it is the last request that was refused; the first may have done its work.
            request = response.request
            refused = hidden(header.partition(" ")[2])

    async def _header(self, request: httpx.Request, wanted: _Wanted, refused: str | None) -> str:
        _check_destination(request.url)
        if self._proof_of_possession:
            # What is signed is method, host and path; that the URL is http on this machine does not show.
            url = f"https://{request.url.netloc.decode('ascii')}{request.url.raw_path.decode('ascii')}"
            return await authorization_header(
                self._client,
                self._scopes,
                self._account,
                method=request.method,
                url=url,
                nonce=wanted.nonce,
                claims_challenge=wanted.claims,
            )
        return await authorization_header(
            self._client,
            self._scopes,
            self._account,
            claims_challenge=wanted.claims,
            access_token_to_renew=refused,
        )

    def _asked_anew(self, response: httpx.Response, header: str, wanted: _Wanted) -> _Wanted | None:
        """What to send the request again with; None where the response is final."""
        # Without our header the request was redirected to another host, whose challenges don't count.
        if response.status_code != 401 or response.request.headers.get("Authorization") != header:
            return None
        if not isinstance(response.request.stream, httpx.ByteStream):
            return None
        challenges = parse_challenges(response.headers.get_list("WWW-Authenticate"))
        schemes = ("pop", "bearer") if self._proof_of_possession else ("bearer",)
        claims = claims_in(challenges, *schemes)
        nonce = nonce_in(challenges) if self._proof_of_possession else None
        # Each kind is answered once.
        if (claims and not wanted.claims) or (nonce and not wanted.nonce):
            return _Wanted(claims or wanted.claims, nonce or wanted.nonce)
        return None


def _check_destination(url: httpx.URL) -> None:
    if url.scheme == "https":
        return
    if url.scheme != "http" or not _is_this_machine(url.host):
        raise InvalidArgumentError("a token is sent over https only, or over http to this machine; give an https URL")
    if _may_be_proxied(url):
        raise InvalidArgumentError(
            "a token is not sent over http through a proxy, and the environment names one (http_proxy, all_proxy): "
            f"give an https URL, or add {url.host} to no_proxy before the httpx.AsyncClient is made"
        )


class _ConnectionCheck:
    """Refuses to send a token over http on a connection that does not lead to this machine itself.

    Source: httpcore's documentation, "Extensions", ``trace``: it is called at each step of a request, and what it
    raises ends the request.

    Args:
        then: what the application wants called as well.
    """

    def __init__(self, then: _Trace | None) -> None:
        self._then = then
        self._opened_for: tuple[str, int] | None = None
        self._peer: Sequence[object] | None = None  # an address as sockets have it

    async def __call__(self, name: str, info: Mapping[str, Any]) -> None:
        if name.endswith("connect_tcp.started"):
            self._opened_for, self._peer = (info["host"], info["port"]), None
        elif name.endswith("connect_tcp.complete"):
            self._peer = info["return_value"].get_extra_info("server_addr")
        elif name.endswith("send_request_headers.started"):
            self._check(info["request"])
        if self._then is not None:
            await self._then(name, info)

    def _check(self, request: Any) -> None:
        url, opened_for, peer = request.url, self._opened_for, self._peer
        self._opened_for = self._peer = None  # after a redirect, the next request may be on a connection that is open
        has_token = any(name.lower() == b"authorization" for name, _ in request.headers)
        gets_whole_url = url.target.startswith(b"http://")  # as a proxy does
        if not has_token or (url.scheme != b"http" and not gets_whole_url):
            return
        # A SOCKS proxy shows in where the connection was opened to.
        by_proxy = gets_whole_url or opened_for not in (None, (url.host.decode(), url.port or 80))
        elsewhere = peer is not None and not _is_this_machine(str(peer[0]))
        if by_proxy or elsewhere:
            raise InvalidArgumentError(
                "a token is sent over http to this machine alone, and the httpx.AsyncClient "
                + ("has a proxy for it" if by_proxy else "was led to another machine by its name")
                + ": give an https URL, or mount None for it"
            )


def _watch_connection(request: httpx.Request) -> None:
    watching = request.extensions.get("trace")
    if request.url.scheme == "http" and not isinstance(watching, _ConnectionCheck):
        request.extensions = {**request.extensions, "trace": _ConnectionCheck(watching)}


def _may_be_proxied(url: httpx.URL) -> bool:
    """Whether httpx takes a proxy from the environment, unless told not to. Source: its documentation, "Proxies"."""
    proxies = getproxies()
    if not (proxies.get("http") or proxies.get("all")):
        return False
    exceptions = {host.strip().lower() for host in proxies.get("no", "").split(",")}
    return exceptions.isdisjoint(("*", url.host, f"{url.host}:{url.port}"))


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
