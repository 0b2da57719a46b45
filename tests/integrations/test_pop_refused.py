"""Nothing is sent where a broker answers a request for proof of possession with a bearer token, as Himmelblau does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msal
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import AuthenticationRequiredError, CredentialUnavailableError

from linuxbroker import BrokerClient, PopAuthScheme, PublicClientApplication, UnsupportedOperationError
from linuxbroker.integrations.azure import BrokerCredential
from linuxbroker.integrations.headers import authorization_header
from linuxbroker.integrations.httpx_auth import BrokerAuth
from linuxbroker_fake import FakeConfig, PersonaName, RunningFake
from tests.constants import ADA, CLIENT_ID, SCOPE
from tests.integrations.test_httpx_auth import Answer, _serving

ME = "https://graph.microsoft.com/v1.0/me"
TOKEN = "a-bearer-token-that-nobody-asked-for"
SILENT, INTERACTIVE = "acquireTokenSilently", "acquireTokenInteractively"
CONSOLE = PublicClientApplication.CONSOLE_WINDOW_HANDLE
AZURE_POP = {"resource_request_method": "GET", "resource_request_url": ME, "nonce": "a-nonce"}

# Microsoft's broker does not do it; here it is made to.
BROKERS = [PersonaName("microsoft-3.0.2"), PersonaName("himmelblau-3.1"), PersonaName("himmelblau-4.0")]
pytestmark = pytest.mark.parametrize("fake_broker_config", BROKERS, ids=lambda name: str(name.value), indirect=True)


@pytest.fixture
def fake_broker_config(request: pytest.FixtureRequest) -> FakeConfig:
    return FakeConfig(persona=request.param)


@pytest.fixture
def bearer_for_pop(fake_broker: RunningFake, fake_broker_config: FakeConfig) -> RunningFake:
    """A broker that answers every token request with a bearer token."""
    if fake_broker_config.persona in BROKERS[1:]:
        return fake_broker
    reply = {
        "accessToken": TOKEN,
        "accessTokenType": 0,
        "expiresOn": int((time.time() + 3600) * 1000),
        "grantedScopes": [SCOPE],
    }
    for method in (SILENT, INTERACTIVE):
        fake_broker.plant("raw_reply", method=method, reply=json.dumps({"brokerTokenResponse": reply}))
    return fake_broker


@pytest.fixture
async def client(bearer_for_pop: RunningFake) -> AsyncIterator[BrokerClient]:
    async with BrokerClient(CLIENT_ID) as client:
        yield client


async def test_httpx_sends_nothing(client: BrokerClient) -> None:
    async with (
        _serving(lambda asked: Answer()) as site,
        httpx.AsyncClient(auth=BrokerAuth(client, [SCOPE], proof_of_possession=True), trust_env=False) as http,
    ):
        with pytest.raises(UnsupportedOperationError) as refused:
            await http.get(f"{site.url}/me")
    assert site.asked == []
    assert TOKEN not in f"{refused.value} {refused.value!r}"


async def test_there_is_no_header(client: BrokerClient) -> None:
    with pytest.raises(UnsupportedOperationError):
        await authorization_header(client, [SCOPE], method="GET", url=ME)


@pytest.mark.parametrize("may_ask", [True, False])
async def test_the_sdk_gets_no_token(bearer_for_pop: RunningFake, may_ask: bool) -> None:
    options: Any = {"pop": AZURE_POP}  # a key of azure-identity-broker's
    async with BrokerCredential(login_hint=ADA, disable_automatic_authentication=not may_ask) as credential:
        for getting in (
            credential.get_token(SCOPE, pop=AZURE_POP),
            credential.get_token_info(SCOPE, options=options),
            credential.authenticate(scopes=[SCOPE], pop=AZURE_POP),
        ):
            with pytest.raises(ClientAuthenticationError) as refused:
                await getting
            assert isinstance(refused.value.__cause__, UnsupportedOperationError)
            assert not isinstance(refused.value, (AuthenticationRequiredError, CredentialUnavailableError))
    # Asking the user would not mend it: only authenticate, which always asks, did.
    assert len(bearer_for_pop.calls_of(INTERACTIVE)) == 1


@pytest.mark.parametrize(
    "scheme",
    [PopAuthScheme("GET", ME), msal.PopAuthScheme(http_method="GET", url=ME, nonce="a-nonce")],
    ids=["ours", "msals"],
)
async def test_an_application_gets_no_token_and_no_promise(bearer_for_pop: RunningFake, scheme: object) -> None:
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True) as application:
        assert await application.is_pop_supported() is True
        account = (await application.get_accounts())[0]
        assert await application.acquire_token_silent([SCOPE], account, auth_scheme=scheme) is None
        assert await application.is_pop_supported() is False
        silent = await application.acquire_token_silent_with_error([SCOPE], account, auth_scheme=scheme)
        asked = await application.acquire_token_interactive(
            [SCOPE], parent_window_handle=CONSOLE, auth_scheme=scheme, prompt="login"
        )
        bearer = await application.acquire_token_silent([SCOPE], account)
        assert await application.is_pop_supported() is False
    for result in (silent, asked):
        assert result is not None
        assert result["error"] == "broker_error"
        assert TOKEN not in str(result)
    assert bearer is not None
    assert bearer["token_type"] == "bearer"


@pytest.mark.parametrize("way", ["silent first", "prompt", "password"])
async def test_every_way_to_be_refused_takes_the_promise_back(
    bearer_for_pop: RunningFake, fake_broker_config: FakeConfig, way: str
) -> None:
    if way == "password" and fake_broker_config.persona in BROKERS[1:]:
        pytest.skip("Himmelblau gives no token for a password")
    scheme = PopAuthScheme("GET", ME)
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True) as application:
        if way == "password":
            with pytest.warns(DeprecationWarning, match="password"):
                result = await application.acquire_token_by_username_password(
                    ADA, "not-a-real-password-ada", [SCOPE], auth_scheme=scheme
                )
        else:
            result = await application.acquire_token_interactive(
                [SCOPE],
                prompt="login" if way == "prompt" else None,
                parent_window_handle=CONSOLE,
                auth_scheme=scheme,
            )
        assert result["error"] == "broker_error"
        assert await application.is_pop_supported() is False
    assert bool(bearer_for_pop.calls_of(INTERACTIVE)) is (way == "prompt")


@pytest.mark.parametrize("extra", [["--no-interactive"], ["--interactive"]], ids=str)
def test_the_command_prints_no_token(bearer_for_pop: RunningFake, extra: list[str]) -> None:
    command = [sys.executable, "-m", "linuxbroker", "token", "--client-id", CLIENT_ID, "--scope", SCOPE]
    done = subprocess.run(
        [*command, "--pop-method", "GET", "--pop-url", ME, *extra],
        env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": bearer_for_pop.address},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert TOKEN not in done.stderr


STAND_IN = f"""
import json, uuid
import linuxbroker.runtime.pymsalruntime as runtime

asked = runtime.MSALRuntimeAuthParameters("{CLIENT_ID}", "https://login.microsoftonline.com/common")
asked.set_requested_scopes(["{SCOPE}"])
asked.set_redirect_uri("https://login.microsoftonline.com/common/oauth2/nativeclient")
asked.set_pop_params("GET", "graph.microsoft.com", "/v1.0/me", "a-nonce")
seen = []
for ask in (
    lambda done: runtime.signin_silently(asked, str(uuid.uuid4()), done),
    lambda done: runtime.signin_interactively(1, asked, str(uuid.uuid4()), "", done),
):
    data = runtime.CallbackData()
    ask(data.complete)
    assert data.signal.wait(50)
    result = data.result
    seen.append([bool(result.get_error()), result.get_access_token(), result.get_authorization_header()])
print(json.dumps(seen))
"""


def test_the_stand_in_gives_no_token(bearer_for_pop: RunningFake) -> None:
    done = subprocess.run([sys.executable, "-c", STAND_IN], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    seen: list[list[Any]] = json.loads(done.stdout)
    assert [(failed, not token, not header) for failed, token, header in seen] == [(True, True, True)] * 2
