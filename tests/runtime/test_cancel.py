"""Calls of the replacement runtime cancelled at every stage: the callback is called once."""

from __future__ import annotations

import pytest

from linuxbroker_fake import RunningFake
from tests.runtime.conftest import Run

# Starts a call, and cancels it when what is in `ready` says so.
CANCEL = """
results, done = [], threading.Event()
def callback(result):
    results.append(status(result))
    done.set()
{start}
{ready}
handle.cancel_async_operation()
handle.cancel_async_operation()
assert done.wait(50)
handle.cancel_async_operation()
# Another call on the same loop ends after whatever is left of the cancelled one.
call(runtime.read_account_by_id, "00000000-0000-0000-0000-0000000000a1", new_id())
print(json.dumps(results))
"""
SILENT = "handle = runtime.signin_silently(parameters(), new_id(), callback)"
INTERACTIVE = "handle = runtime.signin_interactively(1, parameters(), new_id(), None, callback)"
EITHER = "handle = runtime.signin(1, parameters(), new_id(), None, callback)"
# The broker got a call: seen from a connection of its own, through the fake's control interface.
CALLED = """
import subprocess
subprocess.run(["dbus-send", "--session", "--print-reply", "--reply-timeout=50000",
    "--dest=com.microsoft.identity.broker1", "/org/linuxbroker/Fake", "org.linuxbroker.Fake1.WaitForCall",
    "string:{member}"], check=True, stdout=subprocess.DEVNULL)
"""


def _cancel(start: str, ready: str = "") -> str:
    return CANCEL.format(start=start, ready=ready)


@pytest.mark.parametrize(
    ("start", "outcome"),
    [(SILENT, "Status_ApplicationCanceled"), (INTERACTIVE, "Status_UserCanceled"), (EITHER, "Status_UserCanceled")],
    ids=["silent", "interactive", "either"],
)
def test_before_anything_was_sent(run: Run, fake_broker: RunningFake, start: str, outcome: str) -> None:
    fake_broker.plant("hang", method="acquireTokenSilently")
    fake_broker.plant("hang", method="acquireTokenInteractively")
    assert run(_cancel(start)).json == [outcome]


def test_while_the_accounts_are_listed(run: Run, fake_broker: RunningFake) -> None:
    fake_broker.plant("hang", method="getAccounts", times=1)
    assert run(_cancel(SILENT, CALLED.format(member="getAccounts"))).json == ["Status_ApplicationCanceled"]
    assert fake_broker.calls_of("acquireTokenSilently") == []


def test_while_the_broker_is_at_it(run: Run, fake_broker: RunningFake) -> None:
    fake_broker.plant("hang", method="acquireTokenSilently")
    ready = CALLED.format(member="acquireTokenSilently")
    assert run(_cancel(SILENT, ready)).json == ["Status_ApplicationCanceled"]


def test_in_the_silent_part_of_a_sign_in(run: Run, fake_broker: RunningFake) -> None:
    fake_broker.plant("hang", method="acquireTokenSilently")
    ready = CALLED.format(member="acquireTokenSilently")
    assert run(_cancel(EITHER, ready)).json == ["Status_UserCanceled"]
    assert fake_broker.calls_of("acquireTokenInteractively", "cancelInteractiveFlow") == []


@pytest.mark.parametrize("start", [INTERACTIVE, EITHER], ids=["interactive", "either"])
def test_while_the_user_is_asked_the_broker_is_told(run: Run, fake_broker: RunningFake, start: str) -> None:
    fake_broker.set_user("never")
    fake_broker.plant("mfa_expired", method="acquireTokenSilently")
    seen = run(_cancel(start, CALLED.format(member="acquireTokenInteractively")))
    assert seen.json == ["Status_UserCanceled"]
    (sign_in,) = fake_broker.calls_of("acquireTokenInteractively")
    (cancellation,) = fake_broker.calls_of("cancelInteractiveFlow")
    assert cancellation.sender == sign_in.sender
    assert cancellation.request["error"]["status"] == 7


def test_after_the_end_nothing_changes(run: Run, fake_broker: RunningFake) -> None:
    assert run(_cancel(SILENT, "assert done.wait(50)")).json == [None]


def test_from_the_callback_itself(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "results, done, handles = [], threading.Event(), []\n"
        "ready = threading.Event()\n"
        "def callback(result):\n"
        "    ready.wait(50)\n"
        "    handles[0].cancel_async_operation()\n"
        "    results.append(status(result))\n"
        "    done.set()\n"
        "handles.append(runtime.signin_silently(parameters(), new_id(), callback))\n"
        "ready.set()\n"
        "assert done.wait(50)\n"
        "print(json.dumps(results))"
    )
    assert seen.json == [None]


def test_another_sign_in_can_follow(run: Run, fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    seen = run(
        "first = runtime.CallbackData()\n"
        "handle = runtime.signin_interactively(1, parameters(), new_id(), None, first.complete)\n"
        + CALLED.format(member="acquireTokenInteractively")
        + "handle.cancel_async_operation()\n"
        "second = runtime.CallbackData()\n"
        "first_outcome = status(wait(first))\n"
        "handle = runtime.signin_interactively(1, parameters(), new_id(), None, second.complete)\n"
        "handle.cancel_async_operation()\n"
        "print(json.dumps([first_outcome, status(wait(second))]))"
    )
    assert seen.json == ["Status_UserCanceled", "Status_UserCanceled"]


def test_200_calls_cancelled_from_200_threads(run: Run, fake_broker: RunningFake) -> None:
    fake_broker.plant("slow", method="acquireTokenSilently", delay=0.05)
    seen = run(
        "results, lock = [], threading.Lock()\n"
        "def one():\n"
        "    data = runtime.CallbackData()\n"
        "    handle = runtime.signin_silently(parameters(), new_id(), data.complete)\n"
        "    handle.cancel_async_operation()\n"
        "    outcome = status(wait(data))\n"
        "    with lock:\n"
        "        results.append(outcome)\n"
        "threads = [threading.Thread(target=one) for _ in range(200)]\n"
        "for thread in threads:\n"
        "    thread.start()\n"
        "for thread in threads:\n"
        "    thread.join()\n"
        "print(json.dumps([len(results), sorted({str(outcome) for outcome in results})]))"
    ).json
    assert seen[0] == 200
    assert set(seen[1]) <= {"None", "Status_ApplicationCanceled"}
