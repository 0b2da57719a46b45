"""Where is the bus? D-Bus addresses, turned into socket addresses without touching the network."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_to_bytes

from linuxbroker.bus.errors import AddressError

# What an alternative of an address is given before the next one is tried.
SECONDS_BEFORE_THE_NEXT = 1.5
# What may stand unescaped in a value, by the D-Bus specification, "Server Addresses".
_UNESCAPED = re.compile(rb"(?:[-0-9A-Za-z_/.\\*]|%[0-9A-Fa-f]{2})*")


def session_address(environ: Mapping[str, str] | None = None) -> str:
    """Find the session bus's address the way every D-Bus library does.

    Args:
        environ: the environment to look in; the process's own unless given.

    Returns:
        ``DBUS_SESSION_BUS_ADDRESS``, else ``unix:path=$XDG_RUNTIME_DIR/bus``.

    Raises:
        AddressError: neither variable is set.
    """
    environ = os.environ if environ is None else environ
    if address := environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return address
    if runtime_dir := environ.get("XDG_RUNTIME_DIR"):
        return "unix:path=" + escape(os.fsencode(runtime_dir) + b"/bus")
    raise AddressError("neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set")


def escape(value: bytes) -> str:
    """Escape a value for use in a D-Bus address.

    Args:
        value: the raw bytes, such as a path.

    Returns:
        The text to put behind ``key=``.
    """
    return "".join(chr(byte) if _UNESCAPED.fullmatch(bytes([byte])) else f"%{byte:02x}" for byte in value)


def unix_sockets(address: str, unusable: list[str] | None = None) -> list[bytes]:
    """Read a D-Bus address into the Unix socket addresses to try, in order.

    Args:
        address: one or more ``transport:key=value,…`` separated by ``;``.
        unusable: gets the reason for each alternative that can't be used, which does not hide the others.

    Returns:
        At least one address for ``socket.connect``; an abstract one begins with a NUL byte.

    Raises:
        AddressError: no alternative can be used; the text has the reason for each.
    """
    sockets: list[bytes] = []
    reasons: list[str] = []
    for alternative in filter(None, address.split(";")):
        try:
            sockets.append(_socket_address(alternative))
        except AddressError as error:
            reasons.append(str(error))
    if not sockets:
        raise AddressError("; ".join(reasons) or f"bus address {address!r} has no alternative")
    if unusable is not None:
        unusable += reasons
    return sockets


def _socket_address(alternative: str) -> bytes:
    transport, colon, rest = alternative.partition(":")
    if not colon:
        raise AddressError(f"bus address {alternative!r} has no transport, such as 'unix:'")
    if transport != "unix":
        raise AddressError(f"bus address {alternative!r} is not of a Unix socket (this library speaks unix: only)")
    options = dict(_options(rest, alternative))
    if options.get("runtime") == b"yes":
        runtime_dir = os.environ.get("XDG_RUNTIME_DIR")
        if not runtime_dir:
            raise AddressError(f"bus address {alternative!r} needs XDG_RUNTIME_DIR, which is not set")
        options = {"path": os.fsencode(runtime_dir) + b"/bus"}
    if (path := options.get("path")) and b"\0" not in path:
        return path
    if abstract := options.get("abstract"):
        return b"\0" + abstract
    raise AddressError(f"bus address {alternative!r} has neither a path= nor an abstract= that can be used")


def _options(text: str, alternative: str) -> Iterator[tuple[str, bytes]]:
    for option in filter(None, text.split(",")):
        key, equals, value = option.partition("=")
        raw = value.encode("utf-8", "surrogatepass")  # no surrogate stands unescaped
        if not key or not equals or not _UNESCAPED.fullmatch(raw):
            raise AddressError(f"bus address {alternative!r} is malformed at {option!r}")
        yield key, unquote_to_bytes(raw)
