"""The methods of com.microsoft.identity.Broker1, a coroutine each. Made by interfaces/generate.py: do not edit."""

from __future__ import annotations

from linuxbroker.wire import models
from linuxbroker.wire.calls import Answer, Caller, CallOptions


class Broker1Proxy:
    """Calls the methods of com.microsoft.identity.Broker1.

    Each takes the method's request and how the call is made, and gives the reply. What a method raises is up to the
    caller that it is given.

    Args:
        caller: makes the calls.
    """

    def __init__(self, caller: Caller) -> None:
        self._call = caller

    async def acquire_token_interactively(
        self,
        request: models.AcquireTokenInteractivelyRequest,
        options: CallOptions,
    ) -> Answer[models.AcquireTokenReply]:
        """Call ``acquireTokenInteractively``."""
        reply_type = models.AcquireTokenReply
        return await self._call("acquireTokenInteractively", request, reply_type, options, repeatable=False)

    async def acquire_token_silently(
        self,
        request: models.AcquireTokenSilentlyRequest,
        options: CallOptions,
    ) -> Answer[models.AcquireTokenReply]:
        """Call ``acquireTokenSilently``."""
        reply_type = models.AcquireTokenReply
        return await self._call("acquireTokenSilently", request, reply_type, options, repeatable=True)

    async def get_accounts(
        self,
        request: models.GetAccountsRequest,
        options: CallOptions,
    ) -> Answer[models.GetAccountsReply]:
        """Call ``getAccounts``."""
        reply_type = models.GetAccountsReply
        return await self._call("getAccounts", request, reply_type, options, repeatable=True)

    async def remove_account(
        self,
        request: models.RemoveAccountRequest,
        options: CallOptions,
    ) -> Answer[models.RemoveAccountReply]:
        """Call ``removeAccount``."""
        reply_type = models.RemoveAccountReply
        return await self._call("removeAccount", request, reply_type, options, repeatable=False)

    async def acquire_prt_sso_cookie(
        self,
        request: models.AcquirePrtSsoCookieRequest,
        options: CallOptions,
    ) -> Answer[models.AcquirePrtSsoCookieReply]:
        """Call ``acquirePrtSsoCookie``."""
        reply_type = models.AcquirePrtSsoCookieReply
        return await self._call("acquirePrtSsoCookie", request, reply_type, options, repeatable=True)

    async def generate_signed_http_request(
        self,
        request: models.GenerateSignedHttpRequestRequest,
        options: CallOptions,
    ) -> Answer[models.GenerateSignedHttpRequestReply]:
        """Call ``generateSignedHttpRequest``."""
        reply_type = models.GenerateSignedHttpRequestReply
        return await self._call("generateSignedHttpRequest", request, reply_type, options, repeatable=True)

    async def cancel_interactive_flow(
        self,
        request: models.CancelInteractiveFlowRequest,
        options: CallOptions,
    ) -> Answer[models.CancelInteractiveFlowReply]:
        """Call ``cancelInteractiveFlow``."""
        reply_type = models.CancelInteractiveFlowReply
        return await self._call("cancelInteractiveFlow", request, reply_type, options, repeatable=False)

    async def get_linux_broker_version(
        self,
        request: models.GetLinuxBrokerVersionRequest,
        options: CallOptions,
    ) -> Answer[models.GetLinuxBrokerVersionReply]:
        """Call ``getLinuxBrokerVersion``."""
        reply_type = models.GetLinuxBrokerVersionReply
        return await self._call("getLinuxBrokerVersion", request, reply_type, options, repeatable=True)
