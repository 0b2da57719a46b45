"""Construction of an MSAL application, and its choice between the broker and MSAL."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar, cast

from linuxbroker.call.transport import Timeouts
from linuxbroker.call.trust.policy import TrustPolicy
from linuxbroker.client import BrokerClient
from linuxbroker.integrations.public_client.arguments import broker_authority
from linuxbroker.integrations.public_client.broker_flows import BrokerFlows
from linuxbroker.integrations.public_client.eligibility import (
    BrokerFlags,
    Platform,
    host_platform,
    is_served,
    require_package,
)
from linuxbroker.integrations.public_client.msal_application import LazyMsalApplication, msal
from linuxbroker.tokens import validation

logger = logging.getLogger(__name__)

_Self = TypeVar("_Self", bound="ApplicationBase")

# The first call may have to start the broker, which takes 20 s on some machines.
_TIMEOUTS = Timeouts(ping=60.0)


class ApplicationBase:
    """What all flows of a ``PublicClientApplication`` use; its arguments are described there."""

    def __init__(
        self,
        client_id: str,
        client_credential: None = None,
        *,
        enable_broker_on_windows: bool | None = None,
        enable_broker_on_mac: bool | None = None,
        enable_broker_on_linux: bool | None = None,
        enable_broker_on_wsl: bool | None = None,
        authority: object | None = None,
        validate_authority: bool = True,
        token_cache: Any = None,
        http_client: Any = None,
        verify: bool | str = True,
        proxies: Mapping[str, str] | None = None,
        timeout: float | None = None,
        client_claims: Mapping[str, Any] | None = None,
        app_name: str | None = None,
        app_version: str | None = None,
        client_capabilities: Sequence[str] | None = None,
        azure_region: str | None = None,
        exclude_scopes: list[str] | None = None,
        http_cache: Any = None,
        instance_discovery: bool | str | None = None,
        allow_broker: bool | None = None,
        enable_pii_log: bool | None = None,
        oidc_authority: str | None = None,
        bus_address: str | None = None,
        timeouts: Timeouts | None = None,
        trust: TrustPolicy = "off",
        trusted_programs: Sequence[str | os.PathLike[str]] = (),
        allow_bus_of_other_user: bool = False,
    ) -> None:
        if client_credential is not None:
            raise ValueError("client_credential must be None: a public client has no credential")
        # As in MSAL, an empty text is no authority: it is the value of an empty environment variable.
        authority, oidc_authority = authority or None, oidc_authority or None
        if authority is not None and oidc_authority is not None:
            raise ValueError("authority and oidc_authority cannot be used together")
        if exclude_scopes and "openid" in exclude_scopes:
            raise ValueError("exclude_scopes must not contain openid, which MSAL requires")
        capabilities = list(validation.client_capabilities(client_capabilities)) or None
        self.client_id = client_id
        self.token_cache: Any = msal.TokenCache() if token_cache is None else token_cache
        self._validates_authority = validate_authority and instance_discovery is not False
        flags = BrokerFlags(
            windows=bool(enable_broker_on_windows or allow_broker),
            wsl=bool(enable_broker_on_wsl),
            mac=bool(enable_broker_on_mac),
            linux=bool(enable_broker_on_linux),
        )
        authority_text = None if authority is None else str(authority)
        platform = host_platform()
        served = flags.opts_in(platform) and is_served(authority_text, oidc_authority)
        self._msal_has_broker = served and platform is not Platform.LINUX
        self._client: BrokerClient | None = None
        self._flows: BrokerFlows | None = None
        self._broker_available: bool | None = None  # unknown until the first call
        self._availability_lock = threading.Lock()
        if self._msal_has_broker:
            require_package(platform)
        elif served:
            self._client = BrokerClient(
                client_id,
                authority=broker_authority(authority_text),
                client_capabilities=capabilities,
                bus_address=bus_address,
                timeouts=_TIMEOUTS if timeouts is None else timeouts,
                trust=trust,
                trusted_programs=trusted_programs,
                allow_bus_of_other_user=allow_bus_of_other_user,
            )
            self._flows = BrokerFlows(self._client)
        options: dict[str, Any] = {
            "authority": authority,
            "validate_authority": validate_authority,
            "token_cache": self.token_cache,
            "http_client": http_client,
            "verify": verify,
            "proxies": proxies,
            "timeout": timeout,
            "client_claims": client_claims,
            "app_name": app_name,
            "app_version": app_version,
            "client_capabilities": capabilities,
            "azure_region": azure_region,
            "exclude_scopes": exclude_scopes,
            "http_cache": http_cache,
            "instance_discovery": instance_discovery,
            "allow_broker": allow_broker,
            "enable_pii_log": enable_pii_log,
            "oidc_authority": oidc_authority,
        }
        if self._msal_has_broker:
            options |= {
                "enable_broker_on_windows": enable_broker_on_windows,
                "enable_broker_on_mac": enable_broker_on_mac,
                "enable_broker_on_linux": enable_broker_on_linux,
                "enable_broker_on_wsl": enable_broker_on_wsl,
            }
        self._msal = LazyMsalApplication(client_id, options)

    async def __aenter__(self: _Self) -> _Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections to the bus and to the login host; a later call opens them again.

        A pending call to the broker fails, or raises ``BrokerDisconnectedError``.
        """
        try:
            await self._msal.close()
        finally:
            if self._client is not None:
                await self._client.aclose()

    async def _broker(self, data: Mapping[str, Any] | None = None) -> BrokerFlows | None:
        """The broker's flows; None if no broker serves the application or the request over D-Bus."""
        if self._client is None or (data or {}).get("token_type") in ("ssh-cert", "pop"):
            return None
        if self._broker_available is None:
            is_available = await self._client.is_available()
            with self._availability_lock:
                is_first = self._broker_available is None
                if is_first:
                    self._broker_available = is_available
            if is_first and not is_available:
                logger.warning(
                    "No trusted identity broker answered on the bus; continuing without a broker. "
                    "'linuxbroker version' shows the reason."
                )
        return self._flows if self._broker_available else None

    async def _call_msal(self, method: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        call = self._msal.call(method, *args, **kwargs)
        del args, kwargs  # they may contain secrets, which a traceback would show
        return cast("dict[str, Any]", await call)
