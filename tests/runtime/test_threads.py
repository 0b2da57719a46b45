"""The replacement runtime with many threads, and with callbacks that raise, call again or never return."""

from __future__ import annotations

from linuxbroker_fake import RunningFake
from tests.runtime.conftest import Run

TWO_HUNDRED = """
start = threading.Barrier(200)
outcomes, lock = [], threading.Lock()
def one(number):
    data = runtime.CallbackData()
    start.wait()
    runtime.signin_silently(parameters(f"https://graph.microsoft.com/Scope.{number}"), new_id(), data.complete)
    result = wait(data)
    with lock:
        outcomes.append([number, status(result), (result.get_granted_scopes() or [""])[0]])
threads = [threading.Thread(target=one, args=(number,)) for number in range(200)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
loops = sum(thread.name == "linuxbroker-runtime" for thread in threading.enumerate())
print(json.dumps({"outcomes": sorted(outcomes), "loops": loops}))
"""


def test_200_threads_at_once_each_get_their_own_token_from_one_loop(run: Run, fake_broker: RunningFake) -> None:
    seen = run(TWO_HUNDRED).json
    scope = "https://graph.microsoft.com/Scope."
    assert seen["outcomes"] == [[number, None, f"{scope}{number}"] for number in range(200)]
    assert seen["loops"] == 1
    senders = {call.sender for call in fake_broker.calls_of("acquireTokenSilently")}
    assert len(senders) == 1


def test_callbacks_that_raise_harm_no_other_call(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "import logging\n"
        "raised = []\n"
        "class Heard(logging.Handler):\n"
        "    def emit(self, record):\n"
        "        raised.append(record.exc_info[0].__name__)\n"
        "logging.getLogger('linuxbroker.runtime').addHandler(Heard())\n"
        "def raising(number):\n"
        "    def callback(result):\n"
        "        raise (KeyError if number % 2 else ZeroDivisionError)(number)\n"
        "    return callback\n"
        "for number in range(20):\n"
        "    runtime.discover_accounts(CLIENT_ID, new_id(), raising(number))\n"
        "    result = call(runtime.discover_accounts, CLIENT_ID, new_id())\n"
        "    assert len(result.get_accounts()) == 2\n"
        "while len(raised) < 20:\n"
        "    call(runtime.discover_accounts, CLIENT_ID, new_id())\n"
        "print(json.dumps(sorted(raised)))"
    )
    assert seen.json == ["KeyError"] * 10 + ["ZeroDivisionError"] * 10


def test_a_callback_can_make_a_call_and_wait_for_it(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "found, done = [], threading.Event()\n"
        "def deeper(level):\n"
        "    def callback(result):\n"
        "        if level < 5:\n"
        "            inner = call(runtime.discover_accounts, CLIENT_ID, new_id())\n"
        "            found.append(len(inner.get_accounts()))\n"
        "            runtime.discover_accounts(CLIENT_ID, new_id(), deeper(level + 1))\n"
        "        else:\n"
        "            done.set()\n"
        "    return callback\n"
        "runtime.discover_accounts(CLIENT_ID, new_id(), deeper(0))\n"
        "assert done.wait(50)\n"
        "print(json.dumps(found))"
    )
    assert seen.json == [2] * 5


def test_a_callback_that_never_returns_holds_up_nobody(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "stuck = threading.Event()\n"
        "entered = threading.Event()\n"
        "def callback(result):\n"
        "    entered.set()\n"
        "    stuck.wait()\n"
        "runtime.discover_accounts(CLIENT_ID, new_id(), callback)\n"
        "assert entered.wait(50)\n"
        "print(json.dumps(len(call(runtime.discover_accounts, CLIENT_ID, new_id()).get_accounts())))"
    )
    assert seen.json == 2


# No thread can have so large a stack: to start one fails as it does where there are too many.
NO_THREADS, THREADS = "threading.stack_size(1 << 60)\n", "threading.stack_size(0)\n"


def test_an_import_for_which_there_is_no_thread_is_refused_and_the_next_one_works(
    run: Run, fake_broker: RunningFake
) -> None:
    seen = run(
        "import json, threading, uuid\n" + NO_THREADS + "try:\n"
        "    import linuxbroker.runtime.pymsalruntime\n"
        "except RuntimeError as error:\n"
        "    refused = str(error)\n" + THREADS + "import linuxbroker.runtime.pymsalruntime as runtime\n"
        "data = runtime.CallbackData()\n"
        "runtime.discover_accounts(str(uuid.uuid4()), str(uuid.uuid4()), data.complete)\n"
        "assert data.signal.wait(50)\n"
        "print(json.dumps([refused, len(data.result.get_accounts())]))",
        prelude=False,
    )
    assert seen.json == ["can't start new thread", 2]
    assert [call.member for call in fake_broker.calls] == ["Ping", "getAccounts"]


def test_a_callback_for_which_no_thread_is_to_be_had_comes_all_the_same(run: Run, fake_broker: RunningFake) -> None:
    seen = run(
        "names, done = [], threading.Event()\n"
        "def no_threads(message, level):\n"
        f"    {NO_THREADS}"
        "def callback(result):\n"
        f"    {THREADS}"
        "    names.append(threading.current_thread().name)\n"
        "    done.set()\n"
        "handle = runtime.register_logging_callback(no_threads)\n"
        "runtime.discover_accounts(CLIENT_ID, new_id(), callback)\n"
        "assert done.wait(50)\n"
        "handle.release_logging_callback()\n"
        "found = call(runtime.discover_accounts, CLIENT_ID, new_id())\n"
        "print(json.dumps([names, len(found.get_accounts())]))"
    )
    assert seen.json == [["linuxbroker-runtime"], 2]
