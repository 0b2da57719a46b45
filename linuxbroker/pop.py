"""What is a proof-of-possession token bound to? The HTTP request that it will sign, in MSAL's vocabulary."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from linuxbroker import models, validation
from linuxbroker.errors import InvalidArgumentError


@dataclass(frozen=True)
class PopAuthScheme:
    """Asks for a proof-of-possession token, bound to one HTTP request or to one key.

    Attributes:
        http_method: such as ``GET``; with ``url``.
        url: the https URL of the request; with ``http_method``.
        nonce: the nonce from the resource's ``WWW-Authenticate`` header, where it gave one.
        client_claims: the text of a JSON object to sign along.
        kid: the id of a key of the caller's own that the token is to be bound to (Remote Desktop's way).

    Raises:
        InvalidArgumentError: neither a request nor a key is named, or one of them can't be right.
        Source: PROTOCOL.md, "popParams".
    """

    http_method: str | None = None
    url: str | None = None
    nonce: str | None = field(default=None, repr=False)
    client_claims: str | None = field(default=None, repr=False)
    kid: str | None = None

    def __post_init__(self) -> None:
        if (self.http_method is None) != (self.url is None):
            raise InvalidArgumentError("give http_method and url together")
        if self.http_method is None and self.kid is None:
            raise InvalidArgumentError("a proof of possession needs http_method and url, or kid")
        if self.http_method is not None:
            validation.http_method(self.http_method)
            validation.https_url("url", self.url)
        for name in ("nonce", "kid"):
            if getattr(self, name) is not None:
                validation.text(name, getattr(self, name), empty=name == "nonce")
        validation.claims_challenge(self.client_claims, "client_claims")

    def to_wire(self, home_account_id: str = "") -> models.PopParams:
        """Write it as the broker reads it.

        Args:
            home_account_id: whose key signs; empty in a token request, which names the account itself.

        Returns:
            The wire object. With a ``kid`` it names the scheme too, which Himmelblau asks for.
        """
        wire = models.PopParams(
            client_claims=self.client_claims or "", home_account_id=home_account_id, nonce=self.nonce or ""
        )
        if self.url is not None and self.http_method is not None:
            parts = urlsplit(self.url)
            bound_to = {"http_method": self.http_method.upper(), "uri_host": parts.netloc, "uri_path": parts.path}
            wire = _with(wire, **bound_to)
        if self.kid is not None:
            wire = _with(wire, authentication_scheme="pop", kid=self.kid)
        return wire


def _with(params: models.PopParams, **values: str) -> models.PopParams:
    return params.model_copy(update=values)
