"""Access tokens from the broker's cache, or new ones from Entra."""

from __future__ import annotations

from collections.abc import Sequence

from .claims_challenge import parse_claims_challenge
from .directory import AccountRecord
from .entra import Entra, MintedToken
from .sessions import Sessions, TokenKey, account_key


class TokenIssuer:
    """Issuer of access tokens.

    Args:
        entra: the source of new tokens.
        sessions: the cache.
    """

    def __init__(self, entra: Entra, sessions: Sessions) -> None:
        self._entra = entra
        self._sessions = sessions

    def bearer(
        self, account: AccountRecord, client_id: str, scopes: Sequence[str], *, claims: str = "", renew: bool = False
    ) -> MintedToken:
        """Return a bearer token.

        Args:
            account: the account.
            client_id: the app's client ID.
            scopes: the requested scopes.
            claims: the claims of the request, JSON text; a claims challenge requires a new token.
            renew: whether to ignore the cached token.

        Returns:
            The token.

        Raises:
            EntraError: Entra rejects the request.
        """
        challenge = parse_claims_challenge(claims)
        key = TokenKey(
            account_key(account),
            client_id,
            frozenset(scope.casefold() for scope in scopes),
            frozenset(challenge.xms_cc),
        )
        cached = None if renew or challenge.requires_new_token else self._sessions.cached_token(key)
        if cached is not None:
            return cached
        token = self._entra.access_token(account, client_id, scopes, claims=claims)
        self._sessions.keep_token(key, token)
        return token

    def bound(
        self, account: AccountRecord, client_id: str, scopes: Sequence[str], kid: str, *, claims: str = ""
    ) -> MintedToken:
        """Return a new token that is bound to a key.

        Args:
            account: the account.
            client_id: the app's client ID.
            scopes: the requested scopes.
            kid: the key's thumbprint.
            claims: the claims of the request, JSON text.

        Returns:
            The token.

        Raises:
            EntraError: Entra rejects the request.
        """
        return self._entra.access_token(account, client_id, scopes, claims=claims, cnf_kid=kid)
