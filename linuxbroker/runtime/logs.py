"""The log callbacks of the runtime, and the switch for personal data in messages."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from linuxbroker.redaction import texts
from linuxbroker.runtime.arguments import check_callback, check_type
from linuxbroker.runtime.enums import LogLevel

_MASK = "(pii)"
_callbacks: dict[int, Callable[..., object]] = {}
_numbers = itertools.count()
_pii_enabled = False


class MSALRuntimeLogCallbackHandle:
    """A handle for a log callback."""

    def __init__(self) -> None:
        self._number: int | None = None

    def release_logging_callback(self) -> None:
        """Remove the callback; a second call does nothing."""
        if self._number is not None:
            _callbacks.pop(self._number, None)


def register_logging_callback(callback: Callable[[str, LogLevel], None]) -> MSALRuntimeLogCallbackHandle:
    """Add a callback for log messages. There can be several.

    Args:
        callback: called with each message and its level, on the thread that runs the calls: it must not wait for a
            call. Its exceptions are ignored.

    Returns:
        A handle that removes the callback.

    Raises:
        TypeError: the callback is not callable.
    """
    handle = MSALRuntimeLogCallbackHandle()
    handle._number = number = next(_numbers)  # pyright: ignore[reportPrivateUsage]
    _callbacks[number] = check_callback(callback)
    return handle


def set_is_pii_enabled(enabled: int) -> None:
    """Set whether messages and error texts contain account IDs, scopes and claims; they never contain tokens.

    Args:
        enabled: 0 for no, the default.

    Raises:
        TypeError: it is not an int.
    """
    global _pii_enabled
    _pii_enabled = bool(check_type("enabled", enabled, int))


def mask_pii(text: str) -> str:
    """Mask personal data, unless messages may contain it.

    Args:
        text: personal data, such as an account ID.

    Returns:
        ``(pii)``; if personal data is enabled, the text, shortened and printable.
    """
    return texts.shown(text, texts.MAX_MESSAGE_CHARACTERS) if _pii_enabled else _MASK


def emit(level: LogLevel, message: str) -> None:
    """Call the log callbacks.

    Args:
        level: the severity.
        message: the message, without secrets.
    """
    for callback in tuple(_callbacks.values()):
        try:
            callback(message, level)
        except Exception:  # noqa: S112 - there is no other log to report a broken log callback to
            continue
