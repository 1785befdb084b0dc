"""What the tests of faults run in processes that they kill or limit: see `processes.Forked`."""

import os
from types import SimpleNamespace

import numba
import numpy as np
import torchvision.models

from utils.config.schema import Autoencoder
from utils.representations import pretrained, training
from utils.store.cache import load_or_compute
from utils.store.fingerprints import library_versions

# What each process would do again, and what takes seconds.
library_versions("utils.representations.training")
numba.njit(lambda: None)()


def train_and_store(folder):
    """Train a little network as a notebook does, and store its losses and weights."""
    images = np.random.default_rng(0).integers(0, 255, (200, 28, 28), dtype=np.uint8)
    protocol = Autoencoder.model_validate(
        {
            "architecture": "conv_batchnorm",
            "options": {"channels": [8, 16]},
            "loss": "binary_cross_entropy",
            "optimizer": {"name": "adam", "learning_rate": 1e-2},
            "batch_size": 20,
            "epochs": 8,
        }
    )

    checkpoint = folder / "checkpoint.safetensors"

    def train():
        run = training.train(
            images,
            protocol,
            0,
            checkpoint=checkpoint,
            on_epoch=lambda epoch, _values: print("epoch", epoch, flush=True),
        )
        found = {name: value.numpy() for name, value in run.model.state_dict().items()}
        found["loss"] = np.array(run.history["loss"])
        return found

    print("begun", flush=True)
    load_or_compute("network", {}, ("utils.representations.training",), train, folder)
    # Not before: a kill in between would lose every epoch.
    checkpoint.unlink(missing_ok=True)
    print("stored", flush=True)


def fetch(url, start_of_hash, folder):
    """Get the weights, in a process of its own."""
    version = SimpleNamespace(IMAGENET1K_V2=SimpleNamespace(url=url))
    torchvision.models.ResNet50_Weights = version
    pretrained._RESNET50_SHA256_START = start_of_hash
    os.environ["DATA_DIR"] = str(folder)
    os.environ.pop("RESNET50_WEIGHTS", None)
    print(pretrained._resnet50_weights(offline=False), flush=True)
