"""The open sign-in windows and the user who answers them."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from linuxbroker_fake.config import InteractiveUser, UserAction


@dataclass(eq=False)
class SignInWindow:
    """An open sign-in window.

    Attributes:
        sender: the unique bus name of the caller.
        correlation_id: the correlation ID of the call.
        outcome: what the user did, or ``cancel`` if the call was canceled.
    """

    sender: str
    correlation_id: str
    outcome: asyncio.Future[UserAction] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, action: UserAction) -> None:
        """Close the window with an outcome; no effect if it is closed."""
        if not self.outcome.done():
            self.outcome.set_result(action)


class Screen:
    """The open windows, and the user who answers them.

    Args:
        user: the behavior of the user; can be replaced at any time.
    """

    def __init__(self, user: InteractiveUser) -> None:
        self.user = user
        self._windows: list[SignInWindow] = []
        self._window_opened = asyncio.Event()

    @property
    def open_windows(self) -> int:
        """The number of open sign-in windows."""
        return len(self._windows)

    async def wait_for_window(self) -> None:
        """Wait until a sign-in window is open."""
        await self._window_opened.wait()

    def answer(self, action: UserAction) -> int:
        """Answer all open windows now.

        Args:
            action: ``approve`` or ``cancel``.

        Returns:
            The number of windows.
        """
        for window in self._windows:
            window.settle(action)
        return len(self._windows)

    def close_windows_of(self, sender: str) -> int:
        """Cancel a caller's windows, as ``cancelInteractiveFlow`` does.

        Args:
            sender: the caller's unique bus name.

        Returns:
            The number of windows.
        """
        windows = [window for window in self._windows if window.sender == sender]
        for window in windows:
            window.settle(UserAction.CANCEL)
        return len(windows)

    async def ask(self, sender: str, correlation_id: str) -> UserAction:
        """Open a window and wait until the user answers.

        Args:
            sender: the caller's unique bus name.
            correlation_id: the correlation ID of the call.

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
        self._window_opened.set()
        try:
            yield window
        finally:
            self._windows.remove(window)
            if not self._windows:
                self._window_opened.clear()
