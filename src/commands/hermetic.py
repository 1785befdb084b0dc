"""Runs that depend on the request alone: without personal settings, and from any folder."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

# Variables that bring somebody's own settings, or code of theirs, into a run.
PERSONAL = (
    "IPYTHONDIR",
    "MATPLOTLIBRC",
    "MPLBACKEND",
    "PYTHONINSPECT",
    "PYTHONSTARTUP",
    "PYTHONWARNINGS",
    "SNAKEMAKE_PROFILE",
)
# What begins so may name another repository than the one that a file lies in.
OF_GIT = "GIT_"
# Variables that name a file or a folder.
PATHS = ("DATA_DIR", "RESNET50_WEIGHTS")


def leave_out_personal_settings() -> None:
    """Keep personal settings from this process and those that it starts.

    Besides, the kernels of `notebook_runner` have an IPython folder of their own.
    """
    for name in list(os.environ):
        if name in PERSONAL or name.startswith(OF_GIT):
            del os.environ[name]
    # Not those in the home folder, which may even be unreadable.
    package = Path(importlib.util.find_spec("matplotlib").origin).parent
    os.environ["MATPLOTLIBRC"] = str(package / "mpl-data" / "matplotlibrc")
    # A file in the current folder, such as notebooks/utils.py, stands for no module.
    os.environ["PYTHONSAFEPATH"] = "1"


def make_paths_absolute() -> None:
    """Let relative paths in `PATHS` count from the current folder, also in other processes."""
    for name in PATHS:
        if os.environ.get(name):
            os.environ[name] = str(Path(os.environ[name]).expanduser().resolve())
