"""Names of files, and definitions for several rules."""

PYTHON = shlex.quote(sys.executable)
CORES = workflow.cores or 1
BOARDS = [name for name in TOPICS if name in leaderboard_names()]


def topic(name, profile=PROFILE):
    """Return the place of the results of a study or leaderboard, relative to the repository."""
    return places.topic(profile, name, Path("runs"))


# Studies and leaderboards whose data are not available: the report names them.
NOT_RUN = [name for name in TOPICS if topic(name).not_run.exists()]
WITH_DATA = [name for name in TOPICS if name not in NOT_RUN]
EXECUTED = [
    str(topic(name).notebook(seed, notebook) / file)
    for name in WITH_DATA
    for seed in SEEDS
    for notebook in ([LEADERBOARD_NOTEBOOK] if name in BOARDS else study_notebooks(seed, SEEDS))
    for file in (places.MANIFEST, "executed.ipynb", "checksums.json")
]


def in_repository(paths):
    """Return paths relative to the repository, so that a moved checkout is still up to date."""
    return [str(path.relative_to(ROOT)) for path in paths]


wildcard_constraints:
    profile=places.PLAIN_NAME,
    study=places.PLAIN_NAME,
    seed=r"[0-9]+",
