"""The panels of a study."""

import numpy as np
import pandas as pd
import pytest

from utils.figures import description, panels

POINTS = pd.DataFrame(
    {"x": [0.0, 1.0, 2.0], "y": [0.0, 1.0, 0.0], "class": list("aab"), "cluster": list("010")}
)
COUNTS = pd.DataFrame([[9, 1], [0, 10]], index=["a", "b"], columns=["a", "b"])
NO_VIEW = pd.DataFrame(columns=["x", "y", "z", "class", "what", "axes"])
VIEW = pd.DataFrame(
    {
        **{axis: [0.0, 1.0, 2.0, 0.5] for axis in "xyz"},
        "class": ["a", "a", "b", ""],
        "what": ["image"] * 3 + ["centre"],
        "axes": "1 2 5",
    }
)


@pytest.fixture
def shown():
    picture = np.zeros((20, 100, 3), np.uint8)
    answers = {"before": "figure 5"}
    return panels.StudyPanels(picture, COUNTS, COUNTS, POINTS, NO_VIEW, answers, ())


def titles(fig):
    return [ax.get_title(loc="left") for ax in fig.axes]


def test_a_study_has_six_panels_that_name_the_figure_they_answer(shown):
    fig = panels.study_panels(shown, "Study")
    assert [title[0] for title in titles(fig)] == list("abcdef")
    assert titles(fig)[1] == "b  k-means on pixels [figure 5]"
    assert titles(fig)[2] == "c  k-means on the code"
    assert "In brackets" in description(fig).caption
    assert (
        "In brackets"
        not in description(panels.study_panels(shown._replace(answers={}), "Study")).caption
    )
    shares = [text.get_text() for text in fig.axes[1].texts]
    assert shares == ["90", "10", "100"]


def test_figures_that_no_panel_answers_are_named(shown):
    caption = description(
        panels.study_panels(shown._replace(others=("the layers (Fig. 2)",)), "Study")
    ).caption
    assert caption.endswith("Further figures of the source: the layers (Fig. 2).")


def test_a_cross_stands_at_the_mean_position_of_each_cluster(shown):
    fig = panels.study_panels(shown, "Study")
    (crosses,) = fig.axes[5].lines
    assert crosses.get_xydata().tolist() == [[1.0, 0.0], [1.0, 1.0]]


def test_a_view_in_three_dimensions_takes_the_place_of_the_density(shown):
    answers = {"view_3d": "figure 3", "density": "figure 9"}
    fig = panels.study_panels(shown._replace(view=VIEW, answers=answers), "Study")
    assert titles(fig)[5] == "f  3-D [figure 3]"
    (centres,) = fig.axes[5].lines
    assert [list(axis) for axis in centres.get_data_3d()] == [[0.5]] * 3
    assert "dimensions 1, 2 and 5" in description(fig).caption
    assert "density" not in description(fig).caption


def test_clusters_and_classes_have_other_colours(shown):
    fig = panels.study_panels(shown, "Study")
    by_class, by_cluster = (
        {tuple(c.get_facecolor()[0]) for c in fig.axes[place].collections} for place in (3, 4)
    )
    assert not by_class & by_cluster


def test_a_study_without_evidence_has_empty_panels():
    nothing = POINTS.head(0)
    shown = panels.StudyPanels(None, pd.DataFrame(), pd.DataFrame(), nothing, NO_VIEW, {}, ())
    assert len(panels.study_panels(shown, "Study").axes) == 6
