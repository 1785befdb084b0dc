"""Runs that do not depend on personal settings or on the current folder."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

# Variables that bring personal settings or code into a run.
PERSONAL = (
    "IPYTHONDIR",
    "MATPLOTLIBRC",
    "MPLBACKEND",
    "PYTHONINSPECT",
    "PYTHONSTARTUP",
    "PYTHONWARNINGS",
    "SNAKEMAKE_PROFILE",
)
# Variables with this prefix may name another repository than that of a file.
OF_GIT = "GIT_"
# Variables that name a file or a folder.
PATHS = ("DATA_DIR", "RESNET50_KERAS_WEIGHTS", "RESNET50_WEIGHTS")


def leave_out_personal_settings() -> None:
    """Keep personal settings from this process and its children.

    The kernels of `commands.notebook` also have an IPython folder of their own.
    """
    for name in list(os.environ):
        if name in PERSONAL or name.startswith(OF_GIT):
            del os.environ[name]
    # Not the settings in the home folder, which may even be unreadable.
    package = Path(importlib.util.find_spec("matplotlib").origin).parent
    os.environ["MATPLOTLIBRC"] = str(package / "mpl-data" / "matplotlibrc")
    # A file in the current folder, such as notebooks/utils.py, is not a module of ours.
    os.environ["PYTHONSAFEPATH"] = "1"


def make_paths_absolute() -> None:
    """Resolve relative paths in `PATHS` from the current folder, also for other processes."""
    for name in PATHS:
        if os.environ.get(name):
            os.environ[name] = str(Path(os.environ[name]).expanduser().resolve())
