"""Where things lie: the only module that spells the paths of runs and data.

What a run leaves lies in ``runs/<profile>/<topic>/seed-<k>/<notebook>/``; a topic is a study or a
leaderboard.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from utils.errors import UserError

# What a study, a leaderboard or a profile may be called: names of folders, and parts of links.
PLAIN_NAME = r"[a-z0-9][a-z0-9_-]*"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class _Where:
    root: Path
    config: Path
    runs: Path


def _checkout(root: Path) -> _Where:
    return _Where(root, root / "config", root / "runs")


ROOT = Path(__file__).resolve().parents[2]
_where = _checkout(ROOT)


@contextmanager
def elsewhere(
    root: Path | None = None, *, config: Path | None = None, runs: Path | None = None
) -> Iterator[None]:
    """Let this process look for the repository, or a part of it, in other folders in this block."""
    global _where
    before = _where
    moved = before if root is None else _checkout(Path(root))
    _where = replace(moved, config=config or moved.config, runs=runs or moved.runs)
    try:
        yield
    finally:
        _where = before


def root() -> Path:
    """Return the folder of the repository."""
    return _where.root


def config() -> Path:
    """Return the folder of the studies, leaderboards and profiles."""
    return _where.config


def runs() -> Path:
    """Return the folder of everything that runs leave."""
    return _where.runs


def readme() -> Path:
    """Return the README, which has a table of the published run."""
    return root() / "README.md"


def published() -> Path:
    """Return the folder of the published run."""
    return root() / "reports" / "published"


def template() -> Path:
    """Return the folder of the article's template."""
    return root() / "reports" / "template"


def cache() -> Path:
    """Return the folder of results that are computed once for one fingerprint."""
    return runs() / "cache"


def logs() -> Path:
    """Return the folder of the logs of what went wrong outside the workflow."""
    return runs() / "logs"


def temporaries() -> Path:
    """Return the folder with an entry for each temporary file or folder of this checkout."""
    return runs() / "temporary"


@dataclass(frozen=True)
class Topic:
    """What a profile's runs of one study or leaderboard leave."""

    folder: Path

    @property
    def data(self) -> Path:
        """The file that says which dataset is used."""
        return self.folder / "data.json"

    @property
    def not_run(self) -> Path:
        """The file that says why there is no dataset, where there is none."""
        return self.folder / "not_run.json"

    def seed(self, seed: int | str) -> Path:
        """Return the folder of one seed."""
        return self.folder / f"seed-{seed}"

    def notebook(self, seed: int | str, notebook: str) -> Path:
        """Return the folder of one executed notebook."""
        return self.seed(seed) / notebook

    def manifests(self, seed: int | str = "*") -> list[Path]:
        """List the manifests of the notebooks that were executed, of one seed or of all."""
        return sorted(self.folder.glob(f"seed-{seed}/*/{MANIFEST}"))


def topic(profile: str, name: str, folder: Path | None = None) -> Topic:
    """Return where a profile's runs of a study or leaderboard lie, in `folder` or `runs`."""
    return Topic((runs() if folder is None else Path(folder)) / profile / name)


def topic_of(run_dir: Path) -> Topic:
    """Return the topic in whose folder an executed notebook lies."""
    return Topic(run_dir.parent.parent)


def run_folder(notebook: str, topic: str, seed: int, run_dir: str | Path | None) -> Path:
    """Return the folder of a notebook's results: the one given, or one below ``runs/interactive``.

    Raises
    ------
    UserError
        If the seed is not a whole number from 0, or the topic is no plain name.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UserError(f"seed must be a whole number from 0, not {seed!r}")
    if not isinstance(topic, str) or not re.fullmatch(PLAIN_NAME, topic):
        raise UserError(f"{topic!r} is no plain name: use small letters, digits, - and _")
    if run_dir is None:
        run_dir = Topic(runs() / "interactive" / topic).notebook(seed, notebook)
    return Path(run_dir).resolve()


def data_dir() -> Path:
    """Return the folder of cached data: ``$DATA_DIR``, or ``data`` in the repository.

    A relative path counts from the repository, whatever folder a kernel runs in; run_all.sh makes
    it absolute from the folder of the command.
    """
    return (root() / Path(os.environ.get("DATA_DIR") or "data").expanduser()).resolve()
