"""What networks give a study: trained autoencoders and features of frozen networks, stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from utils import places
from utils.config.load import training_threads
from utils.runs.progress import print_epochs, print_tenths
from utils.store.cache import load_or_compute, with_prefix
from utils.store.files import sha256_array

if TYPE_CHECKING:
    from utils.config.schema import Autoencoder as Protocol
    from utils.representations.autoencoders import Autoencoder
    from utils.representations.pretrained import Backbone


def untrained(images: np.ndarray, protocol: Protocol, seed: int, resize: int | None) -> Autoencoder:
    """Return a protocol's autoencoder for `images` with its initial weights."""
    from utils.representations import autoencoders, training

    shape = training.image_shape(images, resize)
    return autoencoders.build(protocol.architecture, shape, protocol.options, seed)


def trained(
    name: str,
    images: np.ndarray,
    protocol: Protocol,
    seed: int,
    resize: int | None,
    validation: np.ndarray | None,
    checkpoint_name: str,
) -> tuple[Autoencoder, pd.DataFrame]:
    """Return an autoencoder trained by `training.train`, and its history by epoch.

    Parameters
    ----------
    name : str
        Name of the stored file.
    images, protocol, seed, resize, validation
        As for `training.train`.
    checkpoint_name : str
        Name of the file from which an interrupted training goes on.

    Returns
    -------
    model : Autoencoder
        In evaluation mode.
    history : DataFrame
        Columns ``epoch`` (from 1), ``loss``, ``seconds`` and, where there are validation images,
        ``validation_loss``.
    """
    import torch

    from utils.representations import training

    device = training.pick_device()
    recipe = {
        "protocol": protocol.model_dump(mode="json"),
        "images": sha256_array(images),
        "validation": None if validation is None else sha256_array(validation),
        "seed": seed,
        "resize": resize,
        "device": device.type,
    }
    checkpoint = places.cache() / f"{checkpoint_name}.checkpoint.safetensors"

    def compute() -> dict[str, np.ndarray]:
        told = print_epochs(protocol.epochs)
        with training.threads(training_threads()):
            run = training.train(images, protocol, seed, resize, validation, checkpoint, told)
        state = {f"model.{k}": v.cpu().numpy() for k, v in run.model.state_dict().items()}
        history = {f"history.{k}": np.array(v) for k, v in run.history.items()}
        return {k: np.ascontiguousarray(v) for k, v in (state | history).items()}

    code = ("utils.representations.training",)
    arrays = load_or_compute(name, recipe, code, compute, places.cache())
    checkpoint.unlink(missing_ok=True)
    model = untrained(images, protocol, seed, resize)
    weights = with_prefix(arrays, "model.")
    model.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    history = pd.DataFrame(with_prefix(arrays, "history."))
    history.insert(0, "epoch", np.arange(1, len(history) + 1))
    return model.eval().to(device), history


def frozen_features(study: str, backbone: Backbone, images: np.ndarray) -> np.ndarray:
    """Return a frozen network's features of a study's images, stored: float32 ``(n, D)``."""
    from utils.representations import pretrained, training

    device = training.pick_device()
    recipe = {
        "backbone": [backbone.name, backbone.weights],
        "images": sha256_array(images),
        "device": device.type,
        "bfloat16": training.has_bfloat16(device),
    }
    code = ("utils.representations.pretrained",)
    arrays = load_or_compute(
        f"{study}-{backbone.name.replace(':', '-')}",
        recipe,
        code,
        lambda: {"features": pretrained.features(backbone, images, print_tenths())},
        places.cache(),
    )
    return arrays["features"]
