"""Authentication for ``httpx.AsyncClient`` with tokens from the broker (extra ``httpx``)."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.request import getproxies

try:
    import httpx
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"linuxbroker.integrations.httpx_auth requires {error.name}: pip install 'linuxbroker[httpx]'",
        name=error.name,
        path=error.path,
    ) from error

from linuxbroker.client import BrokerClient
from linuxbroker.errors import InvalidArgumentError
from linuxbroker.integrations.challenges import claims_in, nonce_in, parse_challenges
from linuxbroker.integrations.headers import authorization_header
from linuxbroker.redaction.secrets import hidden
from linuxbroker.tokens import validation
from linuxbroker.wire.models import Account

_Trace = Callable[[str, Mapping[str, Any]], Awaitable[object]]


@dataclass(frozen=True)
class _AnsweredChallenges:
    """The challenges that the request answers.

    Attributes:
        claims: the claims challenge.
        nonce: the nonce for the proof of possession.
    """

    claims: str | None = field(default=None, repr=False)
    nonce: str | None = field(default=None, repr=False)


class BrokerAuth(httpx.Auth):
    """Gets a token silently for each request of an ``httpx.AsyncClient``; the broker caches them.

    Tokens are sent over https, and over http to this machine (``localhost``, a loopback address). Http is refused if
    the environment sets a proxy for it (``http_proxy``, ``all_proxy``), which httpx would pass the token to;
    ``no_proxy=localhost`` exempts this machine. A proxy for http of the ``httpx.AsyncClient`` itself (``proxy``,
    ``mounts``, ``transport``), or a ``localhost`` that is another machine, is detected before the request is sent:
    httpx's own transports report their connections (the extension ``trace``). Two cases are not detected: transports of
    other kinds, and a SOCKS proxy whose connection was opened by a request without this auth.

    A 401 response with a claims challenge is answered once, with a token that meets the claims and replaces the
    rejected one; therefore every token is requested with the capability ``CP1`` in addition to the client's own. In
    proof-of-possession mode, a 401 response with a nonce is answered once too. A request whose body is a stream cannot
    be repeated; its 401 response is returned.

    Args:
        client: the client. It must stay open as long as there are requests; it is not closed here.
        scopes: the scopes to request.
        account: the account, as for ``BrokerClient.acquire_token_silent``.
        proof_of_possession: whether to sign each request with the device's key instead of sending a bearer token.

    Raises:
        InvalidArgumentError: an argument is invalid; from a request, also: its URL is neither https nor on this
            machine, or there is a proxy. Nothing was sent.
        InteractionRequiredError: from a request: the user must sign in.
        UnsupportedOperationError: from a request: the broker returned a bearer token instead of a signature.
        BrokerError: from a request: as for ``BrokerClient``.
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
        """Reject an ``httpx.Client``.

        Raises:
            RuntimeError: always, because calls to the broker are coroutines.
        """
        raise RuntimeError("BrokerAuth works with httpx.AsyncClient only, not with httpx.Client")

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Add the header to a request, and answer the resource's challenges.

        Args:
            request: the request to send.

        Yields:
            The request, again for each answered challenge.

        Raises:
            BrokerError: as for the class.
        """
        answered: _AnsweredChallenges | None = _AnsweredChallenges()
        rejected_token: str | None = None
        while answered is not None:
            header = await self._header(request, answered, rejected_token)
            request.headers["Authorization"] = header
            _watch_connection(request)
            response = yield request
            answered = self._retry_with(response, header, answered)
            # After a redirect the last request was rejected; the first one may have taken effect.
            request = response.request
            rejected_token = hidden(header.partition(" ")[2])

    async def _header(self, request: httpx.Request, answered: _AnsweredChallenges, rejected_token: str | None) -> str:
        _check_destination(request.url)
        if self._proof_of_possession:
            # The signature covers method, host and path, not the scheme: the broker gets https even for http.
            url = f"https://{request.url.netloc.decode('ascii')}{request.url.raw_path.decode('ascii')}"
            return await authorization_header(
                self._client,
                self._scopes,
                self._account,
                method=request.method,
                url=url,
                nonce=answered.nonce,
                claims_challenge=answered.claims,
            )
        return await authorization_header(
            self._client,
            self._scopes,
            self._account,
            claims_challenge=answered.claims,
            access_token_to_renew=rejected_token,
        )

    def _retry_with(
        self, response: httpx.Response, header: str, answered: _AnsweredChallenges
    ) -> _AnsweredChallenges | None:
        """The challenges to answer with another request; None if the response is final."""
        # Without this header the request was redirected to another host, whose challenges do not apply.
        if response.status_code != 401 or response.request.headers.get("Authorization") != header:
            return None
        if not isinstance(response.request.stream, httpx.ByteStream):
            return None
        challenges = parse_challenges(response.headers.get_list("WWW-Authenticate"))
        schemes = ("pop", "bearer") if self._proof_of_possession else ("bearer",)
        claims = claims_in(challenges, *schemes)
        nonce = nonce_in(challenges) if self._proof_of_possession else None
        # Each kind is answered once.
        if (claims and not answered.claims) or (nonce and not answered.nonce):
            return _AnsweredChallenges(claims or answered.claims, nonce or answered.nonce)
        return None


def _check_destination(url: httpx.URL) -> None:
    if url.scheme == "https":
        return
    if url.scheme != "http" or not _is_this_machine(url.host):
        raise InvalidArgumentError(
            "tokens are sent only over https, or over http to localhost or a loopback address. Use an https URL."
        )
    if _may_be_proxied(url):
        raise InvalidArgumentError(
            "tokens are not sent over http through a proxy, and the environment sets one (http_proxy, all_proxy). Use "
            f"an https URL, or add {url.host} to no_proxy before creating the httpx.AsyncClient."
        )


class _ConnectionCheck:
    """Prevents sending a token over http on a connection that does not lead to this machine itself.

    Source: httpcore's documentation, "Extensions", ``trace``: it is called at each step of a request, and an exception
    ends the request.

    Args:
        application_trace: the application's own ``trace`` extension, called too.
    """

    def __init__(self, application_trace: _Trace | None) -> None:
        self._application_trace = application_trace
        self._opened_for: tuple[str, int] | None = None
        self._peer: Sequence[object] | None = None  # a socket address

    async def __call__(self, name: str, info: Mapping[str, Any]) -> None:
        if name.endswith("connect_tcp.started"):
            self._opened_for, self._peer = (info["host"], info["port"]), None
        elif name.endswith("connect_tcp.complete"):
            self._peer = info["return_value"].get_extra_info("server_addr")
        elif name.endswith("send_request_headers.started"):
            self._check(info["request"])
        if self._application_trace is not None:
            await self._application_trace(name, info)

    def _check(self, request: Any) -> None:
        url, opened_for, peer = request.url, self._opened_for, self._peer
        self._opened_for = self._peer = None  # after a redirect, the next request may use an open connection
        has_token = any(name.lower() == b"authorization" for name, _ in request.headers)
        has_full_url = url.target.startswith(b"http://")  # as requests to a proxy have
        if not has_token or (url.scheme != b"http" and not has_full_url):
            return
        # A SOCKS proxy is recognized by the address that the connection was opened for.
        by_proxy = has_full_url or opened_for not in (None, (url.host.decode(), url.port or 80))
        elsewhere = peer is not None and not _is_this_machine(str(peer[0]))
        if by_proxy or elsewhere:
            raise InvalidArgumentError(
                "tokens are sent over http only to this machine, and the httpx.AsyncClient "
                + ("uses a proxy for it" if by_proxy else "resolved its name to another machine")
                + ". Use an https URL, or mount None for it."
            )


def _watch_connection(request: httpx.Request) -> None:
    trace = request.extensions.get("trace")
    if request.url.scheme == "http" and not isinstance(trace, _ConnectionCheck):
        request.extensions = {**request.extensions, "trace": _ConnectionCheck(trace)}


def _may_be_proxied(url: httpx.URL) -> bool:
    """Whether httpx uses a proxy from the environment by default. Source: its documentation, "Proxies"."""
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
