"""``run_all.sh recipe``: run one named method of a leaderboard."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from commands.arguments import (
    PROGRAM,
    WrongCall,
    names_in,
    refusing,
    require_known,
    require_profile,
    whole_number_from_1,
)
from commands.telling import shown
from utils import places

HELP = "run one named method of a leaderboard and print its scores; without a name, list them"
_RECIPE = re.compile(r"""^[^#\n]*?\brecipe: *["']?([a-z0-9_-]+)""", re.MULTILINE)


def recipes() -> dict[str, str]:
    """Return the leaderboard of each recipe, without parsing the files as YAML.

    Raises
    ------
    WrongCall
        If two leaderboards have a recipe of the same name.
    """
    boards: dict[str, str] = {}
    for board in names_in("leaderboards"):
        for recipe in _RECIPE.findall(_file_of(board).read_text(encoding="utf-8")):
            if boards.setdefault(recipe, board) != board:
                files = f"{_file_of(boards[recipe])}, {_file_of(board)}"
                raise WrongCall(
                    f"recipe {recipe!r} is on two leaderboards: {files}; give one another name"
                )
    return boards


def _file_of(board: str) -> Path:
    return places.config() / "leaderboards" / f"{board}.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments."""
    parser.usage = f"{PROGRAM} recipe [NAME [--profile NAME] [--seeds N]]"
    parser.add_argument("name", metavar="NAME", nargs="?", help="without it: list the names")
    parser.add_argument("--profile", metavar="NAME", default="paper", help="default: paper")
    parser.add_argument(
        "--seeds", metavar="N", type=whole_number_from_1, default=1, help="default: 1"
    )


def check(options: argparse.Namespace) -> None:
    """Refuse unknown names; without one, list them and exit."""
    require_profile(options.profile)
    known = recipes()
    if options.name is not None:
        require_known("recipe", options.name, list(known))
        return
    width = max(map(len, known))
    for name, board in known.items():
        print(f"{name:<{width}}  a method of {board}")
    raise SystemExit(0)


def act(options: argparse.Namespace) -> int:
    """Run a method with each seed, print its scores, and leave its assignments in ``runs/``.

    Raises
    ------
    WrongCall
        If the leaderboard or the profile is invalid.
    UserError
        If the data are not available.
    """
    from report.markdown import duration
    from utils.config.checks import require_sound
    from utils.config.load import load_leaderboard, load_profile

    board_name = recipes()[options.name]
    with refusing():
        require_sound([load_leaderboard(board_name)], load_profile(options.profile))
    from utils.runs.leaderboard import open_board

    for seed in range(options.seeds):
        place = places.topic(options.profile, board_name, places.runs() / "recipes")
        folder = place.notebook(seed, options.name)
        run = open_board(options.name, board_name, options.profile, seed, folder)
        (method,) = run.methods(options.name)
        scores = run.run(method)
        run.finish()
        values = ", ".join(f"{name.upper()} {scores[name]:.4f}" for name in ("acc", "ari", "nmi"))
        print(
            f"{options.name}, {len(run.images):,} images, seed {seed}: {values}, "
            f"{duration(scores['seconds'])}; {shown(folder / 'assignments.parquet')}"
        )
    return 0
