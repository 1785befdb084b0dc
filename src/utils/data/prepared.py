"""Which dataset a run uses, written down once for all its notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from utils import places
from utils.config.load import is_offline
from utils.config.schema import Images, Leaderboard, Profile, Study
from utils.data import datasets
from utils.store.files import read_state, update_json

# Stand-ins with the same kind of images, for machines that cannot get the full set.
SUBSTITUTES = {"mnist": "mnist5k"}


def prepare_data(
    study: Study | Leaderboard, profile: Profile, offline: bool, folder: Path
) -> dict[str, Any]:
    """Get a study's data set and write down which one it is, in ``<folder>/data.json``.

    Parameters
    ----------
    study : config.Study or config.Leaderboard
    profile : config.Profile
    offline : bool
        Use no network (so too if `config.is_offline` says so); where the full set is not cached,
        its embedded substitute is used.
    folder : Path
        Folder of the study's results. The file is rewritten only when its content changes.

    Returns
    -------
    dict
        ``dataset`` (what is used), ``requested``, ``substituted``, ``reason`` (None or words),
        ``source``, ``n``, ``images_sha256`` and ``labels_sha256``.

    Raises
    ------
    datasets.DataUnavailable
        If neither the set nor an allowed substitute can be had.
    """
    reason = None
    try:
        data = datasets.load(study.dataset, offline=offline)
    except datasets.DataUnavailable as error:
        allowed = offline or is_offline() or profile.allow_substitute_data
        if not (allowed and study.dataset in SUBSTITUTES):
            raise
        reason = str(error)
        data = datasets.load(SUBSTITUTES[study.dataset])
    description = {
        "dataset": data.name,
        "requested": study.dataset,
        "substituted": data.name != study.dataset,
        "reason": reason,
        "source": data.source,
        "n": len(data.images),
        "images_sha256": data.images_sha256,
        "labels_sha256": data.labels_sha256,
    }
    update_json(places.Topic(folder).data, description)
    return description


def data_of(study: Study | Leaderboard, profile: Profile, run_dir: Path) -> dict[str, Any]:
    """Return what `prepare_data` wrote down for a run in `run_dir`; prepare it if it did not.

    The command prepares the data of the workflow's runs. An interactive run may be older than its
    study's file, its profile or the full dataset: what was written down for it is compared first.
    """
    place = places.topic_of(run_dir)
    known = read_state(place.data, "dataset", "requested", "substituted", "reason")
    is_interactive = place.folder.is_relative_to(places.runs() / "interactive")
    is_of_study = known is not None and known["requested"] == study.dataset
    if is_of_study and not (is_interactive and known["substituted"]):
        return known
    return prepare_data(study, profile, is_offline(), place.folder)


def selected_rows(data: datasets.Dataset, images: Images, at_most: int | None) -> slice:
    """Return the rows of a dataset that a run uses: the first of its split, `at_most` of them."""
    n = data.n_train if images.split == "train" else len(data.images)
    limits = [n, images.first, at_most]
    return slice(0, min(limit for limit in limits if limit is not None))
