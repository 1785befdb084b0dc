"""The facts that notebooks record: each is declared once, with its kind and a label for people.

A fact is a single number or text. Notebooks record it, tables carry it as text, and the article
shows it by its kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from utils.config.vocabulary import LEADERBOARD_NOTEBOOK, PICTURES_NOTEBOOK, STUDY_NOTEBOOKS
from utils.errors import UserError

# A count is whole. A share lies in [0, 1]. A score is one of the metrics, or its standard
# deviation. A quantity is any other number. The facts of a notebook that is not one of this
# project's are of any kind.
Kind = Literal["count", "score", "share", "seconds", "quantity", "text", "flag", "any"]


@dataclass(frozen=True)
class DeclaredFact:
    """A fact of a notebook.

    Attributes
    ----------
    notebook : str
    name : str
        May have one variable part in angle brackets, such as ``parameters_<network>``.
    kind : str
    label : str
        For people, with the same variable part.
    """

    notebook: str
    name: str
    kind: Kind
    label: str

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self.kind not in ("text", "flag", "any")

    @property
    def variable(self) -> str | None:
        """The variable part of its name without brackets; None if the name is fixed."""
        part = re.search(r"<(\w+)>", self.name)
        return part[1] if part else None

    def accepts(self, value: Any) -> bool:
        """Return whether a value is of this kind."""
        if self.kind == "any":
            return True
        if self.kind == "flag":
            return isinstance(value, bool)
        if self.kind == "text":
            return isinstance(value, str)
        return isinstance(value, int if self.kind == "count" else int | float) and not isinstance(
            value, bool
        )

    def names(self, parts: Mapping[str, Iterable[str]]) -> list[str]:
        """List its names, given what each variable part may be."""
        if self.variable is None:
            return [self.name]
        return [self._filled(part).name for part in parts[self.variable]]

    def of(self, name: str) -> DeclaredFact | None:
        """Return this fact under a recorded name; None if it is the name of another fact."""
        if self.variable is None:
            return self if name == self.name else None
        start, end = self.name.split(f"<{self.variable}>")
        named = re.fullmatch(f"{re.escape(start)}(.+){re.escape(end)}", name)
        return self._filled(named[1]) if named else None

    def _filled(self, part: str) -> DeclaredFact:
        name, label = (text.replace(f"<{self.variable}>", part) for text in (self.name, self.label))
        return DeclaredFact(self.notebook, name, self.kind, label)


def _facts(notebook: str, *rows: tuple[str, Kind, str]) -> tuple[DeclaredFact, ...]:
    return tuple(DeclaredFact(notebook, *row) for row in rows)


FACTS = (
    *_facts(
        "01_baseline_kmeans",
        ("n_images", "count", "images"),
        ("image_shape", "text", "size of an image in pixels"),
        ("n_classes", "count", "classes"),
        ("classes_found_pixels", "count", "classes found by k-means on pixels"),
        (
            "pca50_explained_variance_pixels",
            "share",
            "share of the pixels' variance in 50 principal components",
        ),
    ),
    *_facts(
        "02_train_autoencoder",
        ("n_parameters", "count", "parameters of the autoencoder"),
        ("n_weights", "count", "weights of the autoencoder"),
        ("n_biases", "count", "biases of the autoencoder"),
        ("n_parameters_<variant>", "count", "parameters of the autoencoder, variant <variant>"),
        ("latent_size", "count", "dimensions of the code"),
        ("final_loss", "quantity", "final loss"),
        ("final_validation_loss", "quantity", "final validation loss"),
        ("epochs_run", "count", "epochs run"),
        ("train_seconds", "seconds", "training time"),
        ("device", "text", "device"),
        ("precision", "text", "precision of the training"),
    ),
    *_facts(
        "03_latent_clustering",
        (
            "pca_explained_variance",
            "share",
            "share of the code's variance in its principal components",
        ),
        ("classes_found_autoencoder", "count", "classes found by k-means on the code"),
        (
            "map_neighbours_same_cluster",
            "share",
            "share of neighbours on the map in the same cluster",
        ),
        (
            "map_neighbours_same_class",
            "share",
            "share of neighbours on the map in the same class",
        ),
        ("dbscan_clusters", "count", "clusters found by DBSCAN"),
        ("dbscan_noise", "share", "share of noise of DBSCAN"),
        ("dbscan_knee_eps", "quantity", "eps at the knee of the k-distances"),
    ),
    *_facts(
        "04_pretrained_comparison",
        ("backbone_images", "count", "images compared"),
        ("parameters_<network>", "count", "parameters of <network>"),
        ("weights_<network>", "text", "weights of <network>"),
        ("not_run_<network>", "text", "reason why <network> was not run"),
    ),
    *_facts(
        LEADERBOARD_NOTEBOOK,
        ("precision", "text", "precision of the training"),
    ),
    *_facts(
        "06_your_images",
        ("files found", "count", "files found"),
        ("pictures", "count", "pictures"),
        ("files left out", "count", "files left out"),
        ("clusters", "count", "clusters"),
        ("levels", "count", "levels of groups"),
        ("level in front", "count", "level in front, 1 for the coarsest"),
        ("outliers", "count", "outliers"),
        ("clusters chosen without labels", "flag", "number of clusters chosen without labels"),
        ("groups of copies", "count", "groups of copies"),
        ("pictures that could go", "count", "copies beside the picture to keep"),
        ("pictures of the other folder", "count", "pictures of the other folder"),
        ("of them here too", "count", "pictures of the other folder that are here too"),
        ("pictures to label", "count", "pictures that stand for all"),
        ("unusual pictures", "count", "dark, light, blank, odd-sized or blurred pictures"),
        ("likely mislabelled", "count", "pictures that are likely mislabelled"),
    ),
)


def of_notebook(notebook: str) -> list[DeclaredFact]:
    """List the declared facts of a notebook."""
    return [fact for fact in FACTS if fact.notebook == notebook]


def declared(notebook: str, name: str) -> DeclaredFact:
    """Look a fact up by its notebook and name.

    Raises
    ------
    UserError
        If the notebook is one of this project's and the fact is not declared.
    """
    own = of_notebook(notebook)
    if notebook not in (*STUDY_NOTEBOOKS, LEADERBOARD_NOTEBOOK, PICTURES_NOTEBOOK):
        return DeclaredFact(notebook, name, "any", name)
    # A fixed name comes before a pattern that it matches too.
    for fact in sorted(own, key=lambda one: one.variable is not None):
        if found := fact.of(name):
            return found
    allowed = ", ".join(fact.name for fact in own) or "none"
    raise UserError(
        f"{notebook} has no fact {name!r}: allowed are {allowed}: correct the name, or declare the "
        "fact in src/utils/config/facts.py"
    )


def require(notebook: str, name: str, value: Any) -> None:
    """Check a recorded fact against its declaration; a missing value, None, is allowed.

    Raises
    ------
    UserError
        If the fact is not declared, or its value is of another kind.
    """
    fact = declared(notebook, name)
    if value is not None and not fact.accepts(value):
        raise UserError(f"{notebook}: fact {name!r} must be a {fact.kind}, not {value!r}")
