"""The cost of a runtime: imports it, gets as many silent tokens as it is told to, and prints how long each took.

Run as a program, with the module's name: prints the seconds that the import and a first token took, then for each
number N that it reads, a JSON list of the seconds that each of N tokens took; at the end of its input, the peak of its
memory in bytes. Each token is for a scope of its own, which no cache holds.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

CLIENT_ID = "11111111-2222-4333-8444-555555555555"
AUTHORITY = "https://login.microsoftonline.com/common"
REDIRECT_URI = "https://login.microsoftonline.com/common/oauth2/nativeclient"


def _token(runtime: Any, account: Any, scope: str) -> Any:
    asked = runtime.MSALRuntimeAuthParameters(CLIENT_ID, AUTHORITY)
    asked.set_requested_scopes([scope])
    asked.set_redirect_uri(REDIRECT_URI)
    data = runtime.CallbackData()
    if account is None:
        handle = runtime.signin_silently(asked, str(uuid.uuid4()), data.complete)
    else:
        handle = runtime.acquire_token_silently(asked, str(uuid.uuid4()), account, data.complete)
    data.signal.wait()
    del handle  # kept until now: Microsoft's runtime may need it for the callback
    if data.result.get_error():
        raise RuntimeError(data.result.get_error().get_context())
    return data.result


def main() -> None:
    """Import, get tokens, tell."""
    begun = time.perf_counter()
    runtime: Any = importlib.import_module(sys.argv[1])
    account = _token(runtime, None, "https://graph.microsoft.com/.default").get_account()
    print(time.perf_counter() - begun, flush=True)
    numbers = itertools.count()
    for line in sys.stdin:
        taken: list[float] = []
        for _ in range(int(line)):
            scope = f"https://graph.microsoft.com/Scope.{next(numbers)}"
            begun = time.perf_counter()
            _token(runtime, account, scope)
            taken.append(time.perf_counter() - begun)
        print(json.dumps(taken), flush=True)
    (peak,) = (line for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if "VmHWM" in line)
    print(int(peak.split()[1]) * 1024, flush=True)
    os._exit(0)  # the shutdown of Microsoft's runtime crashes now and then


if __name__ == "__main__":
    main()
