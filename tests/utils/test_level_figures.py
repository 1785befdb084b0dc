"""Figures of groups at several levels."""

import numpy as np

from utils import figures


def test_each_level_is_a_curve_over_its_groups_from_the_largest():
    levels = np.column_stack([[0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 2, 3]])
    drawn = figures.level_sizes(levels, front=1)
    (ax,) = drawn.axes
    curves = [line.get_ydata().tolist() for line in ax.lines]
    assert curves == [[4, 2], [2, 2, 1, 1]]
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["level 1: 2 groups", "level 2, in front: 4 groups"]
    widths = [line.get_linewidth() for line in ax.lines]
    assert widths[1] > widths[0]


def test_noise_is_in_no_group():
    (ax,) = figures.level_sizes(np.array([[-1], [0], [0]]), front=0).axes
    assert [line.get_ydata().tolist() for line in ax.lines] == [[2]]
