"""``run_all.sh new-study``: begin the file of a study from one that is there."""

from __future__ import annotations

import argparse
import re

from commands.arguments import PROGRAM, WrongCall, names_in, refusing, require_known
from commands.telling import shown
from utils import places

HELP = "begin a study of your own: its file, with all that is to be filled in, and its citation"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments."""
    parser.usage = f"{PROGRAM} new-study NAME --like STUDY"
    parser.add_argument("name", metavar="NAME", help="of the study and of its file")
    parser.add_argument(
        "--like", metavar="STUDY", required=True, help="the study whose protocol it begins with"
    )


def check(options: argparse.Namespace) -> None:
    """Refuse a name that is taken or cannot be one, and an unknown study to begin with."""
    if not re.fullmatch(places.PLAIN_NAME, options.name):
        raise WrongCall(
            f"{options.name!r} cannot be the name of a study: allowed are lower-case letters, "
            "digits, - and _, first a letter or digit"
        )
    for folder, kind in (("studies", "study"), ("leaderboards", "leaderboard")):
        if options.name in names_in(folder):
            path = places.config() / folder / f"{options.name}.yaml"
            raise WrongCall(f"{options.name!r} is a {kind} already ({path}): choose another name")
    require_known("study", options.like, names_in("studies"), " (--like)")


def act(options: argparse.Namespace) -> int:
    """Write the file of the study and the stub of its citation; return the exit status.

    Raises
    ------
    WrongCall
        If the name is that of a representation, or the study to begin with is invalid.
    """
    from commands.study_file import bibliography_with, text_of
    from utils.config import load_study
    from utils.config.unfinished import references, study_file
    from utils.store.files import write_text

    _require_no_representation(options.name)
    with refusing():
        like = load_study(options.like)
        bibliography = bibliography_with(options.name)
    write_text(study_file(options.name), text_of(options.name, like))
    written = [study_file(options.name)]
    if bibliography is not None:
        write_text(references(), bibliography)
        written.append(references())
    print("written:", ", ".join(map(shown, written)))
    print("next: fill in what is marked FILL IN; docs/adding-a-study.md walks through an example")
    print(f"then: ./{PROGRAM} check {options.name}")
    return 0


def _require_no_representation(name: str) -> None:
    """Refuse the name of a representation: on a leaderboard, a study's name stands for its own."""
    from utils.config import methods

    taken = [*methods.HANDMADE, *methods.FROZEN, *methods.TRAINED, "autoencoder"]
    if name in taken:
        raise WrongCall(
            f"{name!r} is the name of a representation: allowed is any but {', '.join(taken)}"
        )
