"""The names of the brokers that the fake emulates."""

from __future__ import annotations

import enum

_NEWEST_RELEASES = {"himmelblau": "himmelblau-3.1"}


class PersonaName(str, enum.Enum):
    """A broker and its version. The value ``himmelblau`` is accepted too; it is the newest release."""

    MICROSOFT_2_0_1 = "microsoft-2.0.1"
    MICROSOFT_2_5_2 = "microsoft-2.5.2"
    MICROSOFT_3_0_2 = "microsoft-3.0.2"
    HIMMELBLAU_3_1 = "himmelblau-3.1"
    HIMMELBLAU_4_0 = "himmelblau-4.0"

    MICROSOFT_JAVA = MICROSOFT_2_0_1
    MICROSOFT_CPP = MICROSOFT_2_5_2
    HIMMELBLAU = HIMMELBLAU_3_1

    @classmethod
    def _missing_(cls, value: object) -> PersonaName | None:
        release = _NEWEST_RELEASES.get(value) if isinstance(value, str) else None
        return None if release is None else cls(release)


def persona_names() -> list[str]:
    """Return all accepted names, for a command's help."""
    return [*(persona.value for persona in PersonaName), *_NEWEST_RELEASES]
