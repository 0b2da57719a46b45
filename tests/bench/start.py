"""The cost of starting: imports, and the command line against a script of plain dbus-next.

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

# What both sides are made of. linuxbroker builds its wire types, for which the rest of pydantic is imported, when the
# first of them is used: the second import touches one of them, a first token uses all that it needs.
LIBRARIES = "import asyncio, dbus_next.aio; from pydantic import BaseModel"
IMPORTS = {
    "client": "from linuxbroker import BrokerClient",
    "types": "from linuxbroker import BrokerClient, Account",
    "libraries": LIBRARIES,
}
REDIRECT_URI = "https://login.microsoftonline.com/common/oauth2/nativeclient"
# dbus-next by itself, and a model of the reply: nothing else is checked.
SCRIPT = """\
import asyncio, dbus_next.aio, json, sys, uuid
from pydantic import BaseModel
class Token(BaseModel):
    accessToken: str
    expiresOn: int
    grantedScopes: str
async def ask(bus, member, request):
    broker = ("com.microsoft.identity.broker1", "/com/microsoft/identity/broker1", "com.microsoft.identity.Broker1")
    body = ["0.0", str(uuid.uuid4()), json.dumps(request)]
    call = dbus_next.Message(*broker, member, signature="sss", body=body)
    return json.loads((await bus.call(call)).body[0])
async def main(client, uri, scope):
    bus = await dbus_next.aio.MessageBus().connect()
    account = (await ask(bus, "getAccounts", {"clientId": client, "redirectUri": client}))["accounts"][0]
    request = {"account": account, "authority": "https://login.microsoftonline.com/" + account["realm"],
        "authorizationType": 1, "clientId": client, "redirectUri": uri, "requestedScopes": [scope]}
    reply = await ask(bus, "acquireTokenSilently", {"authParameters": request})
    print(Token.model_validate(reply["brokerTokenResponse"]).accessToken)
asyncio.run(main(*sys.argv[1:]))
"""
OUR_SCRIPT = """\
import asyncio, sys
from linuxbroker import BrokerClient
async def main(client_id, uri, scope):
    async with BrokerClient(client_id, redirect_uri=uri) as client:
        account = (await client.get_accounts())[0]
        print((await client.acquire_token_silent([scope], account)).access_token)
asyncio.run(main(*sys.argv[1:]))
"""
# The seconds count from before the imports, so that an interpreter's own start plays no part.
_TIMED = "import time; start = time.perf_counter()\n{}\nprint(time.perf_counter() - start)"


def main(address: str, count: int, client_id: str, scope: str) -> Mapping[str, Sequence[float]]:
    """Time imports and runs in turn.

    Returns:
        For each import, and for the two scripts that get a token, its seconds, in interpreters of their own; for
        ``command`` and ``script`` the seconds from the start of the process to the token and the most bytes of memory.
    """
    measured: dict[str, list[float]] = {}
    commands = {
        "command": [str(Path(sys.executable).with_name("linuxbroker")), *_token_arguments(client_id, scope)],
        "script": [sys.executable, "-c", SCRIPT, client_id, REDIRECT_URI, scope],
    }
    for number in range(count + 1):
        scripts = {"first token": OUR_SCRIPT, "plain first token": SCRIPT}
        for name, program in (IMPORTS | scripts).items():
            seconds = _seconds(program, address, client_id, scope)
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


def _seconds(program: str, address: str, client_id: str, scope: str) -> float:
    """How long a program takes, measured in its process from its first line to its last."""
    command = [sys.executable, "-c", _TIMED.format(program), client_id, REDIRECT_URI, scope]
    environment = {**_environment(), "DBUS_SESSION_BUS_ADDRESS": address}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


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
