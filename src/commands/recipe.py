"""``run_all.sh recipe``: run one method of a leaderboard."""

from __future__ import annotations

from dataclasses import dataclass

from commands import arguments as calls
from commands.request import checked, duration, shown
from utils import places
from utils.config.checks import require_sound
from utils.config.load import load_leaderboard, load_profile
from utils.config.schema import Leaderboard, Profile


@dataclass(frozen=True)
class RecipeRequest:
    """A validated request for one method of a leaderboard."""

    name: str
    board: Leaderboard
    profile: Profile
    seeds: int


def parse_recipe(arguments: list[str]) -> RecipeRequest:
    """Validate what follows ``recipe``.

    Raises
    ------
    UserError
        If an argument is invalid; nothing was run.
    """
    options = checked(["recipe", *arguments])
    board, profile = load_leaderboard(calls.recipes()[options.name]), load_profile(options.profile)
    require_sound([board], profile)
    return RecipeRequest(options.name, board, profile, options.seeds)


def run_recipe(request: RecipeRequest) -> int:
    """Run a method with each seed, print its scores, and write its assignments to ``runs/``.

    Raises
    ------
    UserError
        If the data is not available.
    """
    from utils.runs.leaderboard import open_board

    board, profile = request.board.leaderboard, request.profile.profile
    for seed in range(request.seeds):
        place = places.topic(profile, board, places.runs() / "recipes")
        folder = place.notebook(seed, request.name)
        run = open_board(request.name, board, profile, seed, folder)
        (method,) = run.methods(request.name)
        scores = run.run(method)
        run.finish()
        listed = ", ".join(f"{name.upper()} {scores[name]:.4f}" for name in ("acc", "ari", "nmi"))
        print(
            f"{request.name}, {len(run.images):,} images, seed {seed}: {listed}, "
            f"{duration(scores['seconds'])}; {shown(folder / 'assignments.parquet')}"
        )
    return 0
