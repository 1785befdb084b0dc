"""Rules for the number of groups on folders with known classes; confidence and outliers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import adjusted_rand_score, roc_auc_score

from utils import clustering, places, spaces
from utils.clustering import numbers
from utils.data import datasets
from utils.estimator import FeatureClusterer
from utils.representations import pretrained
from utils.store.cache import load_or_compute

BACKBONE = "efficientnet_lite0"
POOLS = {"cifar10": 10_000, "fashion_mnist": 3_000, "mnist": 3_000}
CHUNK = 500
SEEDS = (0, 1, 2)
ALL = range(10)
CAT, OTHER_ANIMALS, VEHICLES = 3, (2, 4, 5, 6, 7), (0, 1, 8, 9)
LONG_TAIL = {c: round(800 * 0.6**c) for c in ALL}
# What a folder holds: by dataset and class, the number of pictures.
FOLDERS = {
    "CIFAR-10": {"cifar10": dict.fromkeys(ALL, 200)},
    "Fashion-MNIST": {"fashion_mnist": dict.fromkeys(ALL, 200)},
    "MNIST": {"mnist": dict.fromkeys(ALL, 200)},
    "2 of CIFAR-10": {"cifar10": dict.fromkeys((0, 3), 900)},
    "3 of CIFAR-10": {"cifar10": dict.fromkeys((0, 3, 9), 667)},
    "5 of CIFAR-10": {"cifar10": dict.fromkeys((0, 1, 3, 6, 7), 400)},
    "a long tail": {"cifar10": LONG_TAIL},
    "all three mixed": {name: dict.fromkeys(ALL, 67) for name in POOLS},
    "90 % cats": {"cifar10": {CAT: 900} | dict.fromkeys((0, 1, 7, 8), 25)},
    "100 of 5 kinds": {"cifar10": dict.fromkeys((0, 1, 3, 6, 7), 20)},
    "40 of 4 kinds": {"fashion_mnist": dict.fromkeys((0, 1, 5, 8), 10)},
}
LARGE = list(FOLDERS)[:8]
ADDED = {
    "other animals": {"cifar10": dict.fromkeys(OTHER_ANIMALS, 8)},
    "vehicles": {"cifar10": dict.fromkeys(VEHICLES, 10)},
    "digits": {"mnist": dict.fromkeys(ALL, 4)},
}
K = range(2, 21)
BINS = 10


@lru_cache
def pool(dataset: str) -> tuple[np.ndarray, np.ndarray]:
    """Return features and classes of the first images of a dataset; features are stored."""
    data = datasets.load(dataset)
    parts = []
    for start in range(0, POOLS[dataset], CHUNK):
        rows = slice(start, start + CHUNK)

        def compute(images: np.ndarray = data.images[rows]) -> dict[str, np.ndarray]:
            network = pretrained.load_backbone(BACKBONE)
            return {"features": pretrained.features(network, images)}

        recipe = {"images": data.images_sha256, "start": start, "network": BACKBONE}
        name = f"bench-{dataset}-{start}"
        code = ("utils.representations.pretrained",)
        stored = load_or_compute(name, recipe, code, compute, places.cache())
        parts.append(stored["features"])
    return np.concatenate(parts), data.labels[: POOLS[dataset]].astype(int)


def folder(content: dict[str, dict[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Draw the pictures of a folder, always the same: features and classes."""
    random = np.random.default_rng(0)
    features, classes = [], []
    for number, (dataset, counts) in enumerate(content.items()):
        of_all, labels = pool(dataset)
        for label, count in counts.items():
            rows = random.permutation(np.flatnonzero(labels == label))[:count]
            features.append(of_all[rows])
            classes.append(np.full(len(rows), 100 * number + label))
    return np.concatenate(features), np.concatenate(classes)


class Folder:
    """Features of a folder, and the spaces that several rules look at."""

    def __init__(self, features: np.ndarray, classes: np.ndarray, seed: int) -> None:
        self.features, self.classes, self.seed = features, classes, seed
        self.n_classes = len(np.unique(classes))

    @cached_property
    def points(self) -> np.ndarray:
        unit = spaces.unit_rows(self.features)
        return spaces.pca(unit, min(50, len(unit) - 1))[0]

    @cached_property
    def points_of_any_length(self) -> np.ndarray:
        """Components of features that were not scaled, as before."""
        return spaces.pca(self.features, min(50, len(self.features) - 1))[0]

    @cached_property
    def layout(self) -> np.ndarray:
        return self._lay_out(self.points)

    @cached_property
    def layout_of_any_length(self) -> np.ndarray:
        return self._lay_out(self.points_of_any_length)

    def _lay_out(self, points: np.ndarray) -> np.ndarray:
        return points if len(points) < 50 else spaces.umap(points, seed=self.seed)

    @cached_property
    def levels(self) -> clustering.Levels:
        k = min(50, len(self.points) - 1)
        return clustering.find_levels(*spaces.knn_graph(self.points, k), self.seed)

    def ari(self, assignment: np.ndarray) -> float:
        return float(adjusted_rand_score(self.classes, assignment))


def silhouette(one: Folder) -> np.ndarray:
    return clustering.cluster("gmm", one.layout_of_any_length, None, one.seed).assignment


def silhouette_of_unit_features(one: Folder) -> np.ndarray:
    return clustering.cluster("gmm", one.layout, None, one.seed).assignment


def leiden(one: Folder, resolution: float, space: str = "points") -> np.ndarray:
    import igraph
    import leidenalg

    points = getattr(one, space)
    nearest, _ = spaces.knn_graph(points, min(15, len(points) - 1))
    ends = np.column_stack([np.repeat(np.arange(len(points)), nearest.shape[1]), nearest.ravel()])
    return np.array(
        leidenalg.find_partition(
            igraph.Graph(n=len(points), edges=np.unique(np.sort(ends, axis=1), axis=0)),
            leidenalg.RBConfigurationVertexPartition,
            resolution_parameter=resolution,
            n_iterations=-1,
            seed=one.seed,
        ).membership
    )


def front_level(one: Folder) -> np.ndarray:
    return one.levels.assignments[:, one.levels.front]


def best_level(one: Folder) -> np.ndarray:
    """Return the level that agrees best with the classes, as a person would choose one."""
    return max(one.levels.assignments.T, key=one.ari)


def mixture_of_true_k(one: Folder) -> np.ndarray:
    return clustering.cluster("gmm", one.layout, one.n_classes, one.seed).assignment


def eigengap(one: Folder) -> np.ndarray:
    """Take the k before the largest gap among the eigenvalues of the normalised graph."""
    from scipy.sparse import csr_array, diags_array
    from scipy.sparse.linalg import eigsh

    n = len(one.points)
    nearest, _ = spaces.knn_graph(one.points, min(15, n - 1))
    ends = (np.repeat(np.arange(n), nearest.shape[1]), nearest.ravel())
    graph = csr_array((np.ones(nearest.size), ends), shape=(n, n))
    graph = graph.maximum(graph.T)
    scale = diags_array(graph.sum(axis=1) ** -0.5)
    start = np.random.default_rng(one.seed).standard_normal(n)
    values = np.sort(eigsh(scale @ graph @ scale, K[-1] + 1, v0=start)[0])[::-1]
    k = K[0] + int(np.argmax(values[K[0] - 1 : K[-1]] - values[K[0] : K[-1] + 1]))
    return clustering.cluster("gmm", one.layout, k, one.seed).assignment


def prediction_strength(one: Folder) -> np.ndarray:
    """Take the largest k whose clusters of one half predict those of the other."""
    strengths = numbers.prediction_strengths(one.layout, one.seed, K)
    good = [k for k in K if strengths.get(k, 0) >= numbers.STRENGTH]
    if not good:
        return np.zeros(len(one.layout), int)
    return clustering.cluster("gmm", one.layout, max(good), one.seed).assignment


def hdbscan(one: Folder) -> np.ndarray:
    return clustering.cluster("hdbscan", one.layout, None, one.seed).assignment


class Rule(NamedTuple):
    """A rule: from a folder to the cluster of each picture."""

    name: str
    find: Callable[[Folder], np.ndarray]


RULES = (
    Rule("silhouette, before", silhouette),
    Rule("silhouette", silhouette_of_unit_features),
    Rule("Leiden .5", lambda one: leiden(one, 0.5)),
    Rule("Leiden 1", lambda one: leiden(one, 1.0)),
    Rule("Leiden 1 on UMAP", lambda one: leiden(one, 1.0, "layout")),
    Rule("eigengap", eigengap),
    Rule("prediction strength", prediction_strength),
    Rule("HDBSCAN", hdbscan),
    Rule("level in front", front_level),
    Rule("best level (by classes)", best_level),
    Rule("mixture, true k", mixture_of_true_k),
)


def run() -> dict[str, Any]:
    """Measure every rule on every folder with every seed; then confidence and outliers."""
    rows = list(_rules())
    return {
        "what": f"groups in folders of pictures, features of {BACKBONE}, {len(SEEDS)} seeds",
        "rows": rows,
        "means": _means(rows),
        "confidence": list(_confidence()),
        "outliers": list(_outliers()),
    }


def _rules() -> Iterator[dict[str, Any]]:
    for name, content in FOLDERS.items():
        features, classes = folder(content)
        by_seed = [Folder(features, classes, seed) for seed in SEEDS]
        for rule in RULES:
            found = [rule.find(one) for one in by_seed]
            row = {"folder": name, "pictures": len(classes), "classes": by_seed[0].n_classes}
            scores = zip(by_seed, found, strict=True)
            row |= {"rule": rule.name, "ari": [round(one.ari(groups), 4) for one, groups in scores]}
            yield row | {"found": [len(np.unique(groups[groups >= 0])) for groups in found]}
        print(f"  {name}: {len(RULES)} rules, {len(SEEDS)} seeds", flush=True)


def _means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the mean ARI of each rule over the large folders, by seed too, and over all."""
    means = []
    for rule in RULES:
        own = [row for row in rows if row["rule"] == rule.name]
        by_seed = np.mean([row["ari"] for row in own if row["folder"] in LARGE], axis=0)
        mean = {"rule": rule.name, "large folders": round(float(by_seed.mean()), 3)}
        mean |= {"by seed": by_seed.round(3).tolist()}
        means.append(mean | {"all folders": round(float(np.mean([r["ari"] for r in own])), 3)})
    return means


def _confidence() -> Iterator[dict[str, Any]]:
    """Say how well a confidence tells pictures in the wrong cluster, and how well it is calibrated.

    Wrong is a picture whose class is not the commonest of its cluster.
    """
    for name in LARGE:
        features, classes = folder(FOLDERS[name])
        n_classes = len(np.unique(classes))
        for n_clusters in (n_classes, "auto"):
            model = FeatureClusterer(n_clusters, random_state=0).fit(features)
            points = model.layout_.astype(np.float32)
            said = {"ours": model.probabilities_}
            if n_clusters != "auto":
                mixture = clustering.cluster("gmm", points, n_clusters, 0)
                said["mixture"] = mixture.confidence
            nearest, _ = spaces.knn_graph(model.scores_.astype(np.float32), 20)
            said["20 nearest"] = (model.labels_[nearest] == model.labels_[:, None]).mean(axis=1)
            right = _is_right(model.labels_, classes)
            row = {"folder": name, "clusters": "true k" if n_clusters != "auto" else "levels"}
            row |= {"right": round(float(right.mean()), 3)}
            for key, values in said.items():
                auc = roc_auc_score(right, values)
                row[f"AUC, {key}"] = round(float(auc), 3)
                row[f"ECE, {key}"] = round(_calibration_error(right, values), 3)
            yield row
        print(f"  confidence: {name}", flush=True)


def _is_right(assignment: np.ndarray, classes: np.ndarray) -> np.ndarray:
    _, codes = np.unique(classes, return_inverse=True)
    common = [np.bincount(codes[assignment == c]).argmax() for c in range(assignment.max() + 1)]
    return np.array(common)[assignment] == codes


def _calibration_error(right: np.ndarray, values: np.ndarray) -> float:
    """Return the expected calibration error over ten bins of equal width."""
    bins = np.minimum((values * BINS).astype(int), BINS - 1)
    gaps = [
        abs(right[bins == b].mean() - values[bins == b].mean()) * (bins == b).mean()
        for b in np.unique(bins)
    ]
    return float(np.sum(gaps))


def _outliers() -> Iterator[dict[str, Any]]:
    """Find strangers among cats: in the folder itself, and among new pictures."""
    cats, _ = folder({"cifar10": {CAT: 1000}})
    for name, content in ADDED.items():
        strangers, _ = folder(content)
        is_stranger = np.repeat([False, True], [len(cats), len(strangers)])
        model = FeatureClusterer().fit(np.concatenate([cats, strangers]))
        prototype = FeatureClusterer(2).fit(np.concatenate([cats, strangers]))
        row = {"strangers": name}
        row["AUC"] = _auc(is_stranger, model.outlier_scores_)
        row["AUC, distance to prototype"] = _auc(is_stranger, _to_prototype(prototype))
        known, new = cats[:700], cats[700:]
        model = FeatureClusterer().fit(known)
        score_new, score_strange = model.score_outliers(new), model.score_outliers(strangers)
        row["AUC, new"] = _auc(
            np.repeat([False, True], [len(new), len(strangers)]),
            np.concatenate([score_new, score_strange]),
        )
        row["strangers that belong to nothing"] = _share(score_strange > model.far_threshold_)
        row["new cats that belong to nothing"] = _share(score_new > model.far_threshold_)
        yield row
        print(f"  outliers: {name}", flush=True)


def _to_prototype(model: FeatureClusterer) -> np.ndarray:
    """Return each point's distance to the point nearest to its cluster's mean, as before."""
    distances = np.zeros(len(model.labels_))
    for cluster in range(model.n_clusters_):
        rows = np.flatnonzero(model.labels_ == cluster)
        points = model.scores_[rows]
        off_mean = np.linalg.norm(points - points.mean(axis=0), axis=1)
        distances[rows] = np.linalg.norm(points - points[off_mean.argmin()], axis=1)
    return distances


def _auc(is_stranger: np.ndarray, scores: np.ndarray) -> float:
    return round(float(roc_auc_score(is_stranger, scores)), 3)


def _share(flags: np.ndarray) -> float:
    return round(float(flags.mean()), 3)


def tables(found: dict[str, Any]) -> str:
    """Return what `run` found as Markdown tables: rules by folder, confidence and outliers."""
    return "\n\n".join(
        [
            "Mean ARI of three seeds, and the numbers of groups found:",
            _rule_table(found),
            "How well a confidence tells pictures in a wrong cluster (AUC), and its expected "
            "calibration error (ECE):",
            _as_table(found["confidence"]),
            "Strangers among cats:",
            _as_table(found["outliers"]),
        ]
    )


def _rule_table(found: dict[str, Any]) -> str:
    lines = [["folder", "pictures", "classes", *(rule.name for rule in RULES)]]
    for name in FOLDERS:
        own = [row for row in found["rows"] if row["folder"] == name]
        line = [name, f"{own[0]['pictures']:,}", str(own[0]["classes"])]
        for rule in RULES:
            (row,) = (row for row in own if row["rule"] == rule.name)
            numbers = sorted(row["found"])
            span = f"{numbers[0]}" if numbers[0] == numbers[-1] else f"{numbers[0]}–{numbers[-1]}"
            line.append(f"{np.mean(row['ari']):.2f} ({span})")
        lines.append(line)
    for key in ("large folders", "all folders"):
        means = {mean["rule"]: mean[key] for mean in found["means"]}
        lines.append([f"mean, {key}", "", "", *(f"{means[rule.name]:.3f}" for rule in RULES)])
    return _markdown(lines)


def _as_table(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return _markdown([columns, *([str(row.get(c, "")) for c in columns] for row in rows)])


def _markdown(lines: list[list[str]]) -> str:
    rule = [":--", *["--:"] * (len(lines[0]) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (lines[0], rule, *lines[1:]))
