"""What is fed with hostile input, and what counts as a failure? Each target takes one input, and raises if it fails."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

from linuxbroker.bus import BusError, Connection, Message, MessageKind
from linuxbroker.bus.descriptors import Descriptors
from linuxbroker.bus.handshake import authenticate
from linuxbroker.codec import MalformedReplyError, read_reply
from linuxbroker.failures import CallContext, from_reply, redacted_telemetry
from linuxbroker.models import (
    AcquirePrtSsoCookieReply,
    AcquireTokenReply,
    CancelInteractiveFlowReply,
    GenerateSignedHttpRequestReply,
    GetAccountsReply,
    GetLinuxBrokerVersionReply,
    RemoveAccountReply,
    Reply,
)
from linuxbroker.redaction import redact
from linuxbroker.results import TokenResult, declined_scopes, token_result
from linuxbroker.validation import account as sendable

REPLY_TYPES: tuple[type[Reply], ...] = (
    AcquireTokenReply,
    GetAccountsReply,
    AcquirePrtSsoCookieReply,
    GenerateSignedHttpRequestReply,
    GetLinuxBrokerVersionReply,
    RemoveAccountReply,
    CancelInteractiveFlowReply,
)
SCOPES = ("https://graph.microsoft.com/.default",)
_CALL = CallContext("acquireTokenSilently", "00000000-0000-0000-0000-000000000001", "ada@contoso.example")
_LONGEST_SHOWN = 20_000
# The connection is torn down and made anew now and then, so that what one input leaves behind meets few others.
_INPUTS_A_CONNECTION = 50


class TargetFailedError(Exception):
    """A target did what it must not do; the text says what."""


def read(reply_type: type[Reply], text: str) -> None:
    """Read a text as a reply, and make of it what the client does.

    Args:
        reply_type: the type of reply.
        text: what the broker is supposed to have answered.

    Raises:
        TargetFailedError: something too long to show came out.
        Exception: whatever the library raised that is not its own.
    """
    try:
        reply = read_reply(reply_type, text)
    except MalformedReplyError as error:
        _check_shown(str(error))
        return
    repr(reply)
    failure = from_reply(reply, _CALL)
    redacted_telemetry(reply)
    if failure is not None:
        _check_shown(f"{failure} {failure!r}")
        return
    if isinstance(reply, GetAccountsReply):
        for account in reply.accounts or ():
            sendable(account)
    if isinstance(reply, AcquireTokenReply):
        result = token_result(
            reply.broker_token_response,
            requested_scopes=SCOPES,
            account=None,
            login_host="login.microsoftonline.com",
            telemetry={},
            correlation_id="",
        )
        if isinstance(result, TokenResult):
            declined_scopes(SCOPES, result.scopes)
            repr(result)


def redacted(text: str) -> None:
    """Make a text fit to be shown.

    Args:
        text: anything.
    """
    _check_shown(redact(text, ["a secret", 'with "quotes"']))


def _check_shown(text: str) -> None:
    if len(text) > _LONGEST_SHOWN:
        raise TargetFailedError(f"{len(text):,} characters would be shown")


class BusReader:
    """A connection to a peer that sends what it is told, over a pair of sockets.

    On every other one file descriptors are passed, with every input, to a call that waits for them.
    """

    def __init__(self) -> None:
        self._left = 0
        self._passes_descriptors = False
        self._passed = Descriptors()
        self._open_files = 0
        self._connection: Connection | None = None
        self._peer: socket.socket | None = None
        self._call: asyncio.Future[Message] | None = None

    async def take(self, data: bytes) -> None:
        """Have the peer send bytes, and the connection read them.

        Args:
            data: the bytes.

        Raises:
            TargetFailedError: the connection is in no state that it may be in.
            Exception: whatever the library raised that is not its own.
        """
        if self._left == 0 or self._connection is None or not self._connection.is_open:
            await self.close()
            self._open()
        connection, peer, call = self._connection, self._peer, self._call
        assert connection is not None and peer is not None and call is not None
        self._left -= 1
        for start in range(0, len(data), 65536):
            passed = [peer.fileno()] * (len(data) % 4) if self._passes_descriptors else []
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it was ended by what came before
                socket.send_fds(peer, [data[start : start + 65536]], passed)
            while connection.is_open and connection._on_readable():
                pass
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            while peer.recv(65536):  # answers to calls
                pass
        if call.done() or not connection.is_open:
            await self._check(call)

    async def _check(self, call: asyncio.Future[Message]) -> None:
        """An end, or a reply, of a kind that the client knows."""
        try:
            message = await call
        except BusError as error:
            _check_shown(str(error))
        else:
            if message.kind is MessageKind.CALL:
                raise TargetFailedError("a call was taken for a reply")
        self._left = 0

    def _open(self) -> None:
        self._open_files = _open_files()
        ours, self._peer = socket.socketpair()
        ours.setblocking(False)
        self._peer.setblocking(False)
        self._peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * 1024 * 1024)
        self._passes_descriptors = not self._passes_descriptors
        self._connection = Connection(ours, 16 * 1024 * 1024, self._passes_descriptors)
        self._connection.on_signal(lambda signal: repr(signal))  # type: ignore[arg-type]
        waiting = Message(
            MessageKind.CALL, destination="a.b", path="/", interface="a.b", member="C", signature="s", body=("x",)
        )
        self._passed = Descriptors()
        call = self._connection.call(waiting, limit=None, descriptors=self._passed)
        self._call = asyncio.ensure_future(call)
        self._left = _INPUTS_A_CONNECTION

    async def close(self) -> None:
        """Close the connection, and end the call that waits.

        Raises:
            TargetFailedError: a descriptor that was passed is still open.
        """
        if self._connection is not None and self._peer is not None and self._call is not None:
            self._connection.close()
            self._peer.close()
            with contextlib.suppress(BusError, asyncio.CancelledError):
                await self._call
            self._passed.close()
            if _open_files() > self._open_files:
                raise TargetFailedError("descriptors stay open")
        self._connection = None


async def shake_hands(data: bytes) -> None:
    """Authenticate with a peer that answers with bytes, and leaves; once more with one that is asked for descriptors.

    Args:
        data: the bytes. To each line of the client's the answer is one of theirs.

    Raises:
        Exception: whatever the library raised that is not its own.
    """
    for wants_descriptors in (False, True):
        ours, peer = socket.socketpair()
        with ours, peer:
            ours.setblocking(False)
            peer.setblocking(False)
            answering = asyncio.ensure_future(_answer(peer, data[:65536]))
            with contextlib.suppress(BusError):
                await authenticate(ours, wants_descriptors=wants_descriptors)
            answering.cancel()
            await asyncio.wait({answering})


async def _answer(peer: socket.socket, data: bytes) -> None:
    loop = asyncio.get_running_loop()
    *lines, rest = data.split(b"\r\n")
    for line in (*(line + b"\r\n" for line in lines), rest):
        await loop.sock_recv(peer, 4096)
        await loop.sock_sendall(peer, line)
    peer.shutdown(socket.SHUT_WR)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
