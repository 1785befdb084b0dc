"""A folder of pictures, opened: what notebook 6 begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from utils import places
from utils.config.vocabulary import PICTURES_NOTEBOOK
from utils.data import picture_embeddings, picture_files
from utils.data.picture_embeddings import read_embeddings
from utils.data.picture_files import Found, printable
from utils.data.picture_reading import MOST_PIXELS
from utils.errors import UserError
from utils.estimator import AUTO
from utils.runs import near_duplicates
from utils.runs.picture_collection import Collection
from utils.runs.picture_features import collect, features_of, left_out, with_features
from utils.runs.pictures import PROFILE, OwnImages
from utils.runs.record import Record
from utils.store.files import atomic_path

EXAMPLE_CLASSES, EXAMPLE_IMAGES = 5, 40


def example_folder() -> Path:
    """Write some digits as a folder of pictures, in a folder for each class, and return it.

    They are of the 5,000 digits that a package carries, so that no download is needed.
    """
    from PIL import Image

    from utils.data import datasets

    folder = places.runs() / "example-images"
    data = datasets.load("mnist5k")
    for digit in range(EXAMPLE_CLASSES):
        for row in np.flatnonzero(data.labels == digit)[:EXAMPLE_IMAGES]:
            path = folder / f"digit {digit}" / f"{row:04}.png"
            if not path.is_file():
                with atomic_path(path) as temporary:
                    Image.fromarray(data.images[row]).save(temporary, format="PNG")
    return folder


def open_folder(
    folder: str | Path,
    labels: str | None,
    backbone: str,
    clusters: int | str,
    clusterer: str,
    topic: str,
    seed: int,
    run_dir: str | Path | None,
    *,
    exclude: Sequence[str] = (),
    largest_megapixels: int = MOST_PIXELS // 10**6,
    with_metadata: bool = True,
    own_features: str | None = None,
    level: int | str = AUTO,
    least_similarity: float = near_duplicates.LEAST_SIMILARITY,
    subset: int | None = None,
    against: str | None = None,
    method: str | None = None,
) -> OwnImages:
    """Read a folder of pictures and compute their features, or take them up where a run stopped.

    Parameters
    ----------
    folder : path
    labels : str or None
        As in `picture_files.find`. For scoring only.
    backbone : str
        As in `pretrained.load_backbone`.
    clusters : int or "auto"
    clusterer : str
    topic : str
        A plain name for the collection.
    seed : int
    run_dir : path or None
        Where results go; None: below ``runs/interactive``.
    exclude : sequence of str
        As in `picture_files.find`.
    largest_megapixels : int
        Larger pictures are left out.
    with_metadata : bool
        Whether dates and cameras are read, and shown with the sizes.
    own_features : str or None
        A file of features, see `picture_embeddings.read_embeddings`; no network is used then.
    level : int or "auto"
        Level in front, see `FeatureClusterer`.
    least_similarity : float
        In (0, 1]; from it on a picture is a near copy.
    subset : int or None
        How many pictures to choose for labelling.
    against : str or None
        Another folder, whose pictures are compared with these.
    method : str or None
        "auto" chooses the clusterer and its number by a rule, see `picture_choice.choose`.

    Raises
    ------
    UserError
        If the folder has no two readable pictures or fewer than the subset, the other one has
        none, or a name is unknown.
    """
    from utils.representations.own_backbones import load_own_backbone

    if against is not None and own_features is not None:
        raise UserError("--against cannot be combined with --features: it needs a network")
    target = places.run_folder(PICTURES_NOTEBOOK, topic, seed, run_dir)
    found = picture_files.find(Path(folder), labels, exclude)
    print(found.summary())
    own = network = None
    if own_features is None:
        network = load_own_backbone(backbone)
        about = {"backbone": network.name, "weights": network.weights}
    else:
        own = read_embeddings(Path(own_features), found.root, found.names)
        found = with_features(found, own)
        about = {"backbone": picture_embeddings.NAME, "weights": own.weights}
    collected = collect(found, network, largest_megapixels * 10**6, with_metadata)
    usable = collected.usable
    features = collected.features if own is None else features_of(found, usable, own)
    skipped = left_out(found, collected.reasons)
    if len(usable) < 2:
        reasons = "; ".join(f"{path}: {why}" for path, why in skipped.head(3).to_numpy())
        raise UserError(
            f"{folder}: {len(usable)} of {len(found.names)} files can be read, and clusters need "
            f"two at least{': ' + reasons if reasons else ''}"
        )
    if subset is not None and subset > len(usable):
        raise UserError(f"--subset {subset:,}: only {len(usable):,} pictures can be read")
    class_names, codes = (), None
    if found.labels is not None:
        class_names, codes = _codes([found.labels[row] for row in usable])
    record = Record(
        notebook=PICTURES_NOTEBOOK,
        topic=topic,
        dataset=topic,
        profile=PROFILE,
        seed=seed,
        folder=target,
        labels=None if codes is None else codes[codes >= 0],
        class_names=class_names,
    )
    if network is not None and network.note:
        record.note(network.note)
    _note_found(record, found, collected.reasons)
    if own is not None and own.unmatched:
        paths = ", ".join(map(printable, own.unmatched[:3]))
        record.note(f"rows of --features without a picture: {len(own.unmatched):,} ({paths} …)")
    other = None
    if against is not None:
        others = picture_files.find(Path(against), exclude=exclude)
        print(f"--against {printable(others.root.name)}: {others.summary()}")
        collected_there = collect(others, network, largest_megapixels * 10**6, with_metadata)
        other = Collection(others, collected_there, record)
        _note_other(other)
    return OwnImages(
        record=record,
        seed=seed,
        labels=codes,
        class_names=record.class_names,
        found=found,
        skipped=skipped,
        features=features,
        collected=collected,
        with_metadata=with_metadata,
        backbone=about,
        clusters=clusters,
        clusterer=clusterer,
        level=level,
        least_similarity=least_similarity,
        subset_size=subset,
        other=other,
        method=method,
    )


def _note_found(record: Record, found: Found, reasons: Mapping[int, str]) -> None:
    """Note which files and folders are not used, and what was odd about the search."""
    if found.not_read() or reasons:
        record.note(found.summary(reasons))
    for note in found.notes:
        record.note(note)
    for name, reason in found.unlisted.items():
        record.note(f"left out: {printable(name)}: {reason}")


def _note_other(other: Collection) -> None:
    """Note which files of the other folder are not compared.

    Raises
    ------
    UserError
        If none of them can be read.
    """
    reasons = other.collected.reasons
    skipped = left_out(other.found, reasons)
    some = "".join(f"; {path}: {why}" for path, why in skipped.head(3).to_numpy())
    if not len(other.collected.usable):
        raise UserError(f"--against {other.found.root}: no file in it can be read{some}")
    if len(skipped):
        summary = other.found.summary(reasons)
        other.record.note(f"--against {printable(other.found.root.name)}: {summary}{some}")


def _codes(labels: Sequence[str | None]) -> tuple[tuple[str, ...], np.ndarray | None]:
    """Return the classes, and their numbers: int ``(N,)``, -1 for no label; None without any."""
    class_names = tuple(sorted({label for label in labels if label is not None}))
    if not class_names:
        return (), None
    numbers = {name: number for number, name in enumerate(class_names)}
    return class_names, np.array([-1 if label is None else numbers[label] for label in labels])
