"""Interactive calls: one at a time on a connection, within their time limit, and withdrawn when they are cancelled."""

from __future__ import annotations

import asyncio

from linuxbroker.call import failures
from linuxbroker.call.transport import BrokerTransport, Timeouts
from linuxbroker.errors import BrokerError
from linuxbroker.tokens.validation import correlation_id as checked_correlation_id
from linuxbroker.wire import models
from linuxbroker.wire.calls import Answer, CallContext, CallOptions
from linuxbroker.wire.models.status import Status
from linuxbroker.wire.proxy import Broker1Proxy


class SignIns:
    """The sign-ins of a client.

    Args:
        transport: whose bus they take turns on.
        proxy: calls the broker.
        timeouts: the time limits.
    """

    def __init__(self, transport: BrokerTransport, proxy: Broker1Proxy, timeouts: Timeouts) -> None:
        self._transport = transport
        self._proxy = proxy
        self._timeouts = timeouts
        self._cancellations: set[asyncio.Task[None]] = set()

    async def call(
        self, request: models.AcquireTokenInteractivelyRequest, correlation_id: str
    ) -> Answer[models.AcquireTokenReply]:
        """Have the broker ask the user, once no other sign-in of the connection is open.

        Args:
            request: the request.
            correlation_id: the call's correlation id.

        Returns:
            The reply.

        Raises:
            BrokerError: the sign-in failed, or the user did not complete it in time.
        """
        username, limit = request.auth_parameters.username or "", self._timeouts.interactive
        call = CallContext("acquireTokenInteractively", correlation_id, username, request)
        # A broker closes all windows of a connection when one of its sign-ins is cancelled: they are asked one by one.
        async with self._transport.bus().sign_in_turn(limit) as is_ours:
            if not is_ours:
                raise failures.sign_in_not_begun(limit or 0.0, call)
            sent = asyncio.Event()
            options = CallOptions(None, correlation_id, username, for_own_bus=True, on_send=sent.set)
            sign_in = asyncio.ensure_future(self._proxy.acquire_token_interactively(request, options))
            try:
                await asyncio.wait({sign_in}, timeout=limit)
            except asyncio.CancelledError:
                await self._withdraw(sign_in, sent.is_set())
                raise
            if not sign_in.done():
                await self._withdraw(sign_in, sent.is_set())
                raise failures.sign_in_timed_out(limit or 0.0, call)
            return sign_in.result()

    async def withdrawn(self) -> None:
        """Wait until the sign-ins of the running loop that were cancelled have ended."""
        # A copy first: another thread's loop may add to the set.
        running = [task for task in tuple(self._cancellations) if task.get_loop() is asyncio.get_running_loop()]
        if running:
            await asyncio.wait(running)

    async def _withdraw(self, sign_in: asyncio.Future[Answer[models.AcquireTokenReply]], sent: bool) -> None:
        """End a sign-in that nobody waits for: have the broker close its window, if it could have opened one."""
        if sign_in.done() and not sign_in.cancelled():
            sign_in.exception()  # retrieved: nobody is left to raise it to
            return
        if not sent:
            sign_in.cancel()
            return
        cancellation = asyncio.ensure_future(self._cancel(sign_in))
        self._cancellations.add(cancellation)
        cancellation.add_done_callback(self._cancellations.discard)
        self._transport.bus().keep_turn(cancellation)  # who cancels again does not wait for it, the next sign-in does
        await asyncio.shield(cancellation)

    async def _cancel(self, sign_in: asyncio.Future[Answer[models.AcquireTokenReply]]) -> None:
        """Tell the broker, then wait for the sign-in's own reply, as the runtime does; each for ``timeouts.cancel``."""
        # What Microsoft's runtime says when it cancels (PROTOCOL.md, "cancelInteractiveFlow").
        reason = models.BrokerErrorBody(
            context="The InteractiveRequest was canceled on behalf of the user",
            diagnostics=None,
            error_code=0,
            status=Status.USER_CANCELED,
            sub_status=0,
            tag=579379414,
        )
        request = models.CancelInteractiveFlowRequest(error=reason)
        options = CallOptions(self._timeouts.cancel, checked_correlation_id(None))
        try:
            await self._proxy.cancel_interactive_flow(request, options)
            await asyncio.wait({sign_in}, timeout=self._timeouts.cancel)
        except BrokerError:
            pass  # nothing more can be done: the call is given up
        finally:
            sign_in.cancel()
            await asyncio.gather(sign_in, return_exceptions=True)
