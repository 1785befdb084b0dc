"""The published evidence: every published external score follows from the published counts."""

import functools

import pytest

from report import published, recomputed
from report.evidence_tables import ORIGINS_TABLE
from utils import config, places
from utils.config.metrics_table import EXTERNAL
from utils.store.tables import CONFUSION_TABLE

KEY = ["study", "seed", "representation"]


@functools.cache
def run():
    return published.load(places.published())


def studies_with_evidence():
    """Those whose scores have an origin: a run of earlier code left none."""
    origins = run().evidence[ORIGINS_TABLE.file]
    boards = set(run().record["leaderboards"])
    return sorted(set(origins["study"]) - boards)


def test_a_record_that_names_evidence_has_some():
    assert bool(run().record.get("evidence")) == bool(studies_with_evidence())


@pytest.mark.parametrize("study", config.study_names())
def test_every_published_score_has_an_origin_and_is_that_of_the_published_counts(study):
    metrics, counts, origins = (
        table[table["study"] == study]
        for table in (
            run().metrics,
            run().evidence[CONFUSION_TABLE.file],
            run().evidence[ORIGINS_TABLE.file],
        )
    )
    if study not in studies_with_evidence():
        # Of earlier code: without origins there must be no counts either.
        assert counts.empty
        return
    assert len(counts), f"{study} has origins and no counts"
    assert recomputed.disagreements(metrics, counts) == []
    assert set(EXTERNAL) <= set(metrics["metric"])
    assert set(metrics.set_index(KEY).index) == set(origins.set_index(KEY).index)
