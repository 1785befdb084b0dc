"""The pipeline: what it computes, stores and charges for."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from utils import clustering, pipeline, spaces
from utils.clustering import joint, linear_head, self_labelling, temi, turtle
from utils.config.methods import CLUSTERERS, JOINT, Method, Space
from utils.data import datasets
from utils.errors import UserError
from utils.places import ROOT
from utils.representations import registry
from utils.store import stages


@pytest.fixture(autouse=True)
def cache(tmp_path, elsewhere):
    elsewhere(runs=tmp_path / "runs")
    return tmp_path / "runs" / "cache"


@pytest.fixture(scope="module")
def digits():
    return datasets.load("mnist5k").images[:300]


def stored(cache):
    return {path.name.rpartition("-")[0] for path in cache.glob("*.safetensors")}


def test_the_stages_follow_each_other(digits):
    result = pipeline.run(Method.parse("hog", "pca5", "gmm"), digits, 10, seed=3)
    features = registry.features("hog", digits)
    points = spaces.pca(features, 5)[0]
    clusters = clustering.cluster("gmm", points, 10, 3)
    assert np.array_equal(result.features, features)
    assert np.array_equal(result.points, points)
    assert np.array_equal(result.assignment, clusters.assignment)
    assert np.array_equal(result.confidence, clusters.confidence)
    assert list(result.stages) == ["representation-hog", "space-pca5", "clustering-gmm"]
    assert result.seconds == sum(stage.seconds for stage in result.stages.values()) > 0


def test_a_shared_stage_is_computed_once_and_charged_to_both_methods(digits, monkeypatch):
    calls = []
    plain = spaces.project
    monkeypatch.setattr(spaces, "project", lambda *a: calls.append(a[0]) or plain(*a))
    methods = [Method.parse("hog", "pca20", name) for name in ("kmeans", "gmm")]
    results = [pipeline.run(method, digits, 10, 0) for method in methods]
    assert calls == [Space("pca", 20)]
    costs = [result.stages["space-pca20"].seconds for result in results]
    assert costs[0] == costs[1] > 0
    again = pipeline.run(methods[0], digits, 10, 0)
    assert len(calls) == 1 and again.seconds == results[0].seconds


def test_every_stage_is_measured_and_stored(digits, cache, monkeypatch):
    def refine(images, features, assignment, *_):
        assert features.shape[1] == 50
        return clustering.Result(assignment)

    monkeypatch.setattr(self_labelling, "refine", refine)
    # Wide features: the second step looks for neighbours among 50 components.
    method = Method.parse("hog", "raw", "kmeans+self_label")
    result = pipeline.run(method, digits, 10, 0)
    assert list(result.stages) == [
        "representation-hog",
        "clustering-kmeans",
        "space-pca50",
        "clustering-self_label",
    ]
    joined = pipeline.run(Method.parse("pixels+deskewed", "raw", "kmeans"), digits, 10, 0)
    views = [registry.features(name, digits) for name in ("pixels", "deskewed")]
    assert np.array_equal(joined.features, spaces.views(*views))
    assert {"space-pca50", "views-pixels-deskewed"} <= stored(cache)
    assert result.stages["space-pca50"].seconds > 0
    assert joined.stages["views-pixels-deskewed"].seconds > 0


def test_only_what_has_a_seed_is_computed_for_each(digits, cache):
    method = Method.parse("hog", "pca5", "kmeans")
    for seed in (0, 1):
        pipeline.run(method, digits, 10, seed)
    assert stored(cache) == {
        *("representation-hog", "space-pca5"),
        *("clustering-kmeans-seed0", "clustering-kmeans-seed1"),
    }


def test_several_layouts_stand_side_by_side_with_equal_weight():
    features = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    points = spaces.project(Space("umap", 2, 3), features, seed=1)
    layouts = [spaces.umap(features, 2, seed=seed) for seed in (3, 4, 5)]
    assert points.shape == (60, 6)
    for i, layout in enumerate(layouts):
        part = points[:, 2 * i : 2 * i + 2]
        assert (part**2).sum(axis=1).mean() == pytest.approx(1, rel=1e-4)
        ours, theirs = pdist(part), pdist(layout)
        np.testing.assert_allclose(ours / ours.max(), theirs / theirs.max(), atol=1e-4)


def test_turtle_gets_each_view_by_itself_and_temi_the_points(digits, cache, monkeypatch):
    given = {}

    def remembers(name):
        def cluster(features, n_clusters, seed, epochs):
            given[name] = (features, n_clusters, seed, epochs)
            return clustering.Result(np.zeros(300, np.int32))

        return cluster

    for module in (turtle, temi):
        monkeypatch.setattr(module, "cluster", remembers(module.__name__))
    views = [registry.features(name, digits) for name in ("pixels", "hog")]
    first = pipeline.run(Method.parse("pixels+hog", "raw", "turtle"), digits, 10, 3)
    features, *others = given["utils.clustering.turtle"]
    assert all(np.array_equal(*pair) for pair in zip(features, views, strict=True))
    assert others == [10, 3, turtle.EPOCHS]
    assert all(np.array_equal(*pair) for pair in zip(first.views, views, strict=True))
    second = pipeline.run(Method.parse("hog", "pca5", "temi"), digits, 10, 3, max_epochs=7)
    features, *others = given["utils.clustering.temi"]
    assert np.array_equal(features, second.points) and others == [10, 3, 7]
    assert {"clustering-turtle-seed3", "clustering-temi-seed3"} <= stored(cache)


def test_a_linear_head_learns_the_features_of_a_clustering(digits, cache):
    method = Method.parse("hog", "pca5", "kmeans+linear_head")
    result = pipeline.run(method, digits, 10, 0)
    plain = pipeline.run(Method.parse("hog", "pca5", "kmeans"), digits, 10, 0)
    near = spaces.project(spaces.reduction(result.features), result.features, 0)
    again = linear_head.refine(result.features, near, plain.assignment)
    assert np.array_equal(result.assignment, again.assignment)
    assert result.settings.endswith(linear_head.SETTINGS)
    assert "clustering-linear_head" in stored(cache)


def test_a_space_says_to_what_features_are_reduced_before_its_layout(digits):
    method = Method.parse("hog", "pca20-umap2n5", "kmeans")
    result = pipeline.run(method, digits, 10, 0)
    assert list(result.stages)[1:3] == ["space-pca20", "space-pca20-umap2n5"]
    components = spaces.pca(registry.features("hog", digits), 20)[0]
    assert np.array_equal(result.points, spaces.umap(components, 2, 5, seed=0))
    assert "2 dimensions, 5 neighbours" in result.settings


def test_k_is_given_or_chosen(digits):
    given, chosen = (
        pipeline.run(Method.parse("pixels", "pca5", "kmeans", k), digits, 7, 0)
        for k in ("given", "chosen")
    )
    assert given.assignment.max() == 6
    assert chosen.assignment.max() + 1 == clustering.choose_k(chosen.points, seed=0)[0]
    assert chosen.settings == f"{given.settings}, {clustering.K_RULE}"
    with pytest.raises(UserError, match="dec cannot choose k: give the method 'k: given'"):
        pipeline.run(Method(("pixels",), Space(), "dec", k_chosen=True), digits, 7, 0)


def test_a_name_of_no_representation_of_ours_is_a_studys(digits):
    stage = stages.Stage({"features": registry.features("pixels", digits)}, 2000.0, 1.0, "theirs")
    method = Method.parse("mnist-cae", "raw", "kmeans")
    result = pipeline.run(method, digits, 10, 0, latents={"mnist-cae": stage}.get)
    assert result.seconds > 2000 and result.settings.startswith("theirs; ")
    with pytest.raises(UserError, match="unknown representation 'mnist-cae'"):
        pipeline.run(method, digits, 10, 0)


def test_every_clusterer_says_its_settings():
    assert all(clustering.CLUSTERERS[name].settings for name in CLUSTERERS)
    for name in JOINT:
        assert "7 epochs" in joint.settings(name, (7, 8))


def test_the_peak_of_memory_rises_with_an_allocation():
    # In a process of its own: a training before it would have made this one keep what is freed.
    code = """if True:
        import numpy as np
        from utils.store.stages import PeakMemory
        memory = PeakMemory()
        before = memory.megabytes()
        block = np.ones(300 * 2**20, np.uint8)
        del block
        print(before, memory.megabytes(), PeakMemory().megabytes())
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    output = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    before, after, again = map(float, output.split())
    if np.isnan(before):
        pytest.skip("this system does not report the peak")
    assert after > before + 200
    assert again < after - 200


def test_where_the_peak_cannot_be_reset_it_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "_PROCESS", tmp_path / "none")
    assert np.isnan(stages.PeakMemory().megabytes())
    monkeypatch.setattr(stages, "_PROCESS", tmp_path)
    (tmp_path / "clear_refs").mkdir()  # cannot be written, not even by root
    (tmp_path / "status").write_text("VmHWM:\t 2048 kB\n")
    assert np.isnan(stages.PeakMemory().megabytes())
    (tmp_path / "clear_refs").rmdir()
    assert stages.PeakMemory().megabytes() == 2
    (tmp_path / "status").write_text("Name: without a mark\n")
    assert np.isnan(stages.PeakMemory().megabytes())
