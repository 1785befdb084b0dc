"""How a method is chosen without labels: ``config/selection.yaml``, and the indices it knows."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from utils import places
from utils.config.load import _validate
from utils.config.metrics_table import INTERNAL, METRICS
from utils.config.schema import _Model

FILE = "selection.yaml"


class Index(NamedTuple):
    """An index that needs no label.

    Attributes
    ----------
    name : str
        For running text.
    short : str
        For heads of tables.
    sign : int
        1 if more is better, -1 if less is better.
    """

    name: str
    short: str
    sign: int = 1


# The first three are measured in one space for all methods, the components of the pixels.
INDICES = {
    **{
        key: Index(f"{METRICS[key].name} of the pixels", METRICS[key].short, METRICS[key].sign)
        for key in INTERNAL
    },
    "silhouette_umap": Index("silhouette in the UMAP space", "Silh. UMAP"),
    "agreement_seeds": Index("agreement across seeds", "Seeds"),
    "agreement_halves": Index("agreement across halves of the images", "Halves"),
    "agreement_others": Index("agreement with other representations", "Others"),
    "generalisation": Index("accuracy of a linear classifier", "Linear"),
}
IndexName = Literal[
    "silhouette",
    "davies_bouldin",
    "calinski_harabasz",
    "silhouette_umap",
    "agreement_seeds",
    "agreement_halves",
    "agreement_others",
    "generalisation",
]
RULE = "rule"


class Kind(_Model):
    """A kind of evidence: indices that share one weight."""

    name: str
    indices: list[IndexName] = Field(min_length=1)
    why: str


class LeftOut(_Model):
    """An index that the rule does not use."""

    index: IndexName
    why: str


class Limits(_Model):
    """What a method must keep to be chosen."""

    noise: float = Field(ge=0, le=1, description="largest share of images in no cluster")
    k: Literal["given", "any"]
    why: str


class Selection(_Model):
    """The rule by which a method is chosen without labels."""

    statement: str
    kinds: list[Kind] = Field(min_length=1)
    left_out: list[LeftOut]
    limits: Limits
    candidates: list[Literal["levels", "gmm", "kmeans", "ward", "spectral", "som"]] = Field(
        min_length=1, description="clusterers for a person's own pictures"
    )

    @model_validator(mode="after")
    def _names_every_index_once(self) -> Selection:
        named = [index for kind in self.kinds for index in kind.indices]
        named += [one.index for one in self.left_out]
        if sorted(named) != sorted(INDICES):
            raise ValueError(
                f"kinds and left_out must name each of {', '.join(INDICES)} once, they name "
                f"{', '.join(named)}"
            )
        return self


def load_selection() -> Selection:
    """Read and validate ``config/selection.yaml``.

    Raises
    ------
    UserError
        If the file is malformed; the key and what is allowed are named.
    """
    return _validate(Selection, places.config() / FILE)
