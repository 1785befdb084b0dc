"""Runs benchmarks, keeps what they found, and writes the tables of two pages in docs.

Called by ``./run_all.sh bench [NAME ...]``. Each benchmark is a file beside this one whose ``run``
returns a `measure.Result` or, where there is nothing to compare with, a table.
"""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duplicates
import own_images

from commands.bench import BENCHMARKS
from commands.main import parse
from measure import Result
from report import provenance
from report.readme import update_readme
from utils.places import ROOT
from utils.store import files

FOUND = Path(__file__).with_name("results.json")
PAGE, SCALING = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "scaling.md"
NOTES = Path(__file__).with_name("NOTES.md")
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
LIBRARIES = (
    "numpy",
    "numba",
    "torch",
    "torchvision",
    "scikit-learn",
    "umap-learn",
    "faiss-cpu",
    "clustpy",
)


def main(names: list[str]) -> int:
    names = parse(["bench", *names]).names
    for name in names or BENCHMARKS:
        print(f"{name}: {importlib.import_module(name).__doc__.splitlines()[0]}", flush=True)
        found = importlib.import_module(name).run()
        keep(name, found.as_json() if isinstance(found, Result) else found)
    update_pages()
    return 0


def update_pages() -> None:
    """Write the tables of what is kept into the pages on benchmarks and scaling, and the notes."""
    for page, block in (
        (PAGE, table(load())),
        (SCALING, growth_tables(load())),
        (NOTES, picture_tables(load())),
    ):
        text = update_readme(page.read_text(encoding="utf-8"), block, BEGIN, END)
        files.write_text(page, text)


def picture_tables(found: dict[str, Any]) -> str:
    """Return what was found on folders of pictures: groups, then copies."""
    return f"{own_images.tables(found['own_images'])}\n\n{duplicates.tables(found['duplicates'])}"


def keep(name: str, found: dict[str, Any]) -> None:
    """Write what a benchmark found beside what the others have, with where it was measured."""
    versions = {lib: v for lib, v in provenance.versions().items() if lib in (*LIBRARIES, "python")}
    where = {"made": datetime.now(UTC).isoformat(timespec="seconds")}
    where |= {"hardware": provenance.hardware(), "versions": versions}
    files.write_json(FOUND, load() | {name: found | where})


def load() -> dict[str, Any]:
    return files.read_json(FOUND) if FOUND.is_file() else {}


def table(found: dict[str, Any]) -> str:
    """Return the pairs as a Markdown table, with what was aimed at."""
    lines = [
        "| What | Ours | Compared with | Its time | Times as long | Aim | Measured |",
        "| :-- | --: | :-- | --: | --: | --: | --: |",
    ]
    for name in BENCHMARKS:
        one = found.get(name, {})
        for way, ratio in one.get("ratios", {}).items():
            medians = one["medians"]
            lines.append(
                f"| {one['what']} | {medians['ours']:.1f} s | {way} | {medians[way]:.1f} s "
                f"| {ratio:.2f} | {one['aims'][way]:.2f} | {one['made'][:10]} |"
            )
    whole = found.get("end_to_end")
    if whole:
        said = ", ".join(f"{way} {seconds:,.0f} s" for way, seconds in whole["seconds"].items())
        lines += ["", f"{whole['what']}: {said}, on {_machine(whole)}."]
    machines = sorted({_machine(one) for one in found.values() if "ratios" in one})
    return "\n".join([f"Measured on {' and on '.join(machines)}.", "", *lines])


def growth_tables(found: dict[str, Any]) -> str:
    """Return what has rows of numbers, each as a Markdown table under a line on what it is."""
    parts = []
    for name in ("growth", "schedule"):
        if name not in found:
            continue
        one = found[name]
        columns = list(one["rows"][0])
        lines = ["| " + " | ".join(columns) + " |", "|" + " --: |" * len(columns)]
        for row in one["rows"]:
            lines.append("| " + " | ".join(f"{value:,}" for value in row.values()) + " |")
        said = one["what"][:1].upper() + one["what"][1:]
        if "core_hours" in one:
            more = f"In all {one['core_hours']:,} core-hours."
        else:
            more = f"Measured on {_machine(one)}."
        parts += [f"{said}. {more}", "\n".join(lines)]
    return "\n\n".join(parts)


def _machine(one: dict[str, Any]) -> str:
    hardware = one["hardware"]
    gpu = f"GPU {hardware['gpu']}" if hardware["gpu"] else "no GPU"
    return f"{hardware['cpu']}, {hardware['cores']} cores, {gpu}"
