"""Processes that end with calls of the replacement runtime in flight: they end, with no output."""

from __future__ import annotations

import pytest

from linuxbroker_fake import RunningFake
from tests.runtime.conftest import Run
from tests.runtime.test_cancel import CALLED

NOTHING = "lambda result: None"


@pytest.mark.parametrize("member", ["getAccounts", "acquireTokenSilently"])
@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise SystemExit(3)", "os._exit(3)"])
def test_with_silent_calls_in_flight(run: Run, fake_broker: RunningFake, member: str, end: str) -> None:
    fake_broker.plant("hang", method=member)
    seen = run(
        f"for _ in range(20):\n    runtime.signin_silently(parameters(), new_id(), {NOTHING})\n"
        + CALLED.format(member=member)
        + end
    )
    assert (seen.code, seen.out, seen.err) == (3 if end else 0, "", "")


def test_with_calls_that_were_never_begun(run: Run, fake_broker: RunningFake) -> None:
    seen = run(f"for _ in range(200):\n    runtime.signin_silently(parameters(), new_id(), {NOTHING})\n")
    assert (seen.code, seen.out, seen.err) == (0, "", "")


def test_with_the_user_being_asked_the_window_is_closed(run: Run, fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    seen = run(
        f"handle = runtime.signin_interactively(1, parameters(), new_id(), None, {NOTHING})\n"
        + CALLED.format(member="acquireTokenInteractively")
    )
    assert (seen.code, seen.out, seen.err) == (0, "", "")
    assert len(fake_broker.calls_of("cancelInteractiveFlow")) == 1


def test_with_a_broker_that_does_not_hear_that_the_window_is_to_be_closed(run: Run, fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    fake_broker.plant("hang", method="cancelInteractiveFlow")
    seen = run(
        f"handle = runtime.signin_interactively(1, parameters(), new_id(), None, {NOTHING})\n"
        + CALLED.format(member="acquireTokenInteractively")
    )
    assert (seen.code, seen.out, seen.err) == (0, "", "")


def test_with_daemon_threads_that_wait(run: Run, fake_broker: RunningFake) -> None:
    fake_broker.plant("hang", method="acquireTokenSilently")
    seen = run(
        "def wait_for_ever():\n"
        "    data = runtime.CallbackData()\n"
        "    runtime.signin_silently(parameters(), new_id(), data.complete)\n"
        "    data.signal.wait()\n"
        "for _ in range(10):\n"
        "    threading.Thread(target=wait_for_ever, daemon=True).start()\n"
        + CALLED.format(member="acquireTokenSilently")
    )
    assert (seen.code, seen.out, seen.err) == (0, "", "")


def test_with_a_callback_that_is_running(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "entered = threading.Event()\n"
        "def callback(result):\n"
        "    entered.set()\n"
        "    threading.Event().wait()\n"
        "runtime.discover_accounts(CLIENT_ID, new_id(), callback)\n"
        "assert entered.wait(50)\n"
    )
    assert (seen.code, seen.out, seen.err) == (0, "", "")


def test_with_a_call_that_is_made_at_the_very_end(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "import atexit\n"
        "class AtTheEnd:\n"
        "    def __del__(self):\n"
        "        try:\n"
        "            runtime.discover_accounts(CLIENT_ID, new_id(), print)\n"
        "        except Exception:\n"
        "            pass\n"
        "kept = AtTheEnd()\n"
        "call(runtime.discover_accounts, CLIENT_ID, new_id())\n"
        f"atexit.register(lambda: runtime.discover_accounts(CLIENT_ID, new_id(), {NOTHING}))\n"
    )
    assert (seen.code, seen.out, seen.err) == (0, "", "")


def test_with_a_call_that_begins_while_the_window_is_being_closed(run: Run, fake_broker: RunningFake) -> None:
    fake_broker.set_user("never")
    fake_broker.plant("hang", method="cancelInteractiveFlow")
    seen = run(
        "def late():\n    "
        + CALLED.format(member="cancelInteractiveFlow").strip().replace("\n", "\n    ")
        + "\n    runtime.discover_accounts(CLIENT_ID, new_id(), print)\n"
        "threading.Thread(target=late, daemon=True).start()\n"
        f"runtime.signin_interactively(1, parameters(), new_id(), None, {NOTHING})\n"
        + CALLED.format(member="acquireTokenInteractively")
    )
    assert (seen.code, seen.out, seen.err) == (0, "", "")
