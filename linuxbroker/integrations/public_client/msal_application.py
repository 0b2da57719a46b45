"""MSAL's own application for the flows without a broker, created on the first call.

Creating it reads the authority's endpoints over the network, and each of its calls blocks: both run on other threads.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping
from typing import Any, cast

from linuxbroker.integrations.public_client.blocking import run_blocking
from linuxbroker.redaction.secrets import Concealed

# MSAL has no types.
msal = cast("Any", importlib.import_module("msal"))


class LazyMsalApplication:
    """An ``msal.PublicClientApplication`` that is created on the first call.

    Args:
        client_id: its client ID.
        options: its other arguments.
    """

    def __init__(self, client_id: str, options: Mapping[str, Any]) -> None:
        self._client_id = client_id
        self._options = dict(options)
        self._lock = threading.Lock()
        self._application: Any = None

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the application.

        Args:
            method: the name of the method.
            args, kwargs: its arguments.

        Returns:
            Its result.

        Raises:
            Exception: its exception, or that of creating the application.
        """
        arguments = Concealed((args, kwargs))  # they may contain secrets, which a traceback would show
        del args, kwargs
        return await run_blocking(
            lambda: getattr(self._get_or_create(), method)(*arguments.value[0], **arguments.value[1])
        )

    async def close(self) -> None:
        """Close the connections of the HTTP client that MSAL created; a later call opens them again."""
        if self._application is not None and self._options.get("http_client") is None:
            await run_blocking(self._application.http_client.close)

    def _get_or_create(self) -> Any:
        with self._lock:
            if self._application is None:
                self._application = msal.PublicClientApplication(self._client_id, **self._options)
            return self._application
