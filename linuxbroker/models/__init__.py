"""What goes over the wire, as types: one request and one reply for each method of the interface."""

from linuxbroker.models.account import Account
from linuxbroker.models.base import WireModel
from linuxbroker.models.failure import BrokerErrorBody, Status, tag_name
from linuxbroker.models.replies import (
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
from linuxbroker.models.requests import (
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
