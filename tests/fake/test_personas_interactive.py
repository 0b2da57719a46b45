"""Interactive calls of each persona: accounts, windows, cancellation and the order of calls."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from linuxbroker_fake import FakeConfig, RunningFake
from tests.fake.asking import (
    ADA,
    CPP,
    FAILED,
    GRACE,
    GRAPH,
    HIMMELBLAU,
    JAVA,
    MICROSOFT,
    NEW_HIMMELBLAU,
    NEWEST,
    OLD_HIMMELBLAU,
    Asker,
    bare_error,
    error,
    parameters,
    response,
)

NO_REPLY = "org.freedesktop.DBus.Error.NoReply"
STORAGE = "https://storage.azure.com"

each_of_microsofts = pytest.mark.parametrize("persona", MICROSOFT)
each_himmelblau = pytest.mark.parametrize("persona", HIMMELBLAU)
newest = pytest.mark.parametrize("persona", [NEWEST])
old_himmelblau = pytest.mark.parametrize("persona", [OLD_HIMMELBLAU])
new_himmelblau = pytest.mark.parametrize("persona", [NEW_HIMMELBLAU])


@pytest.fixture
def fake_broker_config(persona: str) -> FakeConfig:
    return FakeConfig.model_validate({"persona": persona})


# Who must be named


@each_of_microsofts
async def test_microsofts_brokers_let_the_user_choose_if_the_request_has_no_account(
    ask: Asker, fake_broker: RunningFake
) -> None:
    fake_broker.set_user("approve", upn=GRACE)
    token = response(await ask.interactively(None, isSignIn=True))
    assert fake_broker.broker.verify_access_token(token["accessToken"])["upn"] == GRACE


@new_himmelblau
@pytest.mark.parametrize("more", [{"isSignIn": True}, {"username": ADA}, {"prompt": "select_account"}])
async def test_himmelblau_4_0_requires_an_account_for_interactive_calls(ask: Asker, more: dict[str, Any]) -> None:
    assert await ask.interactively(None, **more) == (FAILED, "Missing account username in request")


@new_himmelblau
async def test_a_null_account_at_the_root_overrides_auth_parameters_in_interactive_calls(ask: Asker) -> None:
    inside = {"account": None, "authParameters": parameters(await ask.account())}
    assert response(await ask("acquireTokenSilently", inside))
    assert await ask("acquireTokenInteractively", inside) == (FAILED, "Missing account username in request")


@new_himmelblau
async def test_himmelblau_4_0_checks_the_account_after_the_dialog(ask: Asker, fake_broker: RunningFake) -> None:
    account = await ask.account()
    fake_broker.set_user("never")
    asking = asyncio.ensure_future(ask.interactively(account))
    await fake_broker.asked()
    assert fake_broker.answer("approve") == 1
    assert response(await asking)
    fake_broker.set_user("approve")
    stranger = {**account, "username": GRACE}
    assert await ask.interactively(stranger) == {"brokerTokenResponse": bare_error("Invalid request for user!")}


@old_himmelblau
async def test_himmelblau_3_1_opens_no_dialog(ask: Asker, fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    assert response(await ask.interactively(await ask.account()))
    assert await ask.interactively(None, isSignIn=True) == ""


# Windows that are closed, or can't be opened


@each_of_microsofts
async def test_a_closed_window_is_user_canceled(ask: Asker, fake_broker: RunningFake, persona: str) -> None:
    fake_broker.set_user("cancel")
    reply = await ask.interactively(await ask.account())
    assert error(reply)["status"] == 7
    if persona == NEWEST:
        canceled = {
            "context": "The InteractiveRequest was canceled by the user",
            "errorCode": 0,
            "status": 7,
            "subStatus": 0,
            "tag": 557155398,
        }
        assert reply == {"brokerTokenResponse": {"error": canceled}}
    assert (error(reply)["tag"] == 557155398) == (persona in (CPP, NEWEST))


@new_himmelblau
async def test_a_closed_pinentry_dialog_is_a_dbus_error(ask: Asker, fake_broker: RunningFake) -> None:
    fake_broker.set_user("cancel")
    reply = await ask.interactively(await ask.account())
    assert reply == (FAILED, "Interactive authentication failed: PAM_ABORT")


@each_of_microsofts
async def test_without_a_display_microsofts_brokers_crash(ask: Asker, fake_broker: RunningFake) -> None:
    account = await ask.account()
    fake_broker.plant("no_display")
    assert response(await ask.silently(account))
    for _ in range(2):
        assert (await ask.interactively(account))[0] == NO_REPLY
        fake_broker.start_broker()


@new_himmelblau
async def test_without_a_display_himmelblau_4_0_answers_with_a_dbus_error(ask: Asker, fake_broker: RunningFake) -> None:
    fake_broker.plant("no_display")
    text = "No interactive prompt available: no graphical session or pinentry binary found"
    assert await ask.interactively(await ask.account()) == (FAILED, text)


@old_himmelblau
async def test_himmelblau_3_1_needs_no_display(ask: Asker, fake_broker: RunningFake) -> None:
    fake_broker.plant("no_display")
    assert response(await ask.interactively(await ask.account()))


# An interactive call that needs no window


def _scopes(resource: str) -> dict[str, Any]:
    return {"requestedScopes": [f"{resource}/.default"]}


@newest
async def test_3_0_needs_no_window_after_a_refused_silent_call(ask: Asker, fake_broker: RunningFake) -> None:
    account = await ask.account()
    fake_broker.set_user("never")
    fake_broker.plant("silent_refused", scopes=[f"{GRAPH}/User.Read"])
    assert "token_expired" in error(await ask.silently(account, **_scopes(GRAPH)))["context"]
    assert response(await ask.silently(account, **_scopes(STORAGE))), "one resource is refused, others work"
    assert response(await ask.interactively(account, **_scopes(GRAPH))), "nothing is shown"
    assert fake_broker.broker.screen.open_windows == 0
    assert response(await ask.silently(account, **_scopes(GRAPH))), "the silent call works again"


@newest
async def test_3_0_needs_one_interactive_call_for_each_refused_resource(ask: Asker, fake_broker: RunningFake) -> None:
    account = await ask.account()
    fake_broker.set_user("never")
    fake_broker.plant("silent_refused", account=ADA)
    for resource in (GRAPH, STORAGE):
        assert error(await ask.silently(account, **_scopes(resource)))
        assert response(await ask.interactively(account, **_scopes(resource)))
        assert response(await ask.silently(account, **_scopes(resource)))


@newest
@pytest.mark.parametrize("more", [{"prompt": "login"}, {"prompt": "select_account"}, {"account": None}])
async def test_3_0_opens_a_window_for_a_prompt_or_a_missing_account(
    ask: Asker, fake_broker: RunningFake, more: dict[str, Any]
) -> None:
    account = await ask.account()
    fake_broker.plant("silent_refused")
    fake_broker.set_user("never")
    asking = asyncio.ensure_future(ask.interactively(**{"account": account, **more}))
    await fake_broker.asked()
    fake_broker.answer("approve")
    assert response(await asking)
    assert response(await ask.silently(account))


@newest
async def test_3_0_opens_a_window_if_no_silent_call_was_refused(ask: Asker, fake_broker: RunningFake) -> None:
    fake_broker.set_user("cancel")
    assert error(await ask.interactively(await ask.account()))["status"] == 7


@pytest.mark.parametrize("persona", [JAVA, CPP, NEW_HIMMELBLAU])
async def test_other_brokers_open_a_window_after_a_refused_silent_call(ask: Asker, fake_broker: RunningFake) -> None:
    account = await ask.account()
    fake_broker.plant("silent_refused")
    assert error(await ask.silently(account))
    asking = asyncio.ensure_future(ask.interactively(account))
    assert response(await asking)
    assert response(await ask.silently(account))
    fake_broker.set_user("cancel")
    fake_broker.plant("silent_refused")
    reply = await ask.interactively(account)
    assert isinstance(reply, tuple) or error(reply)["status"] == 7


# One call at a time


@each_himmelblau
async def test_himmelblau_handles_one_call_at_a_time(ask: Asker, fake_broker: RunningFake) -> None:
    fake_broker.plant("slow", method="getAccounts", delay=0.2, times=1)
    slow = asyncio.ensure_future(ask("getAccounts", ""))
    await fake_broker.called("getAccounts")
    assert await ask("getLinuxBrokerVersion", "")
    assert slow.done()


@each_of_microsofts
async def test_microsofts_brokers_handle_calls_concurrently(ask: Asker, fake_broker: RunningFake) -> None:
    fake_broker.plant("hang", method="getAccounts", times=1)
    hanging = asyncio.ensure_future(ask("getAccounts", {}))
    await fake_broker.called("getAccounts")
    assert await ask("getLinuxBrokerVersion", {})
    hanging.cancel()


@new_himmelblau
async def test_himmelblau_4_0_handles_a_cancel_only_after_the_dialog(ask: Asker, fake_broker: RunningFake) -> None:
    account = await ask.account()
    fake_broker.set_user("never")
    asking = asyncio.ensure_future(ask.interactively(account))
    await fake_broker.asked()
    cancel = asyncio.ensure_future(ask("cancelInteractiveFlow", {}))
    await fake_broker.called("cancelInteractiveFlow")
    await asyncio.sleep(0.05)
    assert not cancel.done() and fake_broker.broker.screen.open_windows == 1
    fake_broker.answer("approve")
    assert response(await asking)
    assert await cancel == bare_error("Not implemented")


@each_himmelblau
async def test_reset_lets_himmelblau_handle_the_next_call(ask: Asker, fake_broker: RunningFake) -> None:
    fake_broker.plant("hang", times=1)
    hanging = asyncio.ensure_future(ask("getAccounts", ""))
    await fake_broker.called("getAccounts")
    fake_broker.reset()
    assert await ask("getLinuxBrokerVersion", "")
    hanging.cancel()
