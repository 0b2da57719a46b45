"""The request of each method, with the keys that Microsoft's runtime writes."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic import SerializerFunctionWrapHandler, model_serializer

from linuxbroker.wire.models.account import Account
from linuxbroker.wire.models.base import Secret, WireModel
from linuxbroker.wire.models.error_body import BrokerErrorBody


class AuthorizationType(enum.IntEnum):
    """How a token is requested. Source: PROTOCOL.md, "authorizationType"."""

    NONE = 0
    CACHED_REFRESH_TOKEN = 1
    IMPORTED_REFRESH_TOKEN = 2
    USERNAME_PASSWORD = 3
    WINDOWS_INTEGRATED = 4
    AUTH_CODE = 5
    INTERACTIVE = 6
    CERTIFICATE = 7
    PRT_SSO_COOKIE = 8
    COMPLETE_BROKER_RESULT = 9
    DEVICE_INFO = 10
    SIGN_OUT_INTERACTIVE = 11
    SIGN_OUT_SILENT = 12
    ACCOUNT_TRANSFER = 13


class _SparseModel(WireModel):
    """A wire type whose optional keys are left out if they are not set."""

    @model_serializer(mode="wrap")
    def _without_unset(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        for name, key in _optional_keys(type(self)):
            if name not in self.model_fields_set:
                written.pop(key, None)
        return written


@cache
def _optional_keys(model: type[_SparseModel]) -> Sequence[tuple[str, str]]:
    """The optional fields, each with its key on the wire."""
    fields = model.model_fields.items()
    return [(name, field.alias or name) for name, field in fields if not field.is_required() and field.default is None]


class PopParams(_SparseModel):
    """The request or key that a proof-of-possession token is bound to. Source: PROTOCOL.md, "popParams"."""

    authentication_scheme: str | None = None
    client_claims: str | None = Secret(None)
    home_account_id: str | None = None
    http_method: str | None = None
    kid: str | None = None
    nonce: str | None = Secret(None)
    uri_host: str | None = None
    uri_path: str | None = None


class ParentWindow(WireModel):
    """The window that a sign-in dialog belongs to."""

    handle: int


class AuthParameters(_SparseModel):
    """The parameters of a token request. Source: PROTOCOL.md, "authParameters".

    ``account`` and ``pop_params`` are null on the wire if set to None, and left out if not set.
    """

    access_token_to_renew: str = Secret("")
    account: Account | None = None
    additional_query_parameters_for_authorization: dict[str, str] = Secret(default_factory=dict)
    authority: str
    authorization_type: AuthorizationType
    client_id: str
    decoded_claims: str = Secret("")
    enrollment_id: str = ""
    is_sign_in: bool | None = None
    is_test_mode: bool = False
    onboarding_blob: str | None = Secret(None)
    parent_window: ParentWindow | None = None
    password: str = Secret("")
    pop_params: PopParams | None = None
    prompt: str | None = None
    redirect_uri: str
    requested_scopes: tuple[str, ...]
    sso_url: str | None = Secret(None)
    username: str | None = None
    ux_context_handle: int = -1


class AcquireTokenSilentlyRequest(WireModel):
    """The request of ``acquireTokenSilently``."""

    auth_parameters: AuthParameters


class AcquireTokenInteractivelyRequest(WireModel):
    """The request of ``acquireTokenInteractively``."""

    auth_parameters: AuthParameters
    parent_window_handle: int = 0


class GetAccountsRequest(WireModel):
    """The request of ``getAccounts``; ``redirect_uri`` must not be empty."""

    client_id: str
    redirect_uri: str


class RemoveAccountRequest(WireModel):
    """The request of ``removeAccount``."""

    client_id: str
    account: Account


class AcquirePrtSsoCookieRequest(WireModel):
    """The request of ``acquirePrtSsoCookie``."""

    account: Account
    auth_parameters: AuthParameters
    mam_enrollment: bool = False
    sso_url: str = Secret()


class GenerateSignedHttpRequestRequest(WireModel):
    """The request of ``generateSignedHttpRequest``."""

    client_id: str
    pop_params: PopParams


class CancelInteractiveFlowRequest(WireModel):
    """The request of ``cancelInteractiveFlow``."""

    error: BrokerErrorBody


class GetLinuxBrokerVersionRequest(WireModel):
    """The request of ``getLinuxBrokerVersion``, with the caller's version."""

    msal_cpp_version: str
