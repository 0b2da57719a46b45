"""How does httpx send a broker's tokens? As the auth of an ``httpx.AsyncClient``; extra ``httpx``."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncGenerator, Generator, Sequence
from dataclasses import dataclass, field
from urllib.request import getproxies

import httpx

from linuxbroker import validation
from linuxbroker.challenges import claims_in, nonce_in, parse_challenges
from linuxbroker.client import BrokerClient
from linuxbroker.errors import InvalidArgumentError
from linuxbroker.integrations.headers import authorization_header
from linuxbroker.models import Account
from linuxbroker.redaction import hidden


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
    keeps it away. A proxy for http that was given to the ``httpx.AsyncClient`` itself can't be seen from here: give it
    none, or mount ``None`` for this machine.

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
