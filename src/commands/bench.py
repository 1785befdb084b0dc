"""``run_all.sh bench``: run benchmarks."""

from __future__ import annotations

import argparse
import sys

from commands.arguments import PROGRAM, require_known
from utils import places

HELP = "measure the speed of the parts, beside common alternatives, and update docs/benchmarks.md"
BENCHMARKS = (
    "autoencoder_training",
    "control_pipeline",
    "exact_silhouette",
    "frozen_features",
    "n2d",
    "growth",
    "schedule",
    "end_to_end",
    "own_images",
    "duplicates",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments."""
    parser.usage = f"{PROGRAM} bench [NAME ...]"
    parser.add_argument(
        "names",
        metavar="NAME",
        nargs="*",
        help=f"{', '.join(BENCHMARKS)} (default: all, which takes an hour)",
    )


def check(options: argparse.Namespace) -> None:
    """Refuse unknown benchmarks."""
    for name in sorted(options.names):
        require_known("benchmark", name, BENCHMARKS)


def act(options: argparse.Namespace) -> int:
    """Run the benchmarks and return the exit status."""
    # They import each other by name.
    sys.path.insert(0, str(places.root() / "benchmarks"))
    import run as benchmarks

    return benchmarks.main(options.names)
