"""Hosts, authorities and accounts of the sovereign clouds: what belongs to one cloud goes to that cloud."""

from __future__ import annotations

import json

import pytest

from linuxbroker import Account, BrokerClient, InvalidArgumentError
from linuxbroker.tokens.authority import (
    authority_for_realm,
    is_commercial,
    is_known_host,
    is_tenant,
    known_host,
    preferred_host,
    sovereign_host,
)
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID, CONTOSO

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


COMMERCIAL = "https://login.microsoftonline.com"
TENANTS = [
    CONTOSO,
    CONTOSO.upper(),
    "contoso.example",
    "Contoso.onmicrosoft.com",
    "a.b-c.example",
    "xn--bcher-kva.example",
]
NO_TENANTS = {
    "nothing": "",
    "a name": "contoso",
    "a name for any tenant": "organizations",
    "a name for personal accounts": "consumers",
    "another protocol": "adfs",
    "dots": "..",
    "a dot in front": ".contoso.example",
    "a dot behind": "contoso.example.",
    "two dots": "contoso..example",
    "a hyphen in front": "-contoso.example",
    "a hyphen behind": "contoso-.example",
    "a path": "contoso.example/..",
    "a query": "contoso.example?a=b",
    "a fragment": "contoso.example#a",
    "a port": "contoso.example:443",
    "a user": "ada@contoso.example",
    "a backslash": "contoso.example\\",
    "escapes": "contoso%2eexample",
    "other letters": "b\u00fccher.example",
    "other digits": CONTOSO.replace("1", "\u0661"),
    "a ligature": "f\ufb00.example",
    "a full stop of another script": "contoso\u3002example",
    "an underscore": "con_toso.example",
    "a line break": "contoso.example\n",
    "a blank": " contoso.example",
    "an address": "127.0.0.1",
    "an address in hexadecimal": "0x7f.1",
    "an address of version 6": "[::1]",
    "a label that is too long": "a" * 64 + ".example",
    "a domain that is too long": "a." * 124 + "example",
    "an id in braces": f"{{{CONTOSO}}}",
    "an id and more": f"{CONTOSO}-",
}


@pytest.mark.parametrize("realm", TENANTS)
def test_an_id_or_a_domain_takes_the_place_of_any_tenant(realm: str) -> None:
    assert is_tenant(realm)
    for tenant in ("common", "organizations", "Common", "ORGANIZATIONS", "common/"):
        assert authority_for_realm(f"{COMMERCIAL}/{tenant}", realm) == f"{COMMERCIAL}/{realm}"


@pytest.mark.parametrize("tenant", ["consumers", "Consumers", CONTOSO, "fabrikam.example", "common.example", "adfs"])
def test_an_authority_that_names_whose_accounts_it_is_for_is_kept(tenant: str) -> None:
    assert authority_for_realm(f"{COMMERCIAL}/{tenant}", TENANTS[0]) == f"{COMMERCIAL}/{tenant}"


@pytest.mark.parametrize("realm", NO_TENANTS.values(), ids=NO_TENANTS)
def test_a_realm_that_is_neither_an_id_nor_a_domain_is_no_part_of_an_authority(realm: str) -> None:
    assert not is_tenant(realm)
    assert authority_for_realm(f"{COMMERCIAL}/common", realm) == f"{COMMERCIAL}/common"


@pytest.mark.parametrize("host", ["login.windows.net", "LOGIN.Microsoftonline.com", "sts.windows.net"])
def test_a_login_host_is_known_in_any_case(host: str) -> None:
    assert is_known_host(host)
    assert preferred_host(host) == known_host(host, "login.other.example") == "login.microsoftonline.com"
    assert is_commercial(f"https://{host}/common")
    assert sovereign_host(host) == ""
    assert sovereign_host(SOVEREIGN.upper()) == SOVEREIGN


@pytest.mark.parametrize(
    "host",
    [
        "",
        "login.evil.example",
        "login.microsoftonline.com.",
        "login.microsoftonline.com:443",
        "login.microsoftonline.com:",
        "ada@login.microsoftonline.com",
        "login.microsoftonline.com@evil.example",
        "login.microsoftonline.com.evil.example",
        "login.microsoftonline.com/..",
        "login.microsoftonline.com\\",
        "login.microsoftonline.com\n",
        " login.microsoftonline.com",
        "login%2emicrosoftonline.com",
        "login.micro\u017foftonline.com",
        "login.microsoftonl\u0131ne.com",
        "login\u3002microsoftonline.com",
        "https://login.microsoftonline.com",
        "-login.microsoftonline.com",
        "login.microsoftonline.us.",
        "127.0.0.1",
        "a" * 100_000,
    ],
)
def test_what_merely_looks_like_a_login_host_is_none(host: str) -> None:
    assert not is_known_host(host)
    assert known_host(host, "login.other.example") == "login.other.example"
    assert sovereign_host(host) == ""
    assert preferred_host(host) == host


@pytest.mark.parametrize(
    "environment", ["login.evil.example", "login.microsoftonline.us.", "login.microsoftonline.us:443"]
)
async def test_no_other_host_of_an_account_is_asked(fake_broker: RunningFake, environment: str) -> None:
    async with BrokerClient(CLIENT_ID) as client:
        account = await listed(client, environment)
        await client.acquire_token_silent(["https://graph.microsoft.com/User.Read"], account)
        await client.acquire_prt_sso_cookie(account)
    for call in fake_broker.calls_of("acquireTokenSilently", "acquirePrtSsoCookie"):
        assert call.request["authParameters"]["authority"].startswith("https://login.microsoftonline.com/")
