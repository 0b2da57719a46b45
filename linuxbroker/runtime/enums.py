"""The enumerations of ``pymsalruntime``, with the values of Microsoft's."""

from __future__ import annotations

from enum import Enum


class Response_Status(Enum):  # noqa: N801 - the name in the .pyi
    """The status of a failed call. The values differ from those on the wire, which ``Status`` has."""

    Status_Unexpected = 0
    Status_Reserved = 1
    Status_InteractionRequired = 2
    Status_NoNetwork = 3
    Status_NetworkTemporarilyUnavailable = 4
    Status_ServerTemporarilyUnavailable = 5
    Status_ApiContractViolation = 6
    Status_UserCanceled = 7
    Status_ApplicationCanceled = 8
    Status_IncorrectConfiguration = 9
    Status_InsufficientBuffer = 10
    Status_AuthorityUntrusted = 11
    Status_UserSwitch = 12
    Status_AccountUnusable = 13
    Status_UserDataRemovalRequired = 14
    Status_KeyNotFound = 15
    Status_AccountNotFound = 16
    Status_TransientError = 17
    Status_AccountSwitch = 18
    Status_RequiredBrokerMissing = 19
    Status_DeviceNotRegistered = 20
    Status_FallbackToNativeMsal = 21


class LogLevel(Enum):
    """The severity of a log message."""

    TRACE = 1
    DEBUG = 2
    INFO = 3
    WARNING = 4
    ERROR = 5
    FATAL = 6


class SsoPolicyType(Enum):
    """Whether single sign-on may be used."""

    Unknown = 0
    PermissionRequired = 1
    AlwaysAllowed = 2
    Error = 3
