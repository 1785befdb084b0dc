"""Pictures put into the clusters of a model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from commands.export import MOST_LINES
from commands.picture_request import PictureRequest
from commands.telling import counted, shown
from utils import estimator
from utils.data import picture_embeddings, picture_files
from utils.data.picture_embeddings import Embeddings, read_embeddings
from utils.data.picture_files import Found
from utils.errors import UserError
from utils.representations.own_backbones import load_own_backbone
from utils.representations.pretrained import Backbone, features
from utils.runs import picture_features
from utils.store.ownership import replaced_together

ASSIGNED = "assigned.csv"


def assign(request: PictureRequest) -> pd.DataFrame:
    """Put pictures into the clusters of a model, write ``assigned.csv`` and sum up.

    Returns
    -------
    DataFrame
        Columns ``path``, ``cluster`` (str, -1 belongs to none), ``confidence`` (in [0, 1]) and
        ``outlier_score``, see `FeatureClusterer.score_outliers`.

    Raises
    ------
    UserError
        If the model cannot be used, its network is not available, or no picture can be read.
    """
    model, about = estimator.load(request.model)
    files = picture_files.find(request.folder, exclude=request.exclude)
    if request.features is None:
        own, network = None, _network_of(request, model.n_features_in_, about)
    else:
        own, network = _own_features(request, files, model.n_features_in_), None
        files = picture_features.with_features(files, own)
    collected = picture_features.collect(
        files, network, request.largest_megapixels * 10**6, request.with_metadata
    )
    features_of_all = (
        collected.features
        if own is None
        else picture_features.features_of(files, collected.usable, own)
    )
    skipped = picture_features.left_out(files, collected.reasons)
    for path, reason in skipped.head(MOST_LINES).itertuples(index=False):
        print(f"left out: {path}: {reason}")
    if not len(collected.usable):
        raise UserError(f"{request.folder}: none of its {len(files.names)} files can be read")
    clusters, shares = model.vote(features_of_all)
    outlier_scores = model.score_outliers(features_of_all)
    is_far = outlier_scores > model.far_threshold_
    clusters[is_far], shares[is_far] = -1, 0
    table = pd.DataFrame(
        {
            "path": [picture_files.printable(files.names[row]) for row in collected.usable],
            "cluster": clusters.astype(str),
            "confidence": shares.round(4),
            "outlier_score": outlier_scores.round(4),
        }
    )
    with replaced_together(request.out, request.owner) as folder:
        table.to_csv(folder / ASSIGNED, index=False)
    left_out = f", {len(skipped):,} left out" if len(skipped) else ""
    placed = table.loc[table["cluster"] != "-1", "cluster"]
    n_clusters = counted(placed.nunique(), "cluster")
    print(f"{counted(len(placed), 'picture')} put into {n_clusters}{left_out}")
    if n_far := len(table) - len(placed):
        print(
            f"{counted(n_far, 'picture')} in none: noise, or farther from the model's pictures "
            f"than {model.far_threshold_:.3f} (cosine distance, upper fence of its own)"
        )
    print(f"{shown(request.out / ASSIGNED)}")
    return table


def _own_features(request: PictureRequest, files: Found, n_features: int) -> Embeddings:
    """Read the features of --features, which must be as many as those of the model."""
    own = read_embeddings(request.features, request.folder, files.names)
    if own.values.shape[1] != n_features:
        raise UserError(
            f"{request.features}: has {own.values.shape[1]:,} features, but {request.model} "
            f"clusters {n_features:,}"
        )
    return own


def _network_of(request: PictureRequest, n_features: int, about: dict[str, str]) -> Backbone:
    """Load the network whose features a model clusters.

    Raises
    ------
    UserError
        If the model does not name it, its weights are not available or are others than the model's,
        or the number of its features differs.
    """
    if not {"backbone", "weights"} <= set(about):
        raise UserError(
            f"{request.model}: does not name the network behind its features: use the "
            "model.safetensors of a report, or call predict of the estimator with your features"
        )
    if about["backbone"] == picture_embeddings.NAME:
        raise UserError(
            f"{request.model}: clusters features of a file ({about['weights']}): give those of "
            "these pictures with --features FILE"
        )
    network = load_own_backbone(about["backbone"], offline=request.offline)
    if network.name != about["backbone"]:
        raise UserError(f"{request.model}: {network.note}")
    # ResNet50 has weights of torchvision and of Keras. What stands in brackets is their file.
    made_by, used = (text.split(" (")[0] for text in (about["weights"], network.weights))
    if made_by != used:
        raise UserError(
            f"{request.model}: clusters features of {network.name} by {made_by}, but here its "
            f"weights are {used}: set or unset $RESNET50_KERAS_WEIGHTS"
        )
    blank = np.zeros((1, network.side, network.side, 3), np.uint8)
    n_computed = features(network, blank).shape[1]
    if n_computed != n_features:
        raise UserError(
            f"{request.model}: clusters {n_features:,} features, but {network.name} has "
            f"{n_computed:,}: use the model.safetensors of a report"
        )
    return network
