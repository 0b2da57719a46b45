"""Checks of arguments before anything is sent; each error says what to pass instead."""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from linuxbroker.errors import InvalidArgumentError
from linuxbroker.tokens import jwt_claims
from linuxbroker.tokens.authority import is_uuid
from linuxbroker.tokens.scopes import RESERVED_SCOPES
from linuxbroker.wire import models
from linuxbroker.wire.json_text import MAX_JSON_DEPTH, read_json
from linuxbroker.wire.names import PROMPTS

MAX_TEXT_CHARACTERS = 1024 * 1024
# The parameters that Microsoft's runtime rejects, found by experiment (PROTOCOL.md, "authParameters").
RESERVED_PARAMETERS = frozenset(
    {
        "assertion",
        "client_assertion",
        "client_assertion_type",
        "client_id",
        "client_info",
        "code",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
        "dc",
        "domain_hint",
        "grant_type",
        "itver",
        "nonce",
        "password",
        "prompt",
        "redirect_uri",
        "refresh_token",
        "request",
        "response_mode",
        "response_type",
        "scope",
        "username",
    }
)
_HTTP_METHOD = re.compile(r"[A-Za-z]{1,20}")

T = TypeVar("T")


def text(name: str, value: object, *, empty: bool = False) -> str:
    """Check a text that is sent over the wire.

    Args:
        name: the argument's name, for the error message.
        value: the argument.
        empty: whether it may be empty; default no.

    Returns:
        The text.

    Raises:
        InvalidArgumentError: it is not a text, is empty, has more than 1,048,576 characters, or contains a NUL
            character or a lone surrogate.
    """
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{name} must be a str, not {type(value).__name__}")
    if not value and not empty:
        raise InvalidArgumentError(f"{name} must not be empty")
    if len(value) > MAX_TEXT_CHARACTERS:
        raise InvalidArgumentError(f"{name} has {len(value):,} characters; the maximum is {MAX_TEXT_CHARACTERS:,}")
    if "\0" in value:
        raise InvalidArgumentError(f"{name} contains a NUL character, which D-Bus does not allow")
    if not _is_unicode(value):
        raise InvalidArgumentError(f"{name} contains a lone surrogate, which is not valid Unicode")
    return value


def _is_unicode(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def instance(name: str, value: object, kind: type[T]) -> T:
    """Check that an argument is an instance of a public class.

    Args:
        name: the argument's name, for the error message.
        value: the argument.
        kind: the class.

    Returns:
        The value.

    Raises:
        InvalidArgumentError: it is an instance of another class.
    """
    if not isinstance(value, kind):
        raise InvalidArgumentError(f"{name} must be a linuxbroker.{kind.__name__}, not {type(value).__name__}")
    return value


def account(value: object) -> models.Account:
    """Check an account that is sent to the broker.

    Raises:
        InvalidArgumentError: it is not an ``Account``, or contains values that are not JSON.
    """
    checked = instance("account", value, models.Account)
    try:
        checked.to_json()
    except (ValueError, RecursionError):
        pass
    else:
        return checked
    raise InvalidArgumentError("account cannot be serialized; pass one from get_accounts unchanged")


def client_id(value: object) -> str:
    """Check an application's client ID.

    Raises:
        InvalidArgumentError: it is not a UUID.
    """
    checked = text("client_id", value)
    if not is_uuid(checked):
        raise InvalidArgumentError(
            "client_id must be a UUID: the 'Application (client) ID' of the app registration in the Entra admin center"
        )
    return checked


def correlation_id(value: object | None) -> str:
    """Check a correlation ID; None generates one.

    Raises:
        InvalidArgumentError: it is not a UUID.
    """
    if value is None:
        return str(uuid.uuid4())
    checked = text("correlation_id", str(value) if isinstance(value, uuid.UUID) else value)
    if not is_uuid(checked):
        raise InvalidArgumentError("correlation_id must be a UUID")
    return checked.lower()


def https_url(name: str, value: object) -> str:
    """Check an https URL.

    Raises:
        InvalidArgumentError: it is not an https URL with a host and without user info.
    """
    checked = text(name, value)
    if not _is_https_url(checked):
        raise InvalidArgumentError(f"{name} must be an https URL with a host and without user info")
    return checked


def _is_https_url(value: str) -> bool:
    if any(character.isspace() for character in value):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme == "https" and bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return False


def authority(value: object) -> str:
    """Check an authority; trailing slashes are removed.

    Raises:
        InvalidArgumentError: it is not ``https://HOST/TENANT``.
    """
    checked = https_url("authority", value).rstrip("/")
    parts = urlsplit(checked)
    if parts.query or parts.fragment or not parts.path.strip("/"):
        raise InvalidArgumentError(
            "authority must be https://HOST/TENANT, such as https://login.microsoftonline.com/organizations"
        )
    return checked


def scopes(value: object) -> list[str]:
    """Check the scopes to request.

    Raises:
        InvalidArgumentError: the argument is not a list of texts or is empty, or a scope is reserved or contains white
            space.
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, set, frozenset)):
        raise InvalidArgumentError('scopes must be a list of str, such as ["https://graph.microsoft.com/User.Read"]')
    checked = [text("an item of scopes", scope) for scope in cast("Iterable[object]", value)]
    if not isinstance(value, Sequence):
        checked.sort()
    if not checked:
        raise InvalidArgumentError(
            "scopes must not be empty; pass at least one, such as https://graph.microsoft.com/.default"
        )
    if any(scope.split() != [scope] for scope in checked):
        raise InvalidArgumentError("scopes contains an item with white space; pass each scope as a separate item")
    if reserved := RESERVED_SCOPES.intersection(scope.casefold() for scope in checked):
        raise InvalidArgumentError(
            f"scopes must not contain {', '.join(sorted(reserved))}: reserved by MSAL and the broker"
        )
    return checked


def claims_challenge(value: object | None, name: str = "claims_challenge") -> str:
    """Check a claims challenge.

    Args:
        value: the argument; None and the empty text mean no challenge.
        name: the argument's name, for the error message; default ``claims_challenge``.

    Returns:
        The text, or the empty string.

    Raises:
        InvalidArgumentError: it is not a JSON object as text.
    """
    if value is None or value == "":
        return ""
    checked = reason = ""
    try:
        checked = text(name, value)
        if not isinstance(read_json(checked), dict):
            raise ValueError
    except InvalidArgumentError as error:
        reason = str(error)
    except ValueError:
        reason = f"{name} must be a JSON object as text; decode the base64 value of a WWW-Authenticate header first"
    if reason:
        del value, checked  # keep them out of tracebacks with local variables
        raise InvalidArgumentError(reason)
    return checked


def client_capabilities(value: object | None) -> tuple[str, ...]:
    """Check client capabilities; None means none.

    Raises:
        InvalidArgumentError: it is not a list of texts, or a text is empty.
    """
    if value is None:
        return ()
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise InvalidArgumentError('client_capabilities must be a list of str, such as ["CP1"]')
    return tuple(text("an item of client_capabilities", item) for item in cast("Sequence[object]", value))


def prompt(value: object | None) -> str | None:
    """Check a prompt.

    Raises:
        InvalidArgumentError: it is not one of ``PROMPTS``.
    """
    if value is not None and value not in PROMPTS:
        raise InvalidArgumentError(f"prompt must be one of {', '.join(PROMPTS)}, or None")
    return value if value is None else str(value)


def query_parameters(value: object | None) -> dict[str, str]:
    """Check extra query parameters for the sign-in request.

    Raises:
        InvalidArgumentError: it is not a mapping of texts to texts, or a key is reserved by the broker.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidArgumentError("extra_query_parameters must be a mapping of str to str")
    checked = {
        text("a key of extra_query_parameters", key): text(f"extra_query_parameters[{key!r}]", item, empty=True)
        for key, item in cast("Mapping[object, object]", value).items()
    }
    if reserved := RESERVED_PARAMETERS.intersection(key.casefold() for key in checked):
        raise InvalidArgumentError(
            f"extra_query_parameters must not contain {', '.join(sorted(reserved))}: reserved by the broker"
        )
    return checked


def reply_limit(value: object) -> int:
    """Check the maximum size of a reply, in bytes.

    Raises:
        InvalidArgumentError: it is not an integer of at least 1.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise InvalidArgumentError("max_reply_bytes must be an integer number of bytes, at least 1")
    return value


def reply_depth(value: object) -> int:
    """Check the maximum nesting depth of a reply.

    Raises:
        InvalidArgumentError: it is not an integer from 1 to ``MAX_JSON_DEPTH``.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_JSON_DEPTH:
        raise InvalidArgumentError(f"max_reply_depth must be an integer from 1 to {MAX_JSON_DEPTH}")
    return value


def time_limit(name: str, value: object | None) -> None:
    """Check a time limit in seconds; None means no limit.

    Raises:
        InvalidArgumentError: it is not a number, or negative.
    """
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0 or _exceeds_float(value):
        raise InvalidArgumentError(f"{name} must be a number of seconds, at least 0, or None for no limit")


def _exceeds_float(value: float) -> bool:
    try:
        float(value)
    except OverflowError:
        return True
    return False


def ssh_key_id(query: Mapping[str, str]) -> str:
    """Get the ID of the key that an SSH certificate is requested for.

    Args:
        query: the extra query parameters.

    Returns:
        The ``kid`` of ``req_cnf``, which is JSON or base64url of it, as in Microsoft's runtime; otherwise ``key_id``.

    Raises:
        InvalidArgumentError: neither contains a key ID.
    """
    key_id = _confirmed_key_id(query.get("req_cnf", "")) or query.get("key_id")
    if not key_id:
        raise InvalidArgumentError(
            "extra_query_parameters must contain the ID of the SSH public key: 'kid' in 'req_cnf', or 'key_id'"
        )
    return key_id


def _confirmed_key_id(confirmation: str) -> str | None:
    document: Any = jwt_claims.decode_segment(confirmation)
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(confirmation)
    kid: object = cast("Mapping[str, Any]", document).get("kid") if isinstance(document, dict) else None
    return kid if isinstance(kid, str) else None


def http_method(value: object) -> str:
    """Check an HTTP method; it is returned in upper case.

    Raises:
        InvalidArgumentError: it is not an HTTP method.
    """
    checked = text("http_method", value)
    if not _HTTP_METHOD.fullmatch(checked):
        raise InvalidArgumentError("http_method must be an HTTP method, such as GET")
    return checked.upper()


def window_handle(value: object | None) -> int:
    """Check a window handle; None means 0, no window.

    Raises:
        InvalidArgumentError: it is not an integer from 0 to 2**63 - 1.
    """
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise InvalidArgumentError("parent_window_handle must be an X11 window ID (an integer), or None")
    return value
