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
}
TRAINED = {
    "ae_dense": "dense autoencoder",
    "ae_conv": "convolutional autoencoder",
    "ae_denoising": "denoising autoencoder",
    "vae": "variational autoencoder",
    "contrastive": "contrastive network",
}
SPACES = ("raw", "pca<d>", "umap<d>", "umap<d>x<layouts>")
CLUSTERERS = {
    "kmeans": "k-means",
    "gmm": "Gaussian mixture",
    "ward": "Ward",
    "spectral": "spectral",
    "hdbscan": "HDBSCAN",
    "dbscan_knee": "DBSCAN, eps at the knee",
    "som": "SOM",
    "leiden": "Leiden",
}
# These train a network of their own on pixels.
JOINT = {"dec": "DEC", "idec": "IDEC", "dcn": "DCN", "vade": "VaDE", "n2d": "N2D"}
# A second step: a network learns the clusters, see `clustering.self_labelling`.
SELF_LABEL = "self_label"
JOINED_BY = "+"
K_CHOSEN = "_k_chosen"
IMAGENET = "ImageNet"

# Every name for people, those that only the studies use included.
NAMES = {
    **HANDMADE,
    **FROZEN,
    **TRAINED,
    **CLUSTERERS,
    **JOINT,
    SELF_LABEL: "self-labelling",
    f"kmeans{K_CHOSEN}": "k-means, k chosen",
    "resnet50": "ResNet50",
    "resnet50_random": "ResNet50 with random weights",
    "dbscan": "DBSCAN",
}

_SPACE = re.compile(r"raw|(pca|umap)([1-9][0-9]*)(?:x([2-9]|[1-9][0-9]+))?")


@dataclass(frozen=True)
class Space:
    """The space in which a representation is clustered.

    Attributes
    ----------
    kind : str
        ``raw`` (the features themselves), ``pca`` or ``umap``.
    n_components : int
        Dimensions of a projection; 0 for ``raw``.
    layouts : int
        UMAP layouts of different seeds, side by side.
    """

    kind: Literal["raw", "pca", "umap"] = "raw"
    n_components: int = 0
    layouts: int = 1

    @classmethod
    def parse(cls, name: str) -> Space:
        """Read ``raw``, ``pca<d>``, ``umap<d>`` or ``umap<d>x<layouts>``.

        Raises
        ------
        UserError
            If it is none of these.
        """
        match = _SPACE.fullmatch(name)
        if match is None or (match[1] == "pca" and match[3]):
            raise UserError(_unknown("space", name, SPACES))
        if match[1] is None:
            return cls()
        return cls(match[1], int(match[2]), int(match[3] or 1))

    def __str__(self) -> str:
        if self.kind == "raw":
            return self.kind
        return f"{self.kind}{self.n_components}" + (f"x{self.layouts}" if self.layouts > 1 else "")

    @property
    def in_words(self) -> str:
        """Its name for people."""
        if self.kind == "raw":
            return self.kind
        layouts = f" × {self.layouts} layouts" if self.layouts > 1 else ""
        return f"{self.kind.upper()} {self.n_components}{layouts}"


@dataclass(frozen=True)
class Method:
    """How images are clustered: representation / space / clusterer.

    Attributes
    ----------
    views : tuple of str
        Representations whose features stand side by side.
    space : Space
    clusterer : str
        The first step: one of `CLUSTERERS` or `JOINT`.
    self_labelled : bool
        Whether a network then learns the clusters and labels every image.
    k_chosen : bool
        Whether k is chosen without labels, not given.
    """

    views: tuple[str, ...]
    space: Space
    clusterer: str
    self_labelled: bool = False
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
            self_labelled=bool(then),
            k_chosen=clusterer.endswith(K_CHOSEN),
        )

    @property
    def names(self) -> tuple[str, str, str]:
        """Names of representation, space and clusterer in every table."""
        then = f"{JOINED_BY}{SELF_LABEL}" if self.self_labelled else ""
        chosen = K_CHOSEN if self.k_chosen else ""
        return JOINED_BY.join(self.views), str(self.space), f"{self.clusterer}{then}{chosen}"

    def __str__(self) -> str:
        return " / ".join(self.names)

    @property
    def in_words(self) -> tuple[str, str, str]:
        """Names of representation, space and clusterer for people."""
        views = " + ".join(NAMES.get(view, view) for view in self.views)
        clusterer = NAMES.get(self.clusterer, self.clusterer)
        then = f" + {NAMES[SELF_LABEL]}" if self.self_labelled else ""
        return views, self.space.in_words, clusterer + then + (", k chosen" * self.k_chosen)

    @property
    def is_joint(self) -> bool:
        """Whether a network is trained together with the clusters."""
        return self.clusterer in JOINT

    @property
    def is_trained_here(self) -> bool:
        """Whether a network is trained on the images that are clustered."""
        needs_none = set(self.views) <= {*HANDMADE, *FROZEN}
        return self.self_labelled or self.is_joint or not needs_none

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
    if first not in (*CLUSTERERS, *JOINT):
        yield "clusterer", _unknown("clusterer", first, (*CLUSTERERS, *JOINT))
    if then and then != [SELF_LABEL]:
        yield "clusterer", _unknown("second step", JOINED_BY.join(then), [SELF_LABEL])
    if first in JOINT and k == "chosen":
        yield "k", f"{first} cannot choose k: allowed is 'given'"


def _unknown(kind: str, name: str, allowed: Iterable[str]) -> str:
    return f"unknown {kind} {name!r}: allowed are {', '.join(allowed)}"
