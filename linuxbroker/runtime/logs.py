"""Who hears what the runtime does? The log callbacks, and the switch for what is personal."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from linuxbroker.redaction import texts
from linuxbroker.runtime.arguments import checked, checked_callback
from linuxbroker.runtime.values import LogLevel

_HIDDEN = "(pii)"
_callbacks: dict[int, Callable[..., object]] = {}
_numbers = itertools.count()
_pii_enabled = False


class MSALRuntimeLogCallbackHandle:
    """Stands for a log callback."""

    def __init__(self) -> None:
        self._number: int | None = None

    def release_logging_callback(self) -> None:
        """Let the callback hear no more; a second call does nothing."""
        if self._number is not None:
            _callbacks.pop(self._number, None)


def register_logging_callback(callback: Callable[[str, LogLevel], None]) -> MSALRuntimeLogCallbackHandle:
    """Have a function hear what the runtime does. There can be several.

    Args:
        callback: called with each message and its level, on the thread that the calls run on: it must not wait for a
            call. What it raises is dropped.

    Returns:
        What ends it.

    Raises:
        TypeError: it can't be called.
    """
    handle = MSALRuntimeLogCallbackHandle()
    handle._number = number = next(_numbers)  # pyright: ignore[reportPrivateUsage]
    _callbacks[number] = checked_callback(callback)
    return handle


def set_is_pii_enabled(enabled: int) -> None:
    """Choose whether messages and error texts show account ids, scopes and claims; tokens are never in them.

    Args:
        enabled: 0 for no, as it is at the start.

    Raises:
        TypeError: it is not an int.
    """
    global _pii_enabled
    _pii_enabled = bool(checked("enabled", enabled, int))


def personal(text: str) -> str:
    """Give a text that is about the user where such are to be seen.

    Args:
        text: such as an account id.

    Returns:
        The text, cut and free of what a terminal obeys; or ``(pii)``.
    """
    return texts.shown(text, texts.LONGEST_MESSAGE) if _pii_enabled else _HIDDEN


def emit(level: LogLevel, message: str) -> None:
    """Tell the log callbacks.

    Args:
        level: how grave it is.
        message: fit for a log.
    """
    for callback in tuple(_callbacks.values()):
        try:
            callback(message, level)
        except Exception:  # noqa: S112 - whose log is broken has nowhere to be told
            continue
