"""The telemetry beside a reply, written from a persona's template."""

from __future__ import annotations

from collections.abc import Mapping

STATUS_NAMES = {
    2: "StatusInternal::InteractionRequired",
    3: "StatusInternal::NoNetwork",
    7: "StatusInternal::UserCanceled",
}


def status_name(status: int) -> str:
    """Name a status as telemetry does."""
    return STATUS_NAMES.get(status, f"StatusInternal::{status}")


def written(template: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Write telemetry.

    Args:
        template: texts, some of which name a value: ``$client_id``.
        values: what the names stand for.

    Returns:
        The telemetry.
    """
    return {key: values[text[1:]] if text.startswith("$") else text for key, text in template.items()}
