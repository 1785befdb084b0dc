"""Score the networks of N2D that a GPU trained: ``score_n2d.py IN OUT.csv``.

IN is a folder that `on_gpu.py` wrote. For each network and each setting of the study `n2d` (UMAP
with 20 and with 10 neighbours, or the code as it is, written as 0), OUT.csv gets the scores of the
Gaussian mixture. Each row is written as soon as it is there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import on_gpu
import pandas as pd
import torch

from utils import clustering, metrics, spaces
from utils.config.load import load_study
from utils.config.schema import Study
from utils.data import datasets
from utils.representations import autoencoders, training
from utils.store.files import atomic_path

STUDY = "n2d"
SCORES = ("acc", "nmi", "ari")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", type=Path, metavar="IN")
    parser.add_argument("out", type=Path, metavar="OUT.csv")
    options = parser.parse_args()
    study, data = load_study(STUDY), datasets.load("mnist")
    mixture = study.gmm
    rows = []
    for neighbours in (20, 10, 0):
        for seed in range(on_gpu.N2D_SEEDS):
            points = encode(options.networks / f"{STUDY}.seed-{seed}.npz", study, seed, data)
            if neighbours:
                points = spaces.umap_reference(points, 10, neighbours, 0.0, mixture.random_state)
            found = clustering.gaussian_mixture(points, mixture.n_components, mixture.random_state)
            scored = metrics.external(found.assignment, data.labels)
            rows.append({"seed": seed, "neighbours": neighbours, **{k: scored[k] for k in SCORES}})
            print(rows[-1], flush=True)
            with atomic_path(options.out) as temporary:
                pd.DataFrame(rows).round(6).to_csv(temporary, index=False)


def encode(path: Path, study: Study, seed: int, data: datasets.Dataset) -> np.ndarray:
    """Return the codes of all images, float32 ``(70000, 10)``."""
    protocol = study.autoencoder
    model = autoencoders.build(protocol.architecture, (1, 28, 28), protocol.options, seed)
    with np.load(path) as file:
        state = {name: torch.from_numpy(file[name]) for name in file.files}
    model.load_state_dict(state)
    return training.encode(model.eval(), data.images)


if __name__ == "__main__":
    main()
