"""The replacement runtime in a forked child and in its parent: both go on working."""

from __future__ import annotations

import pytest

from linuxbroker_fake import RunningFake
from tests.runtime.conftest import Run
from tests.runtime.test_cancel import CALLED

# A fork in a program with threads is what is tested; Python 3.12 warns of it.
QUIET = ("-W", "ignore::DeprecationWarning")
FORK = """
def in_child(work):
    sys.stdout.flush()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, json.dumps(work()).encode())
        finally:
            os.close(writing)
            {end}
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0
    return json.loads(said)

def count():
    return len(call(runtime.discover_accounts, CLIENT_ID, new_id()).get_accounts())
"""


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)"])
def test_a_child_calls_on_a_loop_and_a_connection_of_its_own(run: Run, fake_broker: RunningFake, end: str) -> None:
    seen = run(FORK.format(end=end) + "print(json.dumps([count(), in_child(count), count(), in_child(count)]))", *QUIET)
    assert seen.json == [2, 2, 2, 2]
    senders = [call.sender for call in fake_broker.calls_of("getAccounts")]
    assert senders[0] == senders[2]
    assert len(set(senders)) == 3


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)"])
def test_a_child_of_a_program_that_has_only_imported_it_calls(run: Run, fake_broker: RunningFake, end: str) -> None:
    seen = run(FORK.format(end=end) + "print(json.dumps([in_child(count), count()]))", *QUIET)
    assert seen.json == [2, 2]


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)"])
def test_the_child_of_a_child_that_has_made_no_call_calls(run: Run, fake_broker: RunningFake, end: str) -> None:
    seen = run(
        FORK.format(end=end) + "print(json.dumps([count(), in_child(lambda: in_child(count)), count()]))", *QUIET
    )
    assert seen.json == [2, 2, 2]


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)"])
def test_a_fork_with_calls_in_flight_leaves_them_to_the_parent(run: Run, fake_broker: RunningFake, end: str) -> None:
    fake_broker.plant("slow", method="acquireTokenSilently", delay=1.0, times=1)
    seen = run(
        FORK.format(end=end) + "data, told = runtime.CallbackData(), []\n"
        "def callback(result):\n"
        "    told.append(os.getpid())\n"
        "    data.complete(result)\n"
        "runtime.signin_silently(parameters(), new_id(), callback)\n"
        + CALLED.format(member="acquireTokenSilently")
        + "child = in_child(lambda: [count(), len(told), data.signal.is_set()])\n"
        "print(json.dumps([child, status(wait(data)), told == [os.getpid()]]))",
        *QUIET,
    )
    assert seen.json == [[2, 0, False], None, True]


def test_a_sign_in_of_the_parents_does_not_keep_the_child_from_asking(run: Run, fake_broker: RunningFake) -> None:
    fake_broker.set_user("approve", delay=0.5)
    seen = run(
        FORK.format(end="os._exit(0)") + "data = runtime.CallbackData()\n"
        "runtime.signin_interactively(1, parameters(), new_id(), None, data.complete)\n"
        + CALLED.format(member="acquireTokenInteractively")
        + "ask = lambda: status(call(runtime.signin_interactively, 1, parameters(), new_id(), None))\n"
        "print(json.dumps([in_child(ask), status(wait(data))]))",
        *QUIET,
    )
    assert seen.json == [None, None]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_call(run: Run, fake_broker: RunningFake, method: str) -> None:
    seen = run(
        "import multiprocessing\n"
        "def work(number):\n"
        "    return len(call(runtime.discover_accounts, CLIENT_ID, new_id()).get_accounts())\n"
        "if __name__ == '__main__':\n"
        "    work(0)\n"
        f"    with multiprocessing.get_context('{method}').Pool(3) as pool:\n"
        "        print(json.dumps(pool.map(work, range(9))))",
        *QUIET,
    )
    assert seen.json == [2] * 9


def test_accounts_and_sign_outs_are_known_to_the_child(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        FORK.format(end="os._exit(0)")
        + "account = call(runtime.discover_accounts, CLIENT_ID, new_id()).get_accounts()[0]\n"
        "call(runtime.signout_silently, CLIENT_ID, new_id(), account)\n"
        "token = lambda: status(call(runtime.acquire_token_silently, parameters(), new_id(), account))\n"
        "print(json.dumps([token(), in_child(token)]))",
        *QUIET,
    )
    assert seen.json == ["Status_AccountUnusable"] * 2
