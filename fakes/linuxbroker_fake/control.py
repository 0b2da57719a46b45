"""The D-Bus interface ``org.linuxbroker.Fake1``, which controls the fake broker from any language."""

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
# Method to the name of its argument, a string; "" if it has none. Each method returns JSON text.
_METHOD_ARGUMENTS: dict[str, str] = {
    "Plant": "faultJson",
    "ClearFaults": "",
    "SetUser": "userJson",
    "Answer": "action",
    "Revoke": "upn",
    "Reset": "",
    "Journal": "",
    "WaitForCall": "member",
    "Jwks": "",
}


def _method_xml(name: str, argument: str) -> str:
    argument_xml = f'<arg name="{argument}" type="s" direction="in"/>' if argument else ""
    return f'    <method name="{name}">{argument_xml}<arg name="replyJson" type="s" direction="out"/></method>\n'


CONTROL_XML = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    '  "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
    f'<node>\n  <interface name="{CONTROL_INTERFACE}">\n'
    + "".join(_method_xml(name, argument) for name, argument in _METHOD_ARGUMENTS.items())
    + "  </interface>\n</node>\n"
)


class ControlError(Exception):
    """A control call is invalid."""


class Control:
    """Handler of control calls.

    Args:
        broker: the broker to control.
    """

    def __init__(self, broker: FakeBroker) -> None:
        self._broker = broker

    async def handle(self, member: str, body: Sequence[Any]) -> str:
        """Handle a call.

        Args:
            member: the method of the control interface.
            body: the arguments.

        Returns:
            The reply, JSON text.

        Raises:
            ControlError: the method is unknown, or its arguments are invalid.
        """
        methods: dict[str, Callable[..., Awaitable[object]]] = {
            "Plant": self._plant,
            "ClearFaults": self._clear_faults,
            "SetUser": self._set_user,
            "Answer": self._answer,
            "Revoke": self._revoke,
            "Reset": self._reset,
            "Journal": self._journal,
            "WaitForCall": self._wait_for_call,
            "Jwks": self._jwks,
        }
        if member not in methods:
            raise ControlError(f"unknown method {member}; available: {', '.join(methods)}")
        method, argument = methods[member], _METHOD_ARGUMENTS[member]
        if len(body) != bool(argument) or not all(isinstance(value, str) for value in body):
            raise ControlError(f"{member} takes {f'one string, {argument}' if argument else 'no argument'}")
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
