"""``python -m linuxbroker``: the command ``linuxbroker``."""

from __future__ import annotations

import sys

from linuxbroker.cli.start import main

if __name__ == "__main__":
    sys.exit(main())
