"""The figures of the article."""

import math

import pandas as pd
import pytest

from utils.figures import GREY, NUMBERS, article, description, save


def score(study="A", name="ARI", runs=(0.3, 0.32, 0.34), low=0.2, high=0.44, **changes):
    values = {"paper": 0.4, "saved": None, "margin": 0.1, "verdict": "consistent"} | changes
    return article.ScoreOfPaper(study, name, list(runs), low, high, **values)


def labels(fig):
    return [label.get_text() for label in fig.axes[0].get_yticklabels()]


def test_all_scores_have_a_row_below_the_name_of_their_study(tmp_path):
    scores = [score(), score(name="NMI", saved=0.31), score("B", runs=(), verdict="not run")]
    fig = article.all_scores(scores)
    assert labels(fig) == ["A", "ARI", "NMI", "B", "ARI"]
    words = [text.get_text() for text in fig.axes[0].texts]
    assert words == ["consistent", "consistent", "not run"]
    assert "2 consistent" in description(fig).alt and "1 not run" in description(fig).alt
    assert save(fig, tmp_path, "scores").csv.is_file()


def test_a_score_lies_where_its_margins_say():
    fig = article.all_scores([score(paper=0.42)])
    diamonds = [line for line in fig.axes[0].lines if line.get_marker() == "D"]
    # The mean of the runs is 0.32 and the margin 0.1.
    assert diamonds[0].get_xdata() == pytest.approx(1.0)


def test_a_value_far_away_is_an_arrow_at_the_edge():
    fig = article.all_scores([score(paper=9.0), score(name="low", paper=-9.0)])
    markers = [line.get_marker() for line in fig.axes[0].lines]
    assert ">" in markers and "<" in markers
    assert fig.axes[0].get_xlim()[1] == pytest.approx(article.FARTHEST)


def test_values_of_a_reduced_run_are_grey_crosses_that_stay_on_the_axis():
    fig = article.all_scores([score(reduced=[0.42, -9.0]), score(name="NMI")])
    crosses = [line for line in fig.axes[0].lines if line.get_marker() == "x"]
    assert {line.get_color() for line in crosses} == {GREY}
    places = [float(line.get_xdata()[0]) for line in crosses]
    assert places == pytest.approx([1.0, -article.FARTHEST])
    words = [text.get_text() for text in fig.legends[0].texts]
    assert words[-1] == "this reduced run"
    without = article.all_scores([score()]).legends[0].texts
    assert "this reduced run" not in [text.get_text() for text in without]


def test_a_single_run_has_no_interval():
    fig = article.all_scores([score(runs=[0.3], low=math.nan, high=math.nan)])
    assert not [line for line in fig.axes[0].lines if line.get_linewidth() == 5]


def test_slopes_leave_out_what_was_not_run():
    shown = article.slopes(
        [article.Slope("A", {"pixels": [0.3], "pca": [], "autoencoder": [0.2, 0.4]}, 0.5)]
    )
    numbers = getattr(shown, NUMBERS)
    assert list(numbers["stage"]) == ["pixels", "autoencoder", "autoencoder"]
    assert [label.get_text() for label in shown.axes[0].get_xticklabels()] == [
        "pixels",
        "autoencoder",
    ]


def test_the_pipeline_names_its_stages():
    fig = article.pipeline([("images", "pixels"), ("scores", "ARI")])
    assert description(fig).alt == "Diagram: images → scores."


def test_better_values_of_both_indices_lie_to_the_right():
    table = pd.DataFrame(
        {
            "study": ["A", "A"],
            "representation": ["pixels", "autoencoder"],
            "silhouette": [0.1, 0.2],
            "davies_bouldin": [2.0, 1.0],
            "ari": [0.3, 0.4],
        }
    )
    silhouette, davies_bouldin = article.indices_and_ari(table).axes
    assert silhouette.get_xlim()[0] < silhouette.get_xlim()[1]
    assert davies_bouldin.get_xlim()[0] > davies_bouldin.get_xlim()[1]
