"""Losses of authors' saved runs beside ours."""

import fake_run
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from report import readme, reported_losses, verdict_rows
from report.statistics import prediction_interval
from utils import config, places
from utils.store import tables

OURS = [0.01218, 0.01206, 0.01214, 0.01209, 0.01216]
NOTEBOOK = "02_train_autoencoder"


@pytest.fixture(scope="module", autouse=True)
def made_up(tmp_path_factory):
    """The configuration of made-up studies."""
    with places.elsewhere(config=fake_run.write_config(tmp_path_factory.mktemp("made-up"))):
        yield


def study_with(*values, study="mnist-cae"):
    """A study with a loss for each of the reported values."""
    reported = [
        config.ReportedLoss(
            what=f"loss {number}",
            value=value,
            source="the saved run",
            fact=config.Fact(notebook=NOTEBOOK, name="final_loss"),
        )
        for number, value in enumerate(values)
    ]
    return config.load_study(study).model_copy(update={"losses": reported})


def facts(values, *further, study="mnist-cae"):
    rows = [(study, seed, NOTEBOOK, "final_loss", value) for seed, value in enumerate(values)]
    rows += [(study, *row) for row in further]
    return pd.DataFrame(rows, columns=list(tables.FACTS_TABLE.columns), dtype=object)


def row_of(value, recorded, reduced=False, substituted=()):
    (row,) = reported_losses.beside_ours(
        recorded, [study_with(value)], reduced, substituted
    ).itertuples()
    return row


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        ("0.0121", "consistent"),
        ("0.0122", "consistent"),
        ("0.0123", "consistent"),  # it may have been 0.01225
        ("0.0124", "too high"),
        ("0.0119", "too low"),
        ("0.012", "consistent"),  # it may have been 0.0121
    ],
)
def test_a_loss_is_judged_by_the_prediction_interval(value, verdict):
    row = row_of(value, facts(OURS))
    assert (row.verdict, row.reported, row.n_networks) == (verdict, value, 5)
    assert (row.prediction_low, row.prediction_high) == prediction_interval(OURS)
    assert row.mean == pytest.approx(np.mean(OURS))
    assert row.sd == pytest.approx(np.std(OURS, ddof=1))
    assert row.seed_values == "0.01218 0.01206 0.01214 0.01209 0.01216"
    assert row.source == "the saved run"


def test_the_rank_counts_what_is_printed_alike_as_a_tie():
    assert row_of("0.0124", facts(OURS)).rank == "6th of 6"
    assert row_of("0.0121", facts(OURS)).rank == "1st to 4th of 6"


def test_there_is_no_margin():
    assert row_of("50", facts([1, 100, 30])).verdict == "consistent"


def test_without_runs_it_is_not_run_and_with_one_uninformative():
    row = row_of("0.0124", facts([]))
    assert (row.verdict, row.n_networks, row.rank, row.seed_values) == ("not run", 0, "", "")
    assert np.isnan([row.mean, row.sd, row.prediction_low, row.prediction_high]).all()
    row = row_of("0.0124", facts([0.0121]))
    assert (row.verdict, row.n_networks) == ("uninformative", 1)
    assert np.isnan([row.sd, row.prediction_low]).all()


def test_a_reduced_run_and_substitute_data_test_nothing():
    assert row_of("0.0124", facts(OURS), reduced=True).verdict == "not tested (reduced run)"
    assert row_of("0.0124", facts([]), reduced=True).verdict == "not run"
    row = row_of("0.0124", facts(OURS), substituted=["mnist-cae"])
    assert row.verdict == "not tested (substitute data)"


def test_a_training_that_failed_gives_no_loss():
    failed = [(1, NOTEBOOK, tables.FAILED, "the loss became nan")]
    row = row_of("0.0121", facts([0.0120, 0.9, 0.0122], *failed))
    assert (row.n_networks, row.seed_values) == (2, "0.012 failed 0.0122")
    # Its network was trained, and a later notebook failed.
    later = [(1, "03_latent_clustering", tables.FAILED, "no memory")]
    assert row_of("0.0121", facts([0.0120, 0.0121], *later)).n_networks == 2
    assert row_of("0.0121", facts([0.0120, "nan", 0.0122])).n_networks == 2


def test_other_studies_notebooks_and_facts_are_no_loss_of_this_one():
    others = [(0, "03_latent_clustering", "final_loss", 9.0), (0, NOTEBOOK, "other", 9.0)]
    recorded = pd.concat([facts([0.0121], *others), facts([9.0], study="cifar10-cae")])
    assert row_of("0.0121", recorded).seed_values == "0.0121"


def test_the_order_is_that_of_the_studies_files(tmp_path):
    studies = [study_with("0.1", "0.2", study="cifar10-cae"), study_with("0.3")]
    table = reported_losses.beside_ours(facts(OURS), studies, False)
    assert list(table["reported"]) == ["0.1", "0.2", "0.3"]
    assert list(table["study"]) == ["cifar10-cae", "cifar10-cae", "mnist-cae"]
    schema = reported_losses.REPORTED_LOSSES_TABLE
    schema.write(table, tmp_path / schema.file)
    again = schema.read(tmp_path / schema.file)
    pd.testing.assert_frame_equal(again, table, check_dtype=False)
    assert reported_losses.beside_ours(facts(OURS), [], False).empty


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 10), min_size=2, max_size=8), st.integers(0, 1000))
def test_the_verdict_and_the_interval_say_the_same(values, thousandths):
    printed = f"{thousandths / 100:.2f}"
    row = row_of(printed, facts(values))
    least, most = float(printed) - 0.005, float(printed) + 0.005
    edges = [abs(a - b) for a in (least, most) for b in (row.prediction_low, row.prediction_high)]
    if min(edges) > 1e-6:
        is_inside = least <= row.prediction_high and most >= row.prediction_low
        assert (row.verdict == "consistent") == is_inside


def test_a_loss_is_written_with_enough_digits():
    table = reported_losses.beside_ours(facts(OURS), [study_with("0.0124")], False)
    (cells,) = verdict_rows.loss_rows(table)
    assert len(cells) == len(verdict_rows.LOSSES_HEADER)
    low, high = prediction_interval(OURS)
    assert cells == [
        *("mnist-cae", "loss 0", "0.0124", "0.012126 ± 0.000050 (5)"),
        *(f"{low:.6f}\u00a0to\u00a0{high:.6f}", "6th of 6", "too high"),
    ]
    (cells,) = verdict_rows.loss_rows(
        reported_losses.beside_ours(facts([]), [study_with("0.0124")], False)
    )
    assert cells[3:] == ["–", "–", "–", "not run"]


def test_the_readme_has_a_row_for_each_loss_and_marks_those_of_unknown_origin():
    table = reported_losses.beside_ours(facts(OURS), [study_with("0.0124", "0.0121")], False)
    lines = readme.loss_table(table).splitlines()
    assert len(lines) == 4
    assert lines[2].startswith("| `mnist-cae` | loss 0 | 0.0124 | 0.012126 ± 0.000050 (5) | ")
    assert lines[3].endswith(" | 1st to 4th of 6 | consistent |")
    assert "†" in readme.loss_table(table, {"mnist-cae"}).splitlines()[2]
    none = reported_losses.beside_ours(facts([]), [study_with("0.0124")], False)
    assert "†" not in readme.loss_table(none, {"mnist-cae"})
