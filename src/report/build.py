"""Results turned into one HTML page, one PDF and the executed notebooks as pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import board_sections, notebook_parts, pages, run_tables, sections
from report.markdown import Numbering, duration, escape, fixed
from utils import config, places
from utils.config.metrics_table import METRICS
from utils.store import ownership

if TYPE_CHECKING:
    import jinja2
    import pandas as pd

    from report.collect import Results
    from report.published import Published
    from report.tally import KindOfRow


@dataclass(frozen=True)
class BestRows:
    """The best rows of a leaderboard, by what has to be trained."""

    title: str
    kinds: list[KindOfRow]


def _atlas_plots(results: Results) -> dict[str, str]:
    """Return the plot of each interactive map as JSON, by the identifier of its place."""
    import pandas as pd

    from utils.figures import atlas

    plots = {}
    for name in results.studies:
        file = notebook_parts.atlas_file(results, name)
        if file is not None:
            points = pd.read_parquet(file)
            plots[f"atlas-{name}"] = atlas.plot(points, atlas.colours(points))
    return plots


def article(results: Results, record: dict[str, Any], out: Path) -> str:
    """Return the article as pandoc Markdown.

    Parameters
    ----------
    results : Results
        What the runs left.
    record : dict
        What ``run.json`` holds.
    out : Path
        Folder into which `results.write_results` and, if there are leaderboards,
        `leaderboards.write_tables` have written.

    Returns
    -------
    str
        Image files and links to notebooks are relative to `out`.
    """
    from markupsafe import Markup

    from report.evidence import verdicts
    from report.published import load
    from report.readme import origins
    from report.significance import IMAGE_RESAMPLES

    published = load(places.published())
    verdict_table = verdicts(results)
    views = [sections.study_view(results, name, verdict_table, out) for name in results.studies]
    boards = board_sections.board_views(results, published, out)
    context = {
        "profile": results.profile,
        "seeds": results.seeds,
        "record": record,
        "views": views,
        "substituted": results.substituted,
        "overview": run_tables.overview_rows(verdict_table),
        "data_rows": run_tables.data_rows(results),
        "dataset_order": list(dict.fromkeys(data["dataset"] for data in results.data.values())),
        "hash_rows": run_tables.hash_rows(results),
        "duration_rows": run_tables.duration_rows(results),
        "provenance_rows": run_tables.provenance_rows(record),
        "notes": sections.notes_of(results),
        "rule": config.load_verdict_rule(),
        "published": published,
        "published_rows": run_tables.beside_published(verdict_table, published),
        "published_origins": Markup(origins(published)) if published else "",
        "boards": boards,
        "image_resamples": IMAGE_RESAMPLES,
        **_as_a_whole(results, verdict_table, views, published, out),
    }
    return pages.render("article.md.j2", context, _environment)


def _as_a_whole(
    results: Results,
    verdict_table: pd.DataFrame,
    views: list[sections.StudyView],
    published: Published | None,
    out: Path,
) -> dict[str, Any]:
    """Gather what abstract and discussion say: counts over all studies and leaderboards.

    A reduced run tests nothing; what it cannot say, the kept run says, if there is one.
    """
    from report import tally

    is_reduced = results.profile.reduced
    judged = verdict_table if not is_reduced else published.verdicts if published else None
    if judged is not None:
        judged = judged[judged["study"].isin(results.studies)]
    metrics = published.metrics if is_reduced and published else results.metrics
    baselines = [sections.baseline_of(metrics, study) for study in results.studies.values()]
    kept_boards = bool(is_reduced and published and published.boards)
    best_rows = [
        BestRows(board.title, kinds)
        for name, board in results.boards.items()
        if (kinds := tally.best_of_each_kind(_best_first(name, published, out, kept_boards)))
    ]
    spreads = [(view.study.study, *ari) for view in views if (ari := view.ari_spread)]
    return {
        "tally": None if judged is None else tally.tally_figures(judged, results.studies.values()),
        "tally_is_kept": is_reduced,
        "claim_counts": Counter(claim.outcome for view in views for claim in view.claims),
        "claim_rows": _claim_rows(views),
        "baseline_counts": Counter(found.outcome for found in baselines if found),
        "best_rows": best_rows,
        "board_is_kept": kept_boards,
        "kind_rows": [_kind_row(best.title, one) for best in best_rows for one in best.kinds],
        "spread_rows": [[name, fixed(a, 3), fixed(b, 3)] for name, a, b in spreads],
        "wider_by_network": sum(networks > starts for _, networks, starts in spreads),
        "longest": max(results.notebooks, key=lambda run: run.manifest.seconds, default=None),
    }


def _best_first(name: str, published: Published | None, out: Path, is_kept: bool) -> list[Any]:
    """List the rows of a leaderboard, of the kept run or of this one."""
    from report.board_tables import read_tables

    if is_kept:
        return board_sections.kept_board(name, published)
    board = read_tables(out)["leaderboard"]
    return list(board[board["study"] == name].itertuples(index=False))


def _kind_row(title: str, best: KindOfRow) -> list[object]:
    row = best.row
    scores = [board_sections.score_and_interval(row, score) for score in ("acc", "ari")]
    return [title, best.kind, board_sections.row_name(row), *scores, duration(row.seconds)]


def _claim_rows(views: list[sections.StudyView]) -> list[list[object]]:
    """List the claims in words, each with a link to the place where it is tested."""
    from markupsafe import Markup

    return [
        [
            view.study.study,
            Markup(f"[“{escape(tested.claim.text)}”](#{claim_id(view.study.study, number)})"),
            tested.claim.source,
            tested.outcome,
        ]
        for view in views
        for number, tested in enumerate(view.claims, start=1)
    ]


def claim_id(study: str, number: int) -> str:
    """Return the identifier of the place where a claim of a study is tested."""
    return f"claim-{study}-{number}"


def _environment(numbering: Numbering) -> jinja2.Environment:
    environment = pages.environment(numbering)
    environment.filters |= {
        "index_name": lambda key: METRICS[key].name,
        "clusters": board_sections.clusters_in_words,
    }
    environment.globals |= {
        "claim_id": claim_id,
        "external_metrics": tuple(sections.EXTERNAL),
    }
    return environment


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
    from report.collect import collect
    from report.evidence import write_results
    from utils.store import files

    results = collect(profile, studies, seeds, runs_dir)
    owner = ownership.report_of_profile(profile)
    with ownership.replaced_together(Path(out), owner) as folder:
        write_results(results, folder)
        if results.boards:
            _write_leaderboards(results, folder)
        record = files.read_json(folder / "run.json")
        source = folder / "article.md"
        source.write_text(article(results, record, folder), encoding="utf-8")
        runs = [run for name in results.topics for run in results.first_runs(name)]
        pages.write_all(source, folder, _atlas_plots(results), runs)


def _write_leaderboards(results: Results, folder: Path) -> None:
    from report.board_tables import write_tables

    write_tables(
        results.boards,
        results.metrics,
        results.costs,
        results.assignments,
        results.labels,
        config.load_verdict_rule(),
        folder,
    )
