"""The table of metrics covers what is measured, and says how to compare it."""

import numpy as np

from utils import metrics
from utils.config import schema
from utils.config.metrics_table import EXTERNAL, INTERNAL, METRICS


def test_the_table_has_what_is_measured():
    points = np.array([[0.0], [1.0], [5.0], [6.0], [7.0]])
    clusters, labels = np.array([0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 0])
    assert set(metrics.external(clusters, labels)) == set(EXTERNAL)
    assert set(metrics.internal(clusters, points)) == set(INTERNAL)
    assert set(schema.Metric.__args__) == set(METRICS)


def test_the_sign_is_that_of_better_clusters():
    points = np.array([[0.0, 0], [1, 0], [0, 1], [9, 9], [8, 9], [9, 8]])
    labels = np.array([0, 0, 0, 1, 1, 1])
    good, bad = (metrics.score(found, labels, points) for found in (labels, np.arange(6) % 2))
    for key, entry in METRICS.items():
        assert entry.sign * good[key] > entry.sign * bad[key], key
