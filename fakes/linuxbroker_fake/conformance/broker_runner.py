"""Does a broker pass the vectors that are for brokers? Has a bus start it, and plays each to it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from linuxbroker.bus import BusError, Connection
from linuxbroker.names import BROKER_BUS_NAME
from linuxbroker_fake.conformance.broker_case import BrokerCase
from linuxbroker_fake.conformance.case import CLIENT_ID, CaseResult, Problem
from linuxbroker_fake.conformance.driver import DriverMissingError
from linuxbroker_fake.conformance.vectors import Vector
from linuxbroker_fake.private_bus import PrivateBus

_NATIVE_CLIENT = "https://login.microsoftonline.com/common/oauth2/nativeclient"
_NEEDS = {
    "account": "the broker lists no account",
    "screen": "it opens a window, which nobody has to touch: --interactive plays it",
}
_ACCOUNTS = Vector("accounts", "broker", "It lists its accounts.", (), "")

Tell = Callable[[CaseResult], None]


async def run_broker(
    vectors: Sequence[Vector],
    command: Sequence[str],
    *,
    limit: float,
    screen: bool = False,
    client_id: str = CLIENT_ID,
    scopes: Sequence[str] = ("https://graph.microsoft.com/.default",),
    tell: Tell | None = None,
) -> list[CaseResult]:
    """Play the vectors for brokers to a broker, which a private bus starts on the first call.

    Args:
        vectors: what is played.
        command: the broker's program and arguments.
        limit: seconds that it has for each answer.
        screen: whether windows may be opened, which nobody has to touch.
        client_id: an application that it knows.
        scopes: what it can give that application a token for.
        tell: called with each result as it comes.

    Returns:
        The results, in the order of the vectors; those whose needs are not met are skipped.

    Raises:
        DriverMissingError: there is no such program.
    """
    program = shutil.which(command[0])
    if program is None:
        raise DriverMissingError(f"can't start {command[0]!r}: there is no such program")
    results: list[CaseResult] = []
    execute = shlex.join([str(Path.cwd() / program), *command[1:]])
    async with PrivateBus() as bus:
        service = f"[D-BUS Service]\nName={BROKER_BUS_NAME}\nExec={execute}\n"
        (bus.services / f"{BROKER_BUS_NAME}.service").write_text(service, encoding="utf-8")
        connection = await Connection.open(bus.address)
        try:
            await connection.call_bus("ReloadConfig")  # not every bus sees a new service file by itself
            values = await _values(connection, client_id, scopes, limit)
            if screen:
                values["screen"] = True
            for vector in vectors:
                result = await _run_case(vector, connection, values, limit)
                results.append(result)
                if tell is not None:
                    tell(result)
        finally:
            await _end_broker(connection)
            connection.close()
    return results


async def _values(connection: Connection, client_id: str, scopes: Sequence[str], limit: float) -> dict[str, Any]:
    """What the vectors leave open, asked of the broker itself: its first account."""
    values: dict[str, Any] = {
        "clientId": client_id,
        "redirectUri": _NATIVE_CLIENT,
        "scopes": list(scopes),
        "grantedScopes": {"$pattern": "".join(f"(?=(.* )?{re.escape(scope)}( .*)?$)" for scope in scopes) + ".*"},
    }
    accounts = await BrokerCase(_ACCOUNTS, connection, values, limit).accounts()
    if accounts:
        account = accounts[0]
        values |= {"account": account, "username": account.get("username", "")}
        values["homeAccountId"] = account.get("homeAccountId", "")
    return values


async def _run_case(vector: Vector, connection: Connection, values: Mapping[str, Any], limit: float) -> CaseResult:
    begin, result = time.monotonic(), CaseResult(vector)
    for need, reason in _NEEDS.items():
        if need in vector.needs and need not in values:
            result.skipped = reason
            return result
    try:
        result.problems = await BrokerCase(vector, connection, values, limit).play()
    except BusError as error:
        result.problems = [Problem(f"the bus: {error}")]
    result.seconds = time.monotonic() - begin
    return result


async def _end_broker(connection: Connection) -> None:
    with contextlib.suppress(BusError, ProcessLookupError):
        (process,) = await connection.call_bus("GetConnectionUnixProcessID", "s", BROKER_BUS_NAME)
        os.kill(cast("int", process), signal.SIGTERM)
