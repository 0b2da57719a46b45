"""Does what belongs to one cloud go to that cloud?"""

from __future__ import annotations

import json

import pytest

from linuxbroker import Account, BrokerClient, InvalidArgumentError
from linuxbroker_fake import RunningFake

CLIENT_ID = "00000000-0000-0000-0000-00000000c11e"
SCOPES = ["https://graph.microsoft.us/User.Read"]
SOVEREIGN = "login.microsoftonline.us"


async def listed(client: BrokerClient, environment: str) -> Account:
    account = await client.get_account("ada@contoso.example")
    assert account is not None
    return account.in_environment(environment)


@pytest.mark.parametrize(
    ("authority", "environment", "host"),
    [
        ("https://login.microsoftonline.com/common", "login.windows.net", "login.microsoftonline.com"),
        ("https://login.microsoftonline.com/common", SOVEREIGN, SOVEREIGN),
        ("https://login.microsoftonline.com/common", "login.usgovcloudapi.net", SOVEREIGN),
        (f"https://{SOVEREIGN}/common", SOVEREIGN, SOVEREIGN),
        (f"https://{SOVEREIGN}/common", "login.windows.net", SOVEREIGN),
        (f"https://{SOVEREIGN}/common", "login.evil.example", SOVEREIGN),
        ("https://login.microsoftonline.com/common", "login.evil.example", "login.microsoftonline.com"),
    ],
)
async def test_a_cookie_is_asked_for_the_login_host_of_the_accounts_cloud(
    fake_broker: RunningFake, authority: str, environment: str, host: str
) -> None:
    async with BrokerClient(CLIENT_ID, authority=authority) as client:
        await client.acquire_prt_sso_cookie(await listed(client, environment))
    (call,) = fake_broker.calls_of("acquirePrtSsoCookie")
    assert call.request["ssoUrl"] == call.request["authParameters"]["ssoUrl"] == f"https://{host}/"
    assert call.request["authParameters"]["authority"] == f"https://{host}/common"


async def test_a_url_that_is_given_is_kept(fake_broker: RunningFake) -> None:
    url = "https://login.microsoftonline.com/?sso_nonce=n"
    async with BrokerClient(CLIENT_ID) as client:
        await client.acquire_prt_sso_cookie(await listed(client, SOVEREIGN), url)
    (call,) = fake_broker.calls_of("acquirePrtSsoCookie")
    assert call.request["ssoUrl"] == url


async def test_an_account_of_a_sovereign_cloud_at_the_commercial_authority_is_refused(fake_broker: RunningFake) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        account = await listed(client, SOVEREIGN)
        for ask in (
            client.acquire_token_silent(SCOPES, account),
            client.acquire_token_interactive(SCOPES, account=account),
        ):
            with pytest.raises(InvalidArgumentError, match=r"use https://login\.microsoftonline\.us/common"):
                await ask
        await client.acquire_token_silent(SCOPES, account, authority=f"https://{SOVEREIGN}/common")
    listed_there = json.dumps({"accounts": [account.model_dump(by_alias=True)]})
    fake_broker.plant("raw_reply", method="getAccounts", reply=listed_there)
    async with BrokerClient(CLIENT_ID) as client:
        for ask in (client.acquire_token_silent(SCOPES), client.sign_in_silent(SCOPES)):
            with pytest.raises(InvalidArgumentError, match=r"use https://login\.microsoftonline\.us/"):
                await ask
    (call,) = fake_broker.calls_of("acquireTokenSilently", "acquireTokenInteractively")
    assert call.request["authParameters"]["authority"].startswith(f"https://{SOVEREIGN}/")
