"""The arguments of ``run_all.sh``: what may be asked for, and the answer to a wrong call.

Only the standard library is imported: ``run_all.sh`` runs this file with the system's Python before
there is an environment, so that ``--help`` and every wrong call are answered at once. The command
line itself (`commands.run`) parses with the same functions.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import signal
import sys
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

if not __package__:  # run_all.sh runs this file alone, with nothing of ours on the path
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from utils import places

PROGRAM = "run_all.sh"
USAGE = (
    f"{PROGRAM} [images DIR | lab | bench [NAME ...] | recipe NAME | publish [--profile NAME]"
    " | --profile NAME --studies A,B --seeds N --out DIR --cores N --offline --version --help]"
    " [-- ...]"
)
IMAGES_USAGE = (
    f"{PROGRAM} images DIR [--clusters K|auto] [--backbone NAME] [--clusterer NAME] [--name TITLE]"
    " [--labels folders|CSV] [--export DIR [--copy]] [--out DIR] [--seed N] [--offline]\n"
    f"       {PROGRAM} images DIR --model FILE [--export DIR [--copy]] [--out DIR]"
)
BENCHMARKS = (
    "autoencoder_training",
    "control_pipeline",
    "exact_silhouette",
    "frozen_features",
    "n2d",
    "growth",
    "schedule",
    "end_to_end",
)
# Tests compare these two with the modules that have the clusterers and the networks.
CLUSTERERS = ("kmeans", "gmm", "ward", "spectral", "hdbscan", "dbscan_knee", "som", "leiden")
BACKBONES = (
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "resnet50",
    "resnet50_random",
)
GO_ON, USAGE_ERROR, ANSWERED = 0, 2, 3
_RECIPE = re.compile(r"^[^#\n]*?\brecipe: *([a-z0-9_-]+)", re.MULTILINE)


class WrongCall(Exception):
    """A call that cannot be answered; the text is one line that says what is allowed."""


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are `WrongCall`."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print."""
        raise WrongCall(f"{message} ({' '.join(self.format_usage().split())})")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        import tomllib

        project = tomllib.loads((places.root() / "pyproject.toml").read_text(encoding="utf-8"))[
            "project"
        ]
        print(f"{project['name']} {project['version']}")
        parser.exit()


def main(words: Sequence[str]) -> int:
    """Check a call; return what ``run_all.sh`` does next: go on, or stop with what was printed."""
    # A reader that has left (`--help | head -1`) and Ctrl-C end this process without a trace.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        parse(words)
    except WrongCall as wrong:
        print(f"{PROGRAM}: {' '.join(str(wrong).split())}", file=sys.stderr)
        return USAGE_ERROR
    except SystemExit:
        return ANSWERED  # argparse has printed the help or the version
    return GO_ON


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Check a command line without reading more than names of files.

    Returns
    -------
    argparse.Namespace
        The options of the sub-command that was named, if any; paths are absolute.

    Raises
    ------
    WrongCall
        If anything is not as it must be; nothing was run.
    SystemExit
        If help, the version or a list was asked for, and printed.
    """
    try:
        if words and words[0] in _SUB_COMMANDS:
            return _SUB_COMMANDS[words[0]](words[1:])
        return _run(words)
    except OSError as error:
        raise WrongCall(f"{error.filename}: {error.strerror}") from None


def whole_number_from_1(text: str) -> int:
    """Return the number that a word of the command line stands for.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is none, or below 1.
    """
    if not re.fullmatch(r"0*[1-9][0-9]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


# --- what there is, by the names of files ---------------------------------------------------------


def names_in(folder: str) -> list[str]:
    """List the studies, leaderboards or profiles that have a file in ``config/<folder>``."""
    return sorted(
        path.stem
        for path in (places.config() / folder).glob("*.yaml")
        if re.fullmatch("[a-z0-9][a-z0-9_-]*", path.stem) and path.is_file()
    )


def recipes() -> dict[str, str]:
    """Return the leaderboard of each recipe, found by a look at the lines of their files."""
    return {
        recipe: board
        for board in names_in("leaderboards")
        for recipe in _RECIPE.findall(
            (places.config() / "leaderboards" / f"{board}.yaml").read_text(encoding="utf-8")
        )
    }


def _require_known(kind: str, name: str, allowed: Sequence[str], where: str = "") -> None:
    if name not in allowed:
        raise WrongCall(f"unknown {kind} {name!r}: allowed are {', '.join(allowed)}{where}")


def _require_profile(name: str) -> None:
    folder = places.config() / "profiles"
    _require_known("profile", name, names_in("profiles"), f" ({folder})")


# --- places ---------------------------------------------------------------------------------------


def _place(option: str, text: str) -> Path:
    """Return the absolute path that a word of the command line stands for."""
    try:
        return Path(text).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise WrongCall(f"{option} {text!r}: is not a path ({error})") from None


def require_place(out: Path) -> None:
    """See that a folder can be made and written to, without making it.

    Raises
    ------
    WrongCall
        If it cannot.
    """
    # Snakemake reads them as its own in the names of results, which are relative to the checkout.
    name = out.relative_to(places.root()) if out.is_relative_to(places.root()) else out
    if set(str(name)) & set("{}\n"):
        raise WrongCall(f"--out {str(name)!r}: braces and line breaks are not allowed in its path")
    nearest = _nearest_that_exists(out)
    reason = None if nearest.is_dir() else f"{nearest} is a file"
    if reason is None and not os.access(nearest, os.W_OK | os.X_OK):
        reason = f"{nearest} may not be written to"
    if reason is not None:
        raise WrongCall(f"cannot write to {out}: {reason}; name another folder with --out")


def _nearest_that_exists(path: Path) -> Path:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return _nearest_that_exists(path.parent)
    return path


# --- a run of the workflow ------------------------------------------------------------------------


def _run(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog=PROGRAM,
        usage=USAGE,
        description="Run the notebooks of every study and write the report. "
        "'run_all.sh images DIR' clusters a folder of your own pictures (see 'images --help'). "
        "'run_all.sh lab' opens the notebooks in JupyterLab instead. 'run_all.sh bench' measures "
        "how fast the parts are, beside what people would use instead. 'run_all.sh recipe NAME' "
        "runs one line of a leaderboard alone; without a name it lists them. 'run_all.sh publish' "
        "keeps the numbers of a full run (reports/NAME, by default reports/paper) in "
        "reports/published and in README.md.",
        epilog="What follows -- goes to Snakemake (after 'lab': to JupyterLab). "
        "A second run repeats only what has changed.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--profile", metavar="NAME", default="quick", help="how much to run: quick (default), paper"
    )
    studies = names_in("studies")
    parser.add_argument(
        "--studies",
        metavar="A,B",
        help=f"which studies, separated by commas (default: all: {', '.join(studies)})",
    )
    parser.add_argument(
        "--seeds",
        metavar="N",
        type=whole_number_from_1,
        help="run seeds 0 to N-1 (default: as many as the profile says)",
    )
    parser.add_argument(
        "--out", metavar="DIR", help="folder of the report (default: reports/PROFILE)"
    )
    parser.add_argument(
        "--cores", metavar="N", type=whole_number_from_1, help="processor cores (default: all)"
    )
    parser.add_argument(
        "--offline", action="store_true", help="no network: cached data, or what is embedded"
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    own, rest = _split_at_dashes(words)
    options, unknown = parser.parse_known_args(own)
    if unknown:
        if unknown[0] in _SUB_COMMANDS:
            raise WrongCall(
                f"the sub-command {unknown[0]!r} comes first, its options after it: "
                f"{PROGRAM} {unknown[0]} --help"
            )
        kind = "option" if unknown[0].startswith("-") else "sub-command"
        parser.error(f"unknown {kind} {unknown[0]!r}")
    _require_profile(options.profile)
    boards = names_in("leaderboards")
    if options.studies is None:
        options.studies = [*studies, *boards]
    else:
        wanted = {name.strip() for name in options.studies.split(",")}
        for name in sorted(wanted):
            folders = f" ({places.config() / 'studies'}, {places.config() / 'leaderboards'})"
            _require_known("study", name, [*studies, *boards], folders)
        # In the order of the files: the same studies make the same report.
        options.studies = sorted(wanted, key=lambda name: (name in boards, name))
    if options.out is not None and not options.out.strip():
        raise WrongCall("--out is empty: name a folder, or leave it out for reports/PROFILE")
    options.out = _place("--out", options.out or str(places.root() / "reports" / options.profile))
    require_place(options.out)
    options.for_snakemake = rest
    return options


def _split_at_dashes(words: Sequence[str]) -> tuple[list[str], list[str]]:
    words = list(words)
    if "--" not in words:
        return words, []
    position = words.index("--")
    return words[:position], words[position + 1 :]


# --- the sub-commands -----------------------------------------------------------------------------


def _lab(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog=f"{PROGRAM} lab",
        usage=f"{PROGRAM} lab [-- ...]",
        description="Open the notebooks in JupyterLab, on this machine only. "
        "What follows -- goes to JupyterLab.",
        allow_abbrev=False,
    )
    own, rest = _split_at_dashes(words)
    options, unknown = parser.parse_known_args(own)
    if unknown:
        raise WrongCall(f"lab takes no {unknown[0]!r}: what follows -- goes to JupyterLab")
    options.for_jupyterlab = rest
    return options


def _bench(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog=f"{PROGRAM} bench",
        usage=f"{PROGRAM} bench [NAME ...]",
        description="Measure how fast the parts are, beside what people would use instead, and "
        f"write the tables of the README. Names: {', '.join(BENCHMARKS)}. Without one all of them "
        "are run, which takes an hour.",
        allow_abbrev=False,
    )
    parser.add_argument("names", metavar="NAME", nargs="*")
    options = parser.parse_args(words)
    for name in sorted(options.names):
        _require_known("benchmark", name, BENCHMARKS)
    return options


def _publish(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog=f"{PROGRAM} publish",
        usage=f"{PROGRAM} publish [--profile NAME]",
        description="Keep the numbers of reports/NAME in reports/published and in README.md.",
        allow_abbrev=False,
    )
    parser.add_argument("--profile", metavar="NAME", default="paper", help="default: paper")
    options = parser.parse_args(words)
    _require_profile(options.profile)
    return options


def _recipe(words: Sequence[str]) -> argparse.Namespace:
    known = recipes()
    parser = Parser(
        prog=f"{PROGRAM} recipe",
        usage=f"{PROGRAM} recipe [NAME [--profile NAME] [--seeds N]]",
        description="Run one named line of a leaderboard and say how well it does. "
        f"Names: {', '.join(known)}.",
        allow_abbrev=False,
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="without it: list the names")
    parser.add_argument("--profile", metavar="NAME", default="paper", help="default: paper")
    parser.add_argument("--seeds", metavar="N", type=whole_number_from_1, default=1)
    options = parser.parse_args(words)
    _require_profile(options.profile)
    if options.name is None:
        width = max(map(len, known))
        for name, board in known.items():
            print(f"{name:<{width}}  a line of {board}")
        parser.exit()
    _require_known("recipe", options.name, list(known))
    return options


# --- a person's own pictures ----------------------------------------------------------------------


def _images(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog=f"{PROGRAM} images",
        usage=IMAGES_USAGE,
        description="Cluster the pictures of a folder and write a report on them.",
        allow_abbrev=False,
    )
    parser.add_argument("folder", metavar="DIR", help="folder of the pictures, nested or flat")
    parser.add_argument("--clusters", metavar="K|auto", help="default: auto, chosen without labels")
    parser.add_argument(
        "--backbone",
        metavar="NAME",
        help=f"{', '.join(BACKBONES)} or timm:MODEL (default: {BACKBONES[0]})",
    )
    parser.add_argument(
        "--clusterer", metavar="NAME", help=f"one of {', '.join(CLUSTERERS)} (default: gmm)"
    )
    parser.add_argument("--name", metavar="TITLE", help="title of the report (default: the folder)")
    parser.add_argument("--labels", metavar="folders|CSV", help="for scoring only")
    parser.add_argument("--export", metavar="DIR", help="make a folder of links for each cluster")
    parser.add_argument("--copy", action="store_true", help="export copies instead of links")
    parser.add_argument("--model", metavar="FILE", help="put the pictures into these clusters")
    parser.add_argument(
        "--out", metavar="DIR", help="folder of the report (default: in reports/images)"
    )
    parser.add_argument("--seed", metavar="N", default="0")
    parser.add_argument("--offline", action="store_true", help="no network")
    options = parser.parse_args(words)
    options.folder = _folder(options.folder)
    if options.name is None:
        options.name = options.folder.name or "images"
    if not options.name.strip():
        raise WrongCall("--name is empty: give a title, or leave it out for the folder's name")
    if options.model is not None:
        for name in ("clusters", "clusterer", "backbone", "labels"):
            if getattr(options, name) is not None:
                raise WrongCall(f"--{name} cannot be given with --model, which has its clusters")
        options.model = _place("--model", options.model)
    if options.copy and options.export is None:
        raise WrongCall("--copy says how to --export: give --export DIR as well")
    if not re.fullmatch("[0-9]{1,9}", options.seed):
        raise WrongCall(f"--seed {options.seed!r}: not a whole number from 0")
    options.seed = int(options.seed)
    options.clusters = _clusters(options.clusters)
    options.clusterer = _one_of("--clusterer", options.clusterer or "gmm", CLUSTERERS)
    options.backbone = options.backbone or BACKBONES[0]
    if not re.fullmatch("timm:[A-Za-z0-9_.]+", options.backbone):
        _one_of("--backbone", options.backbone, (*BACKBONES, "timm:MODEL"))
    # What is put into known clusters is no report, and does not replace one.
    kind = "" if options.model is None else "-assigned"
    default = places.root() / "reports" / "images" / f"{plain_name(options.name)}{kind}"
    options.out = _place("--out", options.out or str(default))
    if options.export is not None:
        options.export = _place("--export", options.export)
    for option, place in (("--out", options.out), ("--export", options.export)):
        if place is not None and place.is_relative_to(options.folder):
            raise WrongCall(f"{option} {place}: lies in the folder of the pictures; name another")
    require_place(options.out)
    return options


def _folder(text: str) -> Path:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise WrongCall(
            "the folder's path is not UTF-8: rename the folder, or a link to it"
        ) from None
    folder = _place("DIR", text)
    if not folder.is_dir():
        raise WrongCall(f"{folder}: there is no such folder: name the folder of your pictures")
    return folder


def _clusters(text: str | None) -> int | str:
    if text in (None, "auto"):
        return "auto"
    try:
        return whole_number_from_1(text)
    except argparse.ArgumentTypeError:
        raise WrongCall(f"--clusters {text!r}: must be 'auto' or a whole number from 1") from None


def _one_of(option: str, name: str, allowed: Sequence[str]) -> str:
    if name not in allowed:
        raise WrongCall(f"{option} {name!r}: allowed are {', '.join(allowed)}")
    return name


def plain_name(title: str) -> str:
    """Make a name for folders and links of any title.

    Letters of the Latin alphabet, digits and hyphens stay; a title without any is named by a hash.
    """
    latin = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", latin.lower()).strip("-")[:60].strip("-")
    digest = hashlib.sha256(title.encode("utf-8", "replace")).hexdigest()[:8]
    return name if name and title.isascii() else "-".join(filter(None, (name, digest)))


_SUB_COMMANDS: dict[str, Callable[[Sequence[str]], argparse.Namespace]] = {
    "images": _images,
    "lab": _lab,
    "bench": _bench,
    "recipe": _recipe,
    "publish": _publish,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
