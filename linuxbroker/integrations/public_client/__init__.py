"""What do people who know MSAL Python find here? Its ``PublicClientApplication``, with coroutines."""

from linuxbroker.integrations.public_client.application import PublicClientApplication

__all__ = ["PublicClientApplication"]
