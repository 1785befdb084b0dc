"""``run_all.sh``: parse a call and hand it to its command.

``run_all.sh`` first runs this file alone, with the system's Python and before there is an
environment, so that help and wrong calls are answered at once. Therefore a command imports nothing
but the standard library before it acts.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

if not __package__:  # run alone, with nothing of ours on the path
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from commands import (
    bench,
    check_study,
    compare,
    images,
    lab,
    new_study,
    publish,
    recipe,
    run,
    status,
)
from commands.arguments import PROGRAM, Parser, WrongCall
from commands.last_resort import guarded
from utils import places

# Each has HELP, add_arguments, check and act. Without a name, `run` acts.
COMMANDS = {
    "images": images,
    "lab": lab,
    "new-study": new_study,
    "check": check_study,
    "bench": bench,
    "recipe": recipe,
    "publish": publish,
    "status": status,
    "compare": compare,
}
# What follows -- is for Snakemake or JupyterLab.
PASSING_ON = (run, lab)
GO_ON, ANSWERED = 0, 3


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        text = (places.root() / "pyproject.toml").read_text(encoding="utf-8")
        project = tomllib.loads(text)["project"]
        print(f"{project['name']} {project['version']}")
        parser.exit()


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse and check a call, reading no more than the names of files.

    Returns
    -------
    argparse.Namespace
        The options; paths are absolute, and `command` is the module that acts upon them.

    Raises
    ------
    WrongCall
        If an argument is invalid; nothing was run.
    SystemExit
        After printing the help, the version or a list that was asked for.
    """
    name, words = (words[0], words[1:]) if words and words[0] in COMMANDS else (None, words)
    command = COMMANDS.get(name, run)
    passed_on: Sequence[str] = ()
    if command in PASSING_ON and "--" in words:
        dashes = list(words).index("--")
        words, passed_on = words[:dashes], words[dashes + 1 :]
    parser = _parser_of(name, with_commands=bool({"-h", "--help"} & set(words)))
    options, unknown = parser.parse_known_args(words)
    if unknown and name is None and unknown[0] in COMMANDS:
        raise WrongCall(
            f"the command {unknown[0]!r} comes first, its options after it: "
            f"{PROGRAM} {unknown[0]} --help"
        )
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    options.command, options.passed_on = command, tuple(passed_on)
    try:
        command.check(options)
    except OSError as error:
        raise WrongCall(f"{error.filename}: {error.strerror}") from None
    return options


def _parser_of(name: str | None, with_commands: bool) -> Parser:
    """Return the parser of a command, or without a name that of `run`."""
    parser = Parser(prog=PROGRAM)
    run.add_arguments(parser)
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    if name is None and not with_commands:
        # Only the help lists them: argparse would read the value of an unknown option as a command.
        return parser
    others = parser.add_subparsers(title="other commands", metavar="COMMAND", prog=PROGRAM)
    for other, command in COMMANDS.items():
        description = f"{command.HELP[0].upper()}{command.HELP[1:]}."
        subparser = others.add_parser(other, help=command.HELP, description=description)
        command.add_arguments(subparser)
    return parser if name is None else others.choices[name]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status (see `commands.last_resort`)."""
    return guarded(lambda: _act(sys.argv[1:] if arguments is None else arguments))


def _act(words: Sequence[str]) -> int:
    from commands.hermetic import leave_out_personal_settings, make_paths_absolute
    from utils.store.files import remove_leftovers

    options = parse(words)
    make_paths_absolute()
    if options.command is not lab:
        leave_out_personal_settings()
    remove_leftovers()
    return options.command.act(options)


def check(words: Sequence[str]) -> int:
    """Check a call; return what ``run_all.sh`` does next: go on, or stop with what was printed."""
    # A reader that has left (`--help | head -1`) and Ctrl-C end this process without a word.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        parse(words)
    except SystemExit:
        return ANSWERED  # argparse has printed the help, the version or a list
    return GO_ON


if __name__ == "__main__":
    sys.exit(guarded(lambda: check(sys.argv[1:])))
