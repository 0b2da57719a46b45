"""The minimal service that both sides of a comparison call in place of a broker, in a process of its own.

It answers from bytes made at its start: the fake broker signs tokens and keeps a journal, which takes longer than the
calls that are compared. It ends with its standard input.

python tests/bench/service.py ADDRESS ACCOUNTS
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import struct
import sys
import time
from collections.abc import Mapping
from typing import Any

from linuxbroker.bus.address import unix_sockets
from linuxbroker.bus.codec import decode, encode
from linuxbroker.bus.connection import bus_call
from linuxbroker.bus.frames import FrameReader
from linuxbroker.bus.message import MessageKind
from linuxbroker.bus.opening import authenticate
from linuxbroker.wire.names import BROKER_BUS_NAME

CONTROL_MEMBER = "lastRequest"
READ_BYTES = 1024 * 1024
TENANT = "00000000-0000-0000-0000-0000000000f1"


def _jwt(claims: Mapping[str, Any]) -> str:
    parts = (json.dumps({"alg": "RS256", "typ": "JWT"}).encode(), json.dumps(claims).encode(), os.urandom(256))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def _account(number: int) -> dict[str, Any]:
    identity = f"00000000-0000-0000-0000-{number:012d}"
    client_info = base64.urlsafe_b64encode(json.dumps({"uid": identity, "utid": TENANT}).encode()).decode()
    return {
        "homeAccountId": f"{identity}.{TENANT}",
        "localAccountId": identity,
        "environment": "login.windows.net",
        "realm": TENANT,
        "username": f"user{number}@contoso.example",
        "name": f"User {number}",
        "givenName": "User",
        "familyName": str(number),
        "clientInfo": client_info,
        "passwordExpiry": 0,
    }


def replies(accounts: int) -> dict[str, str]:
    """What each method answers; a token reply names no scopes, so that it fits every request."""
    expiry = int(time.time()) + 3600
    first = _account(1)
    claims = {"oid": first["localAccountId"], "tid": TENANT, "preferred_username": first["username"], "exp": expiry}
    token = {
        "accessToken": _jwt({**claims, "aud": "https://graph.microsoft.com", "scp": "User.Read", "ver": "1.0"}),
        "accessTokenType": 0,
        "account": first,
        "clientInfo": first["clientInfo"],
        "expiresOn": expiry * 1000,
        "extendedExpiresOn": expiry * 1000,
        "idToken": _jwt({**claims, "name": "User 1", "ver": "2.0"}),
    }
    telemetry = {"broker_version": "2.5.2", "api_status_code": "StatusInternal::Success", "auth_flow": "PRT"}
    return {
        "getAccounts": json.dumps({"accounts": [_account(number + 1) for number in range(accounts)]}),
        "acquireTokenSilently": json.dumps({"brokerTokenResponse": token, "telemetry": telemetry}),
    }


def header_fields(frame: bytes) -> dict[int, str]:
    """The text fields of a message's header by their code (D-Bus specification, "Header Fields")."""
    fields: dict[int, str] = {}
    position, end = 16, 16 + int.from_bytes(frame[12:16], "little")
    while position < end:
        code, kind = frame[position], frame[position + 2]
        position += 4
        if kind in b"so":
            length = int.from_bytes(frame[position : position + 4], "little")
            fields[code] = frame[position + 4 : position + 4 + length].decode()
            position += 4 + length + 1
        elif kind == ord("g"):
            position += 1 + frame[position] + 1
        else:
            position += 4
        position += -position % 8
    return fields


class Service:
    """Answers on a raw socket."""

    def __init__(self, sock: socket.socket, accounts: int) -> None:
        self._sock = sock
        self._bodies = {member: _text(reply) for member, reply in replies(accounts).items()}
        self._last = b""

    async def run(self) -> None:
        """Take the broker's name, say so, and answer until the bus ends."""
        loop, frames = asyncio.get_running_loop(), FrameReader()
        hello, name = bus_call("Hello"), bus_call("RequestName", "su", BROKER_BUS_NAME, 4)
        await loop.sock_sendall(self._sock, encode(hello, 1) + encode(name, 2))
        while data := await loop.sock_recv(self._sock, READ_BYTES):
            answers: list[bytes] = []
            for frame in frames.feed(data):
                if frame[1] == MessageKind.CALL.value:
                    answers.append(self._answer(frame))
                elif frame[1] == MessageKind.RETURN.value and decode(frame).reply_serial == 2:
                    print("ready", flush=True)
            if answers:
                await loop.sock_sendall(self._sock, b"".join(answers))

    def _answer(self, frame: bytes) -> bytes:
        fields = header_fields(frame)
        member, sender = fields[3], fields[7].encode()
        if member == CONTROL_MEMBER:
            body = _text(str(decode(self._last).body[2]))
        else:
            self._last, body = frame, self._bodies[member]
        # Code 5, the serial that is answered; code 8, the signature "s"; code 6, the destination.
        head = b"\x05\x01u\0" + frame[8:12] + b"\x08\x01g\0\x01s\0\0" + b"\x06\x01s\0" + struct.pack("<I", len(sender))
        head += sender + b"\0"
        start = struct.pack("<4BIII", ord("l"), 2, 1, 1, len(body), 1, len(head))
        return start + head + bytes(-len(head) % 8) + body


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<I", len(raw)) + raw + b"\0"


async def main(address: str, accounts: int) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, unix_sockets(address)[0])
        await authenticate(sock)
        service = asyncio.ensure_future(Service(sock, accounts).run())
        await loop.run_in_executor(None, sys.stdin.read)
        service.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
