"""The forms in which brokers report failures: error object, bare error object, empty reply."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from linuxbroker.wire.models import tag_name

from .faults import TOKEN_METHODS, Failure
from .telemetry import fill_template, status_name


@dataclass(frozen=True)
class FailedCall:
    """A call that failed.

    Attributes:
        member: the method.
        correlation_id: the correlation ID of the call.
        client_id: the app's client ID, or ``""``.
    """

    member: str
    correlation_id: str
    client_id: str = ""


class FailureShape(Protocol):
    """The form in which a broker reports failures."""

    def reply(self, call: FailedCall, failure: Failure) -> str:
        """Return the complete reply to a call that failed."""
        ...


class Diagnostics(enum.Enum):
    """The content of ``diagnostics`` in an error object."""

    FILLED = enum.auto()
    NULL = enum.auto()
    ABSENT = enum.auto()


@dataclass(frozen=True)
class ErrorObjects:
    """Error objects, as in the replies of Microsoft's brokers (PROTOCOL.md, "Real errors").

    Attributes:
        entra_tag: the default tag of a failure at Entra; the default of other failures is 0.
        diagnostics: the content of ``diagnostics``.
        entra_text: the text that replaces Entra's error text; None: Entra's text is passed on.
        zero_keys: keys of ``brokerTokenResponse`` beside the error, each with the value 0.
        sub_error: whether ``subError`` is always present.
        telemetry: the template of the telemetry; None: no telemetry.
        cancel_key: the key of the error in a reply of ``cancelInteractiveFlow``.
    """

    entra_tag: int
    diagnostics: Diagnostics
    entra_text: str | None = None
    zero_keys: tuple[str, ...] = ()
    sub_error: bool = False
    telemetry: Mapping[str, str] | None = None
    cancel_key: str = "error"

    def reply(self, call: FailedCall, failure: Failure) -> str:
        """Return the reply; the error is at the top level if the method does not return a token."""
        error = self._error(call, failure)
        if call.member not in TOKEN_METHODS:
            return json.dumps({self.cancel_key if call.member == "cancelInteractiveFlow" else "error": error})
        telemetry = self._telemetry(call, failure)
        if failure.top_level:
            return json.dumps({"brokerTokenResponse": None, "error": error, **telemetry})
        response: dict[str, Any] = {"error": error, **dict.fromkeys(self.zero_keys, 0)}
        sub_error = "" if failure.from_entra else failure.sub_error
        if self.sub_error or sub_error:
            response["subError"] = sub_error
        return json.dumps({"brokerTokenResponse": response, **telemetry})

    def _error(self, call: FailedCall, failure: Failure) -> dict[str, Any]:
        context = failure.context
        if self.entra_text is not None and failure.from_entra:
            context = self.entra_text.format(
                code=failure.oauth_error, correlation_id=call.correlation_id, suberror=failure.sub_error
            )
        diagnostics: dict[str, Any] = {}
        if self.diagnostics is not Diagnostics.ABSENT:
            diagnostics["diagnostics"] = None if self.diagnostics is Diagnostics.NULL else _diagnostics_object(failure)
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
        return {"telemetry": fill_template(self.telemetry, values)}


def _diagnostics_object(failure: Failure) -> dict[str, str]:
    return {
        "raw_error_code": failure.oauth_error,
        "exception_type": "com.microsoft.identity.common.exception.UiRequiredException",
        "oauth2_sub_error_code": failure.sub_error,
    }


@dataclass(frozen=True)
class BareErrors:
    """Error objects of Himmelblau 4.0: a text and two zeros (PROTOCOL.md, EL-01 and EL-03).

    Attributes:
        texts: method to the text of a failure behind the broker, such as at Entra.
    """

    texts: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())

    def reply(self, call: FailedCall, failure: Failure) -> str:
        """Return the reply."""
        context = failure.context if failure.verbatim else self.texts.get(call.member, failure.context)
        error = {"error": {"context": context, "status": 0, "subStatus": 0}}
        return json.dumps({"brokerTokenResponse": error} if call.member in TOKEN_METHODS else error)


@dataclass(frozen=True)
class EmptyReplies:
    """Empty replies, with which Himmelblau up to 3.1 reports all failures (PROTOCOL.md, EL-05)."""

    def reply(self, call: FailedCall, failure: Failure) -> str:
        """Return the reply."""
        return ""
