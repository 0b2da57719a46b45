"""RSA signing keys, their JWKs and thumbprints, and signature checks."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .extra import jwt, rsa

ALGORITHM = "RS256"

# PyJWT's other checks read the system clock and need an audience; the fake has its own clock.
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
        ValueError: the JWK is not an RSA key with ``e`` and ``n``.
    """
    if jwk.get("kty") != "RSA" or not isinstance(jwk.get("e"), str) or not isinstance(jwk.get("n"), str):
        raise ValueError("the JWK is not an RSA public key")
    canonical = json.dumps({"e": jwk["e"], "kty": "RSA", "n": jwk["n"]}, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def verify(token: str, jwk: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Check the RS256 signature of a token, but neither its audience nor its times.

    Args:
        token: a compact JWT.
        jwk: the RSA public key.
        what: the name of the token in error messages, such as ``access token``.

    Returns:
        The payload.

    Raises:
        ValueError: the text is not a JWT, or was signed with another key or algorithm. The message contains no part of
            the token.
    """
    try:
        key = jwt.PyJWK(dict(jwk), ALGORITHM)
        return jwt.decode(token, key, algorithms=[ALGORITHM], options=SIGNATURE_ONLY)
    except jwt.PyJWTError as error:
        raise ValueError(f"the {what} is invalid: {type(error).__name__}") from None


class SigningKey:
    """An RSA-2048 key, generated at first use; only its public half can be read."""

    def __init__(self) -> None:
        self._key: rsa.RSAPrivateKey | None = None
        self._lock = threading.Lock()  # a test may read the public key while the broker's thread signs

    @property
    def _private(self) -> rsa.RSAPrivateKey:
        with self._lock:
            if self._key is None:
                self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            return self._key

    @cached_property
    def _public(self) -> dict[str, str]:
        numbers = self._private.public_key().public_numbers()
        return {"kty": "RSA", "e": _base64url_int(numbers.e), "n": _base64url_int(numbers.n)}

    @cached_property
    def kid(self) -> str:
        """The key ID: the thumbprint."""
        return thumbprint(self._public)

    def public_jwk(self) -> dict[str, str]:
        """Return the public key as a JWK with ``kty``, ``e``, ``n`` and ``kid``."""
        return {**self._public, "kid": self.kid}

    def sign(self, payload: Mapping[str, Any], *, typ: str = "JWT") -> str:
        """Sign a payload.

        Args:
            payload: the claims.
            typ: the ``typ`` of the header.

        Returns:
            A compact JWT, RS256, with ``kid``.
        """
        return jwt.encode(dict(payload), self._private, algorithm=ALGORITHM, headers={"typ": typ, "kid": self.kid})


@dataclass(frozen=True)
class Keys:
    """The private keys of a fake Entra and a fake device.

    Attributes:
        tokens: signs tokens.
        device: signs HTTP requests and device cookies, for proof of possession.
    """

    tokens: SigningKey = field(default_factory=SigningKey)
    device: SigningKey = field(default_factory=SigningKey)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _base64url_int(number: int) -> str:
    return _base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))
