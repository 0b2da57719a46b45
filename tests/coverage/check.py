"""Prints the share of lines and of branches that is covered; exit code 1 where either is too small.

Run it after ``coverage combine``, in the folder with the data.
"""

from __future__ import annotations

import json
import subprocess
import sys

LEAST_PERCENT = 95.0


def main() -> int:
    """Compare the figures with the limit."""
    command = [sys.executable, "-m", "coverage", "json", "-q", "-o", "-"]
    totals = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["totals"]
    shares = {
        "lines": 100 * totals["covered_lines"] / totals["num_statements"],
        "branches": 100 * totals["covered_branches"] / totals["num_branches"],
    }
    for what, percent in shares.items():
        print(f"{what}: {percent:.2f} % (at least {LEAST_PERCENT:g} %)")
    return 0 if min(shares.values()) >= LEAST_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main())
