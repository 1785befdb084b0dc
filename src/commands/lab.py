"""``run_all.sh lab``: open JupyterLab."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn

from commands.arguments import PROGRAM
from utils import places

HELP = "open the notebooks in JupyterLab, on this machine only"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments."""
    parser.usage = f"{PROGRAM} lab [-- ...]"
    parser.epilog = "Arguments after -- go to JupyterLab."


def check(_options: argparse.Namespace) -> None:
    """Accept any arguments for JupyterLab."""


def act(options: argparse.Namespace) -> NoReturn:
    """Become JupyterLab, on this machine only, with the notebooks open."""
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1"]
    command.append(f"--notebook-dir={places.root() / 'notebooks'}")
    os.execv(sys.executable, [*command, *options.passed_on])
