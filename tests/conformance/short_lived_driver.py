"""Does a short-lived process do what the conformance vectors say? ``driver.py``, in such a process."""

from __future__ import annotations

import runpy
from pathlib import Path

from linuxbroker import short_lived

if __name__ == "__main__":
    short_lived.declare()
    runpy.run_path(str(Path(__file__).with_name("driver.py")), run_name="__main__")
