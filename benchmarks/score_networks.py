"""Cluster and score the networks of `mnist-cae` that a GPU trained: ``score_networks.py IN OUT``.

IN is a folder that `on_gpu.py` wrote. OUT receives, for each network and three seeds of k-means,
the scores (``metrics.csv``) and the images of each class in each cluster (``confusion.csv``), from
which every external score can be computed again, and the loss of each epoch (``losses.csv``).
Networks that OUT already has are left out, so that a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import on_gpu
import pandas as pd
import torch

from utils import clustering, config, metrics, spaces
from utils.data import datasets
from utils.representations import autoencoders, training
from utils.store.cache import with_prefix
from utils.store.files import atomic_path

KMEANS_SEEDS = range(3)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", type=Path, metavar="IN")
    parser.add_argument("out", type=Path, metavar="OUT")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    record = json.loads((options.networks / "mnist-cae.json").read_text(encoding="utf-8"))
    with np.load(options.networks / "mnist-cae-weights.npz") as file:
        weights = {name: file[name] for name in file.files}
    write_losses(record, options.out)
    data = datasets.load("mnist")
    for network in on_gpu.read_networks("mnist-cae"):
        for seed in range(network["seeds"]):
            key = f"{network['name']}.seed-{seed}"
            if key in record["networks"] and not is_scored(options.out, network["name"], seed):
                score_network(network, seed, with_prefix(weights, f"{key}."), data, options.out)
                print(key, flush=True)


def score_network(
    network: dict, seed: int, weights: dict[str, np.ndarray], data: datasets.Dataset, out: Path
) -> None:
    """Encode all images, cluster them as the study does, and add the scores to the tables."""
    study = config.load_study("mnist-cae")
    protocol = on_gpu.protocol_of(network)
    model = autoencoders.build(protocol.architecture, (1, 28, 28), protocol.options, seed)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    points, _ = spaces.pca(training.encode(model.eval(), data.images), study.space.n_components)
    scores, confusions = [], []
    for kmeans_seed in KMEANS_SEEDS:
        key = {"network": network["name"], "seed": seed, "kmeans_seed": kmeans_seed}
        found = clustering.kmeans(
            points, study.kmeans.n_clusters, study.kmeans.n_init, kmeans_seed
        ).assignment
        values = metrics.score(found, data.labels, points)
        scores += [{**key, "metric": name, "value": value} for name, value in values.items()]
        table = metrics.confusion_table(found, data.labels, data.class_names)
        confusions.append(table.assign(**key)[[*key, *table.columns]])
    add_rows(out / "metrics.csv", pd.DataFrame(scores))
    add_rows(out / "confusion.csv", pd.concat(confusions))


def write_losses(record: dict, out: Path) -> None:
    """Write the loss of every network and epoch, and what they were trained on."""
    rows = [
        {"network": name, "seed": int(seed), "epoch": epoch, "loss": loss, "seconds": seconds}
        for key, history in sorted(record["networks"].items())
        for name, seed in [key.rsplit(".seed-", 1)]
        for epoch, (loss, seconds) in enumerate(
            zip(history["loss"], history["seconds"], strict=True), start=1
        )
    ]
    with atomic_path(out / "losses.csv") as temporary:
        pd.DataFrame(rows).round({"loss": 6, "seconds": 3}).to_csv(temporary, index=False)
    on_gpu.write(out / "machine.json", record["machine"])


def is_scored(out: Path, name: str, seed: int) -> bool:
    """Tell whether both tables have a network; the table of confusions is written last."""
    path = out / "confusion.csv"
    if not path.is_file():
        return False
    table = pd.read_csv(path)
    return bool(((table["network"] == name) & (table["seed"] == seed)).any())


def add_rows(path: Path, rows: pd.DataFrame) -> None:
    """Add rows to a table and write it whole, without earlier rows of the same networks."""
    key = ["network", "seed"]
    if path.is_file():
        earlier = pd.read_csv(path)
        same = earlier.set_index(key).index.isin(rows.set_index(key).index)
        rows = pd.concat([earlier[~same], rows])
    with atomic_path(path) as temporary:
        rows.to_csv(temporary, index=False)


if __name__ == "__main__":
    main()
