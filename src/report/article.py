"""The article: ten pages made of the fullest evidence that there is for each study."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from report import (
    article_figures,
    board_findings,
    citation,
    findings,
    joining,
    published,
    soundness,
    templates,
    this_run,
    variances,
)
from report.evidence_tables import MAPS_TABLE
from report.markdown import duration, fixed, interval
from report.published import Published
from report.study_names import short_name
from report.tally import CONSISTENT, OUTSIDE, ScoreTally, tally_scores
from report.verdict_rows import identity_rows, score_rows
from utils import config, places
from utils.config.vocabulary import NAMES
from utils.store.tables import LOSSES_TABLE

if TYPE_CHECKING:
    import pandas as pd

    from report.claims import TestedClaim
    from report.collect import Results
    from report.comparisons import Comparison

TITLE = "Do autoencoders help k-means? Four published studies, repeated"


@dataclass(frozen=True)
class StudySection:
    """What the article shows of one study."""

    study: config.Study
    comparison: Comparison | None
    claims: list[list[object]] = field(default_factory=list)
    has_evidence: bool = False


def fullest_evidence(results: Results, folder: Path) -> Published:
    """Return the fullest evidence: the published run, and before it this run if it is a full one.

    If nothing is published, a reduced run has to do; its verdicts say that they test nothing.

    Parameters
    ----------
    results : Results
    folder : Path
        Of the report, into which the tables have been written.

    Returns
    -------
    Published
    """
    kept = published.load(places.published())
    if results.profile.reduced and kept is not None:
        return kept
    return joining.joined(published.load(folder), kept)


def article(results: Results, record: dict[str, Any], folder: Path) -> str:
    """Return the article as pandoc Markdown, and draw its figures.

    Parameters
    ----------
    results : Results
        What the runs left.
    record : dict
        What ``run.json`` holds.
    folder : Path
        Of the report, into which `evidence.write_results` has written.

    Returns
    -------
    str
        Image files and links are relative to `folder`.
    """
    fullest = fullest_evidence(results, folder)
    studies = [study for study in fullest.studies if study.study in set(fullest.metrics["study"])]
    pictures = [folder / "figures"] if not results.profile.reduced else []
    pictures.append(places.published() / "figures")
    check = this_run.check(results, fullest) if results.profile.reduced else None
    figures = article_figures.draw(fullest, studies, pictures, folder)
    reduced = _sound_metrics(results) if results.profile.reduced else None
    leads = article_figures.draw_leads(fullest, studies, reduced, folder)
    of_run = {
        "leads": leads,
        "profile": results.profile,
        "record": record,
        "check": check,
        "figures": figures,
        "run_studies": list(results.studies),
        "run_boards": [(name, board.title) for name, board in results.boards.items()],
    }
    return templates.render("article.md.j2", context(fullest, studies) | of_run)


def _sound_metrics(results: Results) -> pd.DataFrame:
    networks = soundness.collapsed(results.metrics, results.studies.values())
    return soundness.without(results.metrics, networks)


def context(fullest: Published, studies: Sequence[config.Study]) -> dict[str, Any]:
    """Gather what the template says of the evidence, all but the figures."""
    rule = config.load_verdict_rule()
    tally = tally_scores(fullest.verdicts, rule.confidence)
    sound = fullest.sound
    trainings = soundness.Trainings.of(fullest.metrics, fullest.evidence)
    untrained = findings.best_untrained(sound, studies)
    return {
        "title": TITLE,
        "short": short_name,
        "evidence_made": fullest.record["made"][:10],
        "studies": studies,
        "tally": tally,
        "verdicts_in_short": verdicts_in_short(tally),
        "statement": rule.statement,
        "n_networks": n_networks(fullest),
        "cite_as": _citation(),
        "findings": findings.sentences(sound, studies, untrained),
        "one_network": findings.one_network_sentence(findings.beside_frozen(sound, studies)),
        "untrained": [findings.untrained_sentence(best) for best in untrained],
        "indices": findings.indices_sentence(findings.indices_find(sound, studies)),
        "score_rows": _score_rows(fullest),
        "identity_rows": identity_rows(
            fullest.identities.assign(study=fullest.identities["study"].map(short_name))
        ),
        "collapse_rule": soundness.RULE,
        "n_collapsed": len(soundness.collapsed(fullest.metrics, studies)),
        "largest_share": _largest_share(sound, studies),
        "training_warnings": soundness.warnings_of(trainings, studies),
        "variance_rows": _variance_rows(fullest),
        "choice_rows": [
            [short_name(study.study), choice.topic, choice.paper, choice.run]
            for study in studies
            for choice in study.choices
        ],
        "n_choices": sum(len(study.choices) for study in studies),
        "study_views": [_section(sound, study) for study in studies],
        "best_by_board": board_findings.best_by_board(fullest),
        "method_rows": board_findings.method_rows(fullest, untrained),
        "picks": board_findings.picks(fullest),
        "held_out": board_findings.held_out(fullest),
        "missing": tally.papers["not run"] + tally.papers["failed"],
        "compute": duration(_seconds(fullest)),
    }


def verdicts_in_short(tally: ScoreTally) -> str:
    """Count the papers' values that are consistent with our runs, and those that are not."""
    consistent = tally.papers[CONSISTENT]
    if not consistent + tally.outside:
        return "none could be judged"
    parts = [f"{consistent or 'none'} {'are' if consistent > 1 else 'is'} consistent with our runs"]
    parts += [f"{tally.papers[word]} {word}" for word in OUTSIDE if tally.papers[word]]
    rest = tally.scores - consistent - tally.outside
    return ", ".join([*parts, *([f"{rest} undecided or not run"] if rest else [])])


def n_networks(fullest: Published) -> int:
    """Count the trained networks; earlier code left only the facts of the main ones."""
    losses, facts = fullest.evidence[LOSSES_TABLE.file], fullest.facts
    listed = losses[["study", "seed", "network"]].drop_duplicates()
    trained = facts[facts["fact"] == "final_loss"]
    older = trained[~trained["study"].isin(listed["study"])]
    return len(listed) + len(older)


def _largest_share(sound: Published, studies: Sequence[config.Study]) -> float:
    """Return the largest share of the variance of a code that lies between its clusters."""
    names = [study.study for study in studies]
    return float(soundness.explained_shares(sound.metrics, names)["share"].max())


def _citation() -> str:
    about = citation.about()
    names = ", ".join(map(citation.name_of, about["authors"]))
    return f"{names[:1].upper()}{names[1:]}. {TITLE}. Version {about['version']}."


def _score_rows(fullest: Published) -> list[list[object]]:
    return [
        [short_name(row.study), row.score, row.reported, row.ours, row.interval, row.verdict]
        for row in score_rows(fullest.verdicts)
    ]


def _variance_rows(fullest: Published) -> list[list[object]]:
    own = [
        row
        for study in fullest.studies
        for row in variances.of_protocol(fullest.variances, study)
        if row.metric == "ari"
    ]
    return [
        [
            short_name(row.study),
            row.n_networks,
            fixed(row.sd_networks),
            interval(row.sd_networks_low, row.sd_networks_high, "score"),
            fixed(row.sd_starts),
            interval(row.sd_starts_low, row.sd_starts_high, "score"),
        ]
        for row in own
    ]


def _section(fullest: Published, study: config.Study) -> StudySection:
    compared = findings.beside_pixels(fullest, [study])
    maps = fullest.evidence[MAPS_TABLE.file]
    rows = [
        [f"“{one.claim.text}”", one.outcome, " ".join(one.sentences[:-1]) or reason_of(one)]
        for one in fullest.tested_claims.get(study.study, [])
        if not one.claim.substitute
    ]
    return StudySection(
        study,
        compared[0].comparison if compared else None,
        rows,
        bool((maps["study"] == study.study).any()),
    )


def reason_of(untested: TestedClaim) -> str:
    """Say why a claim was not tested, without the machine's own message and with plain names."""
    text = re.sub(r" \([^()]*\)", "", untested.reason or "")
    return re.sub(r"\bresnet50\b", NAMES["resnet50"], text)


def _seconds(fullest: Published) -> float:
    records = [fullest.record, *fullest.record.get("earlier", [])]
    return float(sum(record.get("seconds", 0) for record in records))
