"""MSAL's options for an interactive sign-in: those that reach the broker, and those that can't."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from linuxbroker import PublicClientApplication
from linuxbroker_fake import FakeConfig, RunningFake
from tests.constants import CLIENT_ID
from tests.integrations.public_client.test_tokens import ADA, CONSOLE, INTERACTIVE, SCOPE, SILENT, _parameters


@pytest.fixture
def fake_broker_config() -> FakeConfig:
    return FakeConfig(signed_in=(ADA,))


@pytest.fixture
async def application(fake_broker: RunningFake) -> AsyncIterator[PublicClientApplication]:
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True) as application:
        yield application


async def test_what_the_broker_knows_nothing_of_is_left_out_with_a_warning(
    application: PublicClientApplication, fake_broker: RunningFake, caplog: pytest.LogCaptureFixture
) -> None:
    result = await application.acquire_token_interactive(
        [SCOPE],
        prompt="create",
        extra_scopes_to_consent=["https://graph.microsoft.com/.default"],
        parent_window_handle=CONSOLE,
    )
    assert "access_token" in result
    asked = _parameters(fake_broker, INTERACTIVE)
    assert "prompt" not in asked and asked["requestedScopes"] == [SCOPE]
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "ignoring extra_scopes_to_consent: not supported by the broker",
        "ignoring unsupported prompt=create",
    ]


@pytest.mark.parametrize(("given", "sent"), [({"enable_msa_passthrough": True}, "consumer_passthrough"), ({}, None)])
async def test_personal_accounts_that_pass_through_are_asked_for(
    application: PublicClientApplication, fake_broker: RunningFake, given: dict[str, Any], sent: str | None
) -> None:
    await application.acquire_token_interactive([SCOPE], prompt="login", parent_window_handle=CONSOLE, **given)
    query = _parameters(fake_broker, INTERACTIVE)["additionalQueryParametersForAuthorization"]
    assert query.get("msal_request_type") == sent


async def test_a_hint_that_is_nobodys_asks_for_them(
    application: PublicClientApplication, fake_broker: RunningFake
) -> None:
    fake_broker.set_user("cancel")
    result = await application.acquire_token_interactive(
        [SCOPE], login_hint="nobody@contoso.example", parent_window_handle=CONSOLE
    )
    assert result["error"] == "broker_error"
    assert _parameters(fake_broker, INTERACTIVE)["username"] == "nobody@contoso.example"


async def test_a_hint_of_a_user_who_is_signed_in_gets_their_token_without_asking(fake_broker: RunningFake) -> None:
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True) as application:
        result = await application.acquire_token_interactive(
            [SCOPE], login_hint=ADA.upper(), parent_window_handle=CONSOLE
        )
    assert fake_broker.broker.verify_access_token(result["access_token"])["upn"] == ADA
    assert _parameters(fake_broker, SILENT)["account"]["username"] == ADA
    assert fake_broker.calls_of(INTERACTIVE) == []
