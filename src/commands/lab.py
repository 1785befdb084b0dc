"""``run_all.sh lab``: open JupyterLab."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from commands.request import checked
from utils import places


def open_lab(arguments: list[str]) -> NoReturn:
    """Become JupyterLab, on this machine only, with the notebooks open."""
    rest = checked(["lab", *arguments]).for_jupyterlab
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1"]
    os.execv(sys.executable, [*command, f"--notebook-dir={places.root() / 'notebooks'}", *rest])
