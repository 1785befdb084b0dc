"""``run_all.sh images``: cluster a folder of pictures, or put it into known clusters."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import unicodedata
from pathlib import Path

from commands.arguments import (
    PROGRAM,
    WrongCall,
    place,
    refusing,
    require_place,
    require_utf8,
    whole_number_from_1,
)
from utils import places

HELP = "cluster the pictures of a folder and write a report on them"
# A test compares these with the modules that implement them.
CLUSTERERS = (
    "levels",
    "kmeans",
    "gmm",
    "ward",
    "spectral",
    "hdbscan",
    "dbscan_knee",
    "som",
    "leiden",
    "evoc",
    "plscan",
)
BACKBONES = (
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "resnet50",
    "resnet50_random",
)
LEAST_SIMILARITY = 0.9


# --- the call -------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the arguments."""
    parser.usage = (
        f"{PROGRAM} images DIR [--clusters K|auto] [--level N] [--backbone NAME]"
        " [--clusterer NAME] [--method auto]"
        " [--name TITLE] [--labels folders|CSV] [--exclude PATTERN]... [--largest-megapixels N]"
        " [--no-metadata] [--features FILE] [--subset N] [--against DIR] [--duplicates-from S]"
        " [--export DIR [--levels] [--copy]] [--out DIR] [--seed N] [--offline]\n"
        f"       {PROGRAM} images DIR --model FILE [--export DIR [--copy]] [--out DIR]"
    )
    parser.add_argument("folder", metavar="DIR", help="folder of the pictures, nested or flat")
    parser.add_argument(
        "--clusters",
        metavar="K|auto",
        help="number of clusters (default: groups at several levels)",
    )
    parser.add_argument(
        "--level",
        metavar="N",
        help="level of groups in front, 1 for the coarsest (default: the finest that comes again)",
    )
    parser.add_argument(
        "--backbone",
        metavar="NAME",
        help=f"{', '.join(BACKBONES)} or timm:MODEL (default: {BACKBONES[0]})",
    )
    parser.add_argument(
        "--clusterer",
        metavar="NAME",
        help=f"{', '.join(CLUSTERERS)} (default: levels; with --clusters K gmm)",
    )
    parser.add_argument(
        "--method",
        metavar="auto",
        help="choose among a few methods by a rule that needs no label (takes longer)",
    )
    parser.add_argument("--name", metavar="TITLE", help="title of the report (default: the folder)")
    parser.add_argument("--labels", metavar="folders|CSV", help="for scoring only")
    parser.add_argument(
        "--exclude",
        metavar="PATTERN",
        action="append",
        default=[],
        help="leave out files and folders of such names or paths, besides hidden ones, @eaDir, "
        "#recycle and the like; may be repeated",
    )
    parser.add_argument(
        "--largest-megapixels",
        metavar="N",
        default="100",
        help="leave out larger pictures (default: 100)",
    )
    parser.add_argument(
        "--no-metadata", action="store_true", help="read and show no dates, cameras and sizes"
    )
    parser.add_argument(
        "--features",
        metavar="FILE",
        help="your own features instead of a network's: npz, npy, parquet or csv, with paths",
    )
    parser.add_argument(
        "--subset", metavar="N", help="choose N pictures that stand for all, to be labelled first"
    )
    parser.add_argument(
        "--against", metavar="DIR", help="list which pictures of another folder are here too"
    )
    parser.add_argument(
        "--duplicates-from",
        metavar="S",
        help=f"least similarity of near copies, above 0 to 1 (default: {LEAST_SIMILARITY})",
    )
    parser.add_argument(
        "--export", metavar="DIR", help="make a folder of links to the pictures of each cluster"
    )
    parser.add_argument(
        "--levels", action="store_true", help="export a folder within a folder for each level"
    )
    parser.add_argument("--copy", action="store_true", help="export copies instead of links")
    parser.add_argument(
        "--model", metavar="FILE", help="put the pictures into the clusters of this model"
    )
    parser.add_argument(
        "--out", metavar="DIR", help="folder of the report (default: in reports/images)"
    )
    parser.add_argument("--seed", metavar="N", default="0", help="default: 0")
    parser.add_argument("--offline", action="store_true", help="use no network")


def check(options: argparse.Namespace) -> None:
    """Refuse invalid options and unusable folders; complete the options."""
    options.folder = _folder(options.folder)
    if options.name is None:
        options.name = options.folder.name or "images"
    if not options.name.strip():
        raise WrongCall("--name is empty: give a title, or omit it for the folder's name")
    for option, texts in (("--name", [options.name]), ("--exclude", options.exclude)):
        for text in texts:
            require_utf8(option, text)
    if options.model is not None:
        for name in ("clusters", "clusterer", "level", "backbone", "labels", "method"):
            if getattr(options, name) is not None:
                raise WrongCall(f"--{name} cannot be combined with --model, which determines it")
        for name in ("subset", "against", "duplicates_from"):
            if getattr(options, name) is not None:
                raise WrongCall(
                    f"--{name.replace('_', '-')} cannot be combined with --model, which only puts "
                    "pictures into clusters"
                )
        options.model = place("--model", options.model)
    for name in ("copy", "levels"):
        if getattr(options, name) and options.export is None:
            raise WrongCall(f"--{name} applies to --export: give --export DIR as well")
    if not re.fullmatch("[0-9]{1,9}", options.seed):
        raise WrongCall(f"--seed {options.seed!r}: not a whole number from 0")
    options.seed = int(options.seed)
    options.clusters = _number_or_auto("--clusters", options.clusters)
    options.level = _number_or_auto("--level", options.level)
    options.largest_megapixels = _number("--largest-megapixels", options.largest_megapixels)
    if options.subset is not None:
        options.subset = _number("--subset", options.subset)
    options.duplicates_from = _similarity("--duplicates-from", options.duplicates_from)
    if not all(pattern.strip() for pattern in options.exclude):
        raise WrongCall("--exclude is empty: give a pattern such as '*.png' or 'old'")
    if options.features is not None:
        if options.backbone is not None:
            raise WrongCall("--backbone cannot be combined with --features, which replaces it")
        options.features = place("--features", options.features)
    if options.against is not None:
        options.against = _other_folder(options)
    if options.method is not None:
        _check_method(options)
    if options.clusterer is None:
        options.clusterer = "levels" if options.clusters == "auto" else "gmm"
    _one_of("--clusterer", options.clusterer, CLUSTERERS)
    _check_levels(options)
    options.backbone = options.backbone or BACKBONES[0]
    if not re.fullmatch("timm:[A-Za-z0-9_.]+", options.backbone):
        _one_of("--backbone", options.backbone, (*BACKBONES, "timm:MODEL"))
    if options.labels not in (None, "folders"):
        options.labels = str(place("--labels", options.labels))
    options.is_default_out = options.out is None
    # An assignment to known clusters does not replace a report.
    kind = "" if options.model is None else "-assigned"
    default = places.root() / "reports" / "images" / f"{plain_name(options.name)}{kind}"
    options.out = place("--out", str(default) if options.out is None else options.out)
    if options.export is not None:
        options.export = place("--export", options.export)
    for option, folder in (("--out", options.out), ("--export", options.export)):
        if folder is not None and folder.is_relative_to(options.folder):
            raise WrongCall(f"{option} {folder}: lies in the folder of the pictures; name another")
    require_place(options.out)


def _folder(text: str) -> Path:
    folder = place("DIR", text)
    if not folder.is_dir():
        raise WrongCall(f"{folder}: there is no such folder: name the folder of your pictures")
    return folder


def _other_folder(options: argparse.Namespace) -> Path:
    if options.features is not None:
        raise WrongCall(
            "--against cannot be combined with --features: the pictures of both folders are "
            "compared by a network"
        )
    other = place("--against", options.against)
    if not other.is_dir():
        raise WrongCall(f"--against {other}: there is no such folder")
    return other


def _number(option: str, text: str) -> int:
    try:
        return whole_number_from_1(text)
    except argparse.ArgumentTypeError:
        raise WrongCall(f"{option} {text!r}: not a whole number from 1") from None


def _similarity(option: str, text: str | None) -> float:
    if text is None:
        return LEAST_SIMILARITY
    if not re.fullmatch(r"[0-9]*\.?[0-9]+", text) or not 0 < float(text) <= 1:
        raise WrongCall(f"{option} {text!r}: must be a number above 0, and 1 at most")
    return float(text)


def _number_or_auto(option: str, text: str | None) -> int | str:
    if text in (None, "auto"):
        return "auto"
    try:
        return whole_number_from_1(text)
    except argparse.ArgumentTypeError:
        raise WrongCall(f"{option} {text!r}: must be 'auto' or a whole number from 1") from None


def _check_method(options: argparse.Namespace) -> None:
    """Refuse another method than "auto", and what would choose a method besides it."""
    if options.method != "auto":
        raise WrongCall(
            f"--method {options.method!r}: allowed is 'auto'; --clusterer NAME names a method"
        )
    given = (options.clusterer is not None, options.clusters != "auto")
    for name, is_given in (
        *zip(("clusterer", "clusters"), given, strict=True),
        ("level", options.level != "auto"),
        ("levels", options.levels),
    ):
        if is_given:
            raise WrongCall(f"--{name} cannot be combined with --method auto, which chooses it")


def _check_levels(options: argparse.Namespace) -> None:
    """Refuse what contradicts levels, which find their numbers of groups themselves."""
    if options.clusterer == "levels":
        if options.clusters != "auto":
            raise WrongCall(
                "--clusters cannot be combined with --clusterer levels: choose a level by --level N"
            )
        if options.levels and options.model is not None:
            raise WrongCall(
                "--levels cannot be combined with --model, which has one level in front"
            )
        return
    for name, is_given in (("level", options.level != "auto"), ("levels", options.levels)):
        if is_given:
            raise WrongCall(
                f"--{name} applies to groups at several levels: omit --clusters and --clusterer"
            )


def _one_of(option: str, name: str, allowed: tuple[str, ...]) -> str:
    if name not in allowed:
        raise WrongCall(f"{option} {name!r}: allowed are {', '.join(allowed)}")
    return name


def plain_name(title: str) -> str:
    """Make a name for folders and links from any title.

    Latin letters, digits and hyphens are kept; other titles get a hash in their names.
    """
    latin = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", latin.lower()).strip("-")[:60].strip("-")
    digest = hashlib.sha256(title.encode("utf-8", "replace")).hexdigest()[:8]
    return name if name and title.isascii() else "-".join(filter(None, (name, digest)))


# --- what it does ---------------------------------------------------------------------------------


def act(options: argparse.Namespace) -> int:
    """Cluster the pictures, or put them into known clusters; return the exit status.

    Raises
    ------
    WrongCall
        If there are no pictures, or a folder must not be written to.
    UserError
        If too few open files are allowed, another run is in progress, or the pictures cannot be
        clustered.
    """
    from commands.picture_request import request_of
    from commands.process import allow_open_files, only_run

    allow_open_files()
    with refusing():
        request = request_of(options, plain_name(options.name))
    if request.offline:
        os.environ["OFFLINE"] = "1"
    with only_run():
        if request.model is not None:
            from commands.picture_assignment import assign as cluster
        else:
            from commands.picture_report import report_on as cluster
        clusters = cluster(request)
        if request.export is not None:
            from commands.export import export_clusters

            export_clusters(request, clusters)
    return 0
