"""Which arguments can't be right? Checked here, before anything is sent, with what to give instead."""

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
from linuxbroker.tokens.scopes import RESERVED_SCOPES
from linuxbroker.wire import models
from linuxbroker.wire.json_text import DEEPEST_READ, read_json

PROMPTS = ("select_account", "login", "consent", "none")
MAX_TEXT_CHARACTERS = 1024 * 1024
# What Microsoft's runtime refuses, found by trying (PROTOCOL.md, "authParameters").
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
    """Check a text that goes over the wire.

    Args:
        name: the argument's name, for the message.
        value: what was given.
        empty: whether it may be empty.

    Returns:
        The text.

    Raises:
        InvalidArgumentError: it is no text, empty, over 1,048,576 characters, or holds a NUL or a lone surrogate.
    """
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{name} must be a str, not {type(value).__name__}")
    if not value and not empty:
        raise InvalidArgumentError(f"{name} is empty")
    if len(value) > MAX_TEXT_CHARACTERS:
        raise InvalidArgumentError(
            f"{name} has {len(value):,} characters; at most {MAX_TEXT_CHARACTERS:,} are sent to the broker"
        )
    if "\0" in value:
        raise InvalidArgumentError(f"{name} holds a NUL character, which D-Bus can't carry")
    if not _is_unicode(value):
        raise InvalidArgumentError(f"{name} holds half a surrogate pair, which is not valid Unicode")
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
    """Check that an argument is of a class of ours.

    Args:
        name: the argument's name, for the message.
        value: what was given.
        kind: the class.

    Returns:
        The value.

    Raises:
        InvalidArgumentError: it is of another class.
    """
    if not isinstance(value, kind):
        raise InvalidArgumentError(f"{name} must be of class linuxbroker.{kind.__name__}, not {type(value).__name__}")
    return value


def account(value: object) -> models.Account:
    """Check an account that goes back to the broker.

    Raises:
        InvalidArgumentError: it is no ``Account``, or was given keys that JSON can't carry.
    """
    checked = instance("account", value, models.Account)
    try:
        checked.to_json()
    except (ValueError, RecursionError):
        pass
    else:
        return checked
    raise InvalidArgumentError("account holds what JSON can't carry; pass one from get_accounts as it came")


def client_id(value: object) -> str:
    """Check an application's client id.

    Raises:
        InvalidArgumentError: it is not a UUID.
    """
    checked = text("client_id", value)
    if not _is_uuid(checked):
        raise InvalidArgumentError(
            "client_id is not a UUID; take the app registration's 'Application (client) ID' from the Entra admin center"
        )
    return checked


def correlation_id(value: object | None) -> str:
    """Check a correlation id, or make one.

    Raises:
        InvalidArgumentError: it is not a UUID.
    """
    if value is None:
        return str(uuid.uuid4())
    checked = text("correlation_id", str(value) if isinstance(value, uuid.UUID) else value)
    if not _is_uuid(checked):
        raise InvalidArgumentError("correlation_id is not a UUID")
    return checked.lower()


def _is_uuid(value: str) -> bool:
    return re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value) is not None


def https_url(name: str, value: object) -> str:
    """Check a URL that must be https with a host.

    Raises:
        InvalidArgumentError: it is not.
    """
    checked = text(name, value)
    if not _is_https_url(checked):
        raise InvalidArgumentError(f"{name} is not an https URL with a host, and no user name in it")
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
    """Check an authority; a trailing slash is dropped.

    Raises:
        InvalidArgumentError: it is not ``https://HOST/TENANT``.
    """
    checked = https_url("authority", value).rstrip("/")
    parts = urlsplit(checked)
    if parts.query or parts.fragment or not parts.path.strip("/"):
        raise InvalidArgumentError(
            "authority must be https://HOST/TENANT and no more, such as https://login.microsoftonline.com/organizations"
        )
    return checked


def scopes(value: object) -> list[str]:
    """Check the scopes that a token is asked for.

    Raises:
        InvalidArgumentError: none, a reserved one, one with a space in it, or a text in place of a list of texts.
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, set, frozenset)):
        raise InvalidArgumentError('scopes must be a list of str, such as ["https://graph.microsoft.com/User.Read"]')
    checked = [text("an item of scopes", scope) for scope in cast("Iterable[object]", value)]
    if not isinstance(value, Sequence):
        checked.sort()
    if not checked:
        raise InvalidArgumentError(
            "scopes is empty; ask for at least one, such as https://graph.microsoft.com/.default"
        )
    if any(scope.split() != [scope] for scope in checked):
        raise InvalidArgumentError("scopes holds an item with white space in it; give each scope as an item of its own")
    if reserved := RESERVED_SCOPES.intersection(scope.casefold() for scope in checked):
        raise InvalidArgumentError(
            f"scopes names {', '.join(sorted(reserved))}, which MSAL and the broker reserve; leave them out"
        )
    return checked


def claims_challenge(value: object | None, name: str = "claims_challenge") -> str:
    """Check a claims challenge; None reads as no challenge.

    Args:
        value: what was given.
        name: the argument's name, for the message.

    Returns:
        The text, or the empty string.

    Raises:
        InvalidArgumentError: it is not the text of a JSON object.
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
        reason = (
            f"{name} is not the text of a JSON object; a challenge from a WWW-Authenticate header is base64 and must "
            "be decoded first"
        )
    if reason:
        del value, checked  # tracebacks with local variables would show them
        raise InvalidArgumentError(reason)
    return checked


def client_capabilities(value: object | None) -> tuple[str, ...]:
    """Check what an application is capable of; None reads as nothing.

    Raises:
        InvalidArgumentError: it is not a list of texts, or one of them is empty.
    """
    if value is None:
        return ()
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise InvalidArgumentError('client_capabilities must be a list of str, such as ["CP1"]')
    return tuple(text("an item of client_capabilities", item) for item in cast("Sequence[object]", value))


def prompt(value: object | None) -> str | None:
    """Check a prompt.

    Raises:
        InvalidArgumentError: it is not one of the four.
    """
    if value is not None and value not in PROMPTS:
        raise InvalidArgumentError(f"prompt must be one of {', '.join(PROMPTS)}, or None")
    return value if value is None else str(value)


def query_parameters(value: object | None) -> dict[str, str]:
    """Check extra query parameters for the sign-in request.

    Raises:
        InvalidArgumentError: not a mapping of texts to texts, or a key that the broker reserves.
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
            f"extra_query_parameters names {', '.join(sorted(reserved))}, which the broker reserves"
        )
    return checked


def reply_limit(value: object) -> int:
    """Check the largest reply that is read, in bytes.

    Raises:
        InvalidArgumentError: it is not a whole number above 0.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise InvalidArgumentError("max_reply_bytes must be a whole number of bytes, at least 1")
    return value


def reply_depth(value: object) -> int:
    """Check how deeply a reply may be nested.

    Raises:
        InvalidArgumentError: it is not a whole number from 1 to what the JSON reader can do.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= DEEPEST_READ:
        raise InvalidArgumentError(f"max_reply_depth must be a whole number from 1 to {DEEPEST_READ}")
    return value


def time_limit(name: str, value: object | None) -> None:
    """Check a time limit in seconds; None is no limit.

    Raises:
        InvalidArgumentError: it is not a number, or below 0.
    """
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0 or _is_beyond_floats(value):
        raise InvalidArgumentError(f"{name} must be a number of seconds, at least 0, or None for no limit")


def _is_beyond_floats(value: float) -> bool:
    try:
        float(value)
    except OverflowError:
        return True
    return False


def ssh_key_id(query: Mapping[str, str]) -> str:
    """Find the key that an SSH certificate is for.

    Args:
        query: the extra query parameters.

    Returns:
        The ``kid`` of ``req_cnf``, JSON or base64url of it, as the runtime reads it; else ``key_id``.

    Raises:
        InvalidArgumentError: neither names a key.
    """
    key_id = _confirmed_key_id(query.get("req_cnf", "")) or query.get("key_id")
    if not key_id:
        raise InvalidArgumentError(
            "an SSH certificate needs the id of its public key: 'kid' in extra_query_parameters['req_cnf'], or 'key_id'"
        )
    return key_id


def _confirmed_key_id(confirmation: str) -> str | None:
    document: Any = jwt_claims.decode_segment(confirmation)
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(confirmation)
    kid: object = cast("Mapping[str, Any]", document).get("kid") if isinstance(document, dict) else None
    return kid if isinstance(kid, str) else None


def http_method(value: object) -> str:
    """Check an HTTP method; it is given back in capitals.

    Raises:
        InvalidArgumentError: it is not one.
    """
    checked = text("http_method", value)
    if not _HTTP_METHOD.fullmatch(checked):
        raise InvalidArgumentError("http_method is not an HTTP method, such as GET")
    return checked.upper()


def window_handle(value: object | None) -> int:
    """Check a window handle; None reads as 0, no window.

    Raises:
        InvalidArgumentError: it is not a whole number from 0 to 2**63 - 1.
    """
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise InvalidArgumentError("parent_window_handle must be a window's number, or None")
    return value
