"""Tables of a study's section: its protocol, and the autoencoder beside other representations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from report.markdown import fixed, number
from utils.config.vocabulary import NAMES

if TYPE_CHECKING:
    from report.comparisons import Comparison, Ranking
    from report.notebook_parts import FactView, Page
    from utils import config

LOSSES = {
    "binary_cross_entropy": "binary cross-entropy",
    "mean_squared_error": "mean squared error",
}
OPTIMIZERS = {"adam": "Adam", "adadelta": "Adadelta"}
HELD_OUT = {"test_split": "the test images"}
NOT_HELD_OUT = "the last images, held out"


@dataclass(frozen=True)
class Beside:
    """The autoencoder beside another representation of the same images.

    `external` compares the ARI, `internal`, where both have one, the silhouette of each in its own
    space.
    """

    representation: str
    images: int
    external: Comparison
    internal: Comparison | None

    @property
    def contradiction(self) -> bool:
        """Whether labels and silhouette put the two in opposite order."""
        if self.internal is None:
            return False
        return {self.external.outcome, self.internal.outcome} == {"better", "worse"}

    @property
    def outcome(self) -> str:
        """Of the code, by the ARI; and by the silhouette if that says the opposite."""
        if not self.contradiction:
            return self.external.outcome
        return f"{self.external.outcome}, but by the silhouette {self.internal.outcome}"


BESIDE_HEADER = (
    *("Compared with", "Images", "ARI of the code", "ARI of the other", "Difference, 95 %"),
    *("The code is", "Silhouette of the code", "Silhouette of the other"),
)


def beside_rows(found: Iterable[Beside]) -> list[list[object]]:
    """Write each comparison in a row with a cell for each title of `BESIDE_HEADER`."""
    return [
        [
            NAMES.get(one.representation, one.representation),
            number(one.images),
            fixed(one.external.our_mean),
            fixed(one.external.other_mean),
            _difference(one.external),
            one.outcome,
            fixed(one.internal.our_mean if one.internal else None),
            fixed(one.internal.other_mean if one.internal else None),
        ]
        for one in found
    ]


def _difference(compared: Comparison) -> str:
    found = compared.difference
    if found is None:
        return "a single run"
    return f"{fixed(found.difference)} ({fixed(found.low)} to {fixed(found.high)})"


RANKING_HEADER = ("Representation", "ARI", "Silhouette", "Davies-Bouldin")


def ranking_rows(ranking: Ranking | None) -> list[list[object]]:
    """Write each representation in a row with a cell for each title of `RANKING_HEADER`."""
    return [
        [
            NAMES.get(row.representation, row.representation),
            *map(fixed, (row.ari, row.silhouette, row.davies_bouldin)),
        ]
        for row in (ranking.rows if ranking else ())
    ]


def protocol_rows(study: config.Study, pages: Mapping[str, Page | None]) -> list[list[object]]:
    """List what a study's file fixes, and what came out of it: what, and the value.

    Parameters
    ----------
    study : Study
    pages : mapping of str to Page or None
        Of its notebooks that left results.
    """
    data, training, clusters = (
        _facts(pages, name)
        for name in ("01_baseline_kmeans", "02_train_autoencoder", "03_latent_clustering")
    )
    protocol = study.autoencoder
    starts = study.kmeans.n_init
    rows = [
        ["images", _shown(data, "n_images")],
        ["pixels of an image", _shown(data, "image_shape")],
        ["classes", _shown(data, "n_classes")],
        ["loss", LOSSES[protocol.loss]],
        ["optimiser", OPTIMIZERS[protocol.optimizer.name]],
        ["learning rate", number(protocol.optimizer.learning_rate)],
        ["images of a batch", number(protocol.batch_size)],
        ["epochs", _epochs(protocol)],
        ["parameters of the network", _shown(training, "n_parameters")],
        ["numbers of the code", _shown(training, "latent_size")],
        ["space of the code", _space(study)],
        ["share of the variance kept", _shown(clusters, "pca_explained_variance")],
        ["k-means", f"{study.kmeans.n_clusters} clusters, {starts} start{'s' * (starts != 1)}"],
        ["Gaussian mixture", _mixture(study)],
        ["epochs run", _shown(training, "epochs_run")],
        ["loss after the last epoch", _shown(training, "final_loss")],
        ["training time", _shown(training, "train_seconds")],
        ["device", _shown(training, "device")],
        ["precision", _shown(training, "precision")],
    ]
    return [row for row in rows if row[1] is not None]


def _facts(pages: Mapping[str, Page | None], notebook: str) -> Mapping[str, FactView | None]:
    page = pages.get(notebook)
    return page.facts if page else {}


def _shown(facts: Mapping[str, FactView | None], name: str) -> str | None:
    fact = facts.get(name)
    return fact.shown if fact else None


def _space(study: config.Study) -> str:
    space = study.space
    if space.name == "umap":
        return f"UMAP, {space.n_components} dimensions, {space.n_neighbors} neighbours"
    return "as it is" if space.name == "raw" else f"{space.n_components} principal components"


def _mixture(study: config.Study) -> str | None:
    """Name the Gaussian mixture, if the study has one."""
    return None if study.gmm is None else f"{study.gmm.n_components} Gaussians, full covariances"


def _epochs(protocol: config.Autoencoder) -> str:
    """Say how many epochs the protocol has, and what ends them early or is measured."""
    n, validation = number(protocol.epochs), protocol.validation
    if validation is None:
        return n
    images = HELD_OUT.get(validation.images, NOT_HELD_OUT)
    if validation.patience is None:
        return f"{n}; the loss is measured on {images} too"
    return (
        f"at most {n}; ends {number(validation.patience)} epochs after the lowest loss on "
        f"{images}, whose weights are kept"
    )
