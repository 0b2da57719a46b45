"""What MSAL does itself: flows where there is no broker, and accounts that are not the broker's."""

from __future__ import annotations

import base64
import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from linuxbroker import PublicClientApplication
from linuxbroker_fake import RunningFake
from tests.constants import ADA, CLIENT_ID
from tests.integrations.public_client.login_host import ACCESS_TOKEN, LoginHost
from tests.integrations.public_client.test_fallbacks import SCOPE

AUTHORITY = "https://127.0.0.1:1/contoso.example"


def _segment(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


class _HttpClient:
    """An HTTP client of the application's own, behind which Ada can sign in with any password.

    Attributes:
        forms: what was posted.
    """

    def __init__(self) -> None:
        self.forms: list[dict[str, Any]] = []

    def get(self, url: str, **_: Any) -> SimpleNamespace:
        if "userrealm" in url:
            return self._answer({"account_type": "Managed"})
        return self._answer({f"{name}_endpoint": f"{AUTHORITY}/{name}" for name in ("token", "authorization")})

    def post(self, url: str, data: dict[str, Any], **_: Any) -> SimpleNamespace:
        self.forms.append(data)
        claims = {"aud": CLIENT_ID, "exp": time.time() + 3600, "sub": "ada", "preferred_username": ADA}
        return self._answer(
            {
                "access_token": ACCESS_TOKEN,
                "token_type": "Bearer",
                "expires_in": 3600,
                "client_info": _segment({"uid": "ada", "utid": "contoso"}),
                "id_token": f"{_segment({'alg': 'none'})}.{_segment(claims)}.",
            }
        )

    @staticmethod
    def _answer(document: dict[str, Any]) -> SimpleNamespace:
        return SimpleNamespace(status_code=200, headers={}, text=json.dumps(document))


def _application(http_client: _HttpClient) -> PublicClientApplication:
    return PublicClientApplication(
        CLIENT_ID,
        authority=AUTHORITY,
        instance_discovery=False,
        http_client=http_client,
        enable_broker_on_linux=True,
    )


async def _signed_in(application: PublicClientApplication) -> dict[str, Any]:
    with pytest.warns(DeprecationWarning, match="ropc"):
        return await application.acquire_token_by_username_password(ADA, "a-password", [SCOPE])


async def test_a_password_goes_where_msal_sends_it_without_a_broker(fake_broker: RunningFake) -> None:
    fake_broker.stop_broker()
    http_client = _HttpClient()
    async with _application(http_client) as application:
        result = await _signed_in(application)
    assert (result["access_token"], result["token_source"]) == (ACCESS_TOKEN, "identity_provider")
    (form,) = http_client.forms
    assert (form["grant_type"], form["username"], form["password"]) == ("password", ADA, "a-password")


async def test_tokens_of_an_account_that_is_not_the_brokers_come_from_msals_cache(fake_broker: RunningFake) -> None:
    fake_broker.stop_broker()
    async with _application(_HttpClient()) as application:
        await _signed_in(application)
        (account,) = await application.get_accounts()
        cached = await application.acquire_token_silent([SCOPE], account)
        stranger = await application.acquire_token_silent_with_error([SCOPE], {**account, "home_account_id": "no.body"})
        await application.remove_account(account)
        left = await application.get_accounts()
    assert account["username"] == ADA
    assert cached is not None
    assert (cached["access_token"], cached["token_source"]) == (ACCESS_TOKEN, "cache")
    assert (stranger, left) == (None, [])


async def test_an_account_of_msals_is_asked_for_at_the_broker_by_nobody(fake_broker: RunningFake) -> None:
    account = {"home_account_id": "ada.contoso", "username": ADA, "account_source": "password"}
    async with _application(_HttpClient()) as application:
        assert await application.acquire_token_silent_with_error([SCOPE], account) is None
    assert [call.member for call in fake_broker.calls if call.member != "Ping"] == []


async def test_an_account_that_may_be_anyones_gets_msals_token_where_the_broker_does_not_know_it(
    fake_broker: RunningFake,
) -> None:
    async with _application(_HttpClient()) as application:
        await application.acquire_token_by_refresh_token("a-refresh-token", [SCOPE])
        (account,) = [each for each in await application.get_accounts() if each["account_source"] != "broker"]
        token = await application.acquire_token_silent([SCOPE], {**account, "account_source": None})
    assert token is not None
    assert (token["access_token"], token["token_source"]) == (ACCESS_TOKEN, "cache")
    assert fake_broker.calls_of("acquireTokenSilently") == []


class _NotNowError(Exception):
    """The application's own."""


async def test_the_callback_before_msals_browser_runs_on_the_loops_thread_and_may_raise(
    fake_broker: RunningFake, tmp_path: Path
) -> None:
    fake_broker.stop_broker()
    seen: list[tuple[str, threading.Thread]] = []

    def launching(ui: str, **_: object) -> None:
        seen.append((ui, threading.current_thread()))
        raise _NotNowError

    async with (
        LoginHost().running(tmp_path) as host,
        host.application(enable_broker_on_linux=True) as application,
    ):
        with pytest.raises(_NotNowError):
            await application.acquire_token_interactive([SCOPE], on_before_launching_ui=launching)
    assert seen == [("browser", threading.current_thread())]
