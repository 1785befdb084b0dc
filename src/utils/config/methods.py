"""A method: representation / space / clusterer, as leaderboards and tables spell it.

What the names stand for is code in other modules, most of which need seconds to import; tests hold
both in step.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from utils.errors import UserError

# Representations by what they need, each with its name for people. Names of studies are
# representations too, and JOINED_BY joins several views of the same images.
HANDMADE = {
    "pixels": "pixels",
    "hog": "HOG",
    "deskewed": "deskewed pixels",
    "deskewed_hog": "HOG of deskewed images",
}
FROZEN = {
    "efficientnet_lite0": "EfficientNet-Lite0",
    "efficientnet_lite1": "EfficientNet-Lite1",
    "efficientnet_lite2": "EfficientNet-Lite2",
    # Averaged over mirrored and cropped images, see `representations.pretrained_views`.
    "efficientnet_lite0_views": "EfficientNet-Lite0, averaged over views",
    "efficientnet_lite2_views": "EfficientNet-Lite2, averaged over views",
}
TRAINED = {
    "ae_dense": "dense autoencoder",
    "ae_conv": "convolutional autoencoder",
    "ae_denoising": "denoising autoencoder",
    "vae": "variational autoencoder",
    "contrastive": "contrastive network",
}
SPACES = (
    "raw",
    "pca<d>",
    "umap<d>",
    "umap<d>x<layouts>",
    "umap<d>n<neighbours>",
    "pca<d>-umap<d>n<neighbours>",
    "umaplearn<d>",
)
CLUSTERERS = {
    "kmeans": "k-means",
    "gmm": "Gaussian mixture",
    "ward": "Ward",
    "spectral": "spectral",
    "hdbscan": "HDBSCAN",
    "dbscan_knee": "DBSCAN, eps at the knee",
    "som": "SOM",
    "leiden": "Leiden",
    "evoc": "EVoC",
    "plscan": "PLSCAN",
}
# These train heads on the features of frozen networks: TURTLE on each view by itself, TEMI on the
# points of a space.
TURTLE = "turtle"
HEADS = {TURTLE: "TURTLE", "temi": "TEMI"}
# These train a network of their own on pixels.
JOINT = {"dec": "DEC", "idec": "IDEC", "dcn": "DCN", "vade": "VaDE", "n2d": "N2D"}
# A second step: a network learns the clusters from the images (`clustering.self_labelling`), or a
# linear classifier from their features (`clustering.linear_head`).
SELF_LABEL = "self_label"
LINEAR_HEAD = "linear_head"
SECOND_STEPS = {SELF_LABEL: "self-labelling", LINEAR_HEAD: "linear head"}
JOINED_BY = "+"
K_CHOSEN = "_k_chosen"
IMAGENET = "ImageNet"

# Every name for people, those that only the studies use included.
NAMES = {
    **HANDMADE,
    **FROZEN,
    **TRAINED,
    **CLUSTERERS,
    **HEADS,
    **JOINT,
    **SECOND_STEPS,
    f"kmeans{K_CHOSEN}": "k-means, k chosen",
    "resnet50": "ResNet50",
    "resnet50_random": "ResNet50 with random weights",
    "dbscan": "DBSCAN",
}

_COUNT, _SEVERAL = "([1-9][0-9]*)", "([2-9]|[1-9][0-9]+)"
_SPACE = re.compile(
    rf"raw|pca{_COUNT}|umaplearn{_COUNT}|(?:pca{_COUNT}-)?umap{_COUNT}(?:n{_SEVERAL})?(?:x{_SEVERAL})?"
)


@dataclass(frozen=True)
class Space:
    """The space in which a representation is clustered.

    Attributes
    ----------
    kind : str
        ``raw`` (the features themselves), ``pca``, ``umap``, or ``umaplearn``: as umap-learn itself
        lays points out.
    n_components : int
        Dimensions of a projection; 0 for ``raw``.
    layouts : int
        UMAP layouts of different seeds, side by side.
    n_neighbors : int
        Neighbours that UMAP looks at, where a name says so; 0 otherwise.
    reduced_to : int
        Principal components to which wider features are reduced before UMAP, where a name says so;
        0 otherwise.
    """

    kind: Literal["raw", "pca", "umap", "umaplearn"] = "raw"
    n_components: int = 0
    layouts: int = 1
    n_neighbors: int = 0
    reduced_to: int = 0

    @classmethod
    def parse(cls, name: str) -> Space:
        """Read a name of the kinds in `SPACES`; ``n<neighbours>`` goes before ``x<layouts>``.

        Raises
        ------
        UserError
            If it is none of these.
        """
        match = _SPACE.fullmatch(name)
        if match is None:
            raise UserError(_unknown("space", name, SPACES))
        of_pca, of_learn, reduced_to, of_umap, neighbors, layouts = (
            int(number or 0) for number in match.groups()
        )
        if of_umap:
            return cls("umap", of_umap, layouts or 1, neighbors, reduced_to)
        if of_learn:
            return cls("umaplearn", of_learn)
        return cls("pca", of_pca) if of_pca else cls()

    def __str__(self) -> str:
        if self.kind == "raw":
            return self.kind
        neighbors = f"n{self.n_neighbors}" if self.n_neighbors else ""
        layouts = f"x{self.layouts}" if self.layouts > 1 else ""
        before = f"pca{self.reduced_to}-" if self.reduced_to else ""
        return f"{before}{self.kind}{self.n_components}{neighbors}{layouts}"

    @property
    def in_words(self) -> str:
        """Its name for people."""
        if self.kind == "raw":
            return self.kind
        layouts = f" × {self.layouts} layouts" if self.layouts > 1 else ""
        neighbors = f" ({self.n_neighbors} neighbours)" if self.n_neighbors else ""
        before = f"PCA {self.reduced_to} → " if self.reduced_to else ""
        kind = "umap-learn" if self.kind == "umaplearn" else self.kind.upper()
        return f"{before}{kind} {self.n_components}{neighbors}{layouts}"


@dataclass(frozen=True)
class Method:
    """How images are clustered: representation / space / clusterer.

    Attributes
    ----------
    views : tuple of str
        Representations whose features stand side by side.
    space : Space
    clusterer : str
        The first step: one of `CLUSTERERS`, `HEADS` or `JOINT`.
    second_step : str or None
        What then learns the clusters and labels every image: one of `SECOND_STEPS`.
    k_chosen : bool
        Whether k is chosen without labels, not given.
    """

    views: tuple[str, ...]
    space: Space
    clusterer: str
    second_step: str | None = None
    k_chosen: bool = False

    @classmethod
    def parse(
        cls,
        representation: str,
        space: str,
        clusterer: str,
        k: Literal["given", "chosen"] = "given",
    ) -> Method:
        """Read the parts of a method to run. The names of the views are not checked.

        Raises
        ------
        UserError
            If a part is unknown or does not fit the others.
        """
        known = representation.split(JOINED_BY)
        for _, words in mistakes(representation, space, clusterer, k, known):
            raise UserError(words)
        return cls.from_table(representation, space, clusterer + (K_CHOSEN * (k == "chosen")))

    @classmethod
    def from_table(cls, representation: str, space: str, clusterer: str) -> Method:
        """Read the names of a table; those that only studies use are allowed too.

        Raises
        ------
        UserError
            If the space is unknown.
        """
        first, *then = clusterer.removesuffix(K_CHOSEN).split(JOINED_BY)
        return cls(
            views=tuple(representation.split(JOINED_BY)),
            space=Space.parse(space),
            clusterer=first,
            second_step=JOINED_BY.join(then) or None,
            k_chosen=clusterer.endswith(K_CHOSEN),
        )

    @property
    def names(self) -> tuple[str, str, str]:
        """Names of representation, space and clusterer in every table."""
        then = f"{JOINED_BY}{self.second_step}" if self.second_step else ""
        chosen = K_CHOSEN if self.k_chosen else ""
        return JOINED_BY.join(self.views), str(self.space), f"{self.clusterer}{then}{chosen}"

    @property
    def columns(self) -> dict[str, str]:
        """The same names by the columns of every table."""
        return dict(zip(("representation", "space", "clusterer"), self.names, strict=True))

    def __str__(self) -> str:
        return " / ".join(self.names)

    @property
    def in_words(self) -> tuple[str, str, str]:
        """Names of representation, space and clusterer for people."""
        views = " + ".join(NAMES.get(view, view) for view in self.views)
        clusterer = NAMES.get(self.clusterer, self.clusterer)
        then = f" + {NAMES.get(self.second_step, self.second_step)}" if self.second_step else ""
        return views, self.space.in_words, clusterer + then + (", k chosen" * self.k_chosen)

    @property
    def is_joint(self) -> bool:
        """Whether a network is trained together with the clusters."""
        return self.clusterer in JOINT

    @property
    def is_trained_here(self) -> bool:
        """Whether a network is trained on the images, beyond a head on frozen features."""
        needs_none = set(self.views) <= {*HANDMADE, *FROZEN}
        return self.second_step == SELF_LABEL or self.is_joint or not needs_none

    @property
    def weights_trained_with(self) -> str | None:
        """Name the data set whose labels trained the weights of a view, if there is one."""
        return IMAGENET if set(self.views) & set(FROZEN) else None


def mistakes(
    representation: str, space: str, clusterer: str, k: str, representations: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Find what is wrong with the parts of a method.

    Parameters
    ----------
    representation, space, clusterer, k : str
        As a leaderboard's file has them.
    representations : collection of str
        Those that a view may be.

    Yields
    ------
    key : str
        Name of the part.
    words : str
        What is wrong, and what is allowed.
    """
    for view in representation.split(JOINED_BY):
        if view not in representations:
            yield "representation", _unknown("representation", view, representations)
    first, *then = clusterer.split(JOINED_BY)
    try:
        parsed = Space.parse(space)
    except UserError as error:
        yield "space", str(error)
    else:
        if first in JOINT and parsed != Space():
            yield "space", f"{first} needs pixels in the space 'raw' (found {space})"
        if first == TURTLE and parsed != Space():
            yield "space", f"{first} needs the features of each view: the space 'raw', not {space}"
    allowed = (*CLUSTERERS, *HEADS, *JOINT)
    if first not in allowed:
        yield "clusterer", _unknown("clusterer", first, allowed)
    if then and JOINED_BY.join(then) not in SECOND_STEPS:
        yield "clusterer", _unknown("second step", JOINED_BY.join(then), SECOND_STEPS)
    if first in (*HEADS, *JOINT) and k == "chosen":
        yield "k", f"{first} cannot choose k: allowed is 'given'"


def _unknown(kind: str, name: str, allowed: Iterable[str]) -> str:
    return f"unknown {kind} {name!r}: allowed are {', '.join(allowed)}"
