"""How do unmodified MSAL programs get the broker where ``pymsalruntime`` can't run? ``install`` puts ours in its place.

``linuxbroker.runtime.pymsalruntime`` is the stand-in itself: importing it raises ``RuntimeError`` where there is no
broker, as importing Microsoft's does, and MSAL then does without.
"""

from __future__ import annotations

from linuxbroker.runtime.install import install

__all__ = ["install"]
