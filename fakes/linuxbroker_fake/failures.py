"""How each broker writes a failure: an error object, a bare one, or nothing at all."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from linuxbroker.models import tag_name

from .faults import TOKEN_METHODS, Failure
from .telemetry import status_name, written


@dataclass(frozen=True)
class FailedCall:
    """The call that failed.

    Attributes:
        member: the method.
        correlation_id: of the call.
        client_id: the app, or the empty string.
    """

    member: str
    correlation_id: str
    client_id: str = ""


class FailureShape(Protocol):
    """How a broker writes a failure."""

    def reply(self, call: FailedCall, failure: Failure) -> str:
        """Write the whole reply of a call that failed."""
        ...


class Diagnostics(enum.Enum):
    """What stands under ``diagnostics`` in an error object."""

    FILLED = enum.auto()
    NULL = enum.auto()
    ABSENT = enum.auto()


@dataclass(frozen=True)
class ErrorObjects:
    """Failures as Microsoft's brokers write them.

    Attributes:
        entra_tag: the tag of a failure at Entra that has none of its own; 0 for any other.
        entra: the text of a failure at Entra, where it does not quote Entra.
        diagnostics: what stands under ``diagnostics``.
        beside_error: keys of ``brokerTokenResponse`` beside the error; their values are 0.
        sub_error: whether ``subError`` is always there.
        telemetry: what a failure's telemetry holds; None: it has none.
        cancel_key: the key of an error that ``cancelInteractiveFlow`` answers.
    """

    entra_tag: int
    diagnostics: Diagnostics
    entra: str | None = None
    beside_error: tuple[str, ...] = ()
    sub_error: bool = False
    telemetry: Mapping[str, str] | None = None
    cancel_key: str = "error"

    def reply(self, call: FailedCall, failure: Failure) -> str:
        """Write the reply; its error stands at the top where the method gives no token."""
        error = self._error(call, failure)
        if call.member not in TOKEN_METHODS:
            return json.dumps({self.cancel_key if call.member == "cancelInteractiveFlow" else "error": error})
        telemetry = self._telemetry(call, failure)
        if failure.top_level:
            return json.dumps({"brokerTokenResponse": None, "error": error, **telemetry})
        response: dict[str, Any] = {"error": error, **dict.fromkeys(self.beside_error, 0)}
        sub_error = "" if failure.from_entra else failure.sub_error
        if self.sub_error or sub_error:
            response["subError"] = sub_error
        return json.dumps({"brokerTokenResponse": response, **telemetry})

    def _error(self, call: FailedCall, failure: Failure) -> dict[str, Any]:
        context = failure.context
        if self.entra is not None and failure.from_entra:
            context = self.entra.format(
                code=failure.oauth_error, correlation_id=call.correlation_id, suberror=failure.sub_error
            )
        diagnostics: dict[str, Any] = {}
        if self.diagnostics is not Diagnostics.ABSENT:
            diagnostics["diagnostics"] = None if self.diagnostics is Diagnostics.NULL else _diagnostics(failure)
        return {
            "context": context,
            **diagnostics,
            "errorCode": failure.error_code,
            "status": failure.status,
            "subStatus": failure.sub_status,
            "tag": self._tag(failure),
        }

    def _tag(self, failure: Failure) -> int:
        if failure.tag is not None:
            return failure.tag
        return self.entra_tag if failure.from_entra else 0

    def _telemetry(self, call: FailedCall, failure: Failure) -> dict[str, dict[str, str]]:
        if self.telemetry is None:
            return {}
        values = {
            "client_id": call.client_id,
            "correlation_id": call.correlation_id,
            "method": call.member,
            "status": status_name(failure.status),
            "tag": tag_name(self._tag(failure)),
        }
        return {"telemetry": written(self.telemetry, values)}


def _diagnostics(failure: Failure) -> dict[str, str]:
    return {
        "raw_error_code": failure.oauth_error,
        "exception_type": "com.microsoft.identity.common.exception.UiRequiredException",
        "oauth2_sub_error_code": failure.sub_error,
    }


@dataclass(frozen=True)
class BareErrors:
    """Failures as Himmelblau 4.0 writes them: a text and two zeros.

    Attributes:
        texts: what each method says when Entra, or anything behind the broker, refuses.
    """

    texts: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())

    def reply(self, call: FailedCall, failure: Failure) -> str:
        """Write the reply."""
        context = failure.context if failure.verbatim else self.texts.get(call.member, failure.context)
        error = {"error": {"context": context, "status": 0, "subStatus": 0}}
        return json.dumps({"brokerTokenResponse": error} if call.member in TOKEN_METHODS else error)


@dataclass(frozen=True)
class EmptyReplies:
    """Failures as Himmelblau up to 3.1 gives them: an empty text, once the broker has waited in vain for its daemon."""

    def reply(self, call: FailedCall, failure: Failure) -> str:
        """Write the reply."""
        return ""
