"""What goes into the Authorization header of a request? For HTTP clients that have no module of their own here."""

from __future__ import annotations

from collections.abc import Sequence

from linuxbroker.claims import add_cp1
from linuxbroker.client import BrokerClient
from linuxbroker.models import Account
from linuxbroker.pop import PopAuthScheme
from linuxbroker.redaction import hidden


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
    """Get a token silently, and write it as the header wants it.

    The caller sees to it that the header goes over TLS, and to nobody but the resource. The token is asked for with the
    capability ``CP1`` beside the client's own: a resource with continuous access evaluation, such as Microsoft Graph,
    then refuses a revoked token with a claims challenge, to be answered with ``claims_challenge``.

    Args:
        client: who asks the broker.
        scopes: what the token is for.
        account: whose token; as for ``BrokerClient.acquire_token_silent``.
        method: such as ``GET``; with ``url``, for a proof of possession that is bound to this one request.
        url: the request's https URL.
        nonce: with ``method`` and ``url``, the resource's, see ``linuxbroker.challenges.nonce_in``.
        claims_challenge: the resource's, decoded, see ``linuxbroker.challenges.claims_in``.
        access_token_to_renew: the token that the resource refused: what follows ``Bearer`` in the header.

    Returns:
        ``Bearer …``, or ``pop …`` where a request was named.

    Raises:
        InteractionRequiredError: the user has to sign in, or there is no account.
        UnsupportedOperationError: a request was named, and the broker gave a bearer token.
        BrokerError: as ``BrokerClient`` says.
    """
    nonce, claims_challenge, access_token_to_renew = (
        hidden(nonce),
        hidden(claims_challenge),
        hidden(access_token_to_renew),
    )
    bound = method is not None or url is not None or nonce is not None
    token = await client.acquire_token_silent(
        scopes,
        account,
        auth_scheme=PopAuthScheme(http_method=method, url=url, nonce=nonce) if bound else None,
        claims_challenge=claims_challenge,
        client_capabilities=add_cp1(client.client_capabilities),
        access_token_to_renew=access_token_to_renew,
    )
    return token.authorization_header
