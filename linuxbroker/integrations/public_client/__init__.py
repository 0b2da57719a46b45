"""MSAL Python's ``PublicClientApplication`` with coroutines."""

from linuxbroker.integrations.public_client.application import PublicClientApplication

__all__ = ["PublicClientApplication"]
