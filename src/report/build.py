"""The report of a profile: results collected, tables written, pages made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from report import collect, crate, maps
from report.article import article
from report.evidence import write_results
from report.pages import Document, write_all
from report.supplement import supplement
from utils.store import ownership


def build(
    profile: str, studies: Sequence[str], seeds: Sequence[int], runs_dir: Path, out: Path
) -> None:
    """Write the whole report of a profile.

    Parameters
    ----------
    profile : str
        Name of the profile.
    studies : sequence of str
        Names of the studies, in the order of the report.
    seeds : sequence of int
        Seeds whose results belong in the report.
    runs_dir : Path
        Folder that holds ``<profile>/<study>/seed-<k>/<notebook>/``.
    out : Path
        Folder of the report. Nothing in it changes unless every part could be made.

    Raises
    ------
    UserError
        If results are missing or malformed, or a page cannot be made.
    """
    results = collect.collect(profile, studies, seeds, runs_dir)
    owner = ownership.report_of_profile(profile)
    with ownership.replaced_together(Path(out), owner) as folder:
        record = write_results(results, folder)
        documents = [
            Document("report", article(results, record, folder)),
            Document("supplement", supplement(results, record, folder), maps.plots(results)),
        ]
        runs = [run for name in results.topics for run in results.first_runs(name)]
        write_all(documents, folder, runs)
        crate.write(folder, results.studies.values())
