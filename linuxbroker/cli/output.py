"""Results and errors on standard output and standard error."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TextIO, cast

from linuxbroker.redaction import texts
from linuxbroker.tokens.accounts import is_home

if TYPE_CHECKING:
    from linuxbroker.errors import BrokerResponseError
    from linuxbroker.results import PrtSsoCookie, TokenResult
    from linuxbroker.wire.models import Account


class OutputError(Exception):
    """Standard output cannot be written to; the message is empty if its reader closed it."""


def write_line(text: str) -> None:
    """Write a line to standard output and flush it.

    Args:
        text: the line; characters that the encoding of standard output lacks are written as escapes.

    Raises:
        OutputError: standard output cannot be written to.
    """
    stream = _stream("stdout")
    if stream is None:
        raise OutputError("standard output is closed")
    encoding = stream.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except BrokenPipeError:
        _discard_stdout()
        raise OutputError from None
    except OSError as error:
        _discard_stdout()
        raise OutputError(f"cannot write to standard output: {error.strerror or error}") from None


def write_json(value: object) -> None:
    """Write a value as a line of JSON to standard output.

    Args:
        value: a value that ``json`` can encode.

    Raises:
        OutputError: standard output cannot be written to.
    """
    write_line(json.dumps(_finite(value), allow_nan=False))


def _finite(value: object) -> object:
    """Replace infinity, which JSON lacks and the claims of an ID token may contain, by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_finite(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in cast("dict[str, object]", value).items()}
    return value


def write_error(text: str) -> None:
    """Write a message to standard error, if that is possible.

    Args:
        text: the message.
    """
    stream = _stream("stderr")
    if stream is not None:
        with contextlib.suppress(OSError):
            print(f"linuxbroker: {texts.shown(text, texts.MAX_MESSAGE_CHARACTERS)}", file=stream, flush=True)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Align rows in columns.

    Args:
        rows: the rows, the heading first, all of the same length; cells may contain unprintable characters.

    Returns:
        The lines.
    """
    rows = [[texts.shown(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def timestamp(time: datetime) -> str:
    """Format a time as ISO 8601 in UTC, to the second, such as ``2030-01-31T12:00:00Z``.

    Args:
        time: a timezone-aware time.

    Returns:
        The text.
    """
    return time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def account_json(account: Account) -> dict[str, Any]:
    """Convert an account to JSON.

    Args:
        account: the account.

    Returns:
        The keys that identify it, without the broker's other keys.
    """
    return {
        "username": account.username,
        "name": account.name,
        "tenant": account.realm,
        "is_home_tenant": is_home(account),
        "home_account_id": account.home_account_id,
        "local_account_id": account.local_account_id,
        "environment": account.environment,
    }


def accounts_table(accounts: Sequence[Account]) -> str:
    """Format accounts as a table.

    Args:
        accounts: the accounts.

    Returns:
        A heading, and a line for each account.
    """
    rows = [("UPN", "NAME", "TENANT", "HOME")]
    rows += [(a.username, a.name, a.realm, "yes" if is_home(a) else "") for a in accounts]
    return table(rows)


def token_json(token: TokenResult) -> dict[str, Any]:
    """Convert a token result to JSON, with the token itself.

    Args:
        token: the result.

    Returns:
        The object; ``expires_in`` is in seconds from now.
    """
    left = (token.expires_on - datetime.now(timezone.utc)).total_seconds()
    return {
        "access_token": token.access_token,
        "token_type": token.token_type,
        "expires_on": timestamp(token.expires_on),
        "expires_in": max(0, int(left)),
        "scopes": list(token.scopes),
        "account": account_json(token.account) if token.account else None,
        "tenant": token.account.realm if token.account else None,
        "correlation_id": token.correlation_id,
        "id_token_claims": dict(token.id_token_claims),
    }


def cookies_json(cookies: Sequence[PrtSsoCookie], account: Account) -> dict[str, Any]:
    """Convert cookies to JSON, with their values.

    Args:
        cookies: the cookies.
        account: the account that they sign in.

    Returns:
        The object.
    """
    return {
        "cookies": [{"name": cookie.name, "value": cookie.content} for cookie in cookies],
        "account": account_json(account),
    }


def error_json(error: BaseException, message: str) -> dict[str, Any]:
    """Convert an error to JSON.

    Args:
        error: an exception of the library or of the command line.
        message: the message on standard error.

    Returns:
        An object with the key ``error``. It always has ``type``, ``message``, ``status``, ``correlation_id`` and
        ``aadsts_codes``; a ``BrokerUnreachableError`` adds ``method``, a ``BrokerResponseError`` all the others.
    """
    details: dict[str, Any] = {
        "type": type(error).__name__,
        "message": message,
        "status": None,
        "correlation_id": None,
        "aadsts_codes": [],
    }
    from linuxbroker.errors import (  # imported here so that --help is quick
        BrokerResponseError,
        BrokerUnreachableError,
    )

    if isinstance(error, BrokerResponseError):
        details |= _response_details(error)
    elif isinstance(error, BrokerUnreachableError):
        details |= {"correlation_id": error.correlation_id or None, "method": error.method}
    return {"error": details}


def _response_details(error: BrokerResponseError) -> Mapping[str, Any]:
    return {
        "status": error.status.wire_name,
        "correlation_id": error.correlation_id or None,
        "aadsts_codes": list(error.aadsts_codes),
        "method": error.method,
        "context": error.context,
        "sub_status": error.sub_status,
        "error_code": error.error_code,
        "sub_error": error.sub_error,
        "tag": error.tag,
        "tag_name": error.tag_name,
        "dbus_error": error.dbus_error,
        "diagnostics": error.diagnostics,
        "telemetry": error.telemetry,
    }


def _stream(name: str) -> TextIO | None:
    """A standard stream; None if the process has none, in which case ``print`` would use another one."""
    stream: TextIO | None = getattr(sys, name)
    return stream


def _discard_stdout() -> None:
    """Redirect standard output to the null device: the interpreter flushes it at exit, and would report an error."""
    try:
        null_device = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null_device, sys.stdout.fileno())
        os.close(null_device)
    except (OSError, ValueError):
        pass
