"""Publish a full run: store its numbers with the source code."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from report import crate
from report import publish_checks as checks
from report.joining import joined
from report.published import load
from report.published_figures import write_figures
from report.published_tables import write_tables
from report.readme import PAGE, page, read_readme, with_parts
from utils.store import files


def publish(report: Path, folder: Path, readme: Path) -> None:
    """Store the numbers of a full run and some small figures; rewrite what shows them.

    Studies and seeds of an earlier published run that this run lacks are retained, so that a long
    run can be published in parts; the verdicts then use all seeds. A leaderboard is retained or
    replaced as a whole, because its differences and its stability need the clusters of all seeds.

    Parameters
    ----------
    report : Path
        Folder of a built report.
    folder : Path
        Is replaced as a whole and must therefore contain nothing else.
    readme : Path
        Has the markers of `readme.PARTS`; beside it stands the page `readme.PAGE`.

    Raises
    ------
    UserError
        If the run is not a full one (a reduced profile, substitute data) or has uncommitted
        changes, a file of the report is missing or malformed, the figures are too large, a text
        names this machine, `folder` has a file that does not belong to a published run, or
        `readme` has no place for a part, or it or a page beside it shows a picture that would be
        removed. Nothing was changed then.
    """
    report, folder, readme = Path(report), Path(folder), Path(readme)
    run = load(report)
    checks.require_full(run, report)
    earlier = load(folder)
    checks.require_nothing_else(folder, earlier)
    run = joined(run, earlier)
    text = read_readme(readme)
    with _staging(folder) as (new, aside):
        write_tables(run, new)
        write_figures(run, report, folder, new / "figures")
        crate.write(new, run.studies)
        checks.require_no_host_name(new)
        checks.require_pictures(text, readme, folder, new)
        for other in sorted((readme.parent / PAGE.parent).glob("*.md")):
            checks.require_pictures(other.read_text(encoding="utf-8"), other, folder, new)
        made = load(new)
        updated = with_parts(text, made)
        # Both texts are complete before the folder is replaced; only their renaming is left.
        with (
            files.atomic_path(readme.parent / PAGE) as temporary_page,
            files.atomic_path(readme) as temporary,
        ):
            temporary_page.write_text(page(made), encoding="utf-8")
            temporary.write_text(updated, encoding="utf-8")
            _replace_folder(folder, new, aside)


@contextmanager
def _staging(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield an empty folder beside `folder`, and a free path to move `folder` to."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".publishing-", dir=folder.parent) as name:
        new = Path(name) / "new"
        new.mkdir()
        yield new, Path(name) / "aside"


def _replace_folder(folder: Path, new: Path, aside: Path) -> None:
    if folder.exists():
        folder.rename(aside)
    try:
        new.rename(folder)
    except BaseException:
        if aside.exists():
            aside.rename(folder)
        raise
