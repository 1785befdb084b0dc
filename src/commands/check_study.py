"""``run_all.sh check``: whether a study can be run, what is open in it, and what it will cost."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from commands.arguments import PROGRAM, names_in, refusing, require_known
from commands.telling import counted, shown
from utils import places

if TYPE_CHECKING:
    from utils.config import Study
    from utils.config.unfinished import OpenLine
    from utils.runs.trial import Estimate, Trial

HELP = "validate a study, try its network on 500 images, and say what is open and what it costs"
FULL, REDUCED = "paper", "quick"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments."""
    parser.usage = f"{PROGRAM} check STUDY"
    parser.add_argument("name", metavar="STUDY", help="a file in config/studies")
    parser.epilog = "Ends with status 1 if something is open, and 2 if the study is not valid."


def check(options: argparse.Namespace) -> None:
    """Refuse the name of a study that does not exist."""
    folder = places.config() / "studies"
    require_known("study", options.name, names_in("studies"), f" ({folder})")


def act(options: argparse.Namespace) -> int:
    """Check a study and print what was found; return 1 if something is open.

    Raises
    ------
    WrongCall
        If the study could not be run to its end; file, line and key are named.
    UserError
        If there are no data, or the training fails.
    """
    from utils.config import load_profile, load_study
    from utils.config.checks import require_sound
    from utils.config.unfinished import open_lines, study_file

    with refusing():
        study, full = load_study(options.name), load_profile(FULL)
        for profile in (full, load_profile(REDUCED)):
            require_sound([study], profile, may_be_open=True)
        still_open = open_lines(study.study, study.citation)
    print(f"{shown(study_file(study.study))}: valid")
    print(*_open(study, still_open), sep="\n", flush=True)

    from utils.runs.trial import estimate, run_trial

    trial = run_trial(study, load_profile(REDUCED))
    print(*_network(study, trial), sep="\n")
    print(*_time(study, estimate(study, full, trial)), sep="\n")
    return 1 if still_open else 0


def _open(study: Study, still_open: list[OpenLine]) -> Iterator[str]:
    """Say what is to be filled in, and what the paper itself leaves open."""
    from utils.config.checks import clusterings_of

    yield f"to be filled in: {counted(len(still_open), 'line') if still_open else 'nothing'}"
    for file, line, text in still_open:
        yield f"  {shown(file)}:{line}: {text}"
    if not study.reported:
        yield "reported: no value, so that the report will judge none"
    if not study.claims:
        yield "claims: none"
    made = [" / ".join(one.model_dump().values()) for one in clusterings_of(study)]
    yield f"clusterings that reported values and claims may name: {', '.join(made)}"
    topics = [choice.topic for choice in study.choices]
    yield f"left open by the paper (choices): {', '.join(topics) or 'nothing'}"
    for one in study.reported:
        if one.open is not None:
            yield f"  {one.score} is not decidable without it: {one.open}"


def _network(study: Study, trial: Trial) -> Iterator[str]:
    """Say what the layers are, and how the trial ended."""
    architecture = study.autoencoder.architecture
    yield f"network {architecture}, code of {counted(trial.latent_size, 'number')}:"
    for row in trial.layers:
        shape = "×".join(map(str, row["output_shape"]))
        yield f"  {row['part']:<8} {row['layer']:<22} {shape:<12} {row['parameters']:>11,}"
    total = trial.weights + trial.biases
    yield (f"  {total:,} parameters: {trial.weights:,} weights, {trial.biases:,} biases")
    stands_in = "" if trial.dataset == study.dataset else f" (in place of {study.dataset})"
    yield (
        f"one epoch on {trial.images} images of {trial.dataset}{stands_in}: "
        f"{study.autoencoder.loss} {trial.loss:.4f}"
    )


def _time(study: Study, parts: list[Estimate]) -> Iterator[str]:
    """Say how long a full run takes, and how that was estimated."""
    from report.markdown import duration

    total = duration(sum(part.seconds for part in parts))
    yield f"a full run on this machine, as busy as it is now: about {total}"
    for part in parts:
        yield f"  {part.part:<11}{duration(part.seconds):<13}{part.how}"
    unmeasured = ["frozen networks", "maps and figures"]
    spaces = [study.space]
    if study.gmm is not None:
        spaces += study.gmm.also_in
        unmeasured.insert(0, "mixtures")
    if any(space.name == "umap" for space in spaces):
        unmeasured.insert(0, "UMAP")
    if study.dbscan is not None:
        unmeasured.insert(0, "DBSCAN")
    yield f"  not measured: {', '.join(unmeasured)}; minutes for each"
    yield f"  ./{PROGRAM} --profile {FULL} --studies {study.study}"
