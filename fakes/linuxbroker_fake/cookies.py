"""The cookies that sign a browser in.

`x-ms-RefreshTokenCredential` is a JWT (HS256) with a context (`ctx`) in its header. The real signing key is derived
from the PRT's session key and the context; the fake signs with the session key directly.
"""

from __future__ import annotations

import base64
import math
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .directory import AccountRecord
from .extra import jwt
from .signing_key import SIGNATURE_ONLY, SigningKey

_ALGORITHM = "HS256"


class CookieJar:
    """Issuer of SSO cookies, with its own session key.

    Args:
        clock: returns the time in epoch seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._session_key = secrets.token_bytes(32)
        self._primary_refresh_tokens: dict[str, str] = {}

    def prt_cookie(self, account: AccountRecord, sso_url: str) -> str:
        """Create the content of ``x-ms-RefreshTokenCredential``.

        Args:
            account: the account that is signed in; each home account has one PRT, an opaque random text.
            sso_url: the URL that the browser opens; the cookie contains its ``sso_nonce``.

        Returns:
            A JWT, HS256.

        Raises:
            ValueError: the URL is malformed.
        """
        prt = self._primary_refresh_tokens.setdefault(account.home_account_id, secrets.token_urlsafe(64))
        payload = {"refresh_token": prt, "is_primary": "true", **self._time_and_nonce(sso_url)}
        context = base64.b64encode(secrets.token_bytes(24)).decode()
        return jwt.encode(payload, self._session_key, algorithm=_ALGORITHM, headers={"ctx": context})

    def device_cookie(self, device_id: str, device_key: SigningKey, sso_url: str) -> str:
        """Create the content of ``x-ms-DeviceCredential``.

        Args:
            device_id: the device's GUID.
            device_key: the signing key.
            sso_url: the URL that the browser opens; the cookie contains its ``sso_nonce``.

        Returns:
            A JWT, RS256. Apart from ``grant_type`` and ``request_nonce``, its claims are the fake's own.

        Raises:
            ValueError: the URL is malformed.
        """
        return device_key.sign({"grant_type": "device_auth", "deviceid": device_id, **self._time_and_nonce(sso_url)})

    def verify_prt_cookie(self, cookie: str) -> dict[str, Any]:
        """Check a PRT cookie's signature.

        Args:
            cookie: the content of ``x-ms-RefreshTokenCredential``.

        Returns:
            The payload of the cookie.

        Raises:
            ValueError: this instance did not create the cookie, or it was modified.
        """
        try:
            return jwt.decode(cookie, self._session_key, algorithms=[_ALGORITHM], options=SIGNATURE_ONLY)
        except jwt.PyJWTError as error:
            raise ValueError(f"the PRT cookie is invalid: {type(error).__name__}") from None

    def _time_and_nonce(self, sso_url: str) -> dict[str, Any]:
        nonces = parse_qs(urlsplit(sso_url).query).get("sso_nonce", [])
        return {"iat": math.floor(self._clock())} | ({"request_nonce": nonces[0]} if nonces else {})
