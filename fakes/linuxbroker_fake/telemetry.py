"""The telemetry of replies, from a persona's template."""

from __future__ import annotations

from collections.abc import Mapping

STATUS_NAMES = {
    2: "StatusInternal::InteractionRequired",
    3: "StatusInternal::NoNetwork",
    7: "StatusInternal::UserCanceled",
}


def status_name(status: int) -> str:
    """Return the name of a status in telemetry."""
    return STATUS_NAMES.get(status, f"StatusInternal::{status}")


def fill_template(template: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """Fill in a template.

    Args:
        template: telemetry keys to texts; a text such as ``$client_id`` stands for the value of that name.
        values: the values by name.

    Returns:
        The telemetry.
    """
    return {key: values[text[1:]] if text.startswith("$") else text for key, text in template.items()}
