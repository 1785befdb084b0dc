"""Whole runs, disturbed: kills and damaged files at random, and then the same tables."""

import shutil

import pytest
import soak

RUNS = 3


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="needs git, to clone this checkout")
def test_disturbed_runs_end_with_the_tables_of_an_undisturbed_one(faults):
    for _ in range(RUNS):
        faults.tried()
    assert soak.main(RUNS, "fashion-ae") == 0
    for _ in range(RUNS):
        faults.survived()
