"""What a person is told of the groups of their pictures: the levels, what limits them, outliers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from utils import clustering, estimator
from utils.clustering import levels
from utils.errors import UserError
from utils.estimator import LEVELS, FeatureClusterer


def fitted(model: FeatureClusterer, features: np.ndarray) -> FeatureClusterer:
    """Fit the estimator to the features of pictures; its stages are stored.

    Raises
    ------
    UserError
        If a parameter is invalid, or the clusterer leaves every picture as noise.
    """
    k, n = model.n_clusters, len(features)
    if k != estimator.AUTO and k > n and model.clusterer_ not in clustering.FINDS_K:
        raise UserError(f"{k} clusters of {n} pictures: ask for {n} at most")
    try:
        model.fit_stored(features)
    except ValueError as error:
        raise UserError(str(error)) from None
    if model.n_clusters_ == 0:
        raise UserError(
            f"{model.clusterer_} found no dense group among {len(features):,} pictures, all are "
            "noise: omit --clusterer for groups at several levels, or give --clusters K"
        )
    return model


def level_names(model: FeatureClusterer) -> list[str]:
    """Name the levels ``level_1``, the coarsest, and so on; none if there is only one."""
    n_levels = model.levels_.shape[1]
    return [f"level_{number + 1}" for number in range(n_levels)] if n_levels > 1 else []


def level_table(model: FeatureClusterer) -> pd.DataFrame:
    """Sum up each level: its resolution, the number of groups and their sizes."""
    rows = []
    for number, groups in enumerate(model.levels_.T):
        sizes = np.bincount(groups[groups >= 0])
        rows.append(
            {
                "level": f"{number + 1}{' (in front)' if number == model.front_ else ''}",
                "resolution": _resolution(model, number),
                "groups": len(sizes),
                "largest": int(sizes.max()),
                "median": float(np.median(sizes)),
                "smallest": int(sizes.min()),
            }
        )
    return pd.DataFrame(rows)


def _resolution(model: FeatureClusterer, number: int) -> str:
    if not len(model.resolutions_):
        return ""
    resolution = model.resolutions_[number]
    names = {levels.ONE_GROUP: "one group", levels.CLOSE_GROUPS: "small close groups"}
    return names.get(resolution, f"{resolution:g}")


def agreement_table(model: FeatureClusterer) -> pd.DataFrame:
    """List how well the groups of each resolution come again, as far as the rule went."""
    measured = ~np.isnan(model.agreements_)
    return pd.DataFrame(
        {
            "resolution": np.array(levels.FRONT_RESOLUTIONS)[measured],
            "agreement of parts (ARI)": model.agreements_[measured].round(3),
        }
    )


def cost_table(model: FeatureClusterer) -> pd.DataFrame:
    """List the stages of the pipeline that led to the groups, with their time and settings."""
    return pd.DataFrame(
        {
            "stage": list(model.stages_),
            "seconds": [round(stage.seconds, 2) for stage in model.stages_.values()],
            "settings": [stage.settings for stage in model.stages_.values()],
        }
    )


def remarks(model: FeatureClusterer) -> list[str]:
    """Say in plain sentences what limits the groups: too few pictures, or the end of a range."""
    n, n_different = len(model.labels_), model.n_different_
    if n_different == 1:
        return [f"All {n:,} pictures are equal: they are one group."]
    said = []
    asked = None if model.clusterer_ in (LEVELS, *clustering.FINDS_K) else model.n_clusters
    if asked not in (None, estimator.AUTO) and asked > n_different:
        said.append(
            f"{asked} clusters were asked for, but only {n_different} pictures differ: each of "
            "them is a cluster, with its copies."
        )
    elif model.clusterer_ == LEVELS and n_different < estimator.LEAST_DIFFERENT:
        kept = "each with its copies is a group" if model.n_clusters_ > 1 else "all are one group"
        few = (
            f"{n} pictures are"
            if n == n_different
            else (f"Only {n_different} of {n:,} pictures differ, which is")
        )
        said.append(f"{few} too few to look for groups: {kept}. --clusters K divides them.")
    if len(model.resolutions_):
        said += _on_front(model)
    if len(model.k_candidates_):
        first, last = model.k_candidates_[[0, -1]]
        if model.n_clusters_ in (first, last):
            which = "smallest" if model.n_clusters_ == first else "largest"
            said.append(
                f"{model.n_clusters_} is the {which} number that was tried: a number outside the "
                "range may suit better; --clusters K sets it."
            )
    return said


def _on_front(model: FeatureClusterer) -> list[str]:
    if model.level != estimator.AUTO:
        return []
    resolution = model.resolutions_[model.front_]
    if resolution == levels.ONE_GROUP:
        return [
            "No division of the pictures comes again in parts of them, so that one group of all "
            "is in front. The finer levels divide it; they may depend on chance."
        ]
    if resolution == max(levels.FRONT_RESOLUTIONS):
        return [
            "The level in front is the finest that the rule considers: a finer level may suit as "
            "well."
        ]
    return []


def outliers(model: FeatureClusterer) -> np.ndarray:
    """Return the rows of the pictures far from all others, int ``(m,)``, the farthest first."""
    scores = model.outlier_scores_
    order = np.argsort(-scores, kind="stable")
    return order[scores[order] > model.far_threshold_]
