"""What the studies are called where their titles are too long."""

from __future__ import annotations

# Data and, where two studies share them, the author.
SHORT_NAMES = {
    "cifar10-cae": "CIFAR-10",
    "fashion-ae": "Fashion-MNIST",
    "mnist-cae": "MNIST (Das)",
    "mnist-conv-ae": "MNIST (Schlachter)",
    "n2d": "MNIST (N2D)",
}


def short_name(study: str) -> str:
    """Return the name of a study in figures and tables of the article."""
    return SHORT_NAMES.get(study, study)
