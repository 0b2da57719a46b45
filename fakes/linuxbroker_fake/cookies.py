"""The cookies that sign a browser in.

`x-ms-RefreshTokenCredential` is a JWT, HS256, whose header has a context (`ctx`). The real key is derived from the
PRT's session key and that context; the fake signs with its session key itself.
"""

from __future__ import annotations

import base64
import math
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt

from .directory import AccountRecord
from .signing_key import SIGNATURE_ONLY, SigningKey

_ALGORITHM = "HS256"


class CookieJar:
    """Makes and checks SSO cookies with a session key of its own.

    Args:
        clock: gives the time in epoch seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._session_key = secrets.token_bytes(32)
        self._primary_refresh_tokens: dict[str, str] = {}

    def prt_cookie(self, account: AccountRecord, sso_url: str) -> str:
        """Make the content of ``x-ms-RefreshTokenCredential``.

        Args:
            account: who is signed in; each home account has one PRT, an opaque random text.
            sso_url: where the browser is going; its ``sso_nonce`` is bound into the cookie.

        Returns:
            A JWT, HS256.

        Raises:
            ValueError: the URL is malformed.
        """
        prt = self._primary_refresh_tokens.setdefault(account.home_account_id, secrets.token_urlsafe(64))
        payload = {"refresh_token": prt, "is_primary": "true", **self._freshness(sso_url)}
        context = base64.b64encode(secrets.token_bytes(24)).decode()
        return jwt.encode(payload, self._session_key, algorithm=_ALGORITHM, headers={"ctx": context})

    def device_cookie(self, device_id: str, device_key: SigningKey, sso_url: str) -> str:
        """Make the content of ``x-ms-DeviceCredential``.

        Args:
            device_id: the device's GUID.
            device_key: signs.
            sso_url: where the browser is going; its ``sso_nonce`` is bound into the cookie.

        Returns:
            A JWT, RS256. Its claims are the fake's own choice, but for ``grant_type`` and ``request_nonce``.

        Raises:
            ValueError: the URL is malformed.
        """
        return device_key.sign({"grant_type": "device_auth", "deviceid": device_id, **self._freshness(sso_url)})

    def verify_prt_cookie(self, cookie: str) -> dict[str, Any]:
        """Check a PRT cookie's signature.

        Args:
            cookie: the content of ``x-ms-RefreshTokenCredential``.

        Returns:
            Its payload.

        Raises:
            ValueError: this instance did not make it, or somebody changed it.
        """
        try:
            return jwt.decode(cookie, self._session_key, algorithms=[_ALGORITHM], options=SIGNATURE_ONLY)
        except jwt.PyJWTError as error:
            raise ValueError(f"the PRT cookie is not valid: {type(error).__name__}") from None

    def _freshness(self, sso_url: str) -> dict[str, Any]:
        nonces = parse_qs(urlsplit(sso_url).query).get("sso_nonce", [])
        return {"iat": math.floor(self._clock())} | ({"request_nonce": nonces[0]} if nonces else {})
