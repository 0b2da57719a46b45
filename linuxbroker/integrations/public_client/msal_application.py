"""Where is MSAL's own application, for the flows that have no broker? Made when the first of them needs it.

Making one reads the authority's endpoints over the network, and every call of it blocks: both happen on other threads.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Mapping
from typing import Any, cast

from linuxbroker.integrations.public_client.blocking import run_blocking
from linuxbroker.redaction import Concealed

# MSAL has no types.
msal = cast("Any", importlib.import_module("msal"))


class LazyMsalApplication:
    """An ``msal.PublicClientApplication`` that is made when it is first called.

    Args:
        client_id: the application's.
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
            method: its name.
            args, kwargs: its arguments.

        Returns:
            What it returns.

        Raises:
            Exception: what it, or making the application, raises.
        """
        given = Concealed((args, kwargs))  # no traceback shows them: secrets may be among them
        del args, kwargs
        return await run_blocking(lambda: getattr(self._made(), method)(*given.value[0], **given.value[1]))

    async def close(self) -> None:
        """Close the connections of the HTTP client that MSAL made; a later call opens them again."""
        if self._application is not None and self._options.get("http_client") is None:
            await run_blocking(self._application.http_client.close)

    def _made(self) -> Any:
        with self._lock:
            if self._application is None:
                self._application = msal.PublicClientApplication(self._client_id, **self._options)
            return self._application
