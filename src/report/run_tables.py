"""What the article shows of the run as a whole: data, durations, provenance."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from report import origins_of
from report.evidence_tables import ORIGINS_TABLE
from report.markdown import code, duration, number
from report.readme import origins
from report.stale_numbers import with_marks
from report.verdict_rows import HEADER, score_rows
from utils import config

if TYPE_CHECKING:
    import pandas as pd

    from report.collect import Results
    from report.published import Published


def context(
    results: Results,
    record: dict[str, Any],
    published: Published | None,
    marked: Collection[tuple[str, str]],
) -> dict[str, Any]:
    """Gather what the article shows of the run as a whole, and of the published run beside it.

    `marked` are the studies and scores of the published run that are of other code.
    """
    return {
        "rule": config.load_verdict_rule(),
        "score_header": HEADER,
        "overview": [row.cells for row in score_rows(results.verdicts)],
        "data_rows": data_rows(results),
        "dataset_order": list(dict.fromkeys(data["dataset"] for data in results.data.values())),
        "hash_rows": hash_rows(results),
        "duration_rows": duration_rows(results),
        "provenance_rows": provenance_rows(record),
        "origin_header": origins_of.HEADER,
        "origin_rows": origins_of.rows_by_study(results.evidence[ORIGINS_TABLE.file]),
        "published": published,
        "published_rows": beside_published(results.verdicts, published, marked),
        "published_origins": Markup(origins(published)) if published else "",
    }


def duration_rows(results: Results) -> list[list[object]]:
    """List how long every notebook took with each seed, and its largest memory."""
    rows = []
    for study in results.topics:
        for first in results.first_runs(study):
            runs = {
                run.seed: run.manifest
                for run in results.notebooks
                if (run.study, run.notebook) == (study, first.notebook)
            }
            times = [duration(runs[s].seconds) if s in runs else "–" for s in results.seeds]
            memory = [m.peak_memory_mb for m in runs.values() if m.peak_memory_mb is not None]
            peak = f"{number(round(max(memory)))} MB" if memory else "–"
            rows.append([study, first.notebook, ", ".join(times), peak])
    return rows


def provenance_rows(record: dict[str, Any]) -> list[list[object]]:
    """List what the record of a run says of its profile, commit, machine and versions."""
    made, commit, *machine = machine_rows(record)
    return [
        made,
        commit,
        ["Profile", f"{record['profile']['profile']}: {record['profile']['description']}"],
        ["Seeds", ", ".join(map(str, record["seeds"]))],
        *machine,
    ]


def machine_rows(
    record: dict[str, Any], what_took_time: str = "all notebooks"
) -> list[list[object]]:
    """List what the record of a run says of commit, machine and versions."""
    machine = record["hardware"]
    changes = "with changes that are not committed" if record["dirty"] else "no other changes"
    commit = record["commit"]
    return [
        ["Made", record["made"]],
        ["Commit", f"{commit} ({changes})" if commit else f"none: {record['commit_reason']}"],
        [f"Time of {what_took_time}", duration(record["seconds"])],
        ["Processor", f"{machine['cpu']}, {machine['cores']} cores"],
        ["Memory", f"{machine['memory_gib']} GiB"],
        ["GPU", machine["gpu"] or "none"],
        ["System", machine["system"]],
        ["Versions", ", ".join(f"{name} {text}" for name, text in record["versions"].items())],
    ]


def hash_rows(results: Results) -> list[list[object]]:
    """List the hashes of each study's images and labels."""
    return [
        [study, part, code(data[key]) if data[key] else "–"]
        for study, data in results.data.items()
        for part, key in (("images", "images_sha256"), ("labels", "labels_sha256"))
    ]


def data_rows(results: Results) -> list[list[object]]:
    """List the data of each study: the data set, how many images, and their source."""
    rows = []
    for study, data in results.data.items():
        used = results.metrics.loc[results.metrics["study"] == study, "n"].max()
        dataset = data["dataset"]
        if data["substituted"]:
            dataset = f"{dataset} (instead of {data['requested']})"
        images = number(int(used)) if used == used else "–"
        rows.append([study, dataset, images, data["source"], code(data["images_sha256"][:12])])
    return rows


def beside_published(
    verdict_table: pd.DataFrame, published: Published | None, marked: Collection[tuple[str, str]]
) -> list[list[object]]:
    """List each score of the published run, with its mark, and this run's mean of it."""
    if published is None:
        return []
    ours = {(row.study, row.score): row.ours for row in score_rows(verdict_table)}
    return [
        [*row.cells, ours[row.study, row.score]]
        for row in with_marks(score_rows(published.verdicts), marked)
        if (row.study, row.score) in ours
    ]
