"""What networks give a study: trained autoencoders and features of frozen networks, stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from utils import places
from utils.config.load import training_threads
from utils.runs.progress import print_epochs, print_tenths
from utils.store.cache import load_or_compute, load_or_compute_with_origin, with_prefix
from utils.store.files import sha256_array

if TYPE_CHECKING:
    import torch

    from utils.config.schema import Autoencoder as Protocol
    from utils.representations.autoencoders import Autoencoder
    from utils.representations.pretrained import Backbone


def untrained(images: np.ndarray, protocol: Protocol, seed: int, resize: int | None) -> Autoencoder:
    """Return a protocol's autoencoder for `images` with its initial weights."""
    from utils.representations import autoencoders, training

    shape = training.image_shape(images, resize)
    return autoencoders.build(protocol.architecture, shape, protocol.options, seed)


class Trained(NamedTuple):
    """A trained autoencoder.

    Attributes
    ----------
    model : Autoencoder
        In evaluation mode.
    history : DataFrame
        Columns ``epoch`` (from 1), ``loss``, ``seconds`` and, where there are validation images,
        ``validation_loss``.
    origin : dict
        Where it was trained; see `cache.load_or_compute_with_origin`.
    """

    model: Autoencoder
    history: pd.DataFrame
    origin: dict[str, Any]


CODE = ("utils.representations.training",)


def recipe(
    images: np.ndarray,
    protocol: Protocol,
    seed: int,
    resize: int | None,
    validation: np.ndarray | None,
) -> dict[str, Any]:
    """Return everything besides code that a trained network depends on; see `cache`.

    The processor is not in it: a network that was trained on another one is used as it is, and its
    origin names the processor.
    """
    return {
        "protocol": protocol.model_dump(mode="json"),
        "images": sha256_array(images),
        "validation": None if validation is None else sha256_array(validation),
        "seed": seed,
        "resize": resize,
    }


def arrays_of(state: dict[str, torch.Tensor], history: dict[str, list[float]]) -> dict:
    """Return weights and history as the arrays that are stored."""
    arrays = {f"model.{name}": value.cpu().numpy() for name, value in state.items()}
    arrays |= {f"history.{name}": np.array(values) for name, values in history.items()}
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def trained(
    name: str,
    images: np.ndarray,
    protocol: Protocol,
    seed: int,
    resize: int | None,
    validation: np.ndarray | None,
    checkpoint_name: str,
) -> Trained:
    """Return an autoencoder trained by `training.train`, which is not repeated if it is stored.

    Parameters
    ----------
    name : str
        Name of the stored file.
    images, protocol, seed, resize, validation
        As for `training.train`.
    checkpoint_name : str
        Name of the file from which an interrupted training goes on.
    """
    import torch

    from utils.representations import training

    checkpoint = places.cache() / f"{checkpoint_name}.checkpoint.safetensors"

    def compute() -> dict[str, np.ndarray]:
        told = print_epochs(protocol.epochs)
        with training.threads(training_threads()):
            run = training.train(images, protocol, seed, resize, validation, checkpoint, told)
        return arrays_of(run.model.state_dict(), run.history)

    described = recipe(images, protocol, seed, resize, validation)
    arrays, origin = load_or_compute_with_origin(name, described, CODE, compute, places.cache())
    checkpoint.unlink(missing_ok=True)
    model = untrained(images, protocol, seed, resize)
    weights = with_prefix(arrays, "model.")
    model.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    history = pd.DataFrame(with_prefix(arrays, "history."))
    history.insert(0, "epoch", np.arange(1, len(history) + 1))
    # A training that was interrupted has the seconds of all its epochs.
    origin = {**origin, "seconds": round(float(history["seconds"].sum()), 3)}
    device = training.pick_device()
    return Trained(model.eval().to(device), history, origin | {"precision": protocol.precision})


def frozen_features(study: str, backbone: Backbone, images: np.ndarray) -> np.ndarray:
    """Return a frozen network's features of a study's images, stored: float32 ``(n, D)``."""
    from utils.representations import pretrained

    made_from = {"backbone": [backbone.name, backbone.weights], "images": sha256_array(images)}
    code = ("utils.representations.pretrained",)
    arrays = load_or_compute(
        f"{study}-{backbone.name.replace(':', '-')}",
        made_from,
        code,
        lambda: {"features": pretrained.features(backbone, images, print_tenths())},
        places.cache(),
    )
    return arrays["features"]
