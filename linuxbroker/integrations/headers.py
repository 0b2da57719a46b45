"""The ``Authorization`` header of a request, for HTTP clients without an integration of their own."""

from __future__ import annotations

from collections.abc import Sequence

from linuxbroker.client import BrokerClient
from linuxbroker.redaction.secrets import hidden
from linuxbroker.tokens.claims import add_cp1
from linuxbroker.tokens.pop import PopAuthScheme
from linuxbroker.wire.models import Account


async def authorization_header(
    client: BrokerClient,
    scopes: Sequence[str],
    account: Account | None = None,
    *,
    method: str | None = None,
    url: str | None = None,
    nonce: str | None = None,
    claims_challenge: str | None = None,
    access_token_to_renew: str | None = None,
) -> str:
    """Get a token silently, as the value of the header.

    The caller must send the header over TLS, and only to the resource. The token is requested with the capability
    ``CP1`` in addition to the client's own: a resource with continuous access evaluation, such as Microsoft Graph, then
    rejects a revoked token with a claims challenge, which is answered with ``claims_challenge``.

    Args:
        client: the client.
        scopes: the scopes to request.
        account: the account, as for ``BrokerClient.acquire_token_silent``.
        method: the HTTP method of the request, such as ``GET``, for a proof-of-possession token bound to it; requires
            ``url``.
        url: the https URL of the request; requires ``method``.
        nonce: the nonce from the resource, see ``linuxbroker.challenges.nonce_in``; requires ``method`` and ``url``.
        claims_challenge: the claims from the resource, decoded, see ``linuxbroker.challenges.claims_in``.
        access_token_to_renew: the token that the resource rejected, without ``Bearer``.

    Returns:
        ``Bearer …``; ``pop …`` for a proof-of-possession token.

    Raises:
        InteractionRequiredError: the user must sign in, or there is no account.
        UnsupportedOperationError: the broker returned a bearer token instead of a proof-of-possession token.
        BrokerError: as for ``BrokerClient``.
    """
    nonce, claims_challenge, access_token_to_renew = (
        hidden(nonce),
        hidden(claims_challenge),
        hidden(access_token_to_renew),
    )
    is_bound = method is not None or url is not None or nonce is not None
    token = await client.acquire_token_silent(
        scopes,
        account,
        auth_scheme=PopAuthScheme(http_method=method, url=url, nonce=nonce) if is_bound else None,
        claims_challenge=claims_challenge,
        client_capabilities=add_cp1(client.client_capabilities),
        access_token_to_renew=access_token_to_renew,
    )
    return token.authorization_header
