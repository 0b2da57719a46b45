"""What happens between the sign-in window and the person in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from linuxbroker_fake.config import InteractiveUser, UserAction


@dataclass(eq=False)
class SignInWindow:
    """One open sign-in window.

    Attributes:
        sender: whose call opened it.
        correlation_id: of that call.
        outcome: settled by the person, or by the one who cancels.
    """

    sender: str
    correlation_id: str
    outcome: asyncio.Future[UserAction] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, action: UserAction) -> None:
        """Close the window with an outcome, unless it is closed."""
        if not self.outcome.done():
            self.outcome.set_result(action)


class Screen:
    """The windows that are open, and the person who answers them.

    Args:
        user: how the person behaves; can be exchanged at any time.
    """

    def __init__(self, user: InteractiveUser) -> None:
        self.user = user
        self._windows: list[SignInWindow] = []
        self._asking = asyncio.Event()

    @property
    def open_windows(self) -> int:
        """How many sign-in windows are open."""
        return len(self._windows)

    async def asked(self) -> None:
        """Wait until a sign-in window is open."""
        await self._asking.wait()

    def answer(self, action: UserAction) -> int:
        """Have the person answer every open window now.

        Args:
            action: ``approve`` or ``cancel``.

        Returns:
            How many windows there were.
        """
        for window in self._windows:
            window.settle(action)
        return len(self._windows)

    def close_windows_of(self, sender: str) -> int:
        """Close a caller's windows, as ``cancelInteractiveFlow`` does.

        Args:
            sender: the caller's unique bus name.

        Returns:
            How many windows there were.
        """
        mine = [window for window in self._windows if window.sender == sender]
        for window in mine:
            window.settle(UserAction.CANCEL)
        return len(mine)

    async def ask(self, sender: str, correlation_id: str) -> UserAction:
        """Open a window and wait for the person.

        Args:
            sender: the caller's unique bus name.
            correlation_id: of the call.

        Returns:
            ``approve`` or ``cancel``.
        """
        with self._window(sender, correlation_id) as window:
            if self.user.action is not UserAction.NEVER:
                asyncio.get_running_loop().call_later(self.user.delay, window.settle, self.user.action)
            return await window.outcome

    @contextmanager
    def _window(self, sender: str, correlation_id: str) -> Generator[SignInWindow, None, None]:
        window = SignInWindow(sender, correlation_id)
        self._windows.append(window)
        self._asking.set()
        try:
            yield window
        finally:
            self._windows.remove(window)
            if not self._windows:
                self._asking.clear()
