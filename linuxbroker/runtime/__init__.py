"""A replacement for Microsoft's ``pymsalruntime``, for MSAL programs on machines where that does not run.

``install`` makes ``import pymsalruntime`` import ``linuxbroker.runtime.pymsalruntime``, the replacement. As with
Microsoft's, the import raises ``RuntimeError`` if there is no broker, and MSAL then continues without one.
"""

from __future__ import annotations

from linuxbroker.runtime.install import install

__all__ = ["install"]
