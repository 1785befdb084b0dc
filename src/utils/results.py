"""The folders that runs leave, read into one set of tables and written beside the report."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ValidationError

from utils import artifacts, config, recording
from utils.comparisons import (
    ASSIGNMENT_COLUMNS,
    COMBINATION,
    CONFUSION_COLUMNS,
    FACT_COLUMNS,
    FAILED,
    METRIC_COLUMNS,
    reported_vs_reproduced,
    values_of,
)
from utils.leaderboards import COST_COLUMNS
from utils.recording import ASSIGNMENTS, CONFUSION, COSTS, LABELS, METRICS
from utils.store.fingerprints import library_versions

if TYPE_CHECKING:
    from utils import figures

WORDS = {"study": "str", "representation": "str", "space": "str", "clusterer": "str"}
CPUINFO = Path("/proc/cpuinfo")
REPORTING_LIBRARIES = ("pandas", "matplotlib", "papermill", "snakemake", "pypandoc_binary", "typst")


class Figure(BaseModel):
    """A figure of one notebook; its files are paths relative to the notebook's folder.

    `csv` has the numbers that it shows, `cell` is the number of the cell that drew it.
    """

    name: str
    caption: str
    alt: str
    cell: int | None = None
    svg: str | None = None
    png: str | None = None
    csv: str | None = None


class Table(BaseModel):
    """A table of one notebook; `csv` is a path relative to the notebook's folder."""

    name: str
    caption: str
    cell: int | None = None
    csv: str


class Manifest(BaseModel):
    """What one executed notebook left, and the parameters that it was executed with.

    `files` are paths relative to its folder.
    """

    notebook: str
    study: str
    profile: str
    seed: int
    seconds: float
    peak_memory_mb: float | None = None
    started: str
    finished: str
    parameters: dict[str, int | float | str | bool | None] = {}
    figures: list[Figure] = []
    tables: list[Table] = []
    facts: dict[str, int | float | str | bool | None] = {}
    atlas: str | None = None
    notes: list[str] = []
    files: list[str]
    failed: str | None = None


@dataclass(frozen=True)
class NotebookRun:
    """One executed notebook of one study and seed, and the folder that it left."""

    study: str
    seed: int
    notebook: str
    folder: Path
    manifest: Manifest

    def file(self, name: str) -> Path | None:
        """Return a file that the notebook wrote; None if it wrote none of this name."""
        return self.folder / name if name in self.manifest.files else None


@dataclass(frozen=True)
class Results:
    """Everything that the runs of a profile left.

    `studies` and `boards` have each study and leaderboard that was asked for; those in `not_run`
    (name to reason) have no results. `data` maps one that was run to its ``data.json``, `labels` a
    leaderboard that was run to the classes of its images. `gaps` says in words what is missing or
    doubtful.
    """

    profile: config.Profile
    studies: dict[str, config.Study]
    boards: dict[str, config.Leaderboard]
    seeds: tuple[int, ...]
    notebooks: tuple[NotebookRun, ...]
    data: dict[str, dict[str, Any]]
    not_run: dict[str, str]
    gaps: tuple[str, ...]
    metrics: pd.DataFrame
    assignments: pd.DataFrame
    confusion: pd.DataFrame
    facts: pd.DataFrame
    costs: pd.DataFrame
    labels: dict[str, np.ndarray]

    @property
    def topics(self) -> list[str]:
        """Names of the studies and of the leaderboards."""
        return [*self.studies, *self.boards]

    @property
    def substituted(self) -> list[str]:
        """Names of the studies that got other data than their protocol asks for."""
        return [study for study, data in self.data.items() if data["substituted"]]

    def first_runs(self, study: str) -> list[NotebookRun]:
        """List each notebook of `study` once, from the first seed that finished it well."""
        first: dict[str, NotebookRun] = {}
        for run in self.notebooks:
            if run.study == study and not run.manifest.failed:
                first.setdefault(run.notebook, run)
        return [first[notebook] for notebook in sorted(first)]


def collect(profile: str, studies: Sequence[str], seeds: Sequence[int], runs_dir: Path) -> Results:
    """Read what the runs of a profile left.

    Parameters
    ----------
    profile : str
        Name of the profile.
    studies : sequence of str
        Names of the studies and leaderboards, in the order of the report.
    seeds : sequence of int
        Seeds whose results belong in the tables.
    runs_dir : Path
        Folder that holds ``<profile>/<study>/seed-<k>/<notebook>/``.

    Returns
    -------
    Results
        A notebook that left no manifest did not finish: it counts as missing, and `gaps` names it.

    Raises
    ------
    UserError
        If a study or the profile is unknown, or a file is missing or malformed.
    """
    topics = {name: config.load_topic(name) for name in studies}
    folder = Path(runs_dir) / config.load_profile(profile).profile
    not_run: dict[str, str] = {}
    data: dict[str, dict[str, Any]] = {}
    notebooks: list[NotebookRun] = []
    for study in topics:
        if (folder / study / "not_run.json").is_file():
            not_run[study] = str(_read_json(folder / study / "not_run.json", "reason")["reason"])
            continue
        finished = [run for seed in seeds for run in _notebooks(folder, study, seed)]
        if not finished:
            not_run[study] = "no notebook of this study finished"
            continue
        data[study] = _read_json(
            folder / study / "data.json",
            *("dataset", "requested", "substituted", "reason", "source", "n"),
            *("images_sha256", "labels_sha256"),
        )
        notebooks += finished
    # A study and a leaderboard have other notebooks.
    gaps = [
        gap
        for kind in (config.Study, config.Leaderboard)
        for gap in _unfinished(
            folder, [name for name in data if isinstance(topics[name], kind)], seeds, notebooks
        )
    ]
    # What an earlier run of a failed notebook left is no result of this one.
    good = [run for run in notebooks if not run.manifest.failed]
    metrics, disagreements = _read_metrics(good)
    boards = {n: topic for n, topic in topics.items() if isinstance(topic, config.Leaderboard)}
    return Results(
        profile=config.load_profile(profile),
        studies={name: topic for name, topic in topics.items() if name not in boards},
        boards={name: board for name, board in boards.items() if name not in not_run},
        seeds=tuple(seeds),
        notebooks=tuple(notebooks),
        data=data,
        not_run=not_run,
        gaps=(*gaps, *_failures(notebooks), *disagreements),
        metrics=metrics,
        assignments=_read_assignments(good),
        confusion=_read_confusion(good),
        facts=_facts_of(notebooks),
        costs=_read_costs(good),
        labels=_read_labels(good),
    )


def _read_json(path: Path, *keys: str) -> dict[str, Any]:
    try:
        content = artifacts.read_json(path)
    except FileNotFoundError:
        raise config.UserError(f"{path}: missing: run the study again") from None
    except ValueError as error:
        raise config.UserError(f"{path}: not valid JSON ({error}): run the study again") from None
    absent = [key for key in keys if not isinstance(content, dict) or key not in content]
    if absent:
        raise config.UserError(f"{path}: key {absent[0]!r} is missing: run the study again")
    return content


def _notebooks(folder: Path, study: str, seed: int) -> list[NotebookRun]:
    paths = sorted((folder / study / f"seed-{seed}").glob("*/manifest.json"))
    return [notebook_run(path, folder.name, study, seed) for path in paths]


def notebook_run(path: Path, profile: str, study: str, seed: int) -> NotebookRun:
    """Read the manifest that a notebook left, and see that its files are there.

    Raises
    ------
    UserError
        If it is missing or malformed, of another run, or names a file that is missing, or any file
        beside it is other than it was when the notebook ended.
    """
    content = _read_json(path)
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(str(step) for step in problem["loc"])
        raise config.UserError(f"{path}: key {key!r}: {problem['msg']}") from None
    found = (manifest.profile, manifest.study, manifest.seed, manifest.notebook)
    expected = (profile, study, seed, path.parent.name)
    if found != expected:
        raise config.UserError(f"{path}: is of {found}, but lies in the folder of {expected}")
    files = [name for figure in manifest.figures for name in (figure.svg, figure.png, figure.csv)]
    for name in [*files, *(table.csv for table in manifest.tables), *manifest.files]:
        if name is not None and not (path.parent / name).is_file():
            raise config.UserError(f"{path}: names {name!r}, which is missing: run it again")
    if damaged := artifacts.damaged_files(path.parent):
        raise config.UserError(
            f"{path.parent / damaged[0]}: was changed or damaged after it was written: remove the "
            f"folder {path.parent} and run again"
        )
    return NotebookRun(study, seed, manifest.notebook, path.parent, manifest)


def _unfinished(
    folder: Path, studies: Sequence[str], seeds: Sequence[int], finished: list[NotebookRun]
) -> list[str]:
    """Say which notebooks, begun for some study and seed, have no manifest for which others."""
    begun = {
        path.name
        for study in studies
        for seed in seeds
        for path in (folder / study / f"seed-{seed}").glob("*/")
    }
    done = {(run.study, run.notebook, run.seed) for run in finished}
    gaps = []
    for study in studies:
        for notebook in sorted(begun):
            missing = [str(seed) for seed in seeds if (study, notebook, seed) not in done]
            if missing:
                which = f"seed{'s'[: len(missing) - 1]} {', '.join(missing)}"
                gaps.append(f"{study}: {which}: no finished notebook {notebook}; it is in no mean")
    return gaps


def _failures(notebooks: Iterable[NotebookRun]) -> list[str]:
    return [
        f"{run.study}: seed {run.seed} failed in {run.notebook}: {run.manifest.failed}; "
        "it is in no mean"
        for run in notebooks
        if run.manifest.failed
    ]


def _facts_of(notebooks: Iterable[NotebookRun]) -> pd.DataFrame:
    rows = [
        (run.study, run.seed, run.notebook, name, value)
        for run in notebooks
        for name, value in (run.manifest.facts | {FAILED: run.manifest.failed}).items()
        if value is not None
    ]
    return pd.DataFrame(rows, columns=list(FACT_COLUMNS), dtype=object)


def _read_confusion(notebooks: Iterable[NotebookRun]) -> pd.DataFrame:
    types = {**WORDS, "class": "str"}
    # Class names such as "0" and "None" are words.
    tables = [
        pd.read_csv(path, dtype=types, keep_default_na=False)
        for run in notebooks
        if (path := run.file(CONFUSION))
    ]
    if not tables:
        return pd.DataFrame(columns=list(CONFUSION_COLUMNS))
    joined = pd.concat(tables, ignore_index=True)
    absent = [column for column in CONFUSION_COLUMNS if column not in joined.columns]
    if absent:
        raise config.UserError(f"confusion.csv: column {absent[0]!r} is missing: run it again")
    return joined.drop_duplicates([*COMBINATION, "seed", "class", "cluster"], ignore_index=True)


def _read_costs(notebooks: Iterable[NotebookRun]) -> pd.DataFrame:
    tables = [
        pd.read_csv(path, dtype=WORDS | {"recipe": "str", "settings": "str"}, keep_default_na=False)
        for run in notebooks
        if (path := run.file(COSTS))
    ]
    joined = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    return joined.reindex(columns=list(COST_COLUMNS))


def _read_labels(notebooks: Iterable[NotebookRun]) -> dict[str, np.ndarray]:
    """Read the classes of each leaderboard's images; they are the same for all its seeds."""
    return {
        run.study: pd.read_parquet(path)["class"].to_numpy()
        for run in notebooks
        if (path := run.file(LABELS))
    }


def _read_metrics(notebooks: Iterable[NotebookRun]) -> tuple[pd.DataFrame, list[str]]:
    """Join all metrics; where two notebooks scored the same thing, the earlier one's row stays."""
    tables = [_read_metrics_of(run) for run in notebooks]
    frames = [table for table in tables if not table.empty]
    if not frames:
        return pd.DataFrame(columns=list(METRIC_COLUMNS)), []
    rows = pd.concat(frames, ignore_index=True)
    key = ["profile", *COMBINATION, "seed", "metric"]
    spread = rows.groupby(key)["value"].agg(lambda values: values.max() - values.min())
    doubtful = spread[spread > 1e-6].reset_index()
    disagreements = [
        f"{row.study}: two notebooks differ in {row.metric} of {row.representation}/{row.space}/"
        f"{row.clusterer} (n = {row.n}, seed {row.seed}) by {row.value:.2g}; the first one counts"
        for row in doubtful.itertuples()
    ]
    return rows.drop_duplicates(key, ignore_index=True), disagreements


def _read_metrics_of(run: NotebookRun) -> pd.DataFrame:
    path = run.file(METRICS)
    if path is None:
        return pd.DataFrame(columns=list(METRIC_COLUMNS))  # this notebook scored nothing
    try:
        frame = pd.read_csv(path, dtype={**WORDS, "n": "int64", "seed": "int64", "value": "float"})
    except ValueError as error:
        raise config.UserError(f"{path}: malformed ({error}): run the notebook again") from None
    absent = [column for column in METRIC_COLUMNS if column not in frame.columns]
    if absent:
        raise config.UserError(f"{path}: column {absent[0]!r} is missing: run the notebook again")
    return frame[list(METRIC_COLUMNS)]


def _read_assignments(notebooks: Iterable[NotebookRun]) -> pd.DataFrame:
    seen: set[tuple] = set()
    parts = []
    for run in notebooks:
        path = run.file(ASSIGNMENTS)
        if path is None:
            continue
        frame = pd.read_parquet(path, columns=list(ASSIGNMENT_COLUMNS))
        for key, part in frame.groupby([*COMBINATION, "seed"], observed=True, sort=False):
            if key not in seen:
                seen.add(key)
                parts.append(part)
    if not parts:
        return pd.DataFrame(columns=list(ASSIGNMENT_COLUMNS))
    types = {"seed": "int32", "index": "int32", "cluster": "int32", "n": "int32"}
    joined = pd.concat(parts, ignore_index=True).astype(types)
    return joined.astype(dict.fromkeys(WORDS, "category"))


def figure_stems(results: Results) -> dict[tuple[str, str, str], str]:
    """Name the copy of each figure without its suffix.

    Returns
    -------
    dict of (str, str, str) to str
        (study, notebook, figure) to ``<study>-<figure>``; letters that are no good in a file's name
        become hyphens, and a second figure of one name gets a number.
    """
    stems: dict[tuple[str, str, str], str] = {}
    for study in results.topics:
        for run in results.first_runs(study):
            for figure in run.manifest.figures:
                stem = f"{study}-{re.sub(r'[^A-Za-z0-9_-]+', '-', figure.name)}"
                stems[study, run.notebook, figure.name] = _unused(stem, stems.values())
    return stems


def _unused(name: str, taken: Collection[str]) -> str:
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def write_results(results: Results, out: Path) -> None:
    """Write the tables, the record of the run and the figures into `out`, each file atomically."""
    out = Path(out)
    with artifacts.atomic_path(out / "metrics.csv") as temporary:
        results.metrics.to_csv(temporary, index=False)
    with artifacts.atomic_path(out / "assignments.parquet") as temporary:
        results.assignments.to_parquet(temporary, index=False, compression="zstd")
    verdict_table = verdicts(results)
    for name, table in (
        ("reported_vs_reproduced", verdict_table),
        ("confusion", results.confusion),
        ("facts", results.facts),
    ):
        with artifacts.atomic_path(out / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False)
    artifacts.write_json(out / "run.json", record(results))
    stems = figure_stems(results)
    for study in results.topics:
        for run in results.first_runs(study):
            for figure in run.manifest.figures:
                stem = stems[study, run.notebook, figure.name]
                copy_figure(run.folder, figure, out / "figures" / stem)
    studies = list(results.studies.values())
    draw_forests(studies, results.metrics, results.facts, verdict_table, out / "figures")


def draw_forests(
    studies: Iterable[config.Study],
    metrics: pd.DataFrame,
    facts: pd.DataFrame,
    verdict_table: pd.DataFrame,
    folder: Path,
) -> None:
    """Draw the reported scores of each study beside ours; counts of parameters are no scores.

    Parameters
    ----------
    studies : iterable of Study
    metrics, facts, verdict_table : DataFrame
        Columns `METRIC_COLUMNS`, `FACT_COLUMNS` and `VERDICT_COLUMNS` of `comparisons`.
    folder : Path
        Gets ``<study>-forest`` as SVG, PNG and CSV for each study that has a score.
    """
    from utils import figures

    for study in studies:
        own = verdict_table[verdict_table["study"] == study.study].set_index("figure")
        estimates = [
            figures.Estimate(
                figure.figure,
                figure.value,
                figure.tolerance,
                list(values_of(metrics, facts, study.study, figure).values()),
                *own.loc[figure.figure, ["ci_low", "ci_high"]].astype(float),
            )
            for figure in study.reported
            if figure.fact is None
        ]
        estimates = [estimate for estimate in estimates if estimate.seeds]
        if estimates:
            drawn = artifacts.load_or_make(
                f"{study.study}-forest",
                {"title": study.title, "estimates": [list(one) for one in estimates]},
                ("utils.figures",),
                partial(_forest, estimates, study.title),
                recording.CACHE,
            )
            for suffix, content in drawn.items():
                with artifacts.atomic_path(folder / f"{study.study}-forest.{suffix}") as temporary:
                    temporary.write_bytes(content)


def _forest(estimates: list[figures.Estimate], title: str) -> dict[str, bytes]:
    """Return the files of the figure that `draw_forests` draws, by suffix."""
    from utils import figures

    with tempfile.TemporaryDirectory() as folder:
        saved = figures.save(figures.forest(estimates, title), Path(folder), "forest")
        return {path.suffix[1:]: path.read_bytes() for path in saved if path is not None}


def copy_figure(folder: Path, figure: Figure, target: Path) -> None:
    """Copy the files of a notebook's figure to `target`, a path without its suffix."""
    for suffix in ("svg", "png", "csv"):
        name = getattr(figure, suffix)
        if name is not None:
            with artifacts.atomic_path(target.with_name(f"{target.name}.{suffix}")) as temporary:
                shutil.copyfile(folder / name, temporary)


def verdicts(results: Results) -> pd.DataFrame:
    """Return the table of `reported_vs_reproduced` for everything that was collected."""
    return reported_vs_reproduced(
        results.metrics,
        results.facts,
        results.studies.values(),
        results.profile.reduced,
        results.substituted,
    )


def record(results: Results) -> dict[str, Any]:
    """Return what ``run.json`` holds: commit, versions, hardware, data, durations, seeds."""
    return {
        **provenance(),
        "profile": results.profile.model_dump(),
        "studies": list(results.studies),
        "leaderboards": list(results.boards),
        "not_run": results.not_run,
        "seeds": list(results.seeds),
        "gaps": list(results.gaps),
        "data": results.data,
        "seconds": sum(run.manifest.seconds for run in results.notebooks),
        "notebooks": [
            {
                "study": run.study,
                "seed": run.seed,
                "notebook": run.notebook,
                "seconds": run.manifest.seconds,
                "peak_memory_mb": run.manifest.peak_memory_mb,
                "started": run.manifest.started,
                "finished": run.manifest.finished,
            }
            for run in results.notebooks
        ],
    }


def provenance() -> dict[str, Any]:
    """Return what each ``run.json`` says of when, of which code and on what a report was made."""
    commit, dirty, reason = git_state(config.ROOT)
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "dirty": dirty,
        "commit_reason": reason,
        "versions": versions(),
        "hardware": hardware(),
    }


def git_state(folder: Path) -> tuple[str | None, bool | None, str | None]:
    """Return the commit of a checkout, whether it has changes, and why there is no commit.

    Returns
    -------
    (str or None, bool or None, str or None)
        Commit and flag with no reason, or None and None with the reason.
    """
    if shutil.which("git") is None:
        return None, None, "git is not installed"
    top = _git(folder, "rev-parse", "--show-toplevel")
    if "dubious ownership" in top.stderr:
        return (
            None,
            None,
            (
                "the git checkout belongs to another user, and git does not read it "
                "(git config --global --add safe.directory allows it)"
            ),
        )
    if top.returncode or Path(top.stdout.strip()).resolve() != Path(folder).resolve():
        return None, None, "the folder is not a git checkout"
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if commit.returncode:
        return None, None, "the git checkout has no commit"
    changes = _git(folder, "status", "--porcelain", "--untracked-files=normal")
    return commit.stdout.strip(), bool(changes.stdout.strip()), None


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", folder, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"LC_ALL": "C"},
    )


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that numbers and pages depend on."""
    return {
        "python": platform.python_version(),
        **library_versions("utils.experiment", "utils.boards"),
        **{name: importlib.metadata.version(name) for name in REPORTING_LIBRARIES},
    }


def hardware() -> dict[str, Any]:
    """Return processor, cores, memory in GiB, GPU (None if none is found) and operating system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "gpu": _gpu_model(),
        "system": platform.platform(),
    }


def _cpu_model() -> str:
    """Name the processor; family and model tell generations apart that have one name."""
    text = CPUINFO.read_text() if CPUINFO.is_file() else ""
    found = {
        field: match[1]
        for field in ("model name", "cpu family", "model")
        if (match := re.search(rf"^{field}\s*:\s*(.+)$", text, re.MULTILINE))
    }
    if len(found) == 3:
        return "{model name} (family {cpu family}, model {model})".format_map(found)
    return found.get("model name") or platform.processor() or platform.machine()


def _gpu_model() -> str | None:
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True)
    return "; ".join(done.stdout.split("\n")).strip("; ") if done.returncode == 0 else None
