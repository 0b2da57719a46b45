"""Ten thousand large requests at once, in a process of its own, whose memory is measured.

python -m tests.bench.load ADDRESS COUNT ROUNDS < REQUEST
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from linuxbroker import BrokerClient, Timeouts, TokenResult
from tests.bench.bare import Bare
from tests.bench.calls import CLIENT_ID, SILENTLY

CLAIMS_BYTES = 64 * 1024
SCOPE = "https://graph.microsoft.com/Scope.{:06d}"
WINDOWS = (1, 2, 3, 4, 6, 8, 12, 16, 32, 64)
CALLS_A_TRIAL = 300
_PROCESS = Path("/proc/self")


def claims() -> str:
    """A claims challenge of 64 kB."""
    frame = '{{"access_token":{{"padding":{{"value":"{}"}}}}}}'
    return frame.format("x" * (CLAIMS_BYTES - len(frame.format(""))))


async def at_once(address: str, count: int) -> Mapping[str, float]:
    """Make requests with different scopes, all at once; gives the seconds, the bytes and how many succeeded."""
    challenge = claims()
    async with BrokerClient(CLIENT_ID, bus_address=address, timeouts=Timeouts(call=None)) as client:
        account = (await client.get_accounts())[0]
        (_PROCESS / "clear_refs").write_text("5")  # the peak is counted from here
        before, start = _memory("VmRSS"), time.perf_counter()
        requests = (
            client.acquire_token_silent([SCOPE.format(number)], account, claims_challenge=challenge)
            for number in range(count)
        )
        outcomes = await asyncio.gather(*requests, return_exceptions=True)
        seconds = time.perf_counter() - start
    succeeded = sum(isinstance(outcome, TokenResult) for outcome in outcomes)
    return {"seconds": seconds, "bytes": _memory("VmHWM") - before, "succeeded": succeeded}


async def windowed(address: str, count: int, request: str, window: int) -> float:
    """Make bare calls of the same bytes, a window of them at once; gives the seconds, infinite where it failed."""
    requests = (request.replace(SCOPE.format(0), SCOPE.format(number)) for number in range(count))
    start = time.perf_counter()
    try:
        async with Bare(address) as bare:
            await bare.call_all(SILENTLY, requests, window)
    except Exception:  # whatever a lost connection makes of its calls
        return math.inf
    return time.perf_counter() - start


async def main(address: str, count: int, rounds: int, request: str) -> Mapping[str, object]:
    """Find the window that suits dbus-next best, then take turns; the first turn is the one whose memory is told."""
    logging.disable()  # dbus-next logs each lost connection on the root logger
    first = await at_once(address, count)
    trials = {window: [await windowed(address, CALLS_A_TRIAL, request, window) for _ in range(3)] for window in WINDOWS}
    pace = {window: statistics.median(times) for window, times in trials.items() if math.inf not in times}
    ours: list[float] = []
    other: list[float] = []
    succeeded, window = [first["succeeded"]], 0
    while len(other) < rounds:
        window = min(pace, key=lambda tried: pace[tried])
        seconds = await windowed(address, count, request, window)
        if seconds == math.inf:  # it only works for a while
            del pace[window]
            other.clear()
            ours.clear()
            continue
        other.append(seconds)
        turn = await at_once(address, count)
        ours.append(turn["seconds"])
        succeeded.append(turn["succeeded"])
    return {
        "ours": statistics.median(ours),
        "other": statistics.median(other),
        "window": window,
        "bytes": first["bytes"],
        "succeeded": min(succeeded),
    }


def _memory(name: str) -> int:
    (kilobytes,) = re.findall(rf"^{name}:\s+(\d+) kB$", (_PROCESS / "status").read_text(), flags=re.MULTILINE)
    return int(kilobytes) * 1024


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.stdin.read()))))
