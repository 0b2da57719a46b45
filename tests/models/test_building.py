"""Wire types are built on first use, once and whole, even where many threads use them first at once."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys, threading
sys.setswitchinterval(1e-6)
from linuxbroker.wire import models
from linuxbroker.wire.reading import read_reply

TEXT = '{"brokerTokenResponse": {"accessToken": "t", "expiresOn": 1, "account": {"homeAccountId": "a.b", "new": 1}}}'
start, made = threading.Barrier(16), []

def use():
    start.wait()
    reply = read_reply(models.AcquireTokenReply, TEXT)
    token, account = reply.broker_token_response, models.Account(home_account_id="a.b")
    made.append((token.access_token, token.account.to_json(), account.to_json()))

threads = [threading.Thread(target=use) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(made) == 16, made
assert len(set(made)) == 1, made
print(made[0][0])
"""


def test_types_that_many_threads_use_first_at_once_are_built_once_and_whole() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("t\n", "")
