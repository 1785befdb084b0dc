"""``run_all.sh bench``: run benchmarks."""

from __future__ import annotations

import sys

from utils import places


def run_benchmarks(names: list[str]) -> int:
    """Run benchmarks and return the exit status."""
    # They import each other by name.
    sys.path.insert(0, str(places.root() / "benchmarks"))
    import run as benchmarks

    return benchmarks.main(names)
