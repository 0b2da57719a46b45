"""``python -m linuxbroker_fake``: the command ``linuxbroker-fake``."""

import sys

from linuxbroker_fake.cli import main

if __name__ == "__main__":
    sys.exit(main())
