"""Build a report from the command line: ``python -m commands.report --profile …``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from commands.last_resort import reason_of_failure
from commands.telling import tell
from report.build import build


def main(arguments: Sequence[str] | None = None) -> int:
    """Build a report from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="commands.report", description=__doc__)
    parser.add_argument("--profile", required=True)
    parser.add_argument("--studies", required=True, help="names, separated by commas")
    parser.add_argument("--seeds", required=True, help="whole numbers, separated by commas")
    parser.add_argument("--runs", required=True, type=Path, help="folder of the runs")
    parser.add_argument("--out", required=True, type=Path, help="folder of the report")
    options = parser.parse_args(arguments)
    try:
        seeds = [int(seed) for seed in options.seeds.split(",")]
    except ValueError:
        parser.error(f"--seeds must be whole numbers separated by commas, not {options.seeds!r}")
    tell("start", "report")
    try:
        build(options.profile, options.studies.split(","), seeds, options.runs, options.out)
    except Exception as error:
        reason = reason_of_failure(error)
        print(f"error: {reason}", file=sys.stderr)
        tell("failed", f"the report failed: {reason}")
        return 1
    tell("done", "report")
    return 0


if __name__ == "__main__":
    sys.exit(main())
