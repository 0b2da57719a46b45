"""PyJWT and cryptography, of the extra ``fake``; without them the import fails with an error that names the extra."""

from __future__ import annotations

try:
    import jwt
    from cryptography.hazmat.primitives.asymmetric import rsa
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"linuxbroker_fake requires {error.name}: pip install 'linuxbroker[fake]'", name=error.name, path=error.path
    ) from error

__all__ = ["jwt", "rsa"]
