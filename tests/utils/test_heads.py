"""Heads on frozen features: TURTLE, TEMI and the linear head, none of which sees a label."""

import inspect

import numpy as np
import pytest
import torch
from torch.nn import functional

from utils import metrics
from utils.clustering import linear_head, temi, turtle
from utils.errors import UserError


def blobs(n=240, d=20, k=4, seed=0):
    random = np.random.default_rng(seed)
    groups = np.arange(n) % k
    centres = 4 * random.normal(size=(k, d))
    return (random.normal(size=(n, d)) + centres[groups]).astype(np.float32), groups


def agreement(assignment, groups):
    return metrics.external(assignment, groups)["ari"]


VIEWS, GROUPS = [blobs(seed=seed)[0] for seed in (0, 1)], blobs()[1]
CLUSTERERS = [(turtle, VIEWS, 150), (temi, VIEWS[0], 40)]


@pytest.fixture(autouse=True)
def few_heads(monkeypatch):
    monkeypatch.setattr(temi, "N_HEADS", 2)


@pytest.mark.parametrize(("module", "given", "epochs"), CLUSTERERS)
def test_clear_groups_are_found_with_their_number_and_confidence(module, given, epochs):
    found = module.cluster(given, 4, seed=0, epochs=epochs)
    assert agreement(found.assignment, GROUPS) > 0.6
    assert found.assignment.dtype == np.int32 and set(found.assignment) <= set(range(4))
    assert found.confidence.dtype == np.float32 and found.confidence.shape == (240,)
    assert found.confidence.min() >= 1 / 4 - 1e-6 and found.confidence.max() <= 1


@pytest.mark.parametrize(("module", "given", "epochs"), CLUSTERERS)
def test_a_seed_fixes_the_clusters(module, given, epochs):
    first, again, other = (module.cluster(given, 4, seed, epochs=2) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.assignment, again.assignment)
    np.testing.assert_array_equal(first.confidence, again.confidence)
    assert not np.array_equal(first.confidence, other.confidence)


@pytest.mark.parametrize(("module", "given", "epochs"), CLUSTERERS)
def test_what_cannot_be_clustered_is_refused(module, given, epochs):
    with pytest.raises(UserError, match="at least 2 clusters, not 1"):
        module.cluster(given, 1, 0, 1)
    broken = VIEWS[0].copy()
    broken[7, 3] = np.nan
    with pytest.raises(UserError, match="first is point 7"):
        module.cluster([broken] if module is turtle else broken, 4, 0, 1)


@pytest.mark.parametrize(("module", "given", "epochs"), CLUSTERERS)
def test_settings_say_the_epochs(module, given, epochs):
    assert f"{epochs} " in module.settings(epochs) and "et al. 202" in module.settings(epochs)
    assert inspect.signature(module.cluster).parameters["epochs"].default == module.EPOCHS


def test_turtle_needs_views_of_the_same_images():
    with pytest.raises(UserError, match="at least one view"):
        turtle.cluster([], 4, 0, 1)
    with pytest.raises(UserError, match="all views must be of the same images"):
        turtle.cluster([VIEWS[0], VIEWS[1][:-1]], 4, 0, 1)


def test_turtles_inner_step_is_along_the_gradient_of_the_cross_entropy():
    torch.manual_seed(0)
    view = torch.randn(30, 5)
    labels = torch.randn(30, 3).softmax(dim=1)
    classifier = torch.nn.Linear(5, 3)
    functional.cross_entropy(classifier(view), labels).backward()
    expected = [weight.grad.clone() for weight in classifier.parameters()]
    turtle._teach([classifier], torch.optim.SGD(classifier.parameters(), 0), [view], labels)
    for weight, gradient in zip(classifier.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient)


def test_turtle_uses_batches_of_many_images(monkeypatch):
    monkeypatch.setattr(turtle, "BATCH", 50)
    assert agreement(turtle.cluster(VIEWS, 4, 0, 150).assignment, GROUPS) > 0.6


def test_a_generalisation_score_tells_groups_from_a_random_split():
    shuffled = np.random.default_rng(0).permutation(GROUPS)
    right, wrong = (turtle.generalisation_score(VIEWS, y, seed=0) for y in (GROUPS, shuffled))
    assert right == 1 and 0.05 < wrong < 0.45
    assert turtle.generalisation_score(VIEWS, np.zeros(240, int), 0) == 1
    # Noise is a cluster of its own; the numbers of clusters do not matter.
    renamed = np.where(GROUPS == 0, -1, 10 * GROUPS)
    assert turtle.generalisation_score(VIEWS, renamed, 0) == 1
    with pytest.raises(UserError, match="of the same images"):
        turtle.generalisation_score(VIEWS, GROUPS[:-1], 0)


def test_a_generalisation_score_is_that_of_ridge_regressions_on_images_not_seen():
    from sklearn.linear_model import Ridge

    views = [np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)]
    groups = np.where(views[0][:, 0] > 0, GROUPS[:100], 0)
    order = np.random.default_rng(3).permutation(100)
    X, y = views[0][order], groups[order]
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    X = np.hstack([X, np.ones((100, 1))])
    n_right = 0
    for part in np.array_split(np.arange(100), turtle.FOLDS):
        rest = np.setdiff1d(np.arange(100), part)
        model = Ridge(alpha=turtle.RIDGE * 100, fit_intercept=False)
        model.fit(X[rest], np.eye(4)[y[rest]])
        n_right += (model.predict(X[part]).argmax(axis=1) == y[part]).sum()
    assert turtle.generalisation_score(views, groups, seed=3) == pytest.approx(n_right / 100)


def test_of_many_images_some_are_scored(monkeypatch):
    monkeypatch.setattr(turtle, "MOST_SCORED", 100)
    assert turtle.generalisation_score(VIEWS, GROUPS, 0) == 1


def test_temi_ends_after_its_most_steps(monkeypatch):
    drawn = []
    plain = torch.randint
    monkeypatch.setattr(torch, "randint", lambda *a, **k: drawn.append(a) or plain(*a, **k))
    monkeypatch.setattr(temi, "MOST_STEPS", 5)
    monkeypatch.setattr(temi, "BATCH", 120)
    temi.cluster(VIEWS[0], 4, 0, epochs=9)
    assert len(drawn) == 5


def test_temis_loss_is_the_authors():
    random = torch.Generator().manual_seed(0)
    learned, taught = (torch.rand(2, 7, 3, generator=random).softmax(dim=2) for _ in range(2))
    shares, weight = torch.rand(2, 1, 3, generator=random), torch.rand(7, generator=random)
    for head in range(2):
        inside = ((learned[head] * taught[head]) ** 0.6 / shares[head]).sum(dim=-1)
        expected = (weight * -inside.log()).mean()
        torch.testing.assert_close(temi._loss(learned, taught, shares, weight)[head], expected)


def test_a_linear_head_mends_what_few_images_have_wrong():
    wrong = GROUPS.copy()
    wrong[:8] = (wrong[:8] + 1) % 4
    found = linear_head.refine(VIEWS[0], VIEWS[0], wrong)
    assert agreement(found.assignment, GROUPS) == 1
    assert found.assignment.dtype == np.int32
    assert found.confidence.min() > 0.25 and found.confidence.max() <= 1


def test_a_linear_head_gives_noise_a_cluster_and_keeps_the_numbers():
    assignment = np.where(GROUPS == 1, 7, GROUPS)
    assignment[:4] = -1
    found = linear_head.refine(VIEWS[0], VIEWS[0], assignment)
    assert set(found.assignment) == {0, 2, 3, 7}
    with pytest.raises(UserError, match="of fewer than two clusters"):
        linear_head.refine(VIEWS[0], VIEWS[0], np.zeros(240, int))
