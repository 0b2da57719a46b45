"""What goes over the wire, as types: one request and one reply for each method of the interface.

Each name is imported when it is first used: building the types takes longer than the rest of the library.
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

_HOMES = {
    "account": ("Account",),
    "base": ("WireModel",),
    "error_body": ("BrokerErrorBody",),
    "replies": (
        "AcquirePrtSsoCookieReply",
        "AcquireTokenReply",
        "BrokerTokenResponse",
        "CancelInteractiveFlowReply",
        "CookieItem",
        "GenerateSignedHttpRequestReply",
        "GetAccountsReply",
        "GetLinuxBrokerVersionReply",
        "RemoveAccountReply",
        "Reply",
    ),
    "requests": (
        "AcquirePrtSsoCookieRequest",
        "AcquireTokenInteractivelyRequest",
        "AcquireTokenSilentlyRequest",
        "AuthorizationType",
        "AuthParameters",
        "CancelInteractiveFlowRequest",
        "GenerateSignedHttpRequestRequest",
        "GetAccountsRequest",
        "GetLinuxBrokerVersionRequest",
        "ParentWindow",
        "PopParams",
        "RemoveAccountRequest",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

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
    if name not in _HOME_OF:
        raise AttributeError(f"module 'linuxbroker.wire.models' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"linuxbroker.wire.models.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
