"""What the notebooks open: a study, a leaderboard or a folder of pictures.

Each opener imports its module only when it is called: a study needs no clusterers of a leaderboard.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from utils.runs.label_free import LabelFreeRun
    from utils.runs.leaderboard import BoardRun
    from utils.runs.new_images import NewImagesRun
    from utils.runs.pictures import OwnImages
    from utils.runs.study import StudyRun

__all__ = ["open_label_free", "open_leaderboard", "open_new_images", "open_pictures", "open_study"]


def open_study(
    notebook: str,
    study: str,
    profile: str,
    seed: int,
    run_dir: str | Path | None = None,
    **changes: Any,
) -> StudyRun:
    """Open a study's run; see `study.open_run`."""
    from utils.runs.study import open_run

    return open_run(notebook, study, profile, seed, run_dir, **changes)


def open_leaderboard(
    notebook: str,
    leaderboard: str,
    profile: str,
    seed: int,
    run_dir: str | Path | None = None,
) -> BoardRun:
    """Open a leaderboard's run; see `leaderboard.open_board`."""
    from utils.runs.leaderboard import open_board

    return open_board(notebook, leaderboard, profile, seed, run_dir)


def open_label_free(run: BoardRun) -> LabelFreeRun:
    """Start what is computed without labels; see `label_free.open_label_free`."""
    from utils.runs import label_free

    return label_free.open_label_free(run)


def open_new_images(run: BoardRun) -> NewImagesRun:
    """Find images that a leaderboard's methods did not see; see `new_images.open_new_images`."""
    from utils.runs import new_images

    return new_images.open_new_images(run)


def open_pictures(
    folder: str | Path | None,
    labels: str | None,
    backbone: str,
    clusters: int | str,
    clusterer: str,
    topic: str,
    seed: int,
    run_dir: str | Path | None = None,
    **reading: Any,
) -> OwnImages:
    """Open a folder of pictures, or an example if it is None; see `picture_folder.open_folder`."""
    from utils.runs.picture_folder import example_folder, open_folder

    chosen = example_folder() if folder is None else folder
    return open_folder(
        chosen, labels, backbone, clusters, clusterer, topic, seed, run_dir, **reading
    )
