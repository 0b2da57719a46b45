"""Asyncio client for the Linux identity broker. Each public name is imported when it is first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from linuxbroker._version import __version__

if TYPE_CHECKING:
    from linuxbroker.call.presence import Presence
    from linuxbroker.call.transport import Timeouts
    from linuxbroker.client import BrokerClient
    from linuxbroker.errors import (
        NATIVE_CLIENT_REDIRECT_URI,
        AccountNotFoundError,
        AccountRequiredError,
        AccountUnusableError,
        ApiContractError,
        BrokerDisconnectedError,
        BrokerError,
        BrokerNotInstalledError,
        BrokerProtocolError,
        BrokerResponseError,
        BrokerStartError,
        BrokerTimeoutError,
        BrokerUnreachableError,
        CanceledError,
        ConfigurationError,
        DeclinedScopesError,
        DeviceNotRegisteredError,
        InteractionRequiredError,
        InvalidArgumentError,
        MismatchedTokenError,
        NoAccountError,
        NoDisplayError,
        NoNetworkError,
        NoSessionBusError,
        RedirectUriError,
        ServerUnavailableError,
        UnsupportedOperationError,
        UntrustedBrokerError,
        UserCanceledError,
    )
    from linuxbroker.integrations.public_client.application import PublicClientApplication
    from linuxbroker.results import PrtSsoCookie, TokenResult
    from linuxbroker.tokens.pop import PopAuthScheme
    from linuxbroker.wire.models.account import Account
    from linuxbroker.wire.models.status import Status

_HOMES = {
    "linuxbroker.client": ("BrokerClient",),
    "linuxbroker.integrations.public_client.application": ("PublicClientApplication",),
    "linuxbroker.wire.models.account": ("Account",),
    "linuxbroker.wire.models.status": ("Status",),
    "linuxbroker.tokens.pop": ("PopAuthScheme",),
    "linuxbroker.call.presence": ("Presence",),
    "linuxbroker.results": ("PrtSsoCookie", "TokenResult"),
    "linuxbroker.call.transport": ("Timeouts",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "NATIVE_CLIENT_REDIRECT_URI",
    "Account",
    "AccountNotFoundError",
    "AccountRequiredError",
    "AccountUnusableError",
    "ApiContractError",
    "BrokerClient",
    "BrokerDisconnectedError",
    "BrokerError",
    "BrokerNotInstalledError",
    "BrokerProtocolError",
    "BrokerResponseError",
    "BrokerStartError",
    "BrokerTimeoutError",
    "BrokerUnreachableError",
    "CanceledError",
    "ConfigurationError",
    "DeclinedScopesError",
    "DeviceNotRegisteredError",
    "InteractionRequiredError",
    "InvalidArgumentError",
    "MismatchedTokenError",
    "NoAccountError",
    "NoDisplayError",
    "NoNetworkError",
    "NoSessionBusError",
    "PopAuthScheme",
    "Presence",
    "PrtSsoCookie",
    "PublicClientApplication",
    "RedirectUriError",
    "ServerUnavailableError",
    "Status",
    "Timeouts",
    "TokenResult",
    "UnsupportedOperationError",
    "UntrustedBrokerError",
    "UserCanceledError",
    "__version__",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'linuxbroker' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOME_OF.get(name, "linuxbroker.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
