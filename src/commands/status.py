"""``run_all.sh status``: what a run would make again, why, and how long that took before."""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands import run
from commands.arguments import PROGRAM, refusing
from commands.telling import counted, title_of
from utils import places

if TYPE_CHECKING:
    from commands.request import Request
    from commands.staleness import Change

HELP = "say what a run would make again, and why; nothing is started"
# More names of what has changed are only counted.
MOST_NAMES = 4
UNKNOWN = float("nan")
# What a changed input of a notebook is, by the beginning of its path.
INPUTS = {
    "notebooks/": "the notebook's script",
    "config/": "its settings",
    "requirements.lock": "the versions of libraries",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments."""
    parser.usage = f"{PROGRAM} status [--profile NAME] [--studies A,B] [--seeds N] [--out DIR]"
    run.add_selection(parser)
    parser.set_defaults(cores=None, offline=False)


def check(options: argparse.Namespace) -> None:
    """Refuse unknown names and complete the options, as for a run."""
    run.check(options)


def act(options: argparse.Namespace) -> int:
    """Print what is stale; return the exit status.

    Raises
    ------
    WrongCall
        If a study or the profile is invalid.
    """
    from commands.process import running
    from commands.request import validated

    with refusing():
        request = validated(options)
    if process := running():
        print(f"a run is in progress (process {process}); listed is what it has not made yet")
    print(*lines(request), sep="\n")
    return 0


@dataclass(frozen=True)
class Job:
    """A notebook that a run would execute, or the report.

    Attributes
    ----------
    title : str
    reasons : list of str
        Why, in words.
    seconds : float
        How long it took before; NaN if that is not known.
    """

    title: str
    reasons: list[str]
    seconds: float


def lines(request: Request) -> Iterator[str]:
    """Yield what a run would make again and why, and last how long that took before."""
    from report.markdown import duration

    jobs = notebooks_to_make(request)
    report = report_to_make(request, bool(jobs))
    said = "up to date" if report is None else "to be made"
    n_notebooks = counted(len(wanted(request)), "notebook")
    yield (
        f"profile {request.profile.profile}: {len(jobs)} of {n_notebooks} to be made; "
        f"the report is {said}"
    )
    if report is not None:
        jobs.append(report)
    for job in jobs:
        took = "time unknown" if math.isnan(job.seconds) else f"took {duration(job.seconds)}"
        yield f"{job.title} ({took})"
        yield from (f"    {reason}" for reason in job.reasons)
    known = [job.seconds for job in jobs if not math.isnan(job.seconds)]
    if known:
        of_all = "" if len(known) == len(jobs) else f" for {len(known)} of {len(jobs)}"
        yield (
            f"by earlier runs {duration(sum(known))}{of_all}, one after another; a run has several "
            "side by side"
        )
    yield f"'{PROGRAM} publish --check' lists what is stale in the published numbers"


# --- notebooks -----------------------------------------------------------------------------------


def wanted(request: Request) -> list[tuple[str, int, Path]]:
    """List study or leaderboard, seed and manifest of each notebook that a run is to have."""
    from commands.request import notebooks_of

    return [
        (topic.name, seed, request.place(topic).notebook(seed, notebook) / places.MANIFEST)
        for topic in request.studies
        for seed in range(request.seeds)
        for notebook in notebooks_of(topic, seed, range(request.seeds))
    ]


def notebooks_to_make(request: Request) -> list[Job]:
    """List the notebooks that a run would execute, each after those that it needs."""
    from utils.store.files import read_state

    again: set[Path] = set()
    jobs = []
    earlier = _earlier_seconds(request)
    for topic, seed, manifest in wanted(request):
        reasons = _reasons(manifest, again)
        if reasons:
            again.add(manifest)
            notebook = manifest.parent.name
            took = (read_state(manifest, "seconds") or {}).get("seconds")
            seconds = earlier.get((topic, notebook), UNKNOWN) if took is None else took
            jobs.append(Job(title_of(notebook, topic, seed), reasons, seconds))
    return jobs


def _reasons(manifest: Path, again: Iterable[Path]) -> list[str]:
    """Say why a notebook would be executed, if it would; those in `again` are."""
    from commands.staleness import change_since, inputs_of
    from utils.store.files import damaged_files

    if not manifest.is_file():
        return [_why_missing(manifest.parent)]
    if damaged := damaged_files(manifest.parent):
        return [f"its results are not as it left them: {_few(damaged)}"]
    change = change_since(manifest)
    needed = {places.root() / name for name in inputs_of(manifest)}
    return [
        *([] if change is None else _in_words(change)),
        *(f"it needs {_name(other)}, which is made again" for other in again if other in needed),
    ]


def _why_missing(folder: Path) -> str:
    from utils.store.files import read_state

    topic = places.topic_of(folder)
    if (failed := read_state(folder / "error.json", "error")) is not None:
        return f"it failed: {failed['error']}"
    if (without := read_state(topic.not_run, "reason")) is not None:
        return f"its data were not available: {without['reason']}"
    return "it was not run yet"


def _in_words(change: Change) -> list[str]:
    if not change.recorded:
        return ["nothing records what it was made from"]
    said = []
    if change.code:
        part = _few(change.definitions) or "which part was not recorded"
        said.append(f"code has changed: {part}")
    for name in change.inputs:
        what = next((words for begin, words in INPUTS.items() if name.startswith(begin)), None)
        path = places.root() / name
        if path.name == places.MANIFEST:
            said.append(f"{_name(path)}, which it needs, has been made again")
        elif what is None:
            said.append(f"its data have changed: {name}")
        else:
            said.append(f"{what} {'have' if what.endswith('s') else 'has'} changed: {name}")
    return said


def _name(manifest: Path) -> str:
    folder = manifest.parent
    seed = folder.parent.name.removeprefix("seed-")
    return title_of(folder.name, folder.parent.parent.name, int(seed))


def _few(names: Iterable[str]) -> str:
    first, more = list(names)[:MOST_NAMES], list(names)[MOST_NAMES:]
    return ", ".join(first) + (f" and {len(more)} more" if more else "")


def _earlier_seconds(request: Request) -> dict[tuple[str, str], float]:
    """Return how long each notebook took on average, by study or leaderboard and its name.

    The results of other seeds tell it, or else the report of this profile, or the published run if
    it is of this profile.
    """
    from utils.store.files import read_state

    reports = [places.published(), places.root() / "reports" / request.profile.profile]
    records = [read_state(folder / "run.json", "profile", "notebooks") for folder in reports]
    known: dict[tuple[str, str], float] = {}
    for record in records:
        if record and record["profile"].get("profile") == request.profile.profile:
            parts = [record, *record.get("earlier", [])]
            known |= _means([run for part in parts for run in part.get("notebooks", [])])
    manifests = [
        read_state(path, "study", "notebook", "seconds")
        for topic in request.studies
        for path in request.place(topic).manifests()
    ]
    return known | _means([one for one in manifests if one is not None])


def _means(runs: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], float]:
    seconds = defaultdict(list)
    for one in runs:
        seconds[one["study"], one["notebook"]].append(float(one["seconds"]))
    return {key: sum(values) / len(values) for key, values in seconds.items()}


# --- the report ----------------------------------------------------------------------------------


def report_to_make(request: Request, is_after_notebooks: bool) -> Job | None:
    """Return the report if a run would make it, and how long it took before."""
    from commands.outputs import is_complete
    from commands.staleness import records
    from utils.store.files import read_state

    out = places.root() / request.out
    results = {result: path for path, result in records(places.root() / ".snakemake/metadata")}
    mark = str(request.out / ".complete")
    record = read_state(results[mark]) if mark in results else None
    reasons = ["notebooks are made again"] if is_after_notebooks else []
    if not (out / ".complete").is_file():
        reasons.append("it was not made yet")
    elif not is_complete(out):
        reasons.append("a file of it is missing or has changed")
    if record is None:
        if not reasons:
            reasons.append("nothing records what it was made from")
    else:
        reasons += _changes_of_report(request, record, out / ".complete")
    if not reasons:
        return None
    times = [(record or {}).get(name) for name in ("starttime", "endtime")]
    seconds = UNKNOWN if None in times else times[1] - times[0]
    return Job("report", reasons, seconds)


def _changes_of_report(request: Request, record: Mapping[str, Any], mark: Path) -> list[str]:
    """Compare what Snakemake noted of the report with what is there now."""
    from utils.store.files import sha256_file
    from utils.store.fingerprints import source_files

    root = places.root()
    of_template = {path for path in places.template().rglob("*") if path.is_file()}
    today = {*source_files("report.build"), *of_template, *places.published().glob("*.*")}
    noted = {root / name for name in record.get("input") or ()}
    checksums = record.get("input_checksums") or {}

    def has_changed(path: Path) -> bool:
        if not path.is_file():
            return True
        digest = checksums.get(str(path.relative_to(root)))
        if digest is not None:
            return digest != f"sha256:{sha256_file(path)}"
        return mark.is_file() and path.stat().st_mtime > mark.stat().st_mtime

    # What notebooks left is compared with them.
    own = sorted(path for path in noted if not path.is_relative_to(places.runs()))
    changed = [str(path.relative_to(root)) for path in own if has_changed(path)]
    new = sorted(str(path.relative_to(root)) for path in today - noted)
    studies = ",".join(topic.name for topic in request.studies)
    seeds = ",".join(map(str, range(request.seeds)))
    said = [f"changed: {_few(changed)}"] if changed else []
    said += [f"new: {_few(new)}"] if new else []
    if record.get("params") and sorted(record["params"]) != sorted(map(repr, (seeds, studies))):
        said.append("it has other studies or seeds")
    return said
