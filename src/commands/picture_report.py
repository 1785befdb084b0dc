"""The report on a folder of pictures: the notebook that clusters them, then the pages."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from commands.notebook import NotebookFailed, run_notebook
from commands.picture_request import PictureRequest
from commands.telling import counted, shown
from report import own_pictures
from report.markdown import duration
from utils import places
from utils.config.vocabulary import PICTURES_NOTEBOOK
from utils.errors import UserError
from utils.runs.pictures import AGAINST, ASSIGNMENTS, SUBSET
from utils.store.files import read_json


def report_on(request: PictureRequest) -> pd.DataFrame:
    """Cluster pictures, write the report on them and sum up.

    Returns
    -------
    DataFrame
        Columns ``path`` and ``cluster`` (str, -1 is noise), among others.

    Raises
    ------
    UserError
        If the notebook fails, for example because no picture can be read.
    """
    run_dir = places.runs() / "images" / request.study / PICTURES_NOTEBOOK
    began = time.monotonic()
    _run_notebook(request, run_dir)
    print("  report …", flush=True)
    own_pictures.build(
        run_dir,
        request.study,
        request.seed,
        request.title,
        request.out,
        request.owner,
        began,
    )
    text = {"path": str, "cluster": str}
    table = pd.read_csv(request.out / ASSIGNMENTS, dtype=text, keep_default_na=False)
    n_clusters = table.loc[table["cluster"] != "-1", "cluster"].nunique()
    took = duration(time.monotonic() - began)
    counts = read_json(run_dir / "counts.json")
    print(counts["files"])
    print(f"{counted(len(table), 'picture')} in {counted(n_clusters, 'cluster')}, {took}")
    if counts["skipped"]:
        print(f"left out: {shown(request.out / 'skipped.csv')}")
    if request.against is not None:
        n_pairs = len(pd.read_csv(request.out / AGAINST))
        print(
            f"{counted(n_pairs, 'picture')} of --against found here too: "
            f"{shown(request.out / AGAINST)}"
        )
    if request.subset is not None:
        print(f"{counted(request.subset, 'picture')} to label: {shown(request.out / SUBSET)}")
    print(f"report: {shown(request.out / 'report.html')}")
    print(f"        {shown(request.out / 'report.pdf')}")
    print(f"        {shown(request.out / ASSIGNMENTS)}")
    return table


def _run_notebook(request: PictureRequest, run_dir: Path) -> None:
    parameters = {
        "study": request.study,
        "profile": "images",
        "seed": request.seed,
        "run_dir": os.path.relpath(run_dir, places.root() / "notebooks"),
        "folder": str(request.folder),
        "labels": request.labels,
        "clusters": request.clusters,
        "backbone": request.backbone,
        "clusterer": request.clusterer,
        "level": request.level,
        "exclude": list(request.exclude),
        "largest_megapixels": request.largest_megapixels,
        "with_metadata": request.with_metadata,
        "own_features": None if request.features is None else str(request.features),
        "subset": request.subset,
        "against": None if request.against is None else str(request.against),
        "least_similarity": request.least_similarity,
        "method": request.method,
    }
    script = places.root() / "notebooks" / f"{PICTURES_NOTEBOOK}.py"
    try:
        with _stderr_to(run_dir / "stderr.log"):
            run_notebook(script, parameters, run_dir, lambda line: print(f"  {line}", flush=True))
    except NotebookFailed as failed:
        reason = failed.failure.error
        if not reason.startswith("UserError: "):
            reason += f"; the executed cells are in {shown(run_dir / 'failed.ipynb')}"
        raise UserError(reason.removeprefix("UserError: ")) from None


@contextmanager
def _stderr_to(file: Path) -> Iterator[None]:
    """Send the standard error of this process and its kernel to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    terminal = os.dup(2)
    try:
        with file.open("w") as log:
            os.dup2(log.fileno(), 2)
            yield
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)
