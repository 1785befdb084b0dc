"""Keep the numbers of a full run with the source code."""

from __future__ import annotations

import io
import platform
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from report import leaderboards
from report.evidence import draw_forests
from report.published import Hardware, Published, load, seeds_by_topic
from report.readme import read_readme, readme_block, update_readme
from report.reproduction import reported_vs_reproduced
from utils import config, errors
from utils import places as paths
from utils.store import files
from utils.store.tables import BOARD_TABLES, FACTS_TABLE, METRICS_TABLE, VERDICTS_TABLE

# Of each study and leaderboard, those of these that it has.
FIGURES = (
    "tsne_label",
    "tsne_cluster",
    "tsne_dbscan",
    "tsne_efficientnet_lite0_cluster",
    "tsne_resnet50_cluster",
    "confusion_latent",
    "confusion_pixels",
    "reconstructions",
    "forest",
    "pareto",
    "best_confused",
)
WIDEST = 900  # pixels
COLOURS = 128
LARGEST_FIGURES = 2_500_000  # bytes, all together


# --- publishing ----------------------------------------------------------------------------------


def publish(report: Path, folder: Path, readme: Path) -> None:
    """Keep the numbers of a full run, and some small figures; rewrite the README's table.

    Of a run published earlier those studies and seeds are kept that this one does not have, so that
    a long run can be made in parts; the verdicts are those of all seeds together. A leaderboard is
    kept or replaced as a whole: its differences and its stability need the clusters of all seeds.

    Parameters
    ----------
    report : Path
        Folder of a built report.
    folder : Path
        Is replaced as a whole, so that it must hold nothing else.
    readme : Path
        Has the markers `BEGIN` and `END`.

    Raises
    ------
    UserError
        If the run is no full one (a reduced profile, substitute data) or has uncommitted changes,
        a file of the report is missing or malformed, the figures are too large, a text names this
        machine, `folder` has a file that is not of a published run, or `readme` has no place for
        the table or shows a picture that would be gone. Nothing was changed then.
    """
    report, folder, readme = Path(report), Path(folder), Path(readme)
    run = load(report)
    if run is None:
        raise errors.UserError(f"{report / 'run.json'}: missing: build the report first")
    _require_full(run.record, report)
    earlier = load(folder)
    _require_nothing_else(folder, earlier)
    run = joined(run, earlier)
    text = read_readme(readme)
    with _staging(folder) as (new, aside, drawn):
        _write_tables(run, new)
        topics = [*run.record["studies"], *run.record.get("leaderboards", [])]
        # The report's own have this run's seeds alone.
        studies = [config.load_study(name) for name in run.record["studies"]]
        draw_forests(studies, run.metrics, run.facts, run.verdicts, drawn / "figures")
        _write_figures((drawn, report), folder, topics, new / "figures")
        _require_no_host_name(new)
        _require_pictures(text, readme, folder, new)
        updated = update_readme(text, readme_block(load(new)))
        # The README is written but for its renaming when the folder is replaced.
        with files.atomic_path(readme) as temporary:
            temporary.write_text(updated, encoding="utf-8")
            _replace_folder(folder, new, aside)


def _require_full(record: dict[str, Any], report: Path) -> None:
    profile = record["profile"]
    if profile["reduced"]:
        raise errors.UserError(
            f"{report}: profile {profile['profile']!r} is a reduced one: only a run at the "
            "published scale is published, such as one with --profile paper"
        )
    substituted = [study for study, data in record["data"].items() if data["substituted"]]
    if substituted:
        raise errors.UserError(
            f"{report}: {', '.join(substituted)} had substitute data: get the data that the "
            "protocol asks for, run the study and build the report again"
        )
    if record["dirty"]:
        raise errors.UserError(
            f"{report}: was made from a checkout with changes that are not committed: commit them, "
            f"then make the report again with --profile {profile['profile']} -- --forcerun report"
        )


def _require_nothing_else(folder: Path, earlier: Published | None) -> None:
    """Refuse to replace a folder in which somebody keeps a file of another name than ours."""
    tables = (METRICS_TABLE, FACTS_TABLE, VERDICTS_TABLE, *BOARD_TABLES.values())
    ours = {"run.json", *(table.file for table in tables)}
    record = earlier.record if earlier else {}
    topics = [*config.study_names(), *config.leaderboard_names()]
    topics += [*record.get("studies", []), *record.get("leaderboards", [])]
    figure = re.compile(rf"figures/({'|'.join(map(re.escape, topics))})-\w+\.png")
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink() or not (name in {*ours, "figures"} or figure.fullmatch(name)):
            raise errors.UserError(
                f"{path}: is not of a published run, and publishing replaces the whole folder: "
                "move it elsewhere"
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
        Verdicts are computed again if anything was added.
    """
    # Of what left a number or a fact, such as that it failed.
    ours = seeds_by_topic(run.metrics, run.facts)
    theirs = seeds_by_topic(earlier.metrics, earlier.facts) if earlier else {}
    boards = {name for one in (run, earlier) if one for name in one.record.get("leaderboards", [])}
    kept = {
        topic: []
        if topic in boards & ours.keys()
        else sorted(set(seeds) - set(ours.get(topic, [])))
        for topic, seeds in theirs.items()
    }
    record = {**run.record, "published": ours, "earlier": []}
    if not any(kept.values()):
        return Published(run.metrics, run.facts, run.verdicts, record, run.boards)
    metrics, facts = (
        pd.concat([new, old[_among(old, kept)]], ignore_index=True)
        for new, old in ((run.metrics, earlier.metrics), (run.facts, earlier.facts))
    )
    past = [{k: v for k, v in earlier.record.items() if k != "earlier"}]
    past += earlier.record.get("earlier", [])
    restricted = [{**old, "published": _common(old["published"], kept)} for old in past]
    record["earlier"] = [old for old in restricted if old["published"]]
    record["studies"] = sorted({*run.record["studies"], *kept} - boards)
    record["leaderboards"] = sorted(boards)
    record["data"] = {**earlier.record["data"], **run.record["data"]}
    studies = [config.load_study(name) for name in record["studies"]]
    verdicts = reported_vs_reproduced(metrics, facts, studies, reduced=False)
    return Published(metrics, facts, verdicts, record, _joined_boards(run, earlier))


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


def _among(table: pd.DataFrame, seeds: dict[str, list[int]]) -> list[bool]:
    return [row.seed in seeds.get(row.study, []) for row in table.itertuples()]


def _common(one: dict[str, list[int]], other: dict[str, list[int]]) -> dict[str, list[int]]:
    both = {study: sorted(set(one[study]) & set(other.get(study, []))) for study in one}
    return {study: seeds for study, seeds in both.items() if seeds}


@contextmanager
def _staging(folder: Path) -> Iterator[tuple[Path, Path, Path]]:
    """Yield an empty folder beside `folder`, and two free paths.

    To the first of them `folder` can be moved aside; the second is for what is not kept.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".publishing-", dir=folder.parent) as name:
        new = Path(name) / "new"
        new.mkdir()
        yield new, Path(name) / "aside", Path(name) / "drawn"


def _replace_folder(folder: Path, new: Path, aside: Path) -> None:
    if folder.exists():
        folder.rename(aside)
    try:
        new.rename(folder)
    except BaseException:
        if aside.exists():
            aside.rename(folder)
        raise


def _write_tables(run: Published, new: Path) -> None:
    metrics = run.metrics
    of_boards = metrics["study"].isin(run.record.get("leaderboards", []))
    # Of a leaderboard each seed's scores; the means of all else are in its own table.
    metrics = metrics[~of_boards | metrics["metric"].isin(leaderboards.SCORES)]
    METRICS_TABLE.write(metrics, new / METRICS_TABLE.file, float_format="%.6g")
    for name, table in run.boards.items():
        schema = BOARD_TABLES[name]
        schema.write(table, new / schema.file, float_format="%.6g")
    facts = run.facts.assign(value=run.facts["value"].map(without_paths))
    FACTS_TABLE.write(facts, new / FACTS_TABLE.file)
    verdicts = run.verdicts.assign(note=run.verdicts["note"].map(without_paths))
    VERDICTS_TABLE.write(verdicts, new / VERDICTS_TABLE.file)
    files.write_json(new / "run.json", public_record(run.record))


def public_record(record: dict[str, Any]) -> dict[str, Any]:
    """Return a run's record with no more of the machine than processor, cores, memory and GPU."""
    hardware = {name: record["hardware"][name] for name in Hardware.model_fields}
    return without_paths({**record, "hardware": hardware})


def without_paths(content: Any) -> Any:
    """Shorten each absolute path in the texts of `content`, of JSON types, to its last part."""
    if isinstance(content, dict):
        return {key: without_paths(value) for key, value in content.items()}
    if isinstance(content, list):
        return [without_paths(value) for value in content]
    if not isinstance(content, str):
        return content
    # A name in it may have a space, which the pattern cannot know.
    text = content.replace(f"{paths.root()}/", "").replace(f"{paths.data_dir()}/", "data/")
    return ABSOLUTE_PATH.sub(r"…/\1", text)


# The slash of "pixels/raw", of an address, of "</b>" and of "a / b" begins no path.
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/~…)<-])/(?:[^\s/'\"()<>|]+/)*([\w.-]*\w)/?")


def _require_no_host_name(folder: Path) -> None:
    host = platform.node()
    if host in ("", "localhost"):
        return
    named = re.compile(rf"(?<![\w-]){re.escape(host)}(?![\w-])")
    for name in ("run.json", VERDICTS_TABLE.file, FACTS_TABLE.file):  # texts are in these
        path = folder / name
        if named.search(path.read_text(encoding="utf-8")):
            raise errors.UserError(
                f"{path.name}: a text in it has the name of this machine, {host!r}, which is not "
                "published: see why it is there, and build the report again without it"
            )


def _write_figures(fresh: Sequence[Path], published: Path, topics: list[str], target: Path) -> None:
    """Write each figure small, from the first of the folders that has it."""
    names = [f"{topic}-{name}.png" for topic in topics for name in FIGURES]
    places = [[folder / "figures" / name for folder in (*fresh, published)] for name in names]
    sources = [next(filter(Path.is_file, paths), None) for paths in places]
    pictures = {
        # One that was published before is small, and would lose a little each time.
        path.name: path.read_bytes() if path.is_relative_to(published) else small_png(path)
        for path in sources
        if path is not None
    }
    size = sum(map(len, pictures.values()))
    if size > LARGEST_FIGURES:
        raise errors.UserError(
            f"{published / 'figures'}: {size:,} bytes in {len(pictures)} figures, allowed are "
            f"{LARGEST_FIGURES:,}: list fewer in FIGURES of {Path(__file__).name}"
        )
    target.mkdir()
    for name, content in pictures.items():
        (target / name).write_bytes(content)


def small_png(path: Path) -> bytes:
    """Return a picture as a small PNG: at most `WIDEST` pixels wide, on white.

    It has a palette of `COLOURS` colours if that makes it smaller.

    Raises
    ------
    UserError
        If the file is not a picture.
    """
    try:
        with Image.open(path) as picture:
            drawn = picture.convert("RGBA")
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's errors for a damaged PNG
        raise errors.UserError(f"{path}: not a picture ({error}): build the report again") from None
    page = Image.new("RGB", drawn.size, "white")
    page.paste(drawn, mask=drawn.getchannel("A"))
    if page.width > WIDEST:
        height = max(1, round(page.height * WIDEST / page.width))
        page = page.resize((WIDEST, height), Image.Resampling.LANCZOS)
    return min((_png(page), _png(page.quantize(COLOURS))), key=len)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _require_pictures(text: str, readme: Path, folder: Path, new: Path) -> None:
    """Refuse to take away a file of `folder` that `readme` shows."""
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        path = (readme.parent / link).resolve()
        if not path.is_relative_to(folder.resolve()):
            continue
        name = path.relative_to(folder.resolve())
        if not (new / name).exists():
            raise errors.UserError(
                f"{readme}: shows {link}, which this run does not have: publish a run with all "
                "studies, or show something else there"
            )
