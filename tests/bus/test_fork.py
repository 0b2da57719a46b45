"""A forked child has connections of its own and leaves its parent's alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from linuxbroker_fake import RunningFake

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
CLIENT = 'BrokerClient("00000000-0000-0000-0000-0000000000c1")'
# One loop from beginning to end, as a program has it that forks between its calls; the child ends before its parent
# goes on, as both wait for events of one and the same epoll.
ON_ONE_LOOP = f"""
import asyncio, os
from linuxbroker import BrokerClient

loop, client = asyncio.new_event_loop(), {CLIENT}
assert loop.run_until_complete(client.get_accounts())
child = os.fork()
if child == 0:
    os._exit(0 if loop.run_until_complete(client.get_accounts()) else 1)
assert os.waitpid(child, 0)[1] == 0
assert loop.run_until_complete(client.get_accounts())
loop.run_until_complete(client.aclose())
loop.close()
"""
# Another thread has the lock of the shared connections at the moment of the fork: in the child, it is never given back.
WITH_THE_LOCK_TAKEN = f"""
import asyncio, os, signal, threading
from linuxbroker import BrokerClient
from linuxbroker.bus import shared

taken, done = threading.Event(), threading.Event()

def take():
    with shared._registry_lock:
        taken.set()
        done.wait()

thread = threading.Thread(target=take)
thread.start()
taken.wait()
child = os.fork()
if child == 0:
    signal.alarm(60)  # ends a child that waits for the lock
    os._exit(0 if asyncio.run({CLIENT}.get_accounts()) else 1)
status = os.waitpid(child, 0)[1]
done.set()
thread.join()
assert status == 0, status
"""


def _run(program: str) -> None:
    options = ("-W", "error", "-W", "ignore::DeprecationWarning")  # Python 3.12 warns of a fork beside a thread
    done = subprocess.run([sys.executable, *options, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_child_on_its_parents_loop_has_a_connection_of_its_own(fake_broker: RunningFake) -> None:
    _run(ON_ONE_LOOP)
    first, in_child, last = [call.sender for call in fake_broker.calls_of("getAccounts")]
    assert first == last != in_child


def test_a_lock_that_a_thread_of_the_parents_held_does_not_stop_the_child(fake_broker: RunningFake) -> None:
    _run(WITH_THE_LOCK_TAKEN)
    assert len(fake_broker.calls_of("getAccounts")) == 1
