"""What the interactive maps show."""

import io

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
    assert shown["cell"].tolist() == [1, 2, 0, 3]
    assert shown["image"][1:].isna().all()
    sheet = np.asarray(Image.open(io.BytesIO(shown["image"][0])).convert("L"))
    assert sheet.shape == (16 * shape[0], 16 * shape[1])
    assert sheet[: shape[0], : shape[1]].min() > 240 and sheet[:, shape[1] + 8 :].max() < 10


def test_each_picture_of_many_lies_in_its_cell():
    n, side = 300, 8
    shades = np.linspace(0, 255, n).astype(np.uint8)
    images = np.zeros((n, side, side), np.uint8) + shades[:, None, None]
    order = np.random.default_rng(0).permutation(n)
    made = [
        np.asarray(Image.open(io.BytesIO(one)).convert("L")) for one in atlas.sheets(images, order)
    ]
    assert len(made) == 2
    for cell, row in enumerate(order):
        down, across = divmod(cell % 256, 16)
        middle = made[cell // 256][side * down + 4, side * across + 4]
        assert abs(int(middle) - int(shades[row])) < 24


@pytest.mark.parametrize(("n", "shown"), [(1, 1), (100_000, 100_000), (100_001, 50_001)])
def test_so_many_points_are_shown_at_even_steps(n, shown):
    rows = np.arange(n)[atlas.few(n)]
    assert len(rows) == shown <= atlas.MOST_POINTS
    assert len(set(np.diff(rows))) <= 1
