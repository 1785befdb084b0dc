"""What must hold before a run is published."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from report import crate
from report.claims_table import CLAIMS_TABLE
from report.derived_tables import DERIVED
from report.evidence_tables import EVIDENCE
from report.published import Published
from report.published_figures import LEADS
from utils import config, errors
from utils.store.tables import (
    BOARD_TABLES,
    FACTS_TABLE,
    METRICS_TABLE,
    VERDICTS_TABLE,
)


def require_full(run: Published | None, report: Path) -> None:
    """Refuse a report that is missing, or not of a full run of committed code."""
    if run is None:
        raise errors.UserError(f"{report / 'run.json'}: missing: build the report first")
    record = run.record
    profile = record["profile"]
    if profile["reduced"]:
        raise errors.UserError(
            f"{report}: profile {profile['profile']!r} is reduced: only a run at full "
            "scale can be published, such as one with --profile paper"
        )
    substituted = [study for study, data in record["data"].items() if data["substituted"]]
    if substituted:
        raise errors.UserError(
            f"{report}: {', '.join(substituted)} used substitute data: get the data that the "
            "protocol requires, run the study and build the report again"
        )
    if record["dirty"]:
        raise errors.UserError(
            f"{report}: was made from a checkout with uncommitted changes: commit them, "
            f"then make the report again with --profile {profile['profile']} -- --forcerun report"
        )


def require_nothing_else(folder: Path, earlier: Published | None) -> None:
    """Refuse to replace a folder that contains a file which publishing does not write."""
    tables = (METRICS_TABLE, FACTS_TABLE, *DERIVED, *BOARD_TABLES.values(), *EVIDENCE)
    ours = {"run.json", crate.FILE, *(table.file for table in tables)}
    record = earlier.record if earlier else {}
    topics = [*config.study_names(), *config.leaderboard_names()]
    topics += [*record.get("studies", []), *record.get("leaderboards", [])]
    figure = re.compile(
        rf"figures/(({'|'.join(map(re.escape, topics))})-\w+|{'|'.join(LEADS)})\.png"
    )
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink() or not (name in {*ours, "figures"} or figure.fullmatch(name)):
            raise errors.UserError(
                f"{path}: does not belong to a published run, and publishing replaces the whole "
                "folder: move it elsewhere"
            )


def require_no_host_name(folder: Path) -> None:
    """Refuse a text that names this machine."""
    host = platform.node()
    if host in ("", "localhost"):
        return
    named = re.compile(rf"(?<![\w-]){re.escape(host)}(?![\w-])")
    # Texts are in these.
    for name in ("run.json", VERDICTS_TABLE.file, FACTS_TABLE.file, CLAIMS_TABLE.file):
        path = folder / name
        if named.search(path.read_text(encoding="utf-8")):
            raise errors.UserError(
                f"{path.name}: contains the name of this machine, {host!r}, which must not be "
                "published: find its origin, and build the report again without it"
            )


def require_pictures(text: str, page: Path, folder: Path, new: Path) -> None:
    """Refuse to remove a file of `folder` that `page`, a file with `text`, shows."""
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path = (page.parent / link).resolve()
        if not path.is_relative_to(folder.resolve()):
            continue
        name = path.relative_to(folder.resolve())
        if not (new / name).exists():
            raise errors.UserError(
                f"{page}: shows {link}, which this run does not have: publish a run with all "
                "studies, or change the link"
            )
