"""A rule for each notebook: four for a study, one for a leaderboard."""

ANY = topic("{study}", "{profile}")
# Notebooks that keep all cores busy; the others run side by side. In a reduced profile the training
# is so short that the rest of its notebook would leave cores idle.
USE_ALL_CORES = set() if load_profile(PROFILE).reduced else {"02_train_autoencoder"}
# Of the notebooks that are ready, those that others wait for, or that take longest, come first.
PRIORITIES = {"02_train_autoencoder": 3, LEADERBOARD_NOTEBOOK: 2, "04_pretrained_comparison": 1}


def trained_for(wildcards):
    """Return the manifests of this run's trainings whose networks a leaderboard uses."""
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

    It waits for the manifests in `needed`; `configuration` are its own files in ``config``.
    """
    folder = ANY.notebook("{seed}", notebook)
    # The number of threads for training is always the same, even in a notebook that trains because
    # stored weights are missing: the last bits of the weights depend on it.
    training_threads = "" if notebook in USE_ALL_CORES else " --training-threads {CORES}"

    rule:
        name:
            notebook
        input:
            # Not the paired .ipynb, which changes with every saved output.
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
            # Not the source files: most changes in them do not affect this notebook.
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
