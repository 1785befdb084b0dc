"""ClustPy's joint methods behind one call."""

import numpy as np
import pytest

from utils import clusterers, joint
from utils.config import UserError


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
    features, _ = stripes()
    first, again = (joint.cluster(name, features, 3, 0, epochs=(1, 1)) for _ in range(2))
    assert isinstance(first, clusterers.Result) and first.confidence is None
    assert first.assignment.dtype == np.int32 and first.assignment.shape == (120,)
    assert set(first.assignment) <= {0, 1, 2}
    np.testing.assert_array_equal(first.assignment, again.assignment)


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


def test_what_it_cannot_use_is_refused():
    features, _ = stripes()
    with pytest.raises(UserError, match="'dac': allowed are dec, idec, dcn, vade, n2d"):
        joint.cluster("dac", features, 3, 0)
    with pytest.raises(UserError, match=r"DEC needs pixels in \[0, 1\], found 1 to 1\.9"):
        joint.cluster("dec", np.linspace(1, 1.9, 160, dtype=np.float32).reshape(10, 16), 3, 0)
    with pytest.raises(UserError, match="clustering by DEC needs at least 3 points, found 2"):
        joint.cluster("dec", features[:2], 3, 0)
