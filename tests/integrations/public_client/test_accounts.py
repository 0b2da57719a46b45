"""The accounts that an application gets, how they are told apart, and how they are signed out."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msal
import pytest

from linuxbroker import BrokerError, PublicClientApplication
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID
from tests.integrations.public_client.login_host import LoginHost

SCOPE = "https://storage.azure.com/.default"
ADA, GRACE = "ada@contoso.example", "grace@fabrikam.example"
CONTOSO, FABRIKAM = "00000000-0000-0000-0000-0000000000f1", "00000000-0000-0000-0000-0000000000f2"


@pytest.fixture
async def application(fake_broker: RunningFake) -> AsyncIterator[PublicClientApplication]:
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True) as application:
        yield application


def _cache_with(**account: str | None) -> msal.TokenCache:
    """MSAL's token cache after a sign-in without a broker."""
    known: dict[str, str | None] = {
        "home_account_id": "babbage.contoso",
        "environment": "login.microsoftonline.com",
        "realm": "contoso",
        "local_account_id": "babbage",
        "username": "babbage@contoso.example",
        "authority_type": "MSSTS",
        "account_source": "authorization_code",
        **account,
    }
    cache = msal.SerializableTokenCache()
    key = "-".join(str(known[part]) for part in ("home_account_id", "environment", "realm"))
    cache.deserialize(json.dumps({"Account": {key: known}}))
    return cache


async def test_accounts_are_the_brokers_and_have_msals_keys(application: PublicClientApplication) -> None:
    accounts = await application.get_accounts()
    assert {(account["username"], account["realm"]) for account in accounts} == {
        (ADA, CONTOSO),
        (ADA, FABRIKAM),
        (GRACE, FABRIKAM),
    }
    assert accounts[0] == {
        "home_account_id": f"00000000-0000-0000-0000-0000000000a1.{CONTOSO}",
        "environment": "login.microsoftonline.com",
        "username": ADA,
        "account_source": "broker",
        "authority_type": "MSSTS",
        "local_account_id": "00000000-0000-0000-0000-0000000000a1",
        "realm": CONTOSO,
    }


async def test_accounts_of_one_upn(application: PublicClientApplication) -> None:
    assert {account["username"] for account in await application.get_accounts(ADA.upper())} == {ADA}
    assert await application.get_accounts("nobody@contoso.example") == []


async def test_accounts_with_one_upn_are_told_apart_by_tenant(
    application: PublicClientApplication, fake_broker: RunningFake
) -> None:
    for account in await application.get_accounts(ADA):
        result = await application.acquire_token_silent([SCOPE], account)
        assert result is not None
        assert fake_broker.broker.verify_access_token(result["access_token"])["tid"] == account["realm"]
        assert result["id_token_claims"]["tid"] == account["realm"]


async def test_an_account_that_msal_wrote_down_is_found_again(
    application: PublicClientApplication, fake_broker: RunningFake
) -> None:
    (home,) = (account for account in await application.get_accounts(ADA) if account["realm"] == CONTOSO)
    result = await application.acquire_token_silent([SCOPE], {**home, "realm": "organizations"})
    assert result is not None and result["id_token_claims"]["tid"] == CONTOSO


async def test_removing_an_account_signs_the_user_out_in_every_tenant(
    application: PublicClientApplication, fake_broker: RunningFake
) -> None:
    account = (await application.get_accounts(ADA))[0]
    await application.remove_account(account)
    assert {each["username"] for each in await application.get_accounts()} == {GRACE}
    assert await application.acquire_token_silent([SCOPE], account) is None
    await application.remove_account(account)


async def test_failures_to_list_and_to_remove_are_raised(
    application: PublicClientApplication, fake_broker: RunningFake
) -> None:
    account = (await application.get_accounts(ADA))[0]
    fake_broker.plant("no_network", method="removeAccount")
    with pytest.raises(BrokerError):
        await application.remove_account(account)
    fake_broker.plant("no_network", method="getAccounts", times=2)
    with pytest.raises(BrokerError):
        await application.get_accounts()


async def test_accounts_of_the_token_cache_are_listed_after_the_brokers(
    fake_broker: RunningFake, tmp_path: Path
) -> None:
    async with (
        LoginHost().running(tmp_path) as host,
        host.application(token_cache=_cache_with(environment="127.0.0.1"), enable_broker_on_linux=True) as application,
    ):
        assert [account["username"] for account in await application.get_accounts()][-1] == "babbage@contoso.example"
        (babbage,) = await application.get_accounts("Babbage@contoso.example")
        await application.remove_account(babbage)
        assert await application.get_accounts("babbage@contoso.example") == []
    assert fake_broker.calls_of("removeAccount") == []


@pytest.mark.parametrize(
    "account",
    [
        {"environment": "login.microsoftonline.us"},
        {"environment": "adfs.contoso.example", "authority_type": "ADFS"},
        {"account_source": "broker"},
    ],
    ids=["of another cloud", "of AD FS", "of a broker, which lists them itself"],
)
async def test_accounts_of_the_token_cache_that_are_not_listed(
    account: dict[str, str], fake_broker: RunningFake
) -> None:
    async with PublicClientApplication(
        CLIENT_ID, enable_broker_on_linux=True, token_cache=_cache_with(**account)
    ) as application:
        assert {each["username"] for each in await application.get_accounts()} == {ADA, GRACE}


class _NotedCache:
    """MSAL's token cache, with a note of the threads that search it: a cache in a file or a keyring blocks them."""

    CredentialType = msal.TokenCache.CredentialType

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self._cache = msal.TokenCache()

    def search(self, *args: Any, **kwargs: Any) -> Any:
        self.threads.append(threading.current_thread())
        return self._cache.search(*args, **kwargs)


async def test_the_token_cache_is_searched_beside_the_loop(fake_broker: RunningFake) -> None:
    cache = _NotedCache()
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True, token_cache=cache) as application:
        account = (await application.get_accounts(ADA))[0]
        assert await application.acquire_token_silent([SCOPE], {"home_account_id": "nobody"}) is None
        await application.remove_account(account)
    assert len(cache.threads) == 3 and threading.current_thread() not in cache.threads


async def test_the_broker_signs_out_where_the_login_host_is_away(fake_broker: RunningFake) -> None:
    async with PublicClientApplication(CLIENT_ID, enable_broker_on_linux=True) as application:
        ada = (await application.get_accounts(ADA))[0]
    cache = _cache_with(environment="127.0.0.1", home_account_id=ada["home_account_id"], account_source=None)
    async with PublicClientApplication(
        CLIENT_ID,
        authority="https://127.0.0.1:1/contoso.example",
        instance_discovery=False,
        token_cache=cache,
        enable_broker_on_linux=True,
    ) as application:
        with pytest.raises(OSError, match=r"127\.0\.0\.1"):
            await application.remove_account({**ada, "account_source": None, "environment": "127.0.0.1"})
    assert fake_broker.calls_of("removeAccount") != []


async def test_tokens_are_not_kept(application: PublicClientApplication, fake_broker: RunningFake) -> None:
    account = (await application.get_accounts(ADA))[0]
    fake_broker.clear_calls()
    for _ in range(2):
        result = await application.acquire_token_silent([SCOPE], account)
        assert result is not None and result["token_source"] == "broker"
    assert len(fake_broker.calls_of("acquireTokenSilently")) == 2
    assert list(application.token_cache.search(msal.TokenCache.CredentialType.ACCESS_TOKEN)) == []
