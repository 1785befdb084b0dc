"""The progress of a run: the workflow's messages, as the terminal shows them."""

from __future__ import annotations

import itertools
import re
import signal
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from commands.request import Request
from commands.telling import MARK, shown, title_of
from report.markdown import duration
from utils import places

NEXT_TRACE = ("Traceback ", "During handling of ", "The above exception ")


@dataclass
class Outcome:
    """What a run of the workflow did.

    Attributes
    ----------
    planned : int
        Number of notebooks and reports to be made; 0 until Snakemake has printed it.
    started : dict of str to float
        When each began, by title, from `time.monotonic`.
    seconds : dict of str to float
        Duration of each finished one, by title.
    failures : list of str
        A line for each failed one.
    """

    planned: int = 0
    started: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def follow(lines: Iterable[str], log: IO[str]) -> Outcome:
    """Show the progress of the jobs and collect their outcome.

    Parameters
    ----------
    lines : iterable of str
        Lines of the jobs, see `commands.telling`.
    log : text file
        Gets every line; Snakemake writes its plan to it before the first job begins.
    """
    outcome = Outcome()
    for line in lines:
        log.write(line)
        log.flush()
        if line.startswith(MARK):
            if not outcome.started:
                outcome.planned = planned_jobs(Path(log.name).read_text(encoding="utf-8"))
            _show(line.removeprefix(MARK).rstrip("\n"), outcome)
    return outcome


def planned_jobs(output: str) -> int:
    """Count the jobs in Snakemake's table: a heading, lines of name and number, an empty line."""
    table = output.partition("\nJob stats:\n")[2].partition("\n\n")[0]
    rows = re.findall(r"^(\S+) +([0-9]+)$", table, re.MULTILINE)
    return sum(int(count) for name, count in rows if name not in ("all", "total"))


def _show(message: str, outcome: Outcome) -> None:
    word, text = message.split(" ", 1)
    if word == "start":
        outcome.started[text] = time.monotonic()
        print(f"[{len(outcome.started)}/{outcome.planned or '?'}] {text} …", flush=True)
    elif word == "say":
        print(f"      {text}", flush=True)
    elif word == "done":
        outcome.seconds[text] = time.monotonic() - outcome.started[text]
        left = f", {outcome.planned - len(outcome.seconds)} left" if outcome.planned else ""
        print(f"      {text}: done in {duration(outcome.seconds[text])}{left}", flush=True)
    elif word == "failed":
        outcome.failures.append(text)
        print("      failed; notebooks already running are finished first", flush=True)


def killed(status: int) -> str | None:
    """Name the signal that killed the workflow; None if it ended by itself."""
    # The workflow's own status is a shell's; that of the process that runs it is Python's.
    number = -status if status < 0 else status - 128
    if number <= 0:
        return None
    name = signal.Signals(number).name
    return f"the workflow was killed ({name}): out of memory, or stopped by another process"


def complaint_in(log: Path) -> str:
    """Find Snakemake's own error in its output."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    begins = re.compile(r"\w*(Error|Exception)\b|\S+: error:")
    first = next((i for i, line in enumerate(lines) if begins.match(line)), -1)
    # The lines after it belong to it, up to the trace of the next error.
    message = itertools.takewhile(lambda line: not line.startswith(NEXT_TRACE), lines[first:])
    return "the workflow stopped: " + " ".join(message)[:500]


def summary(
    request: Request, outcome: Outcome, not_run: dict[str, str], seconds: float
) -> Iterator[str]:
    """Yield lines with the duration of each part and, last, the place of the report."""
    if not outcome.started:
        yield "everything is up to date: nothing to run"
    else:
        rows = _durations(request, outcome, not_run)
        width = max(len(title) for title, _ in rows)
        for title, took in rows:
            yield f"  {title:<{width}}  {took}"
        yield f"  {'total':<{width}}  {duration(seconds)}"
    for study, reason in not_run.items():
        yield f"not run: {study}: {reason}"
    if request.for_snakemake and "report" not in outcome.seconds:
        yield "the report was not made: the arguments after -- left it out"
        return
    yield f"report: {shown(places.root() / request.out / 'report.html')}"
    yield f"        {shown(places.root() / request.out / 'report.pdf')}"


def _durations(
    request: Request, outcome: Outcome, not_run: Collection[str]
) -> list[tuple[str, str]]:
    """List title and duration of every notebook in the report, and of the report.

    With extra arguments for Snakemake, a notebook that did not run need not be up to date.
    """
    otherwise = "not run" if request.for_snakemake else "up to date"
    titles = [
        title_of(manifest.parent.name, study.name, seed)
        for study in request.studies
        if study.name not in not_run
        for seed in range(request.seeds)
        for manifest in request.place(study).manifests(seed)
    ]
    return [
        (title, duration(outcome.seconds[title]) if title in outcome.seconds else otherwise)
        for title in [*titles, "report"]
    ]
