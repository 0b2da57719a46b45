"""Replies parsed from JSON text into reply models; errors never quote their values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from pydantic import ValidationError

from linuxbroker.wire.json_text import MAX_JSON_DEPTH, MAX_JSON_VALUES, TooDeepError, TooManyValuesError, read_json

if TYPE_CHECKING:
    from linuxbroker.wire.models import Reply

ReplyT = TypeVar("ReplyT", bound="Reply")
_MAX_PLACES = 5
_Container: TypeAlias = "dict[str, object] | list[object]"


class MalformedReplyError(Exception):
    """A reply is invalid. The text names keys, never values."""


class EmptyReplyError(MalformedReplyError):
    """A reply is the empty text, which Himmelblau up to 3.1 returns for any error (PROTOCOL.md, "Errors")."""


def read_reply(reply_type: type[ReplyT], text: str, max_depth: int = MAX_JSON_DEPTH) -> ReplyT:
    """Parse the JSON text of a reply.

    Args:
        reply_type: the reply model of the method.
        text: the text that the broker returned.
        max_depth: the maximum depth of nested objects and arrays, the reply included; default 200.

    Returns:
        The validated reply, which can contain an error of the broker.

    Raises:
        EmptyReplyError: the text is empty.
        MalformedReplyError: the text is not a JSON object, is nested too deeply or has too many values, or a key has
            an invalid value.
    """
    if not text.strip() and reply_type.content_matters:
        raise EmptyReplyError("empty reply")
    document, reason = _read_object(text, max_depth)
    if document is None:
        if reply_type.content_matters:
            raise MalformedReplyError(reason)
        document = {}
    try:
        return reply_type.model_validate(document)
    except ValidationError as error:
        failed = _error_only(reply_type, document)
        if failed is not None:
            return failed
        places = [".".join(map(str, detail["loc"])) + f" ({detail['type']})" for detail in error.errors()]
        reason = "invalid values for keys: " + ", ".join(places[:_MAX_PLACES])
    except RecursionError:
        reason = "nested too deeply"
    raise MalformedReplyError(reason)


def _error_only(reply_type: type[ReplyT], document: Mapping[str, Any]) -> ReplyT | None:
    """The reply with its error alone, if that is valid: it takes precedence over the rest (PROTOCOL.md, "Errors")."""
    nested = document.get("brokerTokenResponse")
    kept = {key: document[key] for key in ("error", "telemetry") if key in document}
    if isinstance(nested, Mapping):
        token_part = cast("Mapping[str, Any]", nested)
        kept["brokerTokenResponse"] = {
            key: token_part[key] for key in ("error", "subError", "stsSubError") if key in token_part
        }
    try:
        reply = reply_type.model_validate(kept)
    except ValidationError:
        return None
    return reply if reply.failure is not None else None


def _read_object(text: str, max_depth: int) -> tuple[dict[str, Any] | None, str]:
    too_deep = f"nested more than {max_depth} levels deep (max_reply_depth)"
    try:
        document = read_json(text, allow_inf_nan=False)
    except TooManyValuesError:
        return None, f"more than {MAX_JSON_VALUES:,} values"
    except TooDeepError:
        return None, too_deep
    except ValueError:
        return None, "not JSON"
    if not isinstance(document, dict):
        return None, "not a JSON object"
    # Counting brackets is faster than walking the values, and enough if there are few.
    if text.count("{") + text.count("[") > max_depth and _depth_exceeds([cast("_Container", document)], max_depth):
        return None, too_deep
    return cast("dict[str, Any]", document), ""


def _depth_exceeds(level: Sequence[_Container], depth: int) -> bool:
    for _ in range(depth):
        level = [
            cast("_Container", item)
            for container in level
            for item in _items(container)
            if isinstance(item, (dict, list))
        ]
        if not level:
            return False
    return True


def _items(container: _Container) -> Iterable[object]:
    return container.values() if isinstance(container, dict) else container
