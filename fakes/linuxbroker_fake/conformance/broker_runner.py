"""The runner for brokers: a private bus activates the broker, and each vector is played to it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from linuxbroker.bus import BusError, Connection
from linuxbroker.wire.names import BROKER_BUS_NAME
from linuxbroker_fake.conformance.broker_case import BrokerCase
from linuxbroker_fake.conformance.case import CLIENT_ID, CaseResult, Problem, ResultCallback
from linuxbroker_fake.conformance.driver import DriverMissingError
from linuxbroker_fake.conformance.vectors import Vector
from linuxbroker_fake.private_bus import PrivateBus

_NATIVE_CLIENT = "https://login.microsoftonline.com/common/oauth2/nativeclient"
_UNMET_NEEDS = {
    "account": "the broker lists no account",
    "screen": "it opens a window; pass --interactive to run it (no user input is needed)",
}
_ACCOUNTS = Vector("accounts", "broker", "It lists its accounts.", (), "")


async def run_broker(
    vectors: Sequence[Vector],
    command: Sequence[str],
    *,
    limit: float,
    screen: bool = False,
    client_id: str = CLIENT_ID,
    scopes: Sequence[str] = ("https://graph.microsoft.com/.default",),
    on_result: ResultCallback | None = None,
) -> list[CaseResult]:
    """Play the vectors for brokers to a broker, which a private bus activates.

    Args:
        vectors: the vectors.
        command: the broker's program and arguments.
        limit: time limit for each reply, seconds.
        screen: whether to play vectors that open a window; they need no user input.
        client_id: the client ID of an application that the broker accepts.
        scopes: scopes that the broker can grant to that application.
        on_result: called with each result as soon as it is known.

    Returns:
        The results, in the order of the vectors; vectors whose needs are not met are skipped.

    Raises:
        DriverMissingError: the program does not exist.
    """
    program = shutil.which(command[0])
    if program is None:
        raise DriverMissingError(f"cannot start {command[0]!r}: no such program")
    results: list[CaseResult] = []
    execute = shlex.join([str(Path.cwd() / program), *command[1:]])
    async with PrivateBus() as bus:
        service = f"[D-BUS Service]\nName={BROKER_BUS_NAME}\nExec={execute}\n"
        (bus.services / f"{BROKER_BUS_NAME}.service").write_text(service, encoding="utf-8")
        connection = await Connection.open(bus.address)
        try:
            await connection.call_bus("ReloadConfig")  # some buses do not notice new service files
            values = await _broker_values(connection, client_id, scopes, limit)
            if screen:
                values["screen"] = True
            for vector in vectors:
                result = await _run_case(vector, connection, values, limit)
                results.append(result)
                if on_result is not None:
                    on_result(result)
        finally:
            await _stop_broker(connection)
            connection.close()
    return results


async def _broker_values(connection: Connection, client_id: str, scopes: Sequence[str], limit: float) -> dict[str, Any]:
    """Return the values of ``$broker``: the options, and the first account that the broker lists."""
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
    start, result = time.monotonic(), CaseResult(vector)
    for need, reason in _UNMET_NEEDS.items():
        if need in vector.needs and need not in values:
            result.skipped = reason
            return result
    try:
        result.problems = await BrokerCase(vector, connection, values, limit).play()
    except BusError as error:
        result.problems = [Problem(f"bus error: {error}")]
    result.seconds = time.monotonic() - start
    return result


async def _stop_broker(connection: Connection) -> None:
    with contextlib.suppress(BusError, ProcessLookupError):
        (process,) = await connection.call_bus("GetConnectionUnixProcessID", "s", BROKER_BUS_NAME)
        os.kill(cast("int", process), signal.SIGTERM)
