"""What an executed notebook says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel


class Figure(BaseModel):
    """A figure of one notebook; its files are paths relative to the notebook's folder.

    `csv` has its numbers, `cell` is the number of the cell that drew it.
    """

    name: str
    caption: str
    alt: str
    cell: int | None = None
    svg: str | None = None
    png: str | None = None
    csv: str | None = None


class Table(BaseModel):
    """A table of one notebook; `csv` is a path relative to the notebook's folder."""

    name: str
    caption: str
    cell: int | None = None
    csv: str


class Manifest(BaseModel):
    """What one executed notebook left, and the parameters that it was executed with.

    `files` are paths relative to its folder.
    """

    notebook: str
    study: str
    profile: str
    seed: int
    seconds: float
    peak_memory_mb: float | None = None
    started: str
    finished: str
    parameters: dict[str, int | float | str | bool | list[str] | None] = {}
    figures: list[Figure] = []
    tables: list[Table] = []
    facts: dict[str, int | float | str | bool | None] = {}
    atlas: str | None = None
    notes: list[str] = []
    origin: dict[str, Any] = {}
    networks: dict[str, dict[str, Any]] = {}
    settings: dict[str, str] = {}
    made_from: dict[str, Any] = {}
    files: list[str]
    failed: str | None = None


@dataclass(frozen=True)
class NotebookRun:
    """One executed notebook of one study and seed, and the folder that it left."""

    study: str
    seed: int
    notebook: str
    folder: Path
    manifest: Manifest

    def file(self, name: str) -> Path | None:
        """Return a file that the notebook wrote; None if it wrote none of this name."""
        return self.folder / name if name in self.manifest.files else None
