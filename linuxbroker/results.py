"""Results of successful calls, made from the reply models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from linuxbroker.redaction import texts
from linuxbroker.redaction.secrets import HiddenText
from linuxbroker.wire import models


@dataclass(frozen=True)
class TokenResult:
    """A token and what the broker returned with it.

    Attributes:
        access_token: the token; for proof of possession the signed HTTP request.
        token_type: ``Bearer`` or ``pop``, the scheme of the ``Authorization`` header.
        expires_on: the time at which the access token expires, timezone-aware, in UTC.
        scopes: the scopes that were granted.
        id_token: the raw ID token, or the empty string.
        id_token_claims: the claims of the ID token, not verified: the broker received it from Entra over TLS.
        account: the account that the token is for; None if neither the request nor the reply names one.
        client_info: Entra's ``client_info``, base64url, or the empty string.
        telemetry: the broker's telemetry for the call.
        correlation_id: the ID of the call in the broker's and Entra's logs.
    """

    access_token: str = field(repr=False)
    token_type: str
    expires_on: datetime
    scopes: tuple[str, ...]
    id_token: str = field(repr=False)
    id_token_claims: Mapping[str, Any] = field(repr=False)
    account: models.Account | None
    client_info: str = field(repr=False)
    telemetry: Mapping[str, Any] = field(repr=False)
    correlation_id: str

    def __repr__(self) -> str:
        return texts.brief_fields(self)

    @property
    def authorization_header(self) -> str:
        """The value of the ``Authorization`` header of an HTTP request, a string whose ``repr`` is hidden."""
        return HiddenText(f"{self.token_type} {self.access_token}")


@dataclass(frozen=True)
class PrtSsoCookie:
    """A cookie that signs the user in to a page of the login host.

    Attributes:
        name: the name of the HTTP request header (and cookie), such as ``x-ms-RefreshTokenCredential``.
        content: the value of the header.
    """

    name: str
    content: str = field(repr=False)

    def __repr__(self) -> str:
        return texts.brief_fields(self)
