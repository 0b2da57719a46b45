"""Wire types: one request and one reply for each method of the interface.

Each name is imported when it is first used, as building the types takes longer than the rest of the library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from linuxbroker.wire.models.status import Status, tag_name

if TYPE_CHECKING:
    from linuxbroker.wire.models.account import Account
    from linuxbroker.wire.models.base import WireModel
    from linuxbroker.wire.models.error_body import BrokerErrorBody
    from linuxbroker.wire.models.replies import (
        AcquirePrtSsoCookieReply,
        AcquireTokenReply,
        BrokerTokenResponse,
        CancelInteractiveFlowReply,
        CookieItem,
        GenerateSignedHttpRequestReply,
        GetAccountsReply,
        GetLinuxBrokerVersionReply,
        RemoveAccountReply,
        Reply,
    )
    from linuxbroker.wire.models.requests import (
        AcquirePrtSsoCookieRequest,
        AcquireTokenInteractivelyRequest,
        AcquireTokenSilentlyRequest,
        AuthorizationType,
        AuthParameters,
        CancelInteractiveFlowRequest,
        GenerateSignedHttpRequestRequest,
        GetAccountsRequest,
        GetLinuxBrokerVersionRequest,
        ParentWindow,
        PopParams,
        RemoveAccountRequest,
    )

_MODULES = ("account", "base", "error_body", "replies", "requests")

__all__ = [
    "Account",
    "AcquirePrtSsoCookieReply",
    "AcquirePrtSsoCookieRequest",
    "AcquireTokenInteractivelyRequest",
    "AcquireTokenReply",
    "AcquireTokenSilentlyRequest",
    "AuthParameters",
    "AuthorizationType",
    "BrokerErrorBody",
    "BrokerTokenResponse",
    "CancelInteractiveFlowReply",
    "CancelInteractiveFlowRequest",
    "CookieItem",
    "GenerateSignedHttpRequestReply",
    "GenerateSignedHttpRequestRequest",
    "GetAccountsReply",
    "GetAccountsRequest",
    "GetLinuxBrokerVersionReply",
    "GetLinuxBrokerVersionRequest",
    "ParentWindow",
    "PopParams",
    "RemoveAccountReply",
    "RemoveAccountRequest",
    "Reply",
    "Status",
    "WireModel",
    "tag_name",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'linuxbroker.wire.models' has no attribute {name!r}")
    modules = (importlib.import_module(f"linuxbroker.wire.models.{module}") for module in _MODULES)
    value: object = next(getattr(module, name) for module in modules if hasattr(module, name))
    globals()[name] = value
    return value
