"""How a fake broker is set up: all that can be chosen before it starts, also from a JSON file."""

from __future__ import annotations

import enum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from linuxbroker_fake.directory import Directory
from linuxbroker_fake.faults import Fault
from linuxbroker_fake.persona_name import PersonaName


class UserAction(str, enum.Enum):
    """What the person in front of the screen does when asked to sign in."""

    APPROVE = "approve"
    CANCEL = "cancel"
    NEVER = "never"


class InteractiveUser(BaseModel):
    """The person who answers interactive sign-ins.

    Attributes:
        action: what they do; ``never`` leaves the window open until it is cancelled.
        delay: seconds before they do it.
        upn: who signs in where the request names nobody; None for the directory's first user.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: UserAction = UserAction.APPROVE
    delay: float = Field(default=0.0, ge=0.0, le=3600.0)
    upn: str | None = None


class FakeConfig(BaseModel):
    """How the fake broker is set up.

    Attributes:
        persona: which broker it passes for.
        directory: the fake Entra's tenants, users and apps.
        signed_in: the UPNs that are signed in at the start; None for everyone in the directory.
        faults: what goes wrong from the start.
        user: the person who answers interactive sign-ins.
        start_delay: seconds before it takes its bus name: a slow start.
        empty_reply_pause: seconds before Himmelblau 3.1 answers with an empty text, which are 30 in the field.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    persona: PersonaName = PersonaName.MICROSOFT_3_0_2
    directory: Directory = Field(default_factory=Directory.default)
    signed_in: tuple[str, ...] | None = None
    faults: tuple[Fault, ...] = ()
    user: InteractiveUser = InteractiveUser()
    start_delay: float = Field(default=0.0, ge=0.0, le=3600.0)
    empty_reply_pause: float = Field(default=0.02, ge=0.0, le=3600.0)

    @classmethod
    def load(cls, path: str | Path) -> FakeConfig:
        """Read a configuration.

        Args:
            path: a JSON file with this model's keys, all optional.

        Returns:
            The configuration.

        Raises:
            OSError: the file can't be read.
            pydantic.ValidationError: it does not hold a configuration; the text says where.
        """
        return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
