"""Joint methods, which train an autoencoder and a clustering together: ClustPy's.

ClustPy (Leiber, Bauer, Schelling, Böhm & Plant) has them behind one interface; here they get a
name, a seed and a number of epochs, and everything else stays as its authors set it.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from utils import clustering, spaces
from utils.errors import UserError

# Pretraining of the autoencoder and clustering, as ClustPy sets them.
EPOCHS = (100, 150)


class JointMethod(NamedTuple):
    """A joint method: its class in ClustPy, its paper, and whether it trains while it clusters."""

    class_name: str
    source: str
    trains_clusters: bool = True


METHODS = {
    "dec": JointMethod("DEC", "Xie et al. 2016"),
    "idec": JointMethod("IDEC", "Guo et al. 2017"),
    "dcn": JointMethod("DCN", "Yang et al. 2017"),
    "vade": JointMethod("VaDE", "Jiang et al. 2017"),
    "n2d": JointMethod("N2D", "McConville et al. 2021", trains_clusters=False),
}
# Of the paper of N2D, section IV.
N2D_NEIGHBORS = 20


def cluster(
    name: str,
    features: np.ndarray,
    n_clusters: int,
    seed: int,
    epochs: tuple[int, int] = EPOCHS,
) -> clustering.Result:
    """Cluster images by a method that learns its own representation; no label is seen.

    Parameters
    ----------
    name : str
        A key of `METHODS`.
    features : ndarray of float32, shape (N, D)
        Pixels of each image in a row, in [0, 1].
    n_clusters : int
        Number of clusters.
    seed : int
    epochs : tuple of int
        Rounds of pretraining, and of clustering where there are any (N2D has none).

    Returns
    -------
    Result
        Without confidence; fewer clusters than asked for where some have no image.

    Raises
    ------
    UserError
        If the name is unknown, there are fewer images than clusters, values are not finite or not
        in [0, 1], or ClustPy is not installed.

    Notes
    -----
    All of them use ClustPy's autoencoder D-500-500-2000-10. N2D lays it out by UMAP with the
    settings of its paper: 20 neighbours, least distance 0, as many dimensions as clusters. They run
    on the GPU with the most free memory where there is one, otherwise on the CPU. ClustPy has no
    switch for its progress bars; they go to the standard error.
    """
    if name not in METHODS:
        raise UserError(f"unknown joint method {name!r}: allowed are {', '.join(METHODS)}")
    spaces.require_features(features, n_clusters, f"clustering by {METHODS[name].class_name}")
    if features.min() < 0 or features.max() > 1:
        raise UserError(
            f"{METHODS[name].class_name} needs pixels in [0, 1], found {features.min():g} to "
            f"{features.max():g}: give it the representation 'pixels' in the space 'raw'"
        )
    from threadpoolctl import threadpool_limits

    deep = _clustpy_deep()
    options = {"n_clusters": n_clusters, "pretrain_epochs": epochs[0], "random_state": seed}
    options |= _options(name, n_clusters, epochs[1], seed)
    method = getattr(deep, METHODS[name].class_name)(**options)
    with threadpool_limits(user_api="blas", limits=1):
        method.fit(features)
    # Clusters may have lost all their images, VaDE's above all, and numbers must have no gaps.
    _, assignment = np.unique(method.labels_, return_inverse=True)
    return clustering.Result(assignment.astype(np.int32))


def settings(name: str, epochs: tuple[int, int]) -> str:
    """Say with what a joint method is run for so many epochs of pretraining and clustering."""
    method = METHODS[name]
    own = f"ClustPy's {method.class_name} ({method.source}) with its own settings,"
    if method.trains_clusters:
        return f"{own} {epochs[0]} epochs of pretraining and {epochs[1]} of clustering"
    return f"{own} {epochs[0]} epochs, and UMAP with {N2D_NEIGHBORS} neighbours as in its paper"


def _clustpy_deep() -> ModuleType:
    try:
        from clustpy import deep
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "clustpy":
            raise
        raise UserError(
            f"the methods {', '.join(METHODS)} need ClustPy, which is not installed: "
            "pip install clustpy"
        ) from None
    return deep


def _options(name: str, n_clusters: int, epochs: int, seed: int) -> dict[str, Any]:
    if METHODS[name].trains_clusters:
        return {"clustering_epochs": epochs}
    from umap import UMAP

    layout = {"n_components": n_clusters, "n_neighbors": N2D_NEIGHBORS, "min_dist": 0.0}
    seeded = {"random_state": seed, "n_jobs": 1}
    return {"manifold_class": UMAP, "manifold_params": layout | seeded}
