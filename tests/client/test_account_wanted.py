"""Sign-ins without an account at a broker that must be told one: the account that is chosen, and the errors."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from linuxbroker import (
    AccountRequiredError,
    BrokerClient,
    BrokerTimeoutError,
    InteractionRequiredError,
    Timeouts,
    UserCanceledError,
)
from linuxbroker_fake import RunningFake
from tests.constants import CLIENT_ID, SCOPES

INTERACTIVE = "acquireTokenInteractively"
REFUSALS: dict[str, dict[str, Any]] = {
    "a D-Bus error": {"kind": "dbus_error", "context": "Missing account username in request"},
    "a reply": {"kind": "status", "status": 0, "context": "Missing account"},
    "nothing": {"kind": "raw_reply", "reply": ""},
}


def account(username: str, user: str = "a1", tenant: str = "f1") -> dict[str, str]:
    object_id, realm = (f"00000000-0000-0000-0000-0000000000{end}" for end in (user, tenant))
    return {
        "homeAccountId": f"00000000-0000-0000-0000-0000000000{user}.00000000-0000-0000-0000-0000000000f1",
        "localAccountId": object_id,
        "realm": realm,
        "username": username,
    }


ADA, ADA_ELSEWHERE = account("ada@contoso.example"), account("ada@contoso.example", tenant="f2")
GRACE = account("grace@fabrikam.example", "a2")


def lists(fake: RunningFake, *accounts: dict[str, str]) -> None:
    fake.plant("raw_reply", method="getAccounts", reply=json.dumps({"accounts": accounts}))


@pytest.fixture(params=list(REFUSALS))
def refusal(request: pytest.FixtureRequest) -> dict[str, Any]:
    return REFUSALS[str(request.param)]


async def test_it_goes_out_once_more_with_the_only_users_account(
    fake_broker: RunningFake, refusal: dict[str, Any]
) -> None:
    lists(fake_broker, ADA_ELSEWHERE, ADA)
    fake_broker.plant(**refusal, method=INTERACTIVE, times=1)
    async with BrokerClient(CLIENT_ID) as client:
        token = await client.acquire_token_interactive(SCOPES)
    assert token.account is not None
    assert token.account.username == "ada@contoso.example"
    first, listed, second = fake_broker.calls
    assert (first.member, listed.member, second.member) == (INTERACTIVE, "getAccounts", INTERACTIVE)
    assert len({call.correlation_id for call in fake_broker.calls}) == 1
    asked = first.request["authParameters"]
    assert (asked["account"], asked["username"], asked["isSignIn"]) == (None, "", True)
    asked = second.request["authParameters"]
    assert asked["account"]["realm"] == ADA["realm"]
    assert (asked["username"], "isSignIn" in asked) == ("ada@contoso.example", False)
    assert asked["authority"] == f"https://login.microsoftonline.com/{ADA['realm']}"


async def test_with_several_users_the_error_names_them_and_the_argument(
    fake_broker: RunningFake, refusal: dict[str, Any]
) -> None:
    lists(fake_broker, ADA, GRACE)
    fake_broker.plant(**refusal, method=INTERACTIVE)
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises(AccountRequiredError, match="account=") as caught:
            await client.acquire_token_interactive(SCOPES)
    assert caught.value.usernames == ("ada@contoso.example", "grace@fabrikam.example")
    assert all(name in str(caught.value) for name in caught.value.usernames)
    assert len(fake_broker.calls_of(INTERACTIVE)) == 1


async def test_a_hint_finds_the_account_among_several(fake_broker: RunningFake, refusal: dict[str, Any]) -> None:
    lists(fake_broker, GRACE, ADA)
    fake_broker.plant(**refusal, method=INTERACTIVE, times=1)
    async with BrokerClient(CLIENT_ID) as client:
        await client.acquire_token_interactive(SCOPES, login_hint="ADA@contoso.example")
    _, second = fake_broker.calls_of(INTERACTIVE)
    assert second.request["authParameters"]["account"]["username"] == "ada@contoso.example"


@pytest.mark.parametrize("wanted", [{"login_hint": "somebody@else.example"}, {"prompt": "select_account"}])
async def test_nobody_is_put_in_the_place_of_somebody_else(
    fake_broker: RunningFake, refusal: dict[str, Any], wanted: dict[str, Any]
) -> None:
    lists(fake_broker, ADA)
    fake_broker.plant(**refusal, method=INTERACTIVE)
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises((AccountRequiredError, InteractionRequiredError)):
            await client.acquire_token_interactive(SCOPES, **wanted)
    assert len(fake_broker.calls_of(INTERACTIVE)) == 1


async def test_where_nobody_is_listed_the_user_has_to_sign_in(
    fake_broker: RunningFake, refusal: dict[str, Any]
) -> None:
    lists(fake_broker)
    fake_broker.plant(**refusal, method=INTERACTIVE)
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises(InteractionRequiredError, match="no account is signed in"):
            await client.acquire_token_interactive(SCOPES)


async def test_another_failure_is_not_asked_again(fake_broker: RunningFake) -> None:
    fake_broker.set_user("cancel")
    async with BrokerClient(CLIENT_ID) as client:
        with pytest.raises(UserCanceledError):
            await client.acquire_token_interactive(SCOPES)
    assert len(fake_broker.calls_of(INTERACTIVE)) == 1


async def test_the_owner_is_remembered_until_another_takes_the_name(
    fake_broker: RunningFake, refusal: dict[str, Any]
) -> None:
    lists(fake_broker, ADA)
    fake_broker.plant(**refusal, method=INTERACTIVE, times=1)
    async with BrokerClient(CLIENT_ID) as client:
        await client.acquire_token_interactive(SCOPES)
        fake_broker.clear_calls()
        await client.acquire_token_interactive(SCOPES)
        assert [call.member for call in fake_broker.calls] == ["getAccounts", INTERACTIVE]
        fake_broker.restart_broker()
        fake_broker.clear_calls()
        await client.acquire_token_interactive(SCOPES)
        (call,) = fake_broker.calls
        assert call.request["authParameters"]["account"] is None


async def test_sign_ins_of_one_connection_are_asked_one_by_one(fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    async with BrokerClient(CLIENT_ID) as one, BrokerClient("00000000-0000-0000-0000-00000000c12e") as other:
        first = asyncio.ensure_future(one.acquire_token_interactive(SCOPES))
        await fake_broker.called(INTERACTIVE)
        assert one.waiting_sign_ins == 0
        second = asyncio.ensure_future(other.acquire_token_interactive(SCOPES))
        await other.get_accounts()
        assert len(fake_broker.calls_of(INTERACTIVE)) == 1
        assert one.waiting_sign_ins == other.waiting_sign_ins == 1
        first.cancel()
        await fake_broker.called(INTERACTIVE, 2)
        assert first.cancelled()
        assert other.waiting_sign_ins == 0
        fake_broker.answer("approve")
        assert (await second).access_token


async def test_sign_ins_that_are_begun_together_wait_for_the_first_of_them(fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    async with BrokerClient(CLIENT_ID) as client:
        sign_ins = [asyncio.ensure_future(client.acquire_token_interactive(SCOPES)) for _ in range(3)]
        await fake_broker.asked()
        await client.get_accounts()
        assert client.waiting_sign_ins == 2
        for sign_in in sign_ins:
            sign_in.cancel()
        await asyncio.wait(sign_ins)
        assert client.waiting_sign_ins == 0


async def test_the_next_sign_in_waits_for_the_end_of_one_that_is_cancelled_twice(fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    fake_broker.plant("object_missing", method="cancelInteractiveFlow", times=2)
    async with BrokerClient(CLIENT_ID) as client:
        first = asyncio.ensure_future(client.acquire_token_interactive(SCOPES))
        await fake_broker.asked()
        second = asyncio.ensure_future(client.acquire_token_interactive(SCOPES))
        await client.get_accounts()
        first.cancel()
        await fake_broker.called("cancelInteractiveFlow")
        first.cancel()
        await asyncio.wait({first}, timeout=30)
        await fake_broker.called(INTERACTIVE, 2)
        assert [call.member for call in fake_broker.calls][-4:] == [*["cancelInteractiveFlow"] * 3, INTERACTIVE]
        assert client.waiting_sign_ins == 0
        fake_broker.answer("approve")
        assert (await second).access_token


async def test_waiting_for_the_turn_has_the_limit_of_a_sign_in(fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    async with BrokerClient(CLIENT_ID) as one, BrokerClient(CLIENT_ID, timeouts=Timeouts(interactive=0.05)) as other:
        first = asyncio.ensure_future(one.acquire_token_interactive(SCOPES))
        await fake_broker.asked()
        with pytest.raises(BrokerTimeoutError, match="another sign-in of this program"):
            await other.acquire_token_interactive(SCOPES)
        fake_broker.answer("approve")
        await first
    assert len(fake_broker.calls_of(INTERACTIVE)) == 1


async def test_a_guests_other_name_is_no_other_user(fake_broker: RunningFake, refusal: dict[str, Any]) -> None:
    guest = {**ADA_ELSEWHERE, "username": "ada_contoso.example#EXT#@fabrikam.example"}
    lists(fake_broker, guest, ADA)
    fake_broker.plant(**refusal, method=INTERACTIVE, times=1)
    async with BrokerClient(CLIENT_ID) as client:
        await client.acquire_token_interactive(SCOPES)
    _, second = fake_broker.calls_of(INTERACTIVE)
    assert second.request["authParameters"]["account"]["username"] == "ada@contoso.example"


async def test_a_sign_in_is_asked_again_where_the_brokers_object_comes_late(fake_broker: RunningFake) -> None:
    fake_broker.plant("object_missing", method=INTERACTIVE, times=2)
    async with BrokerClient(CLIENT_ID) as client:
        assert (await client.acquire_token_interactive(SCOPES)).access_token


async def test_a_sign_in_that_waits_for_its_turn_can_be_cancelled(fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    async with BrokerClient(CLIENT_ID) as client:
        first = asyncio.ensure_future(client.acquire_token_interactive(SCOPES))
        await fake_broker.asked()
        second = asyncio.ensure_future(client.acquire_token_interactive(SCOPES))
        await client.get_accounts()
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        fake_broker.answer("approve")
        await first
    assert len(fake_broker.calls_of(INTERACTIVE)) == 1
    assert not fake_broker.calls_of("cancelInteractiveFlow")
