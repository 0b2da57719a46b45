"""Access tokens that are bound to a key, and signed HTTP requests.

The form is MSAL's: "A Method for Signing HTTP Requests for OAuth" (draft-ietf-oauth-signed-http-request-03), with the
public key in `cnf` and Entra's `nonce` and `client_claims`.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from typing import Any, cast

from .extra import jwt
from .signing_key import SigningKey, thumbprint, verify


def sign_http_request(
    key: SigningKey,
    access_token: str,
    *,
    method: str,
    host: str,
    path: str,
    nonce: str = "",
    client_claims: str = "",
    timestamp: float,
) -> str:
    """Wrap an access token in a signed HTTP request.

    Args:
        key: the key that the token is bound to.
        access_token: a token whose ``cnf.kid`` is the key's thumbprint; a resource rejects any other.
        method: the HTTP method; signed in upper case.
        host: the claim ``u``, such as ``graph.microsoft.com``; signed as given.
        path: the claim ``p``, such as ``/v1.0/me``; signed as given.
        nonce: the resource's nonce; ``""``: a random one.
        client_claims: JSON text, signed as text; ``""``: no such claim.
        timestamp: epoch seconds.

    Returns:
        A JWT, RS256, of type ``pop``.
    """
    payload: dict[str, Any] = {
        "at": access_token,
        "ts": math.floor(timestamp),
        "m": method.upper(),
        "u": host,
        "p": path,
        "nonce": nonce or secrets.token_hex(16),
        "cnf": {"jwk": key.public_jwk()},
    }
    if client_claims:
        payload["client_claims"] = client_claims
    return key.sign(payload, typ="pop")


def verify_http_request(shr: str, verify_access_token: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """Check a signed HTTP request as a resource does: first the token, then the signature of the request.

    Args:
        shr: the signed HTTP request.
        verify_access_token: returns the claims of an access token, or raises ValueError.

    Returns:
        The payload of the request.

    Raises:
        ValueError: a signature is invalid, or the token is bound to another key.
    """
    try:
        unchecked = jwt.api_jwt.decode_complete(shr, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise ValueError(f"the signed HTTP request is not a JWT: {type(error).__name__}") from None
    if unchecked["header"].get("typ") != "pop":
        raise ValueError("the signed HTTP request does not have the type pop")
    token_key = _object_at(verify_access_token(str(unchecked["payload"].get("at"))), "cnf").get("kid")
    jwk = _object_at(_object_at(unchecked["payload"], "cnf"), "jwk")
    if thumbprint(jwk) != token_key:
        raise ValueError("the access token is not bound to the key of the signed HTTP request")
    return verify(shr, jwk, "signed HTTP request")


def _object_at(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    if not isinstance(value, dict):
        raise ValueError(f"no object {key!r} in the signed HTTP request or its token")
    return cast("dict[str, Any]", value)
