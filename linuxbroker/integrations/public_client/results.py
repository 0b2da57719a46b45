"""Results of calls as MSAL's dicts, made from this library's results and exceptions."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from linuxbroker.errors import BrokerError, BrokerResponseError
from linuxbroker.results import TokenResult
from linuxbroker.wire.models import Status

BROKER_ERROR = "broker_error"


def token_dict(token: TokenResult) -> dict[str, Any]:
    """Convert a token.

    Args:
        token: the client's result.

    Returns:
        MSAL's dict. Source: PROTOCOL.md, MS-04.
    """
    values = {
        "access_token": token.access_token,
        "expires_in": int(token.expires_on.timestamp()) - int(time.time()),
        "id_token": token.id_token,
        "id_token_claims": dict(token.id_token_claims),
        "client_info": token.client_info or (token.account.client_info if token.account else ""),
        "token_type": token.token_type.lower(),
        "scope": " ".join(token.scopes),
    }
    return {
        **{key: value for key, value in values.items() if value},
        "token_source": "broker",
        "msal_telemetry": _telemetry(token.correlation_id, token.telemetry),
    }


def failure_dict(error: BrokerError) -> dict[str, Any]:
    """Convert a failure.

    Args:
        error: the client's exception.

    Returns:
        MSAL's dict, with the three keys that MSAL's broker module adds and MSAL's application removes.
        Source: PROTOCOL.md, MS-05.
    """
    if isinstance(error, BrokerResponseError):
        reason, status, code, tag = error.context, error.status, error.error_code, error.tag
        correlation_id, telemetry = error.correlation_id, error.telemetry
    else:
        reason, status, code, tag = str(error), Status.UNEXPECTED, 0, 0
        correlation_id, telemetry = str(getattr(error, "correlation_id", "")), {}
    return {
        "error": BROKER_ERROR,
        "error_description": (
            f"{reason}. Status: Response_Status.Status_{status.wire_name}, Error code: {code}, Tag: {tag}"
        ),
        "_broker_status": status,
        "_broker_error_code": code,
        "_broker_tag": tag,
        "msal_telemetry": _telemetry(correlation_id, telemetry),
    }


def is_recoverable(failure: Mapping[str, Any]) -> bool:
    """Whether MSAL starts a sign-in after this failure of a silent request. Source: PROTOCOL.md, MS-03."""
    return failure.get("_broker_status") in (Status.ACCOUNT_UNUSABLE, Status.INTERACTION_REQUIRED)


def _telemetry(correlation_id: str, telemetry: Mapping[str, Any]) -> str:
    broker = {"correlation_id": correlation_id, **telemetry}
    return json.dumps({"msalruntime_telemetry": broker, "msal_python_telemetry": None}, separators=(",", ":"))
