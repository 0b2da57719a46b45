"""How does a result, or an error, look on standard output and standard error?"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TextIO, cast

from linuxbroker import texts
from linuxbroker.accounts import is_home

if TYPE_CHECKING:
    from linuxbroker.errors import BrokerResponseError
    from linuxbroker.models import Account
    from linuxbroker.results import PrtSsoCookie, TokenResult


class OutputError(Exception):
    """Standard output can't be written to; the text is empty where its reader just went away."""


def write_line(text: str) -> None:
    """Write a line to standard output, at once.

    Args:
        text: the line; characters that standard output has no code for are written as escapes.

    Raises:
        OutputError: it can't be written.
    """
    stream = _standard("stdout")
    if stream is None:
        raise OutputError("standard output is closed")
    encoding = stream.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except BrokenPipeError:
        _drop_what_is_left()
        raise OutputError from None
    except OSError as error:
        _drop_what_is_left()
        raise OutputError(f"standard output can't be written to: {error.strerror or error}") from None


def write_json(value: object) -> None:
    """Write a value as a line of JSON to standard output.

    Args:
        value: what ``json`` can write.

    Raises:
        OutputError: it can't be written.
    """
    write_line(json.dumps(_finite(value), allow_nan=False))


def _finite(value: object) -> object:
    """The same with null for what JSON has no number for: infinity, which an ID token's claims may hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_finite(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in cast("dict[str, object]", value).items()}
    return value


def write_error(text: str) -> None:
    """Write a message to standard error, as far as that can be done.

    Args:
        text: the message.
    """
    stream = _standard("stderr")
    if stream is not None:
        with contextlib.suppress(OSError):
            print(f"linuxbroker: {texts.shown(text, texts.LONGEST_MESSAGE)}", file=stream, flush=True)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Set rows in columns.

    Args:
        rows: the rows, the heading first, all of the same length; texts from outside as they came.

    Returns:
        The lines.
    """
    rows = [[texts.shown(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def timestamp(time: datetime) -> str:
    """Spell a time as ISO 8601 in UTC, to the second, such as ``2030-01-31T12:00:00Z``.

    Args:
        time: an aware time.

    Returns:
        The text.
    """
    return time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def account_json(account: Account) -> dict[str, Any]:
    """Show an account as JSON.

    Args:
        account: which.

    Returns:
        What tells it from others; the broker's other keys are left out.
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
    """Show accounts to a person.

    Args:
        accounts: which.

    Returns:
        A line an account, below a heading.
    """
    rows = [("UPN", "NAME", "TENANT", "HOME")]
    rows += [(a.username, a.name, a.realm, "yes" if is_home(a) else "") for a in accounts]
    return table(rows)


def token_json(token: TokenResult) -> dict[str, Any]:
    """Show a token, itself included, as JSON.

    Args:
        token: which.

    Returns:
        The object; ``expires_in`` counts seconds from now.
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
    """Show cookies, their values included, as JSON.

    Args:
        cookies: which.
        account: whose.

    Returns:
        The object.
    """
    return {
        "cookies": [{"name": cookie.name, "value": cookie.content} for cookie in cookies],
        "account": account_json(account),
    }


def error_json(error: BaseException, message: str) -> dict[str, Any]:
    """Show an error as JSON.

    Args:
        error: any of the library's exceptions, or of the command line's.
        message: what standard error says.

    Returns:
        An object with the one key ``error``. In it ``type``, ``message``, ``status``, ``correlation_id`` and
        ``aadsts_codes`` are always there; the rest only where the broker answered.
    """
    shown: dict[str, Any] = {
        "type": type(error).__name__,
        "message": message,
        "status": None,
        "correlation_id": None,
        "aadsts_codes": [],
    }
    from linuxbroker.errors import (  # not at start-up, for --help to be quick
        BrokerResponseError,
        BrokerUnreachableError,
    )

    if isinstance(error, BrokerResponseError):
        shown |= _response_details(error)
    elif isinstance(error, BrokerUnreachableError):
        shown |= {"correlation_id": error.correlation_id or None, "method": error.method}
    return {"error": shown}


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


def _standard(name: str) -> TextIO | None:
    """A standard stream; None where the process was started without it, for which ``print`` would take another one."""
    stream: TextIO | None = getattr(sys, name)
    return stream


def _drop_what_is_left() -> None:
    """Point standard output nowhere: the interpreter flushes it once more at exit, and would complain."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass
