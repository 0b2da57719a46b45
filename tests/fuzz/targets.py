"""The targets of hostile input: each takes one input, and raises where it counts as a failure."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from linuxbroker.bus import BusError, Connection, Message, MessageKind
from linuxbroker.bus.descriptors import Descriptors
from linuxbroker.bus.opening import authenticate
from linuxbroker.call.failures import from_reply, redacted_telemetry
from linuxbroker.redaction.secrets import redact
from linuxbroker.tokens.reply import expiry_of, token_result, token_type_of
from linuxbroker.tokens.validation import account as sendable
from linuxbroker.wire.calls import CallContext
from linuxbroker.wire.models import (
    AcquirePrtSsoCookieReply,
    AcquireTokenReply,
    CancelInteractiveFlowReply,
    GenerateSignedHttpRequestReply,
    GetAccountsReply,
    GetLinuxBrokerVersionReply,
    RemoveAccountReply,
    Reply,
)
from linuxbroker.wire.reading import MalformedReplyError, read_reply
from tests.fuzz import corpus, mutations

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
_CALL_IN_FLIGHT = Message(
    MessageKind.CALL, destination="a.b", path="/", interface="a.b", member="C", signature="s", body=("x",)
)
_READ_BYTES = 65536


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
    if isinstance(reply, AcquireTokenReply) and reply.broker_token_response is not None:
        response = reply.broker_token_response
        token_type, expires_on = token_type_of(response), expiry_of(response)
        if token_type is None or expires_on is None:
            return
        result = token_result(
            response,
            token_type=token_type,
            expires_on=expires_on,
            requested_scopes=SCOPES,
            account=None,
            login_host="login.microsoftonline.com",
            telemetry={},
            correlation_id="",
        )
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


async def receive(pieces: Iterable[bytes], *, passes_descriptors: bool = False) -> None:
    """Have a connection with a call in flight read bytes, over a pair of sockets, until they end or it does.

    Args:
        pieces: the bytes, as they arrive.
        passes_descriptors: whether file descriptors come with them, to a call that waits for some.

    Raises:
        TargetFailedError: the call got what is no reply, or an error too long to show; a descriptor stays open.
        Exception: whatever the library raised that is not its own.
    """
    open_files = _open_files()
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    peer.setblocking(False)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * 1024 * 1024)
    connection = Connection(ours, 16 * 1024 * 1024, passes_descriptors)
    connection.on_signal(lambda signal: _check_shown(repr(signal)))
    with Descriptors() as passed:
        call = asyncio.ensure_future(connection.call(_CALL_IN_FLIGHT, limit=None, descriptors=passed))
        await asyncio.sleep(0)
        try:
            for piece in pieces:
                socket.send_fds(peer, [piece], [peer.fileno()] * (len(piece) % 4 if passes_descriptors else 0))
                while connection.is_open and connection._on_readable():
                    pass
                if not connection.is_open:
                    break
            with contextlib.suppress(BlockingIOError, ConnectionResetError):
                while peer.recv(65536):  # answers to calls
                    pass
        finally:
            connection.close()
            peer.close()
        try:
            message = await call
        except BusError as error:
            _check_shown(str(error))
        else:
            if message.kind is not MessageKind.RETURN:
                raise TargetFailedError(f"a {message.kind.name} was taken for a reply")
    if _open_files() > open_files:
        raise TargetFailedError("descriptors stay open")


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def shake_hands(data: bytes) -> None:
    """Authenticate with a peer that answers with bytes, and leaves; once more with one that is asked for descriptors.

    Args:
        data: the bytes. To each line of the client's the answer is one of theirs.

    Raises:
        Exception: whatever the library raised that is not its own.
    """
    for pass_descriptors in (False, True):
        ours, peer = socket.socketpair()
        with ours, peer:
            ours.setblocking(False)
            peer.setblocking(False)
            answering = asyncio.ensure_future(_answer(peer, data[:65536]))
            with contextlib.suppress(BusError):
                await authenticate(ours, pass_descriptors=pass_descriptors)
            answering.cancel()
            await asyncio.wait({answering})


async def _answer(peer: socket.socket, data: bytes) -> None:
    loop = asyncio.get_running_loop()
    *lines, rest = data.split(b"\r\n")
    for line in (*(line + b"\r\n" for line in lines), rest):
        await loop.sock_recv(peer, 4096)
        await loop.sock_sendall(peer, line)
    peer.shutdown(socket.SHUT_WR)


async def _read_as_each(data: bytes) -> None:
    text = data.decode("utf-8", "replace")  # a message holds no other texts: they are read as UTF-8
    for reply_type in REPLY_TYPES:
        read(reply_type, text)


async def _redacted(data: bytes) -> None:
    redacted(data.decode("utf-8", "replace"))


async def _received(data: bytes) -> None:
    for passes_descriptors in (False, True):
        pieces = (data[start : start + _READ_BYTES] for start in range(0, len(data), _READ_BYTES))
        await receive(pieces, passes_descriptors=passes_descriptors)


@dataclass(frozen=True)
class Target:
    """Something to be fed."""

    corpus: str
    """The file of the corpus."""
    run: Callable[[bytes], Awaitable[None]]
    mutated: Callable[[random.Random, bytes, tuple[bytes, ...]], bytes]
    """Makes a hostile input of an input, which may have parts of others, by a generator."""
    share: float
    """Of the time, or the inputs, that there are for all."""
    longest: int = 64 * 1024
    """Input, in bytes."""
    counts: int = 1
    """For so many inputs one of this target counts, by the time that it takes."""


TARGETS = {
    "replies": Target(corpus.REPLIES, _read_as_each, mutations.mutated_reply_bytes, 0.4),
    "redaction": Target(corpus.REPLIES, _redacted, mutations.mutated_reply_bytes, 0.05),
    "messages": Target(corpus.MESSAGES, _received, mutations.mutated_bytes, 0.4, 8 * 1024),
    # Several that are judged by their headers (LARGE_MESSAGE_BYTES). Apart, as few as there is time for.
    "large-messages": Target(corpus.MESSAGES, _received, mutations.enlarged_bytes, 0.05, 1024 * 1024, counts=10),
    "handshake": Target(corpus.HANDSHAKES, shake_hands, mutations.mutated_bytes, 0.1),
}
