"""How does the text of a reply become a reply model? What does not fit is refused, and none of it is quoted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from pydantic import ValidationError

from linuxbroker.wire.json_text import DEEPEST_READ, MOST_VALUES, TooDeepError, TooManyValuesError, read_json

if TYPE_CHECKING:
    from linuxbroker.wire.models import Reply

ReplyT = TypeVar("ReplyT", bound="Reply")
_MOST_PLACES_NAMED = 5
_Nest: TypeAlias = "dict[str, object] | list[object]"


class MalformedReplyError(Exception):
    """A reply can't be read. The text names places in it, never values."""


class EmptyReplyError(MalformedReplyError):
    """A reply is the empty text: Himmelblau's way to fail up to 3.1 (PROTOCOL.md, "Errors")."""


def read_reply(reply_type: type[ReplyT], text: str, max_depth: int = DEEPEST_READ) -> ReplyT:
    """Read the JSON text of a reply.

    Args:
        reply_type: the reply model of the method.
        text: what the broker answered.
        max_depth: how deeply its objects and arrays may be nested, itself included.

    Returns:
        The validated reply; it may hold an error of the broker's.

    Raises:
        EmptyReplyError: the text is empty.
        MalformedReplyError: the text is not a JSON object, is nested too deeply, holds too many values, or a key has an
            invalid value.
    """
    if not text.strip() and reply_type.content_matters:
        raise EmptyReplyError("it is empty")
    document, reason = _read_object(text, max_depth)
    if document is None:
        if reply_type.content_matters:
            raise MalformedReplyError(reason)
        document = {}
    try:
        return reply_type.model_validate(document)
    except ValidationError as error:
        failed = _error_alone(reply_type, document)
        if failed is not None:
            return failed
        places = [".".join(map(str, detail["loc"])) + f" ({detail['type']})" for detail in error.errors()]
        reason = "invalid values for keys: " + ", ".join(places[:_MOST_PLACES_NAMED])
    except RecursionError:
        reason = "it is nested too deeply"
    raise MalformedReplyError(reason)


def _error_alone(reply_type: type[ReplyT], document: Mapping[str, Any]) -> ReplyT | None:
    """The reply's error, where that is sound: it wins over the rest, sound or not (PROTOCOL.md, "Errors")."""
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
    too_deep = f"it is nested more than {max_depth} deep (max_reply_depth)"
    try:
        document = read_json(text, allow_inf_nan=False)
    except TooManyValuesError:
        return None, f"it holds more than {MOST_VALUES:,} values"
    except TooDeepError:
        return None, too_deep
    except ValueError:
        return None, "it is not JSON"
    if not isinstance(document, dict):
        return None, "it is not a JSON object"
    # A text with few enough brackets can't be nested too deeply: counting them is quicker than looking.
    if text.count("{") + text.count("[") > max_depth and _depth_exceeds([cast("_Nest", document)], max_depth):
        return None, too_deep
    return cast("dict[str, Any]", document), ""


def _depth_exceeds(level: Sequence[_Nest], depth: int) -> bool:
    for _ in range(depth):
        level = [cast("_Nest", item) for nest in level for item in _items(nest) if isinstance(item, (dict, list))]
        if not level:
            return False
    return True


def _items(nest: _Nest) -> Iterable[object]:
    return nest.values() if isinstance(nest, dict) else nest
