"""Lines that the workflow's jobs write for the person who watches.

Each starts with `MARK` and a word: ``start``, ``say``, ``done`` or ``failed``. Everything else that
a job prints belongs into a log.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

MARK = "» "
# Names the file into which the lines go, which also a job on another machine can write; without it
# they are printed.
PROGRESS_FILE = "PROGRESS_FILE"


def tell(word: str, text: str) -> None:
    """Write one line for the person who watches."""
    line = f"{MARK}{word} {text}\n"
    # In one piece, ended line and all: other jobs write into the same place.
    if PROGRESS_FILE in os.environ:
        with Path(os.environ[PROGRESS_FILE]).open("a", encoding="utf-8") as file:
            file.write(line)
    else:
        sys.stdout.write(line)
        sys.stdout.flush()


def title_of(notebook: str, study: str, seed: int) -> str:
    """Name a job as the terminal shows it."""
    return f"{notebook} · {study} · seed {seed}"
