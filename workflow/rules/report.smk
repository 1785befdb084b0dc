"""The report, made from the notebooks' results."""


rule report:
    input:
        executed=EXECUTED,
        data=[str(topic(name).data) for name in WITH_DATA],
        not_run=[str(topic(name).not_run) for name in NOT_RUN],
        profile=f"config/profiles/{PROFILE}.yaml",
        studies=[
            f"config/{'leaderboards' if name in BOARDS else 'studies'}/{name}.yaml"
            for name in TOPICS
        ],
        verdict="config/verdict.yaml",
        published=in_repository(sorted(places.published().glob("*.*"))),
        template=in_repository(
            path for path in sorted(places.template().rglob("*")) if path.is_file()
        ),
        code=in_repository(source_files("report.build")),
        citation="CITATION.cff",
        lock="requirements.lock",
    output:
        # A mark, not the report itself: Snakemake removes outputs before it makes them again, so a
        # failure would leave no report at all.
        touch(f"{OUT}/.complete"),
    params:
        studies=",".join(TOPICS),
        seeds=",".join(map(str, SEEDS)),
    log:
        f"runs/{PROFILE}/logs/report-stderr.log",
    shell:
        "{PYTHON} -m commands.warm_start run report --profile {PROFILE} --studies {params.studies}"
        " --seeds {params.seeds} --runs runs --out {OUT:q} 2> {log}"
