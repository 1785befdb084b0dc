"""``run_all.sh images``: cluster a folder of pictures, or put it into known clusters."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from commands.arguments import plain_name
from commands.export import export, require_links
from commands.request import checked, duration, kept_places, prepare_out, shown
from utils import places
from utils.config.vocabulary import PICTURES_NOTEBOOK
from utils.data import picture_files
from utils.errors import UserError
from utils.store import ownership
from utils.store.files import read_json

if TYPE_CHECKING:
    import pandas as pd

    from utils.representations.pretrained import Backbone

ASSIGNED = "assigned.csv"
MOST_LINES = 10  # of a list on the terminal


@dataclass(frozen=True)
class Request:
    """A validated request to cluster a folder of pictures.

    Attributes
    ----------
    study : str
        Plain name of the collection, for folders and links.
    model : Path or None
        A model whose clusters the pictures are put into, instead of finding new ones.
    """

    folder: Path
    title: str
    study: str
    clusters: int | str
    clusterer: str
    backbone: str
    labels: str | None
    export: Path | None
    copy: bool
    model: Path | None
    out: Path
    seed: int
    offline: bool

    @property
    def owner(self) -> str:
        """Name the owner of what is written into `out`, as its manifest does."""
        if self.model is not None:
            return ownership.assignment_of_pictures(self.folder)
        return ownership.report_on_pictures(self.folder)


def parse(arguments: Sequence[str]) -> Request:
    """Validate what follows ``images``.

    Raises
    ------
    UserError
        If anything is not as it must be; nothing was run.
    """
    options = checked(["images", *arguments])
    request = Request(
        folder=options.folder,
        title=options.name,
        study=plain_name(options.name),
        clusters=options.clusters,
        clusterer=options.clusterer,
        backbone=options.backbone,
        labels=options.labels,
        export=options.export,
        copy=options.copy,
        model=options.model,
        out=options.out,
        seed=options.seed,
        offline=options.offline,
    )
    _require_apart(request)
    picture_files.find(request.folder, _labels_for(request))  # without pictures, told at once
    prepare_out(request.out, request.owner)
    if request.export is not None:
        _prepare_export(request)
    return request


def _require_apart(request: Request) -> None:
    """Refuse to write where the pictures, their labels or the model are."""
    read = {"the folder of the pictures": request.folder}
    if request.labels not in (None, "folders"):
        read["the file of --labels"] = Path(_labels_for(request))
    if request.model is not None:
        read["the file of --model"] = request.model
    written = {"--out": request.out}
    if request.export is not None:
        written["--export"] = request.export
        ownership.require_apart({"--export": request.export}, kept_places())
    ownership.require_apart(written, read)


def _prepare_export(request: Request) -> None:
    owner = ownership.export_of_pictures(request.folder)
    ownership.require_own(request.export, owner, "--export")
    ownership.require_writable(request.export, "--export")
    if not request.copy:
        require_links(request.export)


def run(request: Request) -> int:
    """Do what was asked for; return the exit status.

    Raises
    ------
    UserError
        If the pictures cannot be clustered.
    """
    if request.offline:
        os.environ["OFFLINE"] = "1"
    if request.model is not None:
        return _assign(request)
    from report import own_pictures
    from utils.runs.pictures import ASSIGNMENTS

    run_dir = places.runs() / "images" / request.study / PICTURES_NOTEBOOK
    began = time.monotonic()
    _run_notebook(request, run_dir)
    print("  report …", flush=True)
    own_pictures.build(
        run_dir,
        request.study,
        request.seed,
        request.title,
        request.clusterer,
        request.out,
        request.owner,
    )
    counts = read_json(run_dir / "counts.json")
    table = _read(request.out / ASSIGNMENTS)
    n_clusters = table.loc[table["cluster"] != "-1", "cluster"].nunique()
    took = duration(time.monotonic() - began)
    print(f"{_counted(len(table), 'picture')} in {_counted(n_clusters, 'cluster')}, {took}")
    if counts["skipped"]:
        left_out = _counted(counts["skipped"], "file")
        print(f"{left_out} left out: {shown(request.out / 'skipped.csv')}")
    print(f"report: {shown(request.out / 'report.html')}")
    print(f"        {shown(request.out / 'report.pdf')}")
    print(f"        {shown(request.out / ASSIGNMENTS)}")
    _export(request, table)
    return 0


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' if n != 1 else ''}"


def _run_notebook(request: Request, run_dir: Path) -> None:
    from commands.notebook import NotebookFailed, run_notebook

    parameters = {
        "study": request.study,
        "profile": "images",
        "seed": request.seed,
        "run_dir": os.path.relpath(run_dir, places.root() / "notebooks"),
        "folder": str(request.folder),
        "labels": _labels_for(request),
        "clusters": request.clusters,
        "backbone": request.backbone,
        "clusterer": request.clusterer,
    }
    script = places.root() / "notebooks" / f"{PICTURES_NOTEBOOK}.py"
    try:
        with _stderr_into(run_dir / "stderr.log"):
            run_notebook(script, parameters, run_dir, lambda line: print(f"  {line}", flush=True))
    except NotebookFailed as failed:
        reason = failed.failure.error
        if not reason.startswith("UserError: "):
            reason += f"; what was executed is in {shown(run_dir / 'failed.ipynb')}"
        raise UserError(reason.removeprefix("UserError: ")) from None


@contextmanager
def _stderr_into(file: Path) -> Iterator[None]:
    """Let what this process and its kernel complain about go into a file."""
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


def _labels_for(request: Request) -> str | None:
    """Return a CSV file's whole path: the notebook runs in another folder."""
    if request.labels in (None, "folders"):
        return request.labels
    return str(Path(request.labels).expanduser().resolve())


def _assign(request: Request) -> int:
    """Put pictures into the clusters of a model."""
    import pandas as pd

    from utils import estimator
    from utils.runs import picture_features

    model, about = estimator.load(request.model)
    network = _network_of(request, model.n_features_in_, about)
    found = picture_files.find(request.folder)
    usable, reasons, features, _ = picture_features.collect(found, network, request.study)
    skipped = picture_features.left_out(found, reasons)
    for path, reason in skipped.head(MOST_LINES).itertuples(index=False):
        print(f"left out: {path}: {reason}")
    if not len(usable):
        raise UserError(f"{request.folder}: none of its {len(found.names)} files can be read")
    clusters, shares = model.vote(features)
    table = pd.DataFrame(
        {
            "path": [picture_files.printable(found.names[row]) for row in usable],
            "cluster": clusters.astype(str),
            "confidence": shares.round(4),
        }
    )
    with ownership.replaced_together(request.out, request.owner) as folder:
        table.to_csv(folder / ASSIGNED, index=False)
    left_out = f", {len(skipped):,} left out" if len(skipped) else ""
    print(f"{len(table):,} pictures put into {table['cluster'].nunique()} clusters{left_out}")
    print(f"{shown(request.out / ASSIGNED)}")
    _export(request, table)
    return 0


def _network_of(request: Request, n_features: int, about: dict[str, str]) -> Backbone:
    """Load the network whose features a model clusters.

    Raises
    ------
    UserError
        If the model does not name it, its weights cannot be had, or its features are others.
    """
    import numpy as np

    from utils.representations.pretrained import features, load_backbone

    if "backbone" not in about:
        raise UserError(
            f"{request.model}: does not name the network behind its features: use the "
            "model.safetensors of a report, or call predict of the estimator with your features"
        )
    network = load_backbone(about["backbone"], offline=request.offline)
    if network.name != about["backbone"]:
        raise UserError(f"{request.model}: {network.note}")
    blank = np.zeros((1, network.side, network.side, 3), np.uint8)
    found = features(network, blank).shape[1]
    if found != n_features:
        raise UserError(
            f"{request.model}: clusters {n_features:,} features, but {network.name} has {found:,}: "
            "use the model.safetensors of a report"
        )
    return network


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(path, dtype={"path": str, "cluster": str}, keep_default_na=False)


def _export(request: Request, table: pd.DataFrame) -> None:
    """Make a folder for each cluster, with links to its pictures or copies."""
    if request.export is None:
        return
    # Tables have names in a form that can be printed.
    found = picture_files.find(request.folder, _labels_for(request))
    names = {picture_files.printable(name): name for name in found.names}
    places = {
        path: "noise" if cluster == "-1" else f"cluster-{int(cluster):03}"
        for path, cluster in zip(table["path"], table["cluster"], strict=True)
    }
    clusters = {names[path]: place for path, place in places.items() if path in names}
    done = export(request.folder, clusters, request.export, request.copy)
    gone = {path: "no longer in the folder" for path in places.keys() - names.keys()}
    left_out = gone | {picture_files.printable(name): why for name, why in done.left_out.items()}
    kind = "copies of" if request.copy else "links to"
    number = _counted(done.n_pictures, "picture")
    print(f"{shown(request.export)}: {kind} {number}, a folder for each cluster")
    for path, reason in sorted(left_out.items())[:MOST_LINES]:
        print(f"not exported: {path}: {reason}")
    if len(left_out) > MOST_LINES:
        print(f"not exported: {len(left_out) - MOST_LINES:,} more")
    if done.kept:
        n = len(done.kept)
        stay = (
            "1 earlier copy stays: its original is"
            if n == 1
            else f"{n:,} earlier copies stay: their originals are"
        )
        print(f"{shown(request.export)}: {stay} gone or changed")
