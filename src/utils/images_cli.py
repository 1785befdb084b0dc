"""``run_all.sh images``: cluster a folder of pictures, or put it into known clusters."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import sys
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from utils import image_files
from utils.artifacts import atomic_path, read_json, write_json
from utils.cli import (
    PROGRAM,
    RUNS,
    Parser,
    duration,
    remove_leftovers_of_runs,
    require_writable,
    shown,
    whole_number_from_1,
)
from utils.config import ROOT, UserError

ASSIGNED = "assigned.csv"
USAGE = (
    f"{PROGRAM} images DIR [--clusters K|auto] [--backbone NAME] [--clusterer NAME] [--name TITLE]"
    " [--labels folders|CSV] [--export DIR [--copy]] [--out DIR] [--seed N] [--offline]\n"
    f"       {PROGRAM} images DIR --model FILE [--export DIR [--copy]] [--out DIR]"
)


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


def parse(arguments: Sequence[str]) -> Request:
    """Validate what follows ``images``.

    Raises
    ------
    UserError
        If anything is not as it must be; nothing was run.
    """
    parser = Parser(
        prog=f"{PROGRAM} images",
        usage=USAGE,
        description="Cluster the pictures of a folder and write a report on them.",
        allow_abbrev=False,
    )
    parser.add_argument("folder", metavar="DIR", help="folder of the pictures, nested or flat")
    parser.add_argument("--clusters", metavar="K|auto", help="default: auto, chosen without labels")
    parser.add_argument("--backbone", metavar="NAME", help="default: efficientnet_lite0")
    parser.add_argument("--clusterer", metavar="NAME", help="default: gmm; hdbscan finds K itself")
    parser.add_argument("--name", metavar="TITLE", help="title of the report (default: the folder)")
    parser.add_argument("--labels", metavar="folders|CSV", help="for scoring only")
    parser.add_argument("--export", metavar="DIR", help="make a folder of links for each cluster")
    parser.add_argument("--copy", action="store_true", help="export copies instead of links")
    parser.add_argument("--model", metavar="FILE", help="put the pictures into these clusters")
    parser.add_argument(
        "--out", metavar="DIR", help="folder of the report (default: reports/images)"
    )
    parser.add_argument("--seed", metavar="N", default="0")
    parser.add_argument("--offline", action="store_true", help="no network")
    options = parser.parse_args(arguments)
    folder = _folder(options.folder)
    title = options.name if options.name is not None else folder.name or "images"
    if not title.strip():
        raise UserError("--name is empty: give a title, or leave it out for the folder's name")
    if options.model is not None:
        for name in ("clusters", "clusterer", "backbone", "labels"):
            if getattr(options, name) is not None:
                raise UserError(f"--{name} cannot be given with --model, which has its clusters")
    if options.copy and options.export is None:
        raise UserError("--copy says how to --export: give --export DIR as well")
    if not re.fullmatch("[0-9]{1,9}", options.seed):
        raise UserError(f"--seed {options.seed!r}: not a whole number from 0")
    study = plain_name(title)
    out = Path(options.out or ROOT / "reports" / "images" / study).expanduser().resolve()
    export = None if options.export is None else Path(options.export).expanduser().resolve()
    for option, place in (("--out", out), ("--export", export)):
        if place is not None and (place == folder or place.is_relative_to(folder)):
            raise UserError(f"{option} {place}: lies in the folder of the pictures; name another")
    request = Request(
        folder=folder,
        title=title,
        study=study,
        clusters=_clusters(options.clusters),
        clusterer=_clusterer(options.clusterer),
        backbone=options.backbone or "efficientnet_lite0",
        labels=options.labels,
        export=export,
        copy=options.copy,
        model=None if options.model is None else Path(options.model).expanduser(),
        out=out,
        seed=int(options.seed),
        offline=options.offline,
    )
    if export is not None:
        _require_new(export)
    require_writable(out)
    return request


def _folder(text: str) -> Path:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(
            "the folder's path is not UTF-8: rename the folder, or a link to it"
        ) from None
    folder = Path(text).expanduser().resolve()
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder: name the folder of your pictures")
    return folder


def _clusters(text: str | None) -> int | str:
    if text in (None, "auto"):
        return "auto"
    try:
        return whole_number_from_1(text)
    except argparse.ArgumentTypeError:
        raise UserError(f"--clusters {text!r}: must be 'auto' or a whole number from 1") from None


def _clusterer(name: str | None) -> str:
    from utils.clusterers import CLUSTERERS

    if name is not None and name not in CLUSTERERS:
        raise UserError(f"--clusterer {name!r}: allowed are {', '.join(CLUSTERERS)}")
    return name or "gmm"


def plain_name(title: str) -> str:
    """Make a name for folders and links of any title.

    Letters of the Latin alphabet, digits and hyphens stay; a title without any is named by a hash.
    """
    latin = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", latin.lower()).strip("-")[:60].strip("-")
    digest = hashlib.sha256(title.encode("utf-8", "replace")).hexdigest()[:8]
    return name if name and title.isascii() else "-".join(filter(None, (name, digest)))


def _require_new(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"--export {folder}: exists and is not empty; name a new folder")


def run(request: Request) -> int:
    """Do what was asked for; return the exit status.

    Raises
    ------
    UserError
        If the pictures cannot be clustered.
    """
    if request.offline:
        os.environ["OFFLINE"] = "1"
    remove_leftovers_of_runs(request.out)
    if request.model is not None:
        return _assign(request)
    from utils import images_report
    from utils.own_images import ASSIGNMENTS, NOTEBOOK

    run_dir = RUNS / "images" / request.study / NOTEBOOK
    _require_same_folder(request, run_dir.parent / "folder.json")
    began = time.monotonic()
    _run_notebook(request, run_dir)
    print("  report …", flush=True)
    images_report.build(
        run_dir, request.study, request.seed, request.title, request.clusterer, request.out
    )
    counts = read_json(run_dir / "counts.json")
    table = _read(request.out / ASSIGNMENTS)
    n_clusters = table.loc[table["cluster"] != "-1", "cluster"].nunique()
    took = duration(time.monotonic() - began)
    print(f"{_counted(len(table), 'picture')} in {_counted(n_clusters, 'cluster')}, {took}")
    if counts["skipped"]:
        left_out = _counted(counts["skipped"], "file")
        print(f"{left_out} left out: {shown(request.out / 'skipped.csv')}")
    _export(request, table)
    print(f"report: {shown(request.out / 'report.html')}")
    print(f"        {shown(request.out / 'report.pdf')}")
    print(f"        {shown(request.out / ASSIGNMENTS)}")
    return 0


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' if n != 1 else ''}"


def _require_same_folder(request: Request, file: Path) -> None:
    """Refuse to replace the report of another folder that has the same name."""
    content = {"folder": str(request.folder)}
    if file.is_file() and request.out.joinpath("report.html").is_file():
        earlier = read_json(file)
        if earlier != content:
            raise UserError(
                f"{shown(request.out)} has the report on {earlier['folder']}: give this one "
                "another title with --name"
            )
    write_json(file, content)


def _run_notebook(request: Request, run_dir: Path) -> None:
    from utils.notebook_runner import NotebookFailed, run_notebook
    from utils.own_images import NOTEBOOK

    parameters = {
        "study": request.study,
        "profile": "images",
        "seed": request.seed,
        "run_dir": os.path.relpath(run_dir, ROOT / "notebooks"),
        "folder": str(request.folder),
        "labels": _labels_for(request),
        "clusters": request.clusters,
        "backbone": request.backbone,
        "clusterer": request.clusterer,
    }
    notebook = ROOT / "notebooks" / f"{NOTEBOOK}.ipynb"
    try:
        with _stderr_into(run_dir / "stderr.log"):
            run_notebook(notebook, parameters, run_dir, lambda line: print(f"  {line}", flush=True))
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


def _names(request: Request) -> tuple[str, ...]:
    return image_files.find(request.folder, _labels_for(request)).names


def _labels_for(request: Request) -> str | None:
    """Return a CSV file's whole path: the notebook runs in another folder."""
    if request.labels in (None, "folders"):
        return request.labels
    return str(Path(request.labels).expanduser().resolve())


def _assign(request: Request) -> int:
    """Put pictures into the clusters of a model."""
    from utils import estimator, own_images
    from utils.pretrained import load_backbone

    model, about = estimator.load(request.model)
    found = image_files.find(request.folder)
    network = load_backbone(about["backbone"], offline=request.offline)
    if network.name != about["backbone"]:
        raise UserError(f"{request.model}: {network.note}")
    usable, reasons, features, _ = own_images.collect(found, network, request.study)
    for row, reason in list(reasons.items())[:10]:
        print(f"left out: {image_files.printable(found.names[row])}: {reason}")
    if not len(usable):
        raise UserError(f"{request.folder}: none of its {len(found.names)} files can be read")
    clusters, shares = model.vote(features)
    table = pd.DataFrame(
        {
            "path": [image_files.printable(found.names[row]) for row in usable],
            "cluster": clusters.astype(str),
            "confidence": shares.round(4),
        }
    )
    with atomic_path(request.out / ASSIGNED) as temporary:
        table.to_csv(temporary, index=False)
    _export(request, table)
    left_out = f", {len(reasons):,} left out" if reasons else ""
    print(f"{len(table):,} pictures put into {table['cluster'].nunique()} clusters{left_out}")
    print(f"{shown(request.out / ASSIGNED)}")
    return 0


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"path": str, "cluster": str}, keep_default_na=False)


def _export(request: Request, table: pd.DataFrame) -> None:
    """Make a folder for each cluster, with links to its pictures or copies."""
    if request.export is None:
        return
    # A name whose bytes are not UTF-8 stands in the table in a form that it can hold.
    names = {image_files.printable(name): name for name in _names(request)}
    for path, cluster in zip(table["path"], table["cluster"], strict=True):
        place = "noise" if cluster == "-1" else f"cluster-{int(cluster):03}"
        target = request.export / place / names[path]
        target.parent.mkdir(parents=True, exist_ok=True)
        if request.copy:
            shutil.copy2(request.folder / names[path], target)
        else:
            target.symlink_to(request.folder / names[path])
    kind = "copies of" if request.copy else "links to"
    print(f"{shown(request.export)}: {kind} {len(table):,} pictures, a folder for each cluster")
