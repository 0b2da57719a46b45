"""An application on MSAL Python with the broker on this session bus: prints the result of each step as JSON.

Run as a program in the environment of ``desktop.User``; MSAL's only need of the network, to read where a login host
keeps its endpoints, is met by a stand-in for its HTTP client.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import msal

CLIENT_ID = "11111111-2222-4333-8444-555555555555"
GRAPH = ["https://graph.microsoft.com/.default"]
STORAGE = ["https://storage.azure.com/user_impersonation"]


class LoginHost:
    """Answers the discovery requests of MSAL, and nothing else."""

    def get(self, url: str, **_: Any) -> SimpleNamespace:
        """Give the documents that a login host publishes."""
        tenant = url.partition("/v2.0/")[0]
        document = {
            "authorization_endpoint": f"{tenant}/oauth2/v2.0/authorize",
            "token_endpoint": f"{tenant}/oauth2/v2.0/token",
            "issuer": f"{tenant}/v2.0",
            "tenant_discovery_endpoint": f"{tenant}/v2.0/.well-known/openid-configuration",
            "metadata": [],
        }
        return SimpleNamespace(status_code=200, headers={}, text=json.dumps(document))

    def post(self, url: str, **_: Any) -> SimpleNamespace:
        """Refuse: a token must come from the broker."""
        raise AssertionError(f"MSAL went past the broker, to {url}")

    def close(self) -> None:
        """Nothing is open."""


def main() -> None:
    """Sign in, get tokens, sign out."""
    app = msal.PublicClientApplication(
        CLIENT_ID,
        authority="https://login.microsoftonline.com/organizations",
        enable_broker_on_linux=True,
        http_client=LoginHost(),
    )
    signed_in = app.acquire_token_interactive(GRAPH, parent_window_handle=app.CONSOLE_WINDOW_HANDLE)
    accounts = app.get_accounts()
    silent = app.acquire_token_silent_with_error(STORAGE, account=accounts[0]) if accounts else None
    for account in accounts:
        app.remove_account(account)
    print(json.dumps({"signed_in": signed_in, "accounts": accounts, "silent": silent, "left": app.get_accounts()}))


if __name__ == "__main__":
    main()
