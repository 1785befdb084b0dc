"""A linear head: a linear classifier learns the sure part of a clustering, then labels every image.

As in `self_labelling`, images whose nearest neighbours all share their cluster are taken as
examples of it. The classifier learns them from the features that were clustered, not from the
images. No label is involved.
"""

from __future__ import annotations

import numpy as np

from utils import spaces
from utils.clustering.results import Result
from utils.clustering.self_labelling import N_NEIGHBORS, sure_images
from utils.errors import UserError

MOST_ITERATIONS = 1000
SETTINGS = (
    "a linear head: logistic regression (scikit-learn, C = 1) on standardised features learns the "
    f"images all of whose {N_NEIGHBORS} neighbours share their cluster, and labels all"
)


def refine(features: np.ndarray, near: np.ndarray, assignment: np.ndarray) -> Result:
    """Replace a clustering by the answers of a linear classifier that learned its sure part.

    Parameters
    ----------
    features : ndarray of float32, shape (N, D)
        What the classifier sees.
    near : ndarray of float32, shape (N, d)
        Features in which nearest neighbours are sought.
    assignment : ndarray of int, shape (N,)
        The clustering to refine, −1 for noise.

    Returns
    -------
    Result
        Cluster of every image, numbered as in `assignment`, and the classifier's probability of it.

    Raises
    ------
    UserError
        If the sure images are of fewer than two clusters.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    neighbours, _ = spaces.knn_graph(near, N_NEIGHBORS)
    sure = sure_images(neighbours, assignment)
    if len(np.unique(assignment[sure])) < 2:
        raise UserError(
            f"a linear head learns from images all of whose {N_NEIGHBORS} neighbours share their "
            f"cluster, but the {sure.sum()} such images are of fewer than two clusters: cluster "
            "without it"
        )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MOST_ITERATIONS))
    with threadpool_limits(limits=1, user_api="blas"):
        model.fit(features[sure], assignment[sure])
        probabilities = model.predict_proba(features)
    likeliest = probabilities.argmax(axis=1)
    return Result(
        model.classes_[likeliest].astype(np.int32),
        probabilities.max(axis=1).clip(0, 1).astype(np.float32),
    )
