"""The ID tokens and access tokens of the fake Entra."""

from __future__ import annotations

import base64
import hashlib
import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .claims_challenge import parse_claims_challenge
from .directory import AccountRecord, AppRegistration, Directory, is_guid
from .scopes import Grant, grant_scopes
from .signing_key import SigningKey


@dataclass(frozen=True)
class MintedToken:
    """An access token, its ``exp`` in epoch seconds, and the granted scopes as in a reply."""

    token: str = field(repr=False)
    expires_on: int
    granted_scopes: list[str]


class TokenMint:
    """Issuer of ID tokens and access tokens.

    Args:
        directory: has the issuers, the lifetime and the token versions.
        key: the signing key.
        clock: returns the time in epoch seconds.
    """

    def __init__(self, directory: Directory, key: SigningKey, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._key = key
        self._clock = clock

    def id_token(self, account: AccountRecord, app: AppRegistration, nonce: str | None = None) -> str:
        """Mint an ID token in the form of Entra's v2.0 endpoint.

        Args:
            account: the subject; its realm is the issuing tenant.
            app: the audience.
            nonce: the claim ``nonce``; None: no such claim.

        Returns:
            A JWT, RS256.
        """
        now = math.floor(self._clock())
        claims: dict[str, Any] = {
            "aud": app.client_id,
            "iss": self._issuer(2, account.realm),
            **_times(now, now, self._directory.access_token_lifetime),
            **_person(account),
            "preferred_username": account.username,
            "sub": _pairwise_subject(account, app.client_id),
            "ver": "2.0",
        }
        if nonce is not None:
            claims["nonce"] = nonce
        return self._key.sign(claims)

    def access_token(
        self,
        account: AccountRecord,
        app: AppRegistration,
        scopes: Sequence[str],
        *,
        claims: str | None = None,
        cnf_kid: str | None = None,
    ) -> MintedToken:
        """Mint an access token; each one has a unique ``uti``.

        Args:
            account: the subject; its realm is the issuing tenant.
            app: the app that requests the token; its consent counts.
            scopes: the requested scopes.
            claims: a claims challenge, JSON text.
            cnf_kid: the thumbprint of the key that the token is bound to, for proof of possession.

        Returns:
            The token, of the version that the directory has for the resource.

        Raises:
            EntraError: the scopes (900144, 70011, 28000, 65001) or the claims challenge (9002313) are invalid.
        """
        challenge = parse_claims_challenge(claims)
        grant = grant_scopes(scopes, app.consented_scopes, app.client_id)
        now = math.floor(self._clock())
        version = self._directory.token_version(grant.resource)
        payload: dict[str, Any] = {
            "iss": self._issuer(version, account.realm),
            **_times(now, max(now, challenge.not_before), self._directory.access_token_lifetime),
            **_person(account),
            **(_version_1 if version == 1 else _version_2)(account, app, grant),
            "scp": " ".join(grant.names),
            "deviceid": self._directory.device_id,
            "idtyp": "user",
            "sub": _pairwise_subject(account, grant.resource),
        }
        if challenge.acrs:
            payload["acrs"] = list(challenge.acrs)
        if challenge.xms_cc:
            payload["xms_cc"] = list(challenge.xms_cc)
        if cnf_kid is not None:
            payload["cnf"] = {"kid": cnf_kid}
        return MintedToken(self._key.sign(payload), payload["exp"], list(grant.granted_scopes))

    def _issuer(self, version: int, realm: str) -> str:
        if version == 1:
            return f"https://{self._directory.sts_host}/{realm}/"
        return f"https://{self._directory.issuer_host}/{realm}/v2.0"


def _times(now: int, not_before: int, lifetime: int) -> dict[str, int]:
    """Return ``iat``, ``nbf`` and ``exp`` in epoch seconds, all after ``not_before``."""
    issued = max(now, not_before)
    return {"iat": issued, "nbf": issued, "exp": issued + lifetime}


def _person(account: AccountRecord) -> dict[str, str]:
    """Return the claims of every token about a user; ``uti`` is the ID of the token."""
    return {
        "name": account.user.name,
        "oid": account.local_account_id,
        "tid": account.realm,
        "uti": secrets.token_urlsafe(16),
    }


def _version_1(account: AccountRecord, app: AppRegistration, grant: Grant) -> dict[str, str]:
    return {
        "aud": grant.resource,
        "appid": app.client_id,
        "app_displayname": app.name,
        "appidacr": "0",
        "given_name": account.user.given_name,
        "family_name": account.user.family_name,
        "upn": account.username,
        "unique_name": account.username,
        "ver": "1.0",
    }


def _version_2(account: AccountRecord, app: AppRegistration, grant: Grant) -> dict[str, str]:
    bare = grant.resource.removeprefix("api://")
    return {
        "aud": bare if is_guid(bare) else grant.resource,  # in version 2, the audience of an API is its client ID
        "azp": app.client_id,
        "azpacr": "0",
        "preferred_username": account.username,
        "ver": "2.0",
    }


def _pairwise_subject(account: AccountRecord, audience: str) -> str:
    """Return the ``sub`` of a user: constant for an audience, different between audiences."""
    digest = hashlib.sha256(f"{account.realm}/{account.local_account_id}/{audience}".encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
