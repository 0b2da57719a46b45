"""Does the blocking ping tell a service that is there from one that is not, and from a peer that speaks nonsense?"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linuxbroker.bus.codec import encode
from linuxbroker.bus.errors import (
    AddressError,
    BadMessageError,
    BusError,
    CallTimeoutError,
    ConnectError,
    DisconnectedError,
    RemoteError,
)
from linuxbroker.bus.message import Message, MessageKind
from linuxbroker.bus.ping import ping
from linuxbroker.names import BROKER_BUS_NAME, BROKER_OBJECT_PATH
from linuxbroker_fake import RunningFake

# A reply whose one header field, a text of four bytes, is not UTF-8.
NOT_TEXT = b"l\2\0\1" + bytes(4) + b"\1\0\0\0" + b"\x0c\0\0\0" + b"\1\1s\0" + b"\4\0\0\0" + b"\xff" * 4 + bytes(4)

Peer = Callable[[socket.socket], None]


def _ping(address: str | None, limit: float = 10.0) -> None:
    ping(address, BROKER_BUS_NAME, BROKER_OBJECT_PATH, limit=limit)


@contextlib.contextmanager
def _served(folder: Path, peer: Peer) -> Iterator[str]:
    """Listen on a socket, with a peer for each that connects."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "bus"))
        listener.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    peer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"unix:path={folder}/bus"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _authenticated(then: Peer) -> Peer:
    def peer(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
        connection.recv(4096)
        then(connection)

    return peer


def _closes(connection: socket.socket) -> None:
    """Reads, then goes."""
    connection.recv(4096)


def _says(data: bytes) -> Peer:
    def peer(connection: socket.socket) -> None:
        connection.sendall(data)
        _waits(connection)

    return peer


def _waits(connection: socket.socket) -> None:
    """Reads until the other end closes."""
    while connection.recv(4096):
        pass


def _chatters(connection: socket.socket) -> None:
    """Says on and on what sounds like an answer to the first call, and is none."""
    signal = encode(Message(MessageKind.SIGNAL, reply_serial=1, path="/", interface="a.b", member="S"), serial=1)
    while True:
        connection.sendall(signal)


def test_a_broker_that_is_there_answers(fake_broker: RunningFake) -> None:
    _ping(fake_broker.address)
    assert [call.member for call in fake_broker.calls] == ["Ping"]


def test_it_finds_the_session_bus_by_itself(fake_broker: RunningFake) -> None:
    _ping(None)
    assert len(fake_broker.calls) == 1


def test_a_bus_without_a_broker_says_that_nobody_has_the_name() -> None:
    with RunningFake(start=False) as bus, pytest.raises(RemoteError) as raised:
        _ping(bus.address)
    assert raised.value.name == "org.freedesktop.DBus.Error.ServiceUnknown"


def test_there_may_be_no_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConnectError, match="No such file or directory"):
        _ping(f"unix:path={tmp_path}/bus")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with pytest.raises(AddressError):
        _ping(None)


def test_the_next_alternative_of_an_address_is_tried(fake_broker: RunningFake, tmp_path: Path) -> None:
    _ping(f"unix:path={tmp_path}/no-bus;{fake_broker.address}")
    assert len(fake_broker.calls) == 1


@pytest.mark.parametrize(
    ("peer", "error"),
    [
        (_closes, ConnectError),
        (_says(b"REJECTED EXTERNAL\r\n"), ConnectError),
        (_says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ConnectError),
        (_says(b"x" * 10_000), ConnectError),
        (_authenticated(lambda connection: None), DisconnectedError),
        (_authenticated(_says(b"x" * 100)), BadMessageError),
        (_authenticated(_says(b"l\2\0\1" + b"\xff" * 96)), BadMessageError),
        (_authenticated(_says(NOT_TEXT)), BadMessageError),
    ],
    ids=["closes", "rejects", "http", "endless", "closes later", "nonsense", "too large", "a field that is no text"],
)
def test_a_peer_that_is_no_bus_is_found_out(tmp_path: Path, peer: Peer, error: type[BusError]) -> None:
    with _served(tmp_path, peer) as address, pytest.raises(error):
        _ping(address)


@pytest.mark.parametrize(
    "peer",
    [_waits, _authenticated(_waits), _authenticated(_chatters)],
    ids=["says nothing", "says nothing more", "goes on and on"],
)
def test_a_peer_that_gives_no_answer_is_waited_for_no_longer_than_the_limit(tmp_path: Path, peer: Peer) -> None:
    with _served(tmp_path, peer) as address, pytest.raises((CallTimeoutError, ConnectError)):
        _ping(address, limit=0.2)
