"""A rule for each notebook: the four of a study, and that of a leaderboard."""

ANY = topic("{study}", "{profile}")
# Those that keep every core busy on their own; the others run side by side. In a reduced profile a
# training is so short that what comes before and after it would leave cores idle.
USE_ALL_CORES = set() if load_profile(PROFILE).reduced else {"02_train_autoencoder"}
# Of notebooks that could begin, those that others wait for and those that take longest come first.
PRIORITIES = {"02_train_autoencoder": 3, LEADERBOARD_NOTEBOOK: 2, "04_pretrained_comparison": 1}


def trained_for(wildcards):
    """Name the trainings whose networks a leaderboard uses, of those that this run has."""
    board = load_leaderboard(wildcards.study)
    methods = board.rows_for(load_profile(PROFILE), int(wildcards.seed))
    used = {method.representation for method in methods}
    return [
        str(topic(study).notebook(wildcards.seed, "02_train_autoencoder") / places.MANIFEST)
        for study in WITH_DATA
        if study in used
    ]


def notebook_rule(notebook, needed, **configuration):
    """Define the rule of a notebook.

    `needed` are the manifests that it waits for, `configuration` its own files of ``config``.
    """
    folder = ANY.notebook("{seed}", notebook)
    # A network is always trained with as many threads, also by a notebook that misses its stored
    # weights: the last bits depend on it.
    training_threads = "" if notebook in USE_ALL_CORES else " --training-threads {CORES}"

    rule:
        name:
            notebook
        input:
            # What is executed; its paired .ipynb changes with every saved output.
            script=f"notebooks/{notebook}.py",
            profile="config/profiles/{profile}.yaml",
            lock="requirements.lock",
            data=str(ANY.data),
            needed=needed,
            **configuration,
        output:
            manifest=str(folder / places.MANIFEST),
            executed=str(folder / "executed.ipynb"),
            checksums=str(folder / "checksums.json"),
        log:
            str(folder / "stderr.log"),
        params:
            folder=str(folder),
            # Not the files: most changes in them are of no concern to this notebook.
            code=config.get("code", {}).get(notebook)
            or notebook_fingerprint(Path(f"notebooks/{notebook}.py")),
        threads: CORES if notebook in USE_ALL_CORES else max(1, CORES // 2)
        priority: PRIORITIES.get(notebook, 0)
        shell:
            "{PYTHON} -m commands.warm_start run notebook {rule} --study {wildcards.study}"
            " --profile {wildcards.profile} --seed {wildcards.seed} --run-dir {params.folder}"
            " --code {params.code} --inputs {input:q} --threads {threads}"
            + training_threads
            + " 2> {log}"


for notebook, needed in STUDY_NOTEBOOKS.items():
    notebook_rule(
        notebook,
        [str(ANY.notebook("{seed}", name) / places.MANIFEST) for name in needed],
        study="config/studies/{study}.yaml",
    )
notebook_rule(
    LEADERBOARD_NOTEBOOK,
    trained_for,
    board="config/leaderboards/{study}.yaml",
)
