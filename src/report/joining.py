"""Parts of a long run joined into one published run."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from report.evidence_tables import EVIDENCE
from report.published import Published, seeds_by_topic
from utils.store.tables import BOARD_TABLES

# What a row is of; each table has some of these columns.
KEY = (
    *("study", "seed", "other_seed", "representation", "space", "clusterer", "n"),
    *("network", "map"),
)


def joined(run: Published, earlier: Published | None) -> Published:
    """Add to a run what an earlier one has of studies and seeds that this one has not.

    Parameters
    ----------
    run : Published
        The run that counts where both have a seed of a study.
    earlier : Published or None

    Returns
    -------
    Published
    """
    ours, theirs = _seeds_run(run), _seeds_run(earlier) if earlier else {}
    boards = {name for one in (run, earlier) if one for name in one.record.get("leaderboards", [])}
    kept = {
        topic: []
        if topic in boards & ours.keys()
        else sorted(set(seeds) - set(ours.get(topic, [])))
        for topic, seeds in theirs.items()
    }
    record = {**run.record, "published": ours, "earlier": []}
    if not any(kept.values()):
        return Published(run.metrics, run.facts, record, run.evidence, run.boards)
    # Of what this run has not at all everything is retained, seeds of k-means included.
    whole = theirs.keys() - ours.keys()
    metrics, facts = (
        pd.concat([new, _retained(old, new, kept, whole)], ignore_index=True)
        for new, old in ((run.metrics, earlier.metrics), (run.facts, earlier.facts))
    )
    past = [{k: v for k, v in earlier.record.items() if k != "earlier"}]
    past += earlier.record.get("earlier", [])
    restricted = [{**old, "published": _common(old["published"], kept)} for old in past]
    record["earlier"] = [old for old in restricted if old["published"]]
    record["studies"] = sorted({*run.record["studies"], *kept} - boards)
    record["leaderboards"] = sorted(boards)
    record["data"] = {**earlier.record["data"], **run.record["data"]}
    record["evidence"] = [schema.file for schema in EVIDENCE]
    evidence = {
        schema.file: schema.joined(
            [new, _retained(earlier.evidence[schema.file], new, kept, whole)]
        )
        for schema in EVIDENCE
        for new in [run.evidence[schema.file]]
    }
    return Published(metrics, facts, record, evidence, _joined_boards(run, earlier))


def _seeds_run(run: Published) -> dict[str, list[int]]:
    """List the seeds of each topic that were run: each left a fact, such as that it failed.

    A leaderboard has no facts. Of a study, scores may have further seeds of k-means.
    """
    scored = run.metrics[~run.metrics["study"].isin(run.facts["study"])]
    return seeds_by_topic(run.facts, scored)


def _joined_boards(run: Published, earlier: Published) -> dict[str, pd.DataFrame]:
    tables = {}
    for name in BOARD_TABLES:
        new, old = run.boards.get(name), earlier.boards.get(name)
        if new is not None and old is not None:
            old = old[~old["study"].isin(run.record["leaderboards"])]
        parts = [table for table in (new, old) if table is not None]
        if parts:
            tables[name] = pd.concat(parts, ignore_index=True)
    return tables


def _retained(
    old: pd.DataFrame, new: pd.DataFrame, kept: dict[str, list[int]], whole: Collection[str]
) -> pd.DataFrame:
    """Select the rows whose seeds or whole topics are kept, of what the new table has not.

    Both may have the same seed of k-means of a clustering for which nothing is trained.
    """
    if old.empty:
        return old
    names = [name for name in KEY if name in old]
    seeds = [old[name] for name in ("seed", "other_seed") if name in old]
    among = np.array(
        [
            study in whole or all(seed in kept.get(study, []) for seed in of_row)
            for study, *of_row in zip(old["study"], *seeds, strict=True)
        ]
    )
    if len(new):
        among &= ~pd.MultiIndex.from_frame(old[names]).isin(pd.MultiIndex.from_frame(new[names]))
    return old[among]


def _common(one: dict[str, list[int]], other: dict[str, list[int]]) -> dict[str, list[int]]:
    both = {study: sorted(set(one[study]) & set(other.get(study, []))) for study in one}
    return {study: seeds for study, seeds in both.items() if seeds}
