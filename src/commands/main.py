"""The command line behind ``run_all.sh``: a request is checked, then acted upon."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import IO

from commands.bench import run_benchmarks
from commands.hermetic import leave_out_personal_settings, make_paths_absolute
from commands.lab import open_lab
from commands.last_resort import RUN_FAILED, complain, guarded
from commands.process import only_run
from commands.publish import parse_publish, publish_report
from commands.recipe import parse_recipe, run_recipe
from commands.request import USAGE_ERROR, checked, parse
from commands.run import run
from utils.errors import UserError
from utils.store.files import (
    remove_leftovers,
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0, 1 for a failed run, 2 for a bad request, 130 if stopped."""
    return guarded(lambda: _main(sys.argv[1:] if arguments is None else arguments))


def _main(arguments: list[str]) -> int:
    try:
        make_paths_absolute()
        if arguments[:1] != ["lab"]:
            leave_out_personal_settings()
        remove_leftovers()
        act = _action(arguments)
    except UserError as error:
        return complain(str(error), USAGE_ERROR)
    try:
        return act()
    except UserError as error:
        return complain(str(error), RUN_FAILED)


def _action(arguments: list[str]) -> Callable[[], int]:
    """Validate a request; return what is to be done."""
    if arguments[:1] == ["lab"]:
        open_lab(arguments[1:])
    if arguments[:1] == ["bench"]:
        names = checked(arguments).names
        return lambda: run_benchmarks(names)
    if arguments[:1] == ["recipe"]:
        recipe = parse_recipe(arguments[1:])
        return lambda: run_recipe(recipe)
    if arguments[:1] == ["images"]:
        from commands import images

        pictures = images.parse(arguments[1:])
        return lambda: _alone(lambda _lock: images.run(pictures))
    if arguments[:1] == ["publish"]:
        # A run replaces its report; nothing is published from between the two.
        profile = parse_publish(arguments[1:])
        return lambda: _alone(lambda _lock: publish_report(profile))
    request = parse(arguments)
    return lambda: _alone(lambda lock: run(request, lock))


def _alone(act: Callable[[IO[str]], int]) -> int:
    with only_run() as lock:
        return act(lock)


if __name__ == "__main__":
    sys.exit(main())
