"""The workflow on a real SLURM of one node: the same tables, and a killed job is run again.

Takes some minutes. Runs where Debian's packages slurm-wlm and munge are installed, as root.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from utils.places import ROOT

CLUSTER = ROOT / "tests" / "slurm" / "cluster.sh"
STUDY = "mnist-cae"
TRAINING = "02_train_autoencoder"
# As many as the local run gives each job on two cores, so that the numbers can be the same.
THREADS = ("01_baseline_kmeans=1", f"{TRAINING}=2", "03_latent_clustering=1")
LOCAL = ("--cores", "2")
ON_SLURM = (
    *("--cores", "2", "--", "--profile", "workflow/profiles/slurm"),
    *("--slurm-no-account", "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "5", "--latency-wait", "10"),
    *("--set-threads", *THREADS, "04_pretrained_comparison=1"),
)

pytestmark = pytest.mark.skipif(
    shutil.which("slurmctld") is None or shutil.which("munged") is None or os.geteuid() != 0,
    reason="no SLURM to start: needs slurm-wlm and munge (Debian), and root",
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A SLURM of this machine alone; yields the environment of its commands."""
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([CLUSTER, "start", folder], capture_output=True, text=True)
    try:
        assert started.returncode == 0, started.stderr
        yield {"SLURM_CONF": str(folder / "slurm.conf")}
    finally:
        subprocess.run([CLUSTER, "stop", folder], check=True)


@pytest.fixture(scope="module")
def checkouts(tmp_path_factory):
    """Two copies of this checkout that share nothing but the data."""
    folder = tmp_path_factory.mktemp("checkouts")
    names = (
        "config",
        "notebooks",
        "reports",
        "src",
        "workflow",
        "requirements.lock",
        ".git",
        "CITATION.cff",
    )
    for copy in ("local", "slurm"):
        (folder / copy).mkdir()
        for name in names:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(
                    source, folder / copy / name, ignore=shutil.ignore_patterns("quick", "paper")
                )
            elif source.is_file():
                shutil.copy(source, folder / copy / name)
        # `quick` is also a profile's name.
        shutil.copytree(ROOT / "config", folder / copy / "config", dirs_exist_ok=True)
    return folder


def start(checkout: Path, arguments: tuple[str, ...], environment: dict[str, str]):
    own = {"PYTHONPATH": str(checkout / "src"), "DATA_DIR": str(ROOT / "data"), "PYTHONUTF8": "1"}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "commands", "--studies", STUDY, *arguments],
        cwd=checkout,
        env=os.environ | own | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def job_of(rule: str, environment: dict[str, str]) -> str | None:
    """Return the number of the running job of a rule; its comment has the rule's name."""
    listed = subprocess.run(
        ["squeue", "--noheader", "--states=RUNNING", "--format=%i %k"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return next((line.split()[0] for line in listed.stdout.splitlines() if rule in line), None)


def test_slurm_gives_the_tables_of_a_local_run_though_a_job_is_killed(cluster, checkouts):
    with start(checkouts / "local", LOCAL, {}) as local:
        said, _ = local.communicate(timeout=900)
    assert local.returncode == 0, said

    with start(checkouts / "slurm", ON_SLURM, cluster) as remote:
        until = time.monotonic() + 300
        while (job := job_of(TRAINING, cluster)) is None:
            assert time.monotonic() < until and remote.poll() is None
            time.sleep(0.5)
        time.sleep(8)  # so that it is in the midst of its work
        subprocess.run(["scancel", job], env=os.environ | cluster, check=True)
        said, _ = remote.communicate(timeout=1200)
    assert remote.returncode == 0, said
    log = next((checkouts / "slurm" / "runs/quick/logs").glob("*.log")).read_text()
    assert f"SLURM jobid '{job}'" in log or f"SLURM jobid {job}" in log
    assert "Trying to restart job" in log
    # What the jobs said came through, though they ran elsewhere.
    assert f"{TRAINING} · {STUDY} · seed 0: done" in said

    key = ["study", "seed", "representation", "space", "clusterer", "n", "metric"]
    one, other = (
        pd.read_csv(checkouts / name / "reports/quick/metrics.csv").set_index(key)["value"]
        for name in ("local", "slurm")
    )
    pd.testing.assert_series_equal(one, other, rtol=1e-9)
