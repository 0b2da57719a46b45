"""D-Bus addresses: the session bus's address, and an address read into Unix socket addresses."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_to_bytes

from linuxbroker.bus.errors import AddressError

# Time limit for each alternative of an address but the last.
ALTERNATIVE_TIMEOUT_SECONDS = 1.5
# A value as it stands in an address. Source: D-Bus specification, "Server Addresses".
_UNESCAPED = re.compile(rb"(?:[-0-9A-Za-z_/.\\*]|%[0-9A-Fa-f]{2})*")


def session_address(environ: Mapping[str, str] | None = None) -> str:
    """Get the address of the session bus from the environment.

    Args:
        environ: the environment variables; default those of the process.

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
        The text that follows ``key=``.
    """
    return "".join(chr(byte) if _UNESCAPED.fullmatch(bytes([byte])) else f"%{byte:02x}" for byte in value)


def unix_sockets(address: str, unusable: list[str] | None = None) -> list[bytes]:
    """Read a D-Bus address into the Unix socket addresses to try, in order.

    Args:
        address: one or more ``transport:key=value,…`` separated by ``;``.
        unusable: receives the reason for each unusable alternative, if at least one is usable.

    Returns:
        At least one address for ``socket.connect``; an abstract one begins with a NUL byte.

    Raises:
        AddressError: no alternative is usable; the text contains the reason for each.
    """
    sockets: list[bytes] = []
    reasons: list[str] = []
    for alternative in filter(None, address.split(";")):
        try:
            sockets.append(_socket_address(alternative))
        except AddressError as error:
            reasons.append(str(error))
    if not sockets:
        raise AddressError("; ".join(reasons) or f"bus address {address!r} is empty")
    if unusable is not None:
        unusable += reasons
    return sockets


def _socket_address(alternative: str) -> bytes:
    transport, colon, rest = alternative.partition(":")
    if not colon:
        raise AddressError(f"bus address {alternative!r} has no transport, such as 'unix:'")
    if transport != "unix":
        raise AddressError(f"bus address {alternative!r} has an unsupported transport; only unix: is supported")
    options = dict(_options(rest, alternative))
    if options.get("runtime") == b"yes":
        runtime_dir = os.environ.get("XDG_RUNTIME_DIR")
        if not runtime_dir:
            raise AddressError(f"bus address {alternative!r} requires XDG_RUNTIME_DIR, which is not set")
        options = {"path": os.fsencode(runtime_dir) + b"/bus"}
    if (path := options.get("path")) and b"\0" not in path:
        return path
    if abstract := options.get("abstract"):
        return b"\0" + abstract
    raise AddressError(f"bus address {alternative!r} has no usable path= or abstract=")


def _options(text: str, alternative: str) -> Iterator[tuple[str, bytes]]:
    for option in filter(None, text.split(",")):
        key, equals, value = option.partition("=")
        raw = value.encode("utf-8", "surrogatepass")  # surrogates do not match
        if not key or not equals or not _UNESCAPED.fullmatch(raw):
            raise AddressError(f"bus address {alternative!r} is invalid at {option!r}")
        yield key, unquote_to_bytes(raw)
