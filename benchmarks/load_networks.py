"""Store the networks of `mnist-cae` that a GPU trained: ``load_networks.py FOLDER``.

FOLDER is one that `on_gpu.py` wrote. The notebooks of this checkout then find the networks as if
they had been trained here. Their origin names the GPU, and so do manifests and tables.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import on_gpu

from utils import places
from utils.data import datasets
from utils.runs import networks
from utils.store import cache
from utils.store.origins import origin

STUDY = "mnist-cae"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--commit", required=True, help="commit whose code was run on the GPU")
    parser.add_argument("--computed", required=True, help="when, in UTC: 2026-11-27T04:00:00+00:00")
    options = parser.parse_args()
    record = json.loads((options.folder / "networks.json").read_text(encoding="utf-8"))
    where = {
        **origin(),
        "commit": options.commit,
        "dirty": False,
        "processor": record["machine"]["device"],
        "computed": options.computed,
        "torch": record["machine"]["torch"],
    }
    images = datasets.load("mnist").images
    with np.load(options.folder / f"weights-{STUDY}.npz") as file:
        weights = {name: file[name] for name in file.files}
    for name, (network, seed) in on_gpu.read_networks().items():
        if name in record["networks"] and network["study"] == STUDY:
            state = cache.with_prefix(weights, f"{name}.")
            load(network, seed, state, record["networks"][name], where, images)
            print(f"stored {name}")


def load(
    network: dict,
    seed: int,
    state: dict[str, np.ndarray],
    history: dict[str, list[float]],
    where: dict,
    images: np.ndarray,
) -> None:
    """Store one network under the name that a study's notebook asks for."""
    own = "autoencoder" if network["name"] == "autoencoder" else f"autoencoder-{network['name']}"
    arrays = {f"model.{name}": value for name, value in state.items()}
    arrays |= {f"history.{name}": np.array(values) for name, values in history.items()}
    cache.store(
        f"{STUDY}-{own}-seed{seed}",
        networks.recipe(images, on_gpu.protocol_of(network), seed, None, None),
        networks.CODE,
        arrays,
        where,
        places.cache(),
    )


if __name__ == "__main__":
    main()
