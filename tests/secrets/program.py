"""A process that uses the broker, and records what it touches: secrets come in on stdin, the record goes out.

Every file that is opened for writing, every process that is started and every name that is bound is recorded, by
Python's own audit events, from before the library is imported.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

_STARTS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.fork", "os.forkpty")
_MAKES = ("os.mkdir", "os.rename", "os.link", "os.symlink", "os.putenv", "os.setxattr", "sqlite3.connect")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
events: list[str] = []


def _record(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING:
        events.append(f"open {arguments[0]}")
    elif event in _STARTS + _MAKES or event.startswith(("tempfile.", "syslog.")):
        events.append(f"{event} {arguments!r}")


async def _main() -> None:
    from linuxbroker import BrokerClient, BrokerError, PopAuthScheme
    from linuxbroker.wire.models import Account

    secrets = json.loads(sys.stdin.readline())
    ada = Account.model_validate(secrets["account"])
    scheme = PopAuthScheme(
        "GET", "https://graph.microsoft.com/v1.0/me", nonce=secrets["nonce"], client_claims=secrets["client_claims"]
    )
    token = {
        "claims_challenge": secrets["claims"],
        "auth_scheme": scheme,
        "extra_query_parameters": {"id_token_hint": secrets["hint"]},
    }
    scopes = ["https://graph.microsoft.com/.default"]
    received: list[str] = []
    failures = 0
    async with BrokerClient("00000000-0000-0000-0000-0000000000c1") as client:
        for _ in range(2):  # the second time everything fails
            calls = (
                lambda: client.acquire_token_silent(scopes, ada, access_token_to_renew=secrets["renew"], **token),
                lambda: client.acquire_token_by_username_password(ada.username, secrets["password"], scopes, **token),
                lambda: client.acquire_prt_sso_cookie(ada, secrets["sso_url"]),
                lambda: client.generate_signed_http_request(ada, scheme),
                lambda: client.acquire_token_interactive(
                    scopes, account=ada, access_token_to_renew=secrets["renew"], **token
                ),
            )
            for call in calls:
                try:
                    result: Any = await call()
                except BrokerError:
                    failures += 1
                    continue
                for item in result if isinstance(result, list) else [result]:
                    names = ("access_token", "id_token", "client_info", "content")
                    received += [getattr(item, name, "") for name in names]
                    received += [item] if isinstance(item, str) else []
            print("half way", flush=True)
            sys.stdin.readline()
    print(json.dumps({"events": events, "received": [text for text in received if text], "failures": failures}))


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.addaudithook(_record)
    asyncio.run(_main())
