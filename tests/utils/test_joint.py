"""ClustPy's joint methods behind one call."""

import sys

import numpy as np
import pytest

from utils import clustering
from utils.clustering import joint
from utils.errors import UserError


def stripes(n=120):
    """Three kinds of images of 4 by 4 pixels, in rows of 16."""
    random = np.random.default_rng(0)
    features = random.uniform(0, 0.2, (n, 16))
    classes = np.arange(n) % 3
    for which in range(3):
        features[classes == which, 4 * which : 4 * which + 4] += 0.7
    return features.astype(np.float32), classes


@pytest.mark.parametrize("name", joint.METHODS)
def test_every_image_gets_a_cluster_by_the_seed(name):
    # Without groups in them: clear ones would be found by every seed alike.
    features = np.random.default_rng(0).uniform(size=(120, 16)).astype(np.float32)
    first, again, other = (
        joint.cluster(name, features, 3, seed, epochs=(1, 1)) for seed in (0, 0, 1)
    )
    assert isinstance(first, clustering.Result) and first.confidence is None
    assert first.assignment.dtype == np.int32 and first.assignment.shape == (120,)
    assert set(first.assignment) <= {0, 1, 2}
    np.testing.assert_array_equal(first.assignment, again.assignment)
    assert not np.array_equal(first.assignment, other.assignment)


def test_clear_groups_are_found():
    features, classes = stripes()
    found = joint.cluster("dec", features, 3, 0, epochs=(30, 5)).assignment
    assert len({(a, b) for a, b in zip(found.tolist(), classes.tolist(), strict=True)}) == 3


def test_the_epochs_reach_the_method(monkeypatch):
    import clustpy.deep

    given = {}

    class Fake:
        def __init__(self, **options):
            given.update(options)
            self.labels_ = np.zeros(120)

        def fit(self, features):
            given["rows"] = len(features)

    monkeypatch.setattr(clustpy.deep, "IDEC", Fake)
    joint.cluster("idec", stripes()[0], 3, 7, epochs=(4, 5))
    assert given == {
        "n_clusters": 3, "pretrain_epochs": 4, "clustering_epochs": 5, "random_state": 7,
        "rows": 120,
    }  # fmt: skip


def test_clusters_without_images_leave_no_gap(monkeypatch):
    import clustpy.deep

    class Fake:
        def __init__(self, **_options):
            self.labels_ = np.array([7, 2, 2, 9])

        def fit(self, _features):
            pass

    monkeypatch.setattr(clustpy.deep, "VaDE", Fake)
    found = joint.cluster("vade", stripes(12)[0], 10, 0).assignment
    assert found.tolist() == [1, 0, 0, 2] and found.dtype == np.int32


def test_a_missing_library_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "clustpy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "clustpy", None)
    with pytest.raises(UserError, match="need ClustPy, which is not installed: pip install clust"):
        joint.cluster("dec", stripes()[0], 3, 0)


def test_what_it_cannot_use_is_refused():
    features, _ = stripes()
    with pytest.raises(UserError, match="'dac': allowed are dec, idec, dcn, vade, n2d"):
        joint.cluster("dac", features, 3, 0)
    with pytest.raises(UserError, match=r"DEC needs pixels in \[0, 1\], found 1 to 1\.9"):
        joint.cluster("dec", np.linspace(1, 1.9, 160, dtype=np.float32).reshape(10, 16), 3, 0)
    with pytest.raises(UserError, match="clustering by DEC needs at least 3 points, found 2"):
        joint.cluster("dec", features[:2], 3, 0)
