"""What the interactive maps show."""

import base64
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from utils.figures import atlas


def test_margins_by_hand():
    centres = np.array([[0.0, 0.0], [4.0, 0.0]])
    points = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 0.0], [4.0, 3.0]])
    expected = [1, 0, 1 - 1 / 3, 1 - 3 / 5]
    np.testing.assert_allclose(atlas.margins(points, centres), expected, atol=1e-6)
    assert atlas.margins(points, centres).dtype == np.float32


@given(st.integers(2, 5), st.integers(0, 100))
def test_margins_are_between_0_and_1_also_where_centres_are_equal(k, seed):
    random = np.random.default_rng(seed)
    points, centres = random.normal(size=(20, 3)), random.normal(size=(k, 3))
    found = atlas.margins(points, centres)
    assert ((found >= 0) & (found <= 1)).all()
    same = atlas.margins(np.zeros((2, 3)), np.zeros((k, 3)))
    np.testing.assert_array_equal(same, [0, 0])


@pytest.mark.parametrize("shape", [(28, 28), (32, 32, 3)])
def test_a_table_has_each_image_with_its_mistake(shape):
    images = np.zeros((4, *shape), np.uint8)
    images[2] = 255
    labels, clusters = np.array([0, 0, 1, 1]), np.array([5, 5, 3, 5])
    shown = atlas.table(
        images, np.zeros((4, 2)), labels, ("a", "b"), clusters, np.array([0.1, 0.2, 0.3, 0.4])
    )
    assert tuple(shown.columns) == atlas.COLUMNS
    assert shown["class"].tolist() == ["a", "a", "b", "b"]
    assert list(shown["class"].cat.categories) == ["a", "b"]
    assert shown["wrong"].tolist() == [False, False, False, True]
    kind, content = shown["image"][2].split(",")
    assert kind == "data:image/webp;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(content)))
    assert picture.size == shape[:2] and np.asarray(picture.convert("L")).min() > 250


def test_a_plot_stands_in_a_page_whatever_the_names_are():
    name = "</script><b>"
    images = np.zeros((3, 4, 4), np.uint8)
    labels = np.array([0, 1, 0])
    shown = atlas.table(images, np.eye(3)[:, :2], labels, (name, "b"), labels, np.ones(3))
    colours = {"class": {name: "#000000", "b": "#ffffff"}}
    text = atlas.plot(shown, colours)
    assert "<" not in text
    content = json.loads(text)
    assert content["colours"] == colours
    assert name in json.dumps(content["item"])


@pytest.mark.parametrize(("n", "shown"), [(1, 1), (1000, 1000), (1001, 501), (5000, 1000)])
def test_at_most_a_thousand_points_are_shown_at_even_steps(n, shown):
    rows = np.arange(n)[atlas.few(n)]
    assert len(rows) == shown <= atlas.MOST_POINTS
    assert len(set(np.diff(rows))) <= 1
