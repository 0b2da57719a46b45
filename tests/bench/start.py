"""What does it take to start? Imports, and the command line against a script of plain dbus-next.

Run in a process of its own, which imports little: a process's memory counts from that of the one that started it.

python -m tests.bench.start ADDRESS COUNT CLIENT_ID SCOPE
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# linuxbroker and pydantic import most of themselves when it is first used; the second two have it all at hand.
IMPORTS = {
    "import": "import linuxbroker",
    "other import": "import pydantic, dbus_next.aio",
    "client": "from linuxbroker import BrokerClient",
    "other client": "from pydantic import BaseModel; import dbus_next.aio",
}
REDIRECT_URI = "https://login.microsoftonline.com/common/oauth2/nativeclient"
# dbus-next by itself: no other library, nothing checked, and done once the token is printed.
SCRIPT = """\
import asyncio, json, sys, uuid
from dbus_next import Message, aio
async def ask(bus, member, request):
    broker = ("com.microsoft.identity.broker1", "/com/microsoft/identity/broker1", "com.microsoft.identity.Broker1")
    body = ["0.0", str(uuid.uuid4()), json.dumps(request)]
    return json.loads((await bus.call(Message(*broker, member, signature="sss", body=body))).body[0])
async def main(client, uri, scope):
    bus = await aio.MessageBus().connect()
    account = (await ask(bus, "getAccounts", {"clientId": client, "redirectUri": client}))["accounts"][0]
    request = {"account": account, "authority": "https://login.microsoftonline.com/" + account["realm"],
        "authorizationType": 1, "clientId": client, "redirectUri": uri, "requestedScopes": [scope]}
    print((await ask(bus, "acquireTokenSilently", {"authParameters": request}))["brokerTokenResponse"]["accessToken"])
asyncio.run(main(*sys.argv[1:]))
"""


def main(address: str, count: int, client_id: str, scope: str) -> Mapping[str, Sequence[float]]:
    """Time imports and runs in turn.

    Returns:
        For each import its seconds, in interpreters of their own; for ``command`` and ``script`` the seconds to the
        token and the most bytes of memory.
    """
    measured: dict[str, list[float]] = {}
    commands = {
        "command": [str(Path(sys.executable).with_name("linuxbroker")), *_token_arguments(client_id, scope)],
        "script": [sys.executable, "-c", SCRIPT, client_id, REDIRECT_URI, scope],
    }
    for number in range(count + 1):
        for name, statement in IMPORTS.items():
            seconds = _import(statement)
            if number:  # the first run of each fills the file cache
                measured.setdefault(name, []).append(seconds)
        for name, command in commands.items():
            seconds, memory = _run(command, address)
            if number:
                measured.setdefault(name, []).append(seconds)
                measured.setdefault(name + " memory", []).append(memory)
    return measured


def _token_arguments(client_id: str, scope: str) -> Sequence[str]:
    return ("token", "--client-id", client_id, "--scope", scope)


def _import(statement: str) -> float:
    program = f"import time; start = time.perf_counter(); {statement}; print(time.perf_counter() - start)"
    command = [sys.executable, "-c", program]
    return float(subprocess.run(command, env=_environment(), capture_output=True, text=True, check=True).stdout)


def _environment() -> dict[str, str]:
    """The process's own, but that what is imported is compiled once, as in an installation, and not at each start."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _run(command: Sequence[str], address: str) -> tuple[float, int]:
    """Seconds from the start of a process to its first line, and the most bytes of memory that it had."""
    environment = {**_environment(), "DBUS_SESSION_BUS_ADDRESS": address}
    start = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        token = process.stdout.readline()
        seconds = time.perf_counter() - start
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or token.count(b".") != 2:
        raise RuntimeError(f"{command[0]} gave no token")
    return seconds, usage.ru_maxrss * 1024


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])))
