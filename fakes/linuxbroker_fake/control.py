"""How does a test in any language drive the fake broker? The D-Bus control interface, JSON in and out."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pydantic import ValidationError

from linuxbroker_fake.broker import FakeBroker
from linuxbroker_fake.config import InteractiveUser, UserAction
from linuxbroker_fake.faults import Fault

CONTROL_INTERFACE = "org.linuxbroker.Fake1"
CONTROL_PATH = "/org/linuxbroker/Fake"
CONTROL_XML = f"""<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
<node>
  <interface name="{CONTROL_INTERFACE}">
    <method name="Plant"><arg name="faultJson" type="s" direction="in"/><arg name="doneJson" type="s" direction="out"/></method>
    <method name="ClearFaults"><arg name="doneJson" type="s" direction="out"/></method>
    <method name="SetUser"><arg name="userJson" type="s" direction="in"/><arg name="doneJson" type="s" direction="out"/></method>
    <method name="Answer"><arg name="action" type="s" direction="in"/><arg name="windowsJson" type="s" direction="out"/></method>
    <method name="Revoke"><arg name="upn" type="s" direction="in"/><arg name="challengeJson" type="s" direction="out"/></method>
    <method name="Reset"><arg name="doneJson" type="s" direction="out"/></method>
    <method name="Journal"><arg name="callsJson" type="s" direction="out"/></method>
    <method name="WaitForCall"><arg name="member" type="s" direction="in"/><arg name="callsJson" type="s" direction="out"/></method>
    <method name="Jwks"><arg name="jwksJson" type="s" direction="out"/></method>
  </interface>
</node>
"""


class ControlError(Exception):
    """A control call can't be understood; the text says why."""


class Control:
    """Carries out control calls on a fake broker.

    Args:
        broker: which.
    """

    def __init__(self, broker: FakeBroker) -> None:
        self._broker = broker

    async def handle(self, member: str, body: Sequence[Any]) -> str:
        """Carry out one call.

        Args:
            member: the method of the control interface.
            body: its arguments.

        Returns:
            The reply.

        Raises:
            ControlError: there is no such method, or the arguments are wrong.
        """
        methods: dict[str, tuple[int, Callable[..., Awaitable[Any]]]] = {
            "Plant": (1, self._plant),
            "ClearFaults": (0, self._clear_faults),
            "SetUser": (1, self._set_user),
            "Answer": (1, self._answer),
            "Revoke": (1, self._revoke),
            "Reset": (0, self._reset),
            "Journal": (0, self._journal),
            "WaitForCall": (1, self._wait_for_call),
            "Jwks": (0, self._jwks),
        }
        if member not in methods:
            raise ControlError(f"there is no method {member}; there are {', '.join(methods)}")
        count, method = methods[member]
        if len(body) != count or not all(isinstance(argument, str) for argument in body):
            raise ControlError(f"{member} takes {count} text argument(s)")
        try:
            return json.dumps(await method(*body))
        except (ValidationError, ValueError) as error:
            raise ControlError(str(error)) from error

    async def _plant(self, text: str) -> object:
        self._broker.faults.plant(Fault.model_validate_json(text))
        return {}

    async def _clear_faults(self) -> object:
        self._broker.faults.clear()
        return {}

    async def _set_user(self, text: str) -> object:
        self._broker.screen.user = InteractiveUser.model_validate_json(text)
        return {}

    async def _answer(self, action: str) -> object:
        return self._broker.screen.answer(UserAction(action))

    async def _revoke(self, upn: str) -> object:
        return json.loads(self._broker.revoke(upn))

    async def _reset(self) -> object:
        self._broker.reset()
        return {}

    async def _journal(self) -> object:
        return [call.as_dict() for call in self._broker.journal.calls]

    async def _wait_for_call(self, member: str) -> object:
        return [call.as_dict() for call in await self._broker.journal.wait_for(member)]

    async def _jwks(self) -> object:
        return self._broker.entra.jwks()
