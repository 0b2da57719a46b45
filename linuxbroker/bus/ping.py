"""Is there someone behind a bus name? One blocking question on a connection of its own, for those who can't await.

It takes the standard library's socket alone, so that a program which only wants to know pays for no event loop.
"""

from __future__ import annotations

import socket
import struct
import time

from linuxbroker.bus import address as addresses
from linuxbroker.bus.errors import (
    BadMessageError,
    BusError,
    CallTimeoutError,
    ConnectError,
    DisconnectedError,
    RemoteError,
)
from linuxbroker.bus.frames import FrameReader
from linuxbroker.bus.sasl import BEGIN, MAX_LINE_BYTES, authentication

_READ_BYTES = 4096
_MOST_BYTES = 1024 * 1024
# D-Bus specification, "Message Format": the types of message and the codes of header fields.
_CALL, _RETURN, _ERROR = 1, 2, 3
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _REPLY_SERIAL, _DESTINATION = 1, 2, 3, 4, 5, 6
_PEER = "org.freedesktop.DBus.Peer"
_BUS = "org.freedesktop.DBus"


def ping(address: str | None, destination: str, path: str, *, limit: float) -> None:
    """Ask for a sign of life with ``org.freedesktop.DBus.Peer.Ping``; an activatable service is started by it.

    Args:
        address: a D-Bus address; None for the session bus.
        destination: the bus name.
        path: the object.
        limit: seconds for all of it.

    Raises:
        AddressError: there is no usable address.
        ConnectError: the bus can't be reached, or not within the limit.
        RemoteError: a D-Bus error came back; nobody owns the name, or its service did not start.
        CallTimeoutError: the bus is there, and no answer came within the limit.
        DisconnectedError: the connection ended before the answer came.
        BadMessageError: the peer does not speak D-Bus.
    """
    end = time.monotonic() + limit
    try:
        with _connected(address or addresses.session_address(), end) as sock:
            frames = _Replies(sock, end)
            sock.sendall(_call(1, _BUS, "/org/freedesktop/DBus", _BUS, "Hello"))
            frames.wait_for(1)
            sock.sendall(_call(2, destination, path, _PEER, "Ping"))
            frames.wait_for(2)
    except TimeoutError:
        raise CallTimeoutError("Ping", limit) from None
    except OSError as error:
        raise DisconnectedError(f"the connection to the bus ended ({error.strerror or error})") from None


def _connected(address: str, end: float) -> socket.socket:
    failures: list[str] = []
    candidates = addresses.unix_sockets(address, failures)
    for candidate in candidates:
        is_last = candidate == candidates[-1]
        until = end if is_last else min(end, time.monotonic() + addresses.SECONDS_BEFORE_THE_NEXT)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _wait_at_most_until(sock, until)
            sock.connect(candidate)
            _authenticate(sock, until)
        except TimeoutError:
            sock.close()
            failures.append("no answer in time")
        except (BusError, OSError) as error:
            sock.close()
            failures.append(error.strerror or str(error) if isinstance(error, OSError) else str(error))
        else:
            return sock
    raise ConnectError(f"can't connect to the bus at {address!r}: {'; '.join(failures)}")


def _authenticate(sock: socket.socket, end: float) -> None:
    exchange = authentication()
    said = next(exchange)
    while True:
        sock.sendall(said)
        answer = b""
        try:
            while not answer.endswith(b"\r\n") and len(answer) <= MAX_LINE_BYTES:
                answer += _read(sock, end)
        except ConnectionResetError:
            answer = b""
        try:
            said = exchange.send(answer)
        except StopIteration:
            sock.sendall(BEGIN)
            return


def _wait_at_most_until(sock: socket.socket, end: float) -> None:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    sock.settimeout(left)


def _read(sock: socket.socket, end: float) -> bytes:
    _wait_at_most_until(sock, end)
    data = sock.recv(_READ_BYTES)
    if not data:
        raise ConnectionResetError("the bus closed the connection")
    return data


class _Replies:
    """Reads messages until a reply is there; what else arrives is passed over."""

    def __init__(self, sock: socket.socket, end: float) -> None:
        self._sock = sock
        self._end = end
        self._frames = FrameReader(_MOST_BYTES)
        self._waiting: list[bytes] = []

    def wait_for(self, serial: int) -> None:
        while True:
            while not self._waiting:
                self._waiting.extend(self._frames.feed(_read(self._sock, self._end)))
            frame = self._waiting.pop(0)
            fields = _header_fields(frame)
            if fields.get(_REPLY_SERIAL) != serial:
                continue
            if frame[1] == _RETURN:
                return
            if frame[1] == _ERROR:
                raise RemoteError(str(fields.get(_ERROR_NAME, "")), "")


def _call(serial: int, destination: str, path: str, interface: str, member: str) -> bytes:
    """Write a method call without arguments."""
    fields = b""
    for code, signature, text in (
        (_PATH, b"o", path),
        (_INTERFACE, b"s", interface),
        (_MEMBER, b"s", member),
        (_DESTINATION, b"s", destination),
    ):
        value = text.encode()
        fields += b"\0" * (-len(fields) % 8)
        fields += bytes((code, 1)) + signature + b"\0" + struct.pack("<I", len(value)) + value + b"\0"
    header = struct.pack("<BBBBIII", ord("l"), _CALL, 0, 1, 0, serial, len(fields)) + fields
    return header + b"\0" * (-len(header) % 8)


def _header_fields(frame: bytes) -> dict[int, object]:
    """Read the header fields of a message; they are texts, numbers and signatures, and nothing else.

    Raises:
        BadMessageError: they are not laid out as the D-Bus specification has it.
    """
    order = "<" if frame[0] == ord("l") else ">"
    fields: dict[int, object] = {}
    try:
        (size,) = struct.unpack_from(f"{order}I", frame, 12)
        place, end = 16, 16 + size
        while place < end:
            place += -place % 8
            code, signature = frame[place], frame[place + 2 : place + 3]
            place += 4
            if signature == b"g":
                place += 1 + frame[place] + 1
                continue
            place += -place % 4
            (number,) = struct.unpack_from(f"{order}I", frame, place)
            place += 4
            if signature == b"u":
                fields[code] = number
            else:
                fields[code] = frame[place : place + number].decode()
                place += number + 1
    except (IndexError, struct.error, UnicodeDecodeError):
        raise BadMessageError("the peer sent bytes that are not a D-Bus message") from None
    return fields
