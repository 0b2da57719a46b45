"""Prints as JSON what an application gets from ``msal.PublicClientApplication``, or from this library's.

Run as a program, ``application_driver.py msal`` or ``application_driver.py linuxbroker``, on a session bus. It reads an
object with ``application``, the arguments of the constructor but for the client id, and ``steps``; ``kernel``, where it
is there, is what the machine says of its kernel in place of the truth. A step has ``call``, a method, and
``arguments``, of which some are written in JSON's terms:

- ``parent_window_handle``: ``"console"`` is CONSOLE_WINDOW_HANDLE;
- ``account``: the UPN of an account of the last ``get_accounts``, or an account as it is;
- ``auth_scheme``: the arguments of ``msal.PopAuthScheme``;
- ``on_before_launching_ui``: true for a callback whose calls are printed, under ``launched``;
- ``flow`` and ``auth_code_flow``: ``"last"`` is what the last step returned.

The output is a list with an object for each step, after one for the constructor where that failed: ``result``, or
``raised``, the names of the exception's classes, and ``text``.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import platform
import sys
import warnings
from types import SimpleNamespace
from typing import Any

import msal

import linuxbroker

CLIENT_ID = "11111111-2222-4333-8444-555555555555"
Json = dict[str, Any]


class LoginHost:
    """A login host of a world without a broker: it publishes its endpoints, and signs everyone in as Babbage."""

    def get(self, url: str, **_: Any) -> SimpleNamespace:
        """Give the documents that a login host publishes."""
        tenant = url.partition("/v2.0/")[0]
        return self._answer(
            {
                "authorization_endpoint": f"{tenant}/oauth2/v2.0/authorize",
                "token_endpoint": f"{tenant}/oauth2/v2.0/token",
                "device_authorization_endpoint": f"{tenant}/oauth2/v2.0/devicecode",
                "issuer": f"{tenant}/v2.0",
                "tenant_discovery_endpoint": f"{tenant}/v2.0/.well-known/openid-configuration",
                "metadata": [],
                "account_type": "Managed",
            }
        )

    def post(self, url: str, **_: Any) -> SimpleNamespace:
        """Give a device code, or a token."""
        if url.endswith("/devicecode"):
            return self._answer({"user_code": "UC", "device_code": "DC", "expires_in": 900, "interval": 1})
        return self._answer({"access_token": "from-the-login-host", "token_type": "Bearer", "expires_in": 3600})

    def close(self) -> None:
        """Nothing is open."""

    def _answer(self, document: Json) -> SimpleNamespace:
        return SimpleNamespace(status_code=200, headers={}, text=json.dumps(document), raise_for_status=lambda: None)


class Driver:
    """Carries out the steps.

    Args:
        application: the application.
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        self._accounts: list[Json] = []
        self._last: Any = None

    async def carry_out(self, step: Json) -> Json:
        """Carry out one step.

        Returns:
            Its outcome.
        """
        launched: list[str] = []
        arguments = {name: self._value(name, value, launched) for name, value in step.get("arguments", {}).items()}
        try:
            result = getattr(self._application, step["call"])(**arguments)
            if inspect.isawaitable(result):
                result = await result
        except Exception as error:
            return {**_described(error), "launched": launched}
        self._last = result
        if step["call"] == "get_accounts":
            self._accounts = result
        return {"result": result, "launched": launched}

    def _value(self, name: str, value: Any, launched: list[str]) -> Any:
        if name == "parent_window_handle" and value == "console":
            return self._application.CONSOLE_WINDOW_HANDLE
        if name == "account" and isinstance(value, str):
            return next((account for account in self._accounts if account["username"] == value), None)
        if name == "auth_scheme":
            return msal.PopAuthScheme(**value)
        if name == "on_before_launching_ui":
            return lambda ui, **_: launched.append(ui)
        if name in ("flow", "auth_code_flow") and value == "last":
            return self._last
        return value


def _described(error: Exception) -> Json:
    return {"raised": [kind.__name__ for kind in type(error).__mro__], "text": str(error)}


async def _outcomes(library: str, scenario: Json) -> list[Json]:
    kind: Any = msal.PublicClientApplication if library == "msal" else linuxbroker.PublicClientApplication
    options = {"enable_broker_on_linux": True, "http_client": LoginHost(), **scenario["application"]}
    try:
        application = kind(CLIENT_ID, **options)
    except Exception as error:
        return [_described(error)]
    driver = Driver(application)
    outcomes = [await driver.carry_out(step) for step in scenario["steps"]]
    if library == "linuxbroker":
        await application.aclose()
    return outcomes


def main() -> None:
    """Carry out the scenario that comes on standard input."""
    warnings.simplefilter("ignore", DeprecationWarning)
    scenario = json.load(sys.stdin)
    if "kernel" in scenario:
        uname = platform.uname()._replace(release=scenario["kernel"])
        platform.uname = lambda: uname
    print(json.dumps(asyncio.run(_outcomes(sys.argv[1], scenario))))


if __name__ == "__main__":
    main()
