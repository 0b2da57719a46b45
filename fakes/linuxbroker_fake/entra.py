"""The fake Entra: a facade over `tokens`, `scopes`, `claims_challenge`, `cookies` and `proof_of_possession`.

It does no I/O: keys are in memory, and the clock is an argument.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from .cookies import CookieJar
from .directory import AccountRecord, AppRegistration, Directory, Tenant
from .entra_error import APP_UNKNOWN, PASSWORD_WRONG, REDIRECT_URI_UNKNOWN, TENANT_UNKNOWN, USER_UNKNOWN, EntraError
from .proof_of_possession import sign_http_request, verify_http_request
from .signing_key import ALGORITHM, Keys, verify
from .tokens import MintedToken, TokenMint

__all__ = ["Entra", "EntraError", "MintedToken"]

# The authorities without a tenant: work accounts, each in its home tenant.
_MULTI_TENANT = frozenset({"common", "organizations"})


class Entra:
    """A fake Entra.

    Args:
        directory: the tenants, users and apps.
        clock: returns the time in epoch seconds.
        keys: the signing keys; default new ones, which are generated at first use.
    """

    def __init__(
        self, directory: Directory, clock: Callable[[], float] = time.time, *, keys: Keys | None = None
    ) -> None:
        self.directory = directory
        self._clock = clock
        keys = keys or Keys()
        self._key, self._pop_key = keys.tokens, keys.device
        self._mint = TokenMint(directory, self._key, clock)
        self._cookies = CookieJar(clock)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public signing keys as a JSON Web Key Set (RFC 7517)."""
        return {"keys": [{**self._key.public_jwk(), "use": "sig", "alg": ALGORITHM}]}

    def tenant_of_authority(self, authority: str) -> Tenant | None:
        """Find the tenant that an authority names.

        Args:
            authority: a URL whose path begins with a tenant's GUID or domain, ``common`` or ``organizations``.

        Returns:
            The tenant; None for ``common`` and ``organizations``, which mean the user's home tenant.

        Raises:
            EntraError: the tenant is unknown (90002).
        """
        try:
            name = urlsplit(authority).path.strip("/").partition("/")[0]
        except ValueError:
            raise TENANT_UNKNOWN.error(tenant=authority) from None
        if name.lower() in _MULTI_TENANT:
            return None
        tenant = self.directory.find_tenant(name)
        if tenant is None:
            raise TENANT_UNKNOWN.error(tenant=name)
        return tenant

    def check_app(self, client_id: str, redirect_uri: str | None = None) -> AppRegistration:
        """Find the app of a request and check its redirect URI.

        Args:
            client_id: the app's client ID.
            redirect_uri: the redirect URI of the request, if any.

        Returns:
            The registration. If the app is unknown and the directory allows unregistered apps, one with consent for
            every scope.

        Raises:
            EntraError: the app is unknown (700016), or the redirect URI is not registered for it (50011).
        """
        app = self.directory.find_app(client_id)
        if app is None:
            if not client_id or not self.directory.allow_unregistered_apps:
                raise APP_UNKNOWN.error(client_id=client_id)
            return AppRegistration(client_id=client_id, name="Unregistered app")
        if redirect_uri is not None and redirect_uri not in app.redirect_uris:
            raise REDIRECT_URI_UNKNOWN.error(redirect_uri=redirect_uri, client_id=client_id)
        return app

    def sign_in_with_password(self, upn: str, password: str, tenant: str | None = None) -> AccountRecord:
        """Sign a user in.

        Args:
            upn: the user's UPN (case-insensitive).
            password: the user's password.
            tenant: a tenant's GUID or domain; default the user's home tenant.

        Returns:
            The user's account in that tenant.

        Raises:
            EntraError: the tenant (90002) or the user (50034) is unknown, or the password is wrong (50126).
        """
        account = self.find_account_in(upn, tenant)
        if not self.directory.check_password(upn, password):
            raise PASSWORD_WRONG.error()
        return account

    def find_account_in(self, upn: str, tenant: str | None = None) -> AccountRecord:
        """Find a user's account in a tenant.

        Args:
            upn: the user's UPN (case-insensitive).
            tenant: a tenant's GUID or domain; default the user's home tenant.

        Returns:
            The account.

        Raises:
            EntraError: the tenant (90002) or the user (50034) is unknown.
        """
        found = None if tenant is None else self.directory.find_tenant(tenant)
        if tenant is not None and found is None:
            raise TENANT_UNKNOWN.error(tenant=tenant)
        for account in self.directory.find_accounts_by_upn(upn):
            if account.realm == (account.user.home_tenant if found is None else found.id):
                return account
        raise USER_UNKNOWN.error(upn=upn, tenant=tenant or "common")

    def id_token(self, account: AccountRecord, client_id: str, nonce: str | None = None) -> str:
        """Mint an ID token, version 2.0.

        Args:
            account: the subject; its realm is the issuing tenant.
            client_id: the audience, an app.
            nonce: the claim ``nonce``; None: no such claim.

        Returns:
            A JWT, RS256.

        Raises:
            EntraError: the app is unknown (700016).
        """
        return self._mint.id_token(account, self.check_app(client_id), nonce)

    def access_token(
        self,
        account: AccountRecord,
        client_id: str,
        scopes: Sequence[str],
        *,
        claims: str | None = None,
        cnf_kid: str | None = None,
    ) -> MintedToken:
        """Mint an access token; each one is unique.

        Args:
            account: the subject; its realm is the issuing tenant.
            client_id: the app that requests the token.
            scopes: the requested scopes, all of one resource.
            claims: a claims challenge, JSON text; None or ``""``: none.
            cnf_kid: the thumbprint of the key that the token is bound to (`pop_key_thumbprint`); None: a bearer token.

        Returns:
            The token, its expiry in epoch seconds, and the granted scopes.

        Raises:
            EntraError: the app (700016), the scopes (900144, 70011, 28000, 65001) or the claims (9002313) are invalid.
        """
        return self._mint.access_token(account, self.check_app(client_id), scopes, claims=claims, cnf_kid=cnf_kid)

    def verify_access_token(self, token: str) -> dict[str, Any]:
        """Check that this Entra signed a token and that it has not expired.

        Args:
            token: an access token or an ID token.

        Returns:
            The claims of the token.

        Raises:
            ValueError: the token is invalid or has expired. The message contains no part of it.
        """
        claims = verify(token, self._key.public_jwk(), "access token")
        expiry = claims.get("exp")
        if not isinstance(expiry, int) or expiry <= self._clock():
            raise ValueError("the access token has expired")
        return claims

    def prt_cookie(self, account: AccountRecord, sso_url: str) -> str:
        """Create the content of ``x-ms-RefreshTokenCredential``.

        Args:
            account: the account that is signed in.
            sso_url: the URL that the browser opens; the cookie contains its ``sso_nonce``.

        Returns:
            A JWT, HS256.

        Raises:
            ValueError: the URL is malformed.
        """
        return self._cookies.prt_cookie(account, sso_url)

    def device_cookie(self, sso_url: str) -> str:
        """Create the content of ``x-ms-DeviceCredential``.

        Args:
            sso_url: the URL that the browser opens; the cookie contains its ``sso_nonce``.

        Returns:
            A JWT, RS256, signed with the device's key.

        Raises:
            ValueError: the URL is malformed.
        """
        return self._cookies.device_cookie(self.directory.device_id, self._pop_key, sso_url)

    def verify_prt_cookie(self, cookie: str) -> dict[str, Any]:
        """Return the payload of a PRT cookie; raises ValueError if this Entra did not create it."""
        return self._cookies.verify_prt_cookie(cookie)

    def pop_key_thumbprint(self) -> str:
        """Return the thumbprint (RFC 7638) of the device's proof-of-possession key."""
        return self._pop_key.kid

    def signed_http_request(
        self, access_token: str, *, method: str, host: str, path: str, nonce: str = "", client_claims: str = ""
    ) -> str:
        """Wrap an access token in a request signed with the device's key.

        Args:
            access_token: a token whose ``cnf_kid`` is `pop_key_thumbprint`.
            method: the HTTP method.
            host: such as ``graph.microsoft.com``; signed as given.
            path: such as ``/v1.0/me``; signed as given.
            nonce: the resource's nonce; ``""``: a random one.
            client_claims: JSON text; ``""``: none.

        Returns:
            A JWT, RS256, of type ``pop``.
        """
        return sign_http_request(
            self._pop_key,
            access_token,
            method=method,
            host=host,
            path=path,
            nonce=nonce,
            client_claims=client_claims,
            timestamp=self._clock(),
        )

    def verify_signed_http_request(self, shr: str) -> dict[str, Any]:
        """Check a signed HTTP request as a resource does.

        Args:
            shr: the signed HTTP request.

        Returns:
            The payload, with the access token as ``at``.

        Raises:
            ValueError: a signature is invalid, the token has expired, or the token is bound to another key.
        """
        return verify_http_request(shr, self.verify_access_token)
