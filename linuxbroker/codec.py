"""How does the text of a reply become a reply model? What does not fit is refused, and none of it is quoted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

import pydantic_core
from pydantic import ValidationError

from linuxbroker.models import Reply

ReplyT = TypeVar("ReplyT", bound=Reply)
_MOST_PLACES_NAMED = 5


class MalformedReplyError(Exception):
    """A reply can't be read. The text names places in it, never values."""


def read_reply(reply_type: type[ReplyT], text: str) -> ReplyT:
    """Read the JSON text of a reply.

    Args:
        reply_type: the reply model of the method.
        text: what the broker answered.

    Returns:
        The validated reply; it may hold an error of the broker's.

    Raises:
        MalformedReplyError: the text is not a JSON object, or a key holds what it can't hold.
    """
    document, reason = _read_object(text)
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
        reason = "these keys hold what they can't: " + ", ".join(places[:_MOST_PLACES_NAMED])
    except RecursionError:
        reason = "it is nested too deeply"
    raise MalformedReplyError(reason)


def _error_alone(reply_type: type[ReplyT], document: Mapping[str, Any]) -> ReplyT | None:
    """The reply's error, where that is sound: it wins over the rest, sound or not (PROTOCOL.md, "Errors")."""
    nested = document.get("brokerTokenResponse")
    kept = {key: document[key] for key in ("error", "telemetry") if key in document}
    if isinstance(nested, Mapping):
        token_part = cast("Mapping[str, Any]", nested)
        kept["brokerTokenResponse"] = {key: token_part[key] for key in ("error", "subError") if key in token_part}
    try:
        reply = reply_type.model_validate(kept)
    except ValidationError:
        return None
    return reply if reply.failure is not None else None


def _read_object(text: str) -> tuple[dict[str, Any] | None, str]:
    try:
        document: object = pydantic_core.from_json(text, allow_inf_nan=False)
    except (ValueError, RecursionError):
        return None, "it is not JSON"
    if not isinstance(document, dict):
        return None, "it is not a JSON object"
    return cast("dict[str, Any]", document), ""
