"""An application in Node.js that signs people in with MSAL and Microsoft's runtime, a call at a time."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.compat import node_packages
from tests.compat.desktop import CLIENT_ID, User

Json = dict[str, Any]
_PATIENCE_SECONDS = 5.0


class NodeApplication:
    """A running ``node/driver.mjs``.

    Args:
        process: the program.
        log: the file with its messages.

    Attributes:
        ready: whether the runtime found a broker, and else why not.
    """

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        self.ready = self._read()

    def call(self, method: str, request: Mapping[str, Any] | None = None, **details: Any) -> Json:
        """Call a method of MSAL's ``PublicClientApplication``.

        Args:
            method: its name.
            request: its argument.
            details: ``windowHandle`` and ``limit``, as the driver has them.

        Returns:
            The outcome, as the driver has it.

        Raises:
            AssertionError: the program ended instead; the text has what it said.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"call": method, "request": request or {}, **details}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def succeed(self, method: str, request: Mapping[str, Any] | None = None, **details: Any) -> Any:
        """Call a method that is to succeed.

        Args:
            method, request, details: as ``call`` has them.

        Returns:
            The result.

        Raises:
            AssertionError: it failed.
        """
        outcome = self.call(method, request, **details)
        assert "result" in outcome, outcome
        return outcome["result"]

    def fail(self, method: str, request: Mapping[str, Any] | None = None, **details: Any) -> Json:
        """Call a method that is to fail.

        Args:
            method, request, details: as ``call`` has them.

        Returns:
            What MSAL's exception carries.

        Raises:
            AssertionError: it succeeded, or did not end.
        """
        outcome = self.call(method, request, **details)
        assert "error" in outcome, outcome
        error: Json = outcome["error"]
        return error

    def account(self, upn: str) -> Json:
        """Find an account among all that MSAL lists.

        Args:
            upn: whose.

        Returns:
            The account, for a request.
        """
        accounts: list[Json] = self.succeed("getAllAccounts")
        return next(account for account in accounts if account["username"] == upn)

    def end(self) -> None:
        """Have the program end by itself: one that is killed can leave a lock of the runtime's locked."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):  # a call that hangs
            self._process.wait(_PATIENCE_SECONDS)

    def _read(self) -> Json:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the program ended with {self._process.wait()}: {self._log.read_text()[-2000:]}")
        said: Json = json.loads(line)
        return said


@contextmanager
def running_node_application(
    user: User, log: Path, *, authority: str = "https://login.microsoftonline.com/common", capabilities: str = ""
) -> Iterator[NodeApplication]:
    """Run an application for as long as the block lasts.

    Args:
        user: who runs it.
        log: the file that its messages go to.
        authority: for each request that names none.
        capabilities: what the client declares, separated by commas.

    Yields:
        The application.

    Raises:
        AssertionError: it did not start; the text has what it said.
    """
    command = [*node_packages.command(), CLIENT_ID, authority, capabilities]
    with (
        log.open("wb") as messages,
        subprocess.Popen(
            command,
            env=dict(user.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=messages,
            text=True,
        ) as process,
    ):
        try:
            application = NodeApplication(process, log)
            yield application
            application.end()
        finally:
            process.kill()
