"""Which access token a request gets: one of the broker's cache, or a new one."""

from __future__ import annotations

from collections.abc import Sequence

from .claims_challenge import parse_claims_challenge
from .directory import AccountRecord
from .entra import Entra, MintedToken
from .sessions import Sessions, TokenKey, account_key


class TokenIssuer:
    """Gives access tokens.

    Args:
        entra: mints them.
        sessions: keeps them.
    """

    def __init__(self, entra: Entra, sessions: Sessions) -> None:
        self._entra = entra
        self._sessions = sessions

    def bearer(
        self, account: AccountRecord, client_id: str, scopes: Sequence[str], *, claims: str = "", renew: bool = False
    ) -> MintedToken:
        """Give a bearer token.

        Args:
            account: whose.
            client_id: for which app.
            scopes: what for.
            claims: the claims of the request, JSON text; a challenge among them needs a new token.
            renew: whether the cached token was refused.

        Returns:
            The token.

        Raises:
            EntraError: Entra refuses.
        """
        challenge = parse_claims_challenge(claims)
        key = TokenKey(
            account_key(account),
            client_id,
            frozenset(scope.casefold() for scope in scopes),
            frozenset(challenge.xms_cc),
        )
        cached = None if renew or challenge.wants_new_token else self._sessions.cached_token(key)
        if cached is not None:
            return cached
        token = self._entra.access_token(account, client_id, scopes, claims=claims)
        self._sessions.keep_token(key, token)
        return token

    def bound(
        self, account: AccountRecord, client_id: str, scopes: Sequence[str], kid: str, *, claims: str = ""
    ) -> MintedToken:
        """Give a token that is bound to a key, always a new one.

        Args:
            account: whose.
            client_id: for which app.
            scopes: what for.
            kid: the key's thumbprint.
            claims: the claims of the request, JSON text.

        Returns:
            The token.

        Raises:
            EntraError: Entra refuses.
        """
        return self._entra.access_token(account, client_id, scopes, claims=claims, cnf_kid=kid)
