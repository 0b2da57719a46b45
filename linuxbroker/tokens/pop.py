"""Proof of possession: the HTTP request or the key that a token is bound to, in MSAL's terms."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from linuxbroker.errors import InvalidArgumentError
from linuxbroker.tokens import validation
from linuxbroker.wire import models


@dataclass(frozen=True)
class PopAuthScheme:
    """A proof-of-possession scheme, which binds a token to one HTTP request or to one key.

    Attributes:
        http_method: the method of the request, such as ``GET``; required with ``url``.
        url: the https URL of the request; required with ``http_method``.
        nonce: the nonce from the resource's ``WWW-Authenticate`` header; None if it has none.
        client_claims: a JSON object, as text, that is included in the signed request.
        kid: the ID of the application's own key to bind the token to, as Remote Desktop does.

    Raises:
        InvalidArgumentError: neither a request nor a key is given, or a value is invalid.
        Source: PROTOCOL.md, "popParams".
    """

    http_method: str | None = None
    url: str | None = None
    nonce: str | None = field(default=None, repr=False)
    client_claims: str | None = field(default=None, repr=False)
    kid: str | None = None

    def __post_init__(self) -> None:
        if (self.http_method is None) != (self.url is None):
            raise InvalidArgumentError("http_method and url must be set together")
        if self.http_method is None and self.kid is None:
            raise InvalidArgumentError("proof of possession requires http_method and url, or kid")
        if self.http_method is not None:
            validation.http_method(self.http_method)
            validation.https_url("url", self.url)
        for name in ("nonce", "kid"):
            if getattr(self, name) is not None:
                validation.text(name, getattr(self, name), empty=name == "nonce")
        validation.claims_challenge(self.client_claims, "client_claims")

    def to_wire(self, home_account_id: str = "") -> models.PopParams:
        """Make the wire object.

        Args:
            home_account_id: the account whose key signs; empty in a token request, which names the account itself.

        Returns:
            The wire object. With a ``kid`` it names the scheme too, as Himmelblau requires.
        """
        wire = models.PopParams(
            client_claims=self.client_claims or "", home_account_id=home_account_id, nonce=self.nonce or ""
        )
        if self.url is not None and self.http_method is not None:
            parts = urlsplit(self.url)
            bound_to = {"http_method": self.http_method.upper(), "uri_host": parts.netloc, "uri_path": parts.path}
            wire = wire.model_copy(update=bound_to)
        if self.kid is not None:
            wire = wire.model_copy(update={"authentication_scheme": "pop", "kid": self.kid})
        return wire
