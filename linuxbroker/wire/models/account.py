"""The account in replies and requests."""

from __future__ import annotations

from typing import Any

from pydantic import field_validator

from linuxbroker.wire.models.base import Secret, WireModel


class Account(WireModel):
    """An account as returned by the broker, with every key, so that it can be sent back unchanged.

    One user can have several: one for each tenant (``realm``) that the user belongs to.
    Source: PROTOCOL.md, "Accounts".
    """

    home_account_id: str
    local_account_id: str = ""
    environment: str = ""
    realm: str = ""
    username: str = ""
    name: str = ""
    given_name: str = ""
    family_name: str = ""
    client_info: str = Secret("")
    password_expiry: int = 0
    middle_name: str = ""
    alternative_account_id: str = ""
    home_environment: str = ""
    password_change_url: str = ""

    @field_validator("*", mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any, info: Any) -> Any:
        """Replace null by the default: brokers differ in which keys they leave out."""
        if value is None and info.field_name in cls.model_fields:
            return cls.model_fields[info.field_name].get_default()
        return value

    @property
    def home_tenant(self) -> str:
        """The tenant part of ``home_account_id`` (``<object id>.<tenant id>``), or the empty string."""
        return self.home_account_id.partition(".")[2]

    def in_environment(self, environment: str) -> Account:
        """Copy the account with another name of its cloud's login host.

        Args:
            environment: the host.

        Returns:
            A copy with all other keys unchanged.
        """
        return self.model_copy(update={"environment": environment})
