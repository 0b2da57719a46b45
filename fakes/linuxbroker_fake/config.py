"""The configuration of a fake broker, also from a JSON file."""

from __future__ import annotations

import enum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from linuxbroker_fake.directory import Directory
from linuxbroker_fake.faults import Fault
from linuxbroker_fake.persona_name import PersonaName


class UserAction(str, enum.Enum):
    """What the user does in a sign-in window."""

    APPROVE = "approve"
    CANCEL = "cancel"
    NEVER = "never"


class InteractiveUser(BaseModel):
    """The user who answers interactive sign-ins.

    Attributes:
        action: what the user does; ``never`` leaves the window open until it is canceled.
        delay: seconds before the user acts, 0 to 3600.
        upn: the user who signs in if the request has no account and no hint; None: the directory's first user.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: UserAction = UserAction.APPROVE
    delay: float = Field(default=0.0, ge=0.0, le=3600.0)
    upn: str | None = None


class FakeConfig(BaseModel):
    """The configuration of a fake broker.

    Attributes:
        persona: the broker to emulate.
        directory: the fake Entra's tenants, users and apps.
        signed_in: the UPNs that are signed in at the start; None: all users of the directory.
        faults: the faults that are planted at the start.
        user: the user who answers interactive sign-ins.
        start_delay: seconds before the broker takes its bus name, 0 to 3600.
        empty_reply_pause: seconds before Himmelblau 3.1 sends an empty reply, 0 to 3600; the real broker waits 30
            (PROTOCOL.md, HB-15).
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
        """Read a configuration from a file.

        Args:
            path: a JSON file with the fields of this model as keys, all optional.

        Returns:
            The configuration.

        Raises:
            OSError: the file cannot be read.
            pydantic.ValidationError: the content is not JSON, or not a valid configuration.
        """
        return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
