"""The library against Himmelblau's own brokers."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest

from linuxbroker import (
    AccountNotFoundError,
    BrokerClient,
    BrokerResponseError,
    BrokerTimeoutError,
    InteractionRequiredError,
    NoAccountError,
    NoDisplayError,
    PopAuthScheme,
    Timeouts,
    UnsupportedOperationError,
)
from tests.himmelblau.corpus import ADA, APP, GRAPH
from tests.himmelblau.stages import Stage, judge
from tests.himmelblau.toolchain import JUDGES, build_judges

SCOPES = [GRAPH]


@dataclass
class Desk:
    """A judge and a client of it."""

    stage: Stage
    client: BrokerClient
    persona: str


@pytest.fixture(params=JUDGES)
async def desk(request: pytest.FixtureRequest) -> AsyncGenerator[Desk, None]:
    persona = str(request.param)
    async with judge(build_judges()[persona]) as stage, BrokerClient(APP, bus_address=stage.address) as client:
        yield Desk(stage, client, persona)


async def test_an_account_is_listed_and_gets_tokens_and_cookies(desk: Desk) -> None:
    (account,) = await desk.client.get_accounts()
    assert account.username == ADA
    token = await desk.client.acquire_token_silent(SCOPES, account)
    assert token.access_token.count(".") == 2
    assert list(token.scopes) == SCOPES
    cookies = await desk.client.acquire_prt_sso_cookie(account, "https://login.microsoftonline.com/")
    assert [cookie.name for cookie in cookies] == ["x-ms-RefreshTokenCredential"]
    assert await desk.client.get_linux_broker_version() == {"himmelblau-3.1": "3.1.12"}.get(desk.persona, "4.0.0")


async def test_an_opaque_token_expires_after_an_hour(desk: Desk) -> None:
    desk.stage.set(opaque_tokens=True)
    token = await desk.client.acquire_token_silent(SCOPES)
    assert abs(token.expires_on.timestamp() - time.time() - 3600) < 60


async def test_remove_account_is_unsupported_and_signs_nobody_out(desk: Desk) -> None:
    (account,) = await desk.client.get_accounts()
    with pytest.raises(UnsupportedOperationError, match="Nobody was signed out"):
        await desk.client.remove_account(account)
    assert await desk.client.get_accounts() == [account]


async def test_proof_of_possession_is_unsupported(desk: Desk) -> None:
    (account,) = await desk.client.get_accounts()
    pop = PopAuthScheme("GET", "https://graph.microsoft.com/v1.0/me")
    with pytest.raises(UnsupportedOperationError):
        await desk.client.acquire_token_silent(SCOPES, account, auth_scheme=pop)
    with pytest.raises(UnsupportedOperationError):
        await desk.client.acquire_token_interactive(SCOPES, account=account, auth_scheme=pop)
    with pytest.raises(UnsupportedOperationError):
        await desk.client.generate_signed_http_request(account, pop)


@pytest.mark.parametrize("hint", [None, ADA])
async def test_a_sign_in_without_an_account_gets_a_token(desk: Desk, hint: str | None) -> None:
    token = await desk.client.acquire_token_interactive(SCOPES, login_hint=hint)
    assert token.access_token


async def test_a_refused_token_or_cookie_is_interaction_required(desk: Desk) -> None:
    (account,) = await desk.client.get_accounts()
    failures = {"acquireTokenSilently": "Failed to authenticate user"}
    desk.stage.set(failures=failures | {"acquirePrtSsoCookie": "Failed to fetch prt sso cookie"})
    with pytest.raises(InteractionRequiredError):
        await desk.client.acquire_token_silent(SCOPES, account)
    with pytest.raises(InteractionRequiredError):
        await desk.client.acquire_prt_sso_cookie(account, "https://login.microsoftonline.com/")


async def test_a_missing_account_is_no_account_error(desk: Desk) -> None:
    desk.stage.set(account=None)
    with pytest.raises(NoAccountError):
        await desk.client.get_accounts()


async def test_the_account_of_another_user_is_rejected(desk: Desk) -> None:
    (account,) = await desk.client.get_accounts()
    stranger: Any = account.model_copy(update={"username": "eve@contoso.example"})
    with pytest.raises(BrokerResponseError) as caught:
        await desk.client.acquire_token_silent(SCOPES, stranger)
    expected = InteractionRequiredError if desk.persona == "himmelblau-3.1" else AccountNotFoundError
    assert isinstance(caught.value, expected)


@pytest.mark.parametrize(
    ("prompt", "error"), [("cancel", InteractionRequiredError), ("no_display", NoDisplayError)], ids=str
)
async def test_a_failed_dialog_raises_the_error_of_its_reason(prompt: str, error: type[BrokerResponseError]) -> None:
    program = build_judges()["himmelblau-4.0"]
    async with (
        judge(program, {"prompt": prompt}) as stage,
        BrokerClient(APP, bus_address=stage.address) as client,
    ):
        (account,) = await client.get_accounts()
        with pytest.raises(error):
            await client.acquire_token_interactive(SCOPES, account=account)


@pytest.mark.parametrize("persona", JUDGES)
async def test_a_call_is_retried_until_the_daemon_has_started(persona: str) -> None:
    async with (
        judge(build_judges()[persona], {"daemon_after": 0.7}) as stage,
        BrokerClient(APP, bus_address=stage.address) as client,
    ):
        begin = time.monotonic()
        assert len(await client.get_accounts()) == 1
        assert time.monotonic() - begin >= 0.5


async def test_a_broker_that_stops_answering_times_out() -> None:
    async with (
        judge(build_judges()["himmelblau-3.1"]) as stage,
        BrokerClient(APP, bus_address=stage.address, timeouts=Timeouts(call=2.0)) as client,
    ):
        assert len(await client.get_accounts()) == 1
        stage.set(reply_bytes=1024)
        with pytest.raises(BrokerTimeoutError):
            await client.get_accounts()


@pytest.mark.parametrize("persona", JUDGES)
async def test_sign_out_fails_because_himmelblau_cannot_sign_out(persona: str) -> None:
    async with judge(build_judges()[persona]) as stage:
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "linuxbroker", "sign-out", "--client-id", APP, "--account", ADA),
            env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": stage.address},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, error = await command.communicate()
    assert command.returncode not in (0, None)
    assert output == b""
    assert b"Nobody was signed out" in error
