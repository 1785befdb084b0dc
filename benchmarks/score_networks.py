"""Cluster and score what a GPU trained of `mnist-conv-ae`: ``score_networks.py IN OUT``.

IN is a folder that `on_gpu.py` wrote. It has the latents of these networks, because an encoder is
too large to come back; the notebooks cannot use them. OUT receives, for each network and three
seeds of k-means, the scores (``metrics.csv``) and the images of each class in each cluster
(``confusion.csv``), from which every external score can be computed again, and the losses of each
epoch (``losses.csv``).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import on_gpu
import pandas as pd

from utils import clustering, metrics
from utils.config.load import load_study
from utils.data import datasets
from utils.store.files import atomic_path

STUDY = "mnist-conv-ae"
KMEANS_SEEDS = range(3)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", type=Path, metavar="IN")
    parser.add_argument("out", type=Path, metavar="OUT")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    record = json.loads((options.networks / "networks.json").read_text(encoding="utf-8"))
    latents = {
        name: file[name]
        for path in sorted(options.networks.glob("latents-*.npz"))
        for file in [np.load(path)]
        for name in file.files
    }
    data = datasets.load("mnist")
    scored = [score(name, points, data) for name, points in sorted(latents.items())]
    histories = {name: record["networks"][name] for name in sorted(latents)}
    write(pd.concat([scores for scores, _ in scored]), options.out / "metrics.csv")
    write(pd.concat([counts for _, counts in scored]), options.out / "confusion.csv")
    write(losses(histories), options.out / "losses.csv")
    on_gpu.write(options.out / "machine.json", record["machine"])


def score(
    name: str, points: np.ndarray, data: datasets.Dataset
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cluster latents as the study does, and return the scores and the confusion counts."""
    protocol = load_study(STUDY).kmeans
    labels = data.labels[: len(points)]
    scores, confusions = [], []
    for seed in KMEANS_SEEDS:
        key = {"network": name, "kmeans_seed": seed}
        found = clustering.kmeans(points, protocol.n_clusters, protocol.n_init, seed).assignment
        values = metrics.score(found, labels, points)
        scores += [{**key, "metric": metric, "value": value} for metric, value in values.items()]
        counts = metrics.confusion_table(found, labels, data.class_names)
        confusions.append(counts.assign(**key)[[*key, *counts.columns]])
        print(f"{name}, k-means seed {seed}: purity {values['purity']:.4f}", flush=True)
    return pd.DataFrame(scores), pd.concat(confusions)


def losses(histories: dict[str, dict[str, list[float]]]) -> pd.DataFrame:
    """List the losses of every network and epoch; seconds are those beside other networks."""
    parts = [
        pd.DataFrame({"network": name, "epoch": range(1, len(history["loss"]) + 1), **history})
        for name, history in histories.items()
    ]
    return pd.concat(parts).round({"loss": 6, "validation_loss": 6, "seconds": 3})


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table whole."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


if __name__ == "__main__":
    main()
