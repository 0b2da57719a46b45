"""The fake's signing keys, and how their public halves are shown."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

ALGORITHM = "RS256"

# The library's checks read the machine's clock and need an audience; the fake has a clock of its own.
SIGNATURE_ONLY: Any = {
    "verify_signature": True,
    **dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss"), False),
}


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """Compute the thumbprint of an RSA public key (RFC 7638, SHA-256).

    Args:
        jwk: the key as a JWK.

    Returns:
        Unpadded base64url.

    Raises:
        ValueError: it is not an RSA key with ``e`` and ``n``.
    """
    if jwk.get("kty") != "RSA" or not isinstance(jwk.get("e"), str) or not isinstance(jwk.get("n"), str):
        raise ValueError("the JWK is not an RSA public key")
    canonical = json.dumps({"e": jwk["e"], "kty": "RSA", "n": jwk["n"]}, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def verify(token: str, jwk: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Check an RS256 signature, and nothing else: no audience, no time.

    Args:
        token: a compact JWT.
        jwk: the RSA public key that must have signed it.
        what: the token's name in an error, such as ``access token``.

    Returns:
        The payload.

    Raises:
        ValueError: it is not a JWT, or another key or algorithm signed it. The text has no part of the token.
    """
    try:
        key = jwt.PyJWK(dict(jwk), ALGORITHM)
        return jwt.decode(token, key, algorithms=[ALGORITHM], options=SIGNATURE_ONLY)
    except jwt.PyJWTError as error:
        raise ValueError(f"the {what} is not valid: {type(error).__name__}") from None


class SigningKey:
    """An RSA-2048 key, made when it is first used (that takes a while), and never shown but for its public half."""

    def __init__(self) -> None:
        self._made: rsa.RSAPrivateKey | None = None
        self._making = threading.Lock()  # a test may ask for the public key while the broker's thread signs

    @property
    def _private(self) -> rsa.RSAPrivateKey:
        with self._making:
            if self._made is None:
                self._made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            return self._made

    @cached_property
    def _public(self) -> dict[str, str]:
        numbers = self._private.public_key().public_numbers()
        return {"kty": "RSA", "e": _base64url_int(numbers.e), "n": _base64url_int(numbers.n)}

    @cached_property
    def kid(self) -> str:
        """The key's id: its thumbprint."""
        return thumbprint(self._public)

    def public_jwk(self) -> dict[str, str]:
        """Give the public key as a JWK with ``kty``, ``e``, ``n`` and ``kid``."""
        return {**self._public, "kid": self.kid}

    def sign(self, payload: Mapping[str, Any], *, typ: str = "JWT") -> str:
        """Sign a payload.

        Args:
            payload: the claims.
            typ: the header's ``typ``.

        Returns:
            A compact JWT, RS256, with ``kid``.
        """
        return jwt.encode(dict(payload), self._private, algorithm=ALGORITHM, headers={"typ": typ, "kid": self.kid})


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _base64url_int(number: int) -> str:
    return _base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))
