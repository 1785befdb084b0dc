"""Lines for the person who watches a run.

The workflow's jobs write a line that starts with `MARK` and a word: ``start``, ``say``, ``done`` or
``failed``. Everything else that a job prints goes to its log.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

MARK = "» "
# Names the file for these lines, to which a job on another machine can write too; without it they
# are printed.
PROGRESS_FILE = "PROGRESS_FILE"


def tell(word: str, text: str) -> None:
    """Write one line for the person who watches."""
    line = f"{MARK}{word} {text}\n"
    # In a single write, with the line break: other jobs write to the same file.
    if PROGRESS_FILE in os.environ:
        with Path(os.environ[PROGRESS_FILE]).open("a", encoding="utf-8") as file:
            file.write(line)
    else:
        sys.stdout.write(line)
        sys.stdout.flush()


def title_of(notebook: str, study: str, seed: int) -> str:
    """Name a job as the terminal shows it."""
    return f"{notebook} · {study} · seed {seed}"


def shown(path: Path) -> str:
    """Write a path relative to the current folder if it lies in it, otherwise in full."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def counted(n: int, noun: str) -> str:
    """Write a number with its noun: ``1 file``, ``1,200 files``."""
    return f"{n:,} {noun}{'s' if n != 1 else ''}"
