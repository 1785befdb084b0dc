"""The numbers of a full run that are kept with the source code, and the README's table of them."""

from __future__ import annotations

import io
import platform
import re
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from PIL import Image
from pydantic import BaseModel, Field, ValidationError

from utils import artifacts, config, leaderboards
from utils.comparisons import FACT_COLUMNS, METRIC_COLUMNS, VERDICT_COLUMNS, reported_vs_reproduced
from utils.names import describe
from utils.results import draw_forests

PUBLISHED = config.ROOT / "reports" / "published"
README = config.ROOT / "README.md"
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
LONGEST_NOTE = 90  # letters
BEGIN, END = "<!-- published: begin -->", "<!-- published: end -->"
NOTHING_YET = "No full run is published yet."
HEADER = ("Study", "Figure", "Reported", "Ours (mean)", "95 % interval", "Seeds", "Verdict")
ALIGNMENT = (":--", ":--", "--:", "--:", ":-:", "--:", ":--")
BOARD_HEADER = ("Images", "Row", "Recipe", "Seeds", "ACC", "ARI", "95 % interval", "Time")
BOARD_ALIGNMENT = (":--", ":--", ":--", "--:", "--:", "--:", ":-:", "--:")

METRIC_TYPES = {
    **dict.fromkeys(("profile", "study", "dataset"), "str"),
    **dict.fromkeys(("representation", "space", "clusterer", "metric"), "str"),
    **dict.fromkeys(("n", "seed"), "int64"),
    **dict.fromkeys(("k_found", "noise_fraction", "value"), "float64"),
}
FACT_TYPES = {**dict.fromkeys(("study", "notebook", "fact", "value"), "str"), "seed": "int64"}
VERDICT_TYPES = {
    **dict.fromkeys(("study", "figure", "verdict", "seed_values", "note"), "str"),
    **dict.fromkeys(("reported", "reproduced_mean", "ci_low", "ci_high"), "float64"),
    "n_seeds": "int64",
}


class _Profile(BaseModel):
    profile: config.Name
    reduced: bool


class _Hardware(BaseModel):
    """All that a published record says of the machine."""

    cpu: str
    cores: int | None
    memory_gib: float
    gpu: str | None


class _Data(BaseModel):
    substituted: bool


class _Record(BaseModel):
    """What is read of ``run.json`` here; it holds more, see `results.record`."""

    made: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T")]
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{7,64}$")] | None
    dirty: bool | None
    profile: _Profile
    studies: list[config.Name]
    leaderboards: list[config.Name] = []
    seeds: list[int] = Field(min_length=1)
    hardware: _Hardware
    data: dict[config.Name, _Data]


@dataclass(frozen=True)
class Published:
    """The tables and the record of a run, and what is kept of earlier ones.

    Attributes
    ----------
    metrics : DataFrame
        Columns `comparisons.METRIC_COLUMNS`.
    facts : DataFrame
        Columns `comparisons.FACT_COLUMNS`; each value is a word.
    verdicts : DataFrame
        Columns `comparisons.VERDICT_COLUMNS`; `seed_values` and `note` may be empty words.
    record : dict
        What ``run.json`` holds. Once published it has ``published``, the seeds by topic that are
        this run's, and ``earlier``, the records of earlier runs of which other seeds are kept.
    boards : dict of str to DataFrame
        What `leaderboards.read_tables` returns; empty for a run without leaderboards.
    """

    metrics: pd.DataFrame
    facts: pd.DataFrame
    verdicts: pd.DataFrame
    record: dict[str, Any]
    boards: dict[str, pd.DataFrame] = field(default_factory=dict)


# --- reading -------------------------------------------------------------------------------------


def load(folder: Path = PUBLISHED) -> Published | None:
    """Read the tables and the record of a run.

    Parameters
    ----------
    folder : Path
        A published run, or the folder of a report: they have the same files.

    Returns
    -------
    Published or None
        None if there is no ``run.json``.

    Raises
    ------
    UserError
        If a file is malformed, or there is a ``run.json`` and another file is missing.
    """
    folder = Path(folder)
    if not (folder / "run.json").is_file():
        return None
    record = _read_record(folder / "run.json")
    metrics = _read_table(folder / "metrics.csv", METRIC_COLUMNS, METRIC_TYPES)
    verdicts_path = folder / "reported_vs_reproduced.csv"
    verdicts = _read_table(verdicts_path, VERDICT_COLUMNS, VERDICT_TYPES)
    strange = sorted(set(verdicts["study"]) - set(record["studies"]))
    if strange:
        raise config.UserError(
            f"{verdicts_path}: study {strange[0]!r} is not in run.json, which has "
            f"{', '.join(record['studies'])}: build the report again"
        )
    facts = _read_table(folder / "facts.csv", FACT_COLUMNS, FACT_TYPES)
    boards = leaderboards.read_tables(folder) if record.get("leaderboards") else {}
    return Published(metrics, facts, verdicts, record, boards)


def _read_record(path: Path) -> dict[str, Any]:
    try:
        content = artifacts.read_json(path)
        _Record.model_validate(content)
    except ValidationError as error:
        explained = config.explain(error, _Record)
        raise config.UserError(f"{path}: {explained}: build the report again") from None
    except ValueError as error:
        raise config.UserError(
            f"{path}: not valid JSON ({error}): build the report again"
        ) from None
    return content


def _read_table(path: Path, columns: tuple[str, ...], types: dict[str, str]) -> pd.DataFrame:
    # An empty number is a missing one; an empty word is a word, and so is "NA".
    missing = {name: [""] for name, kind in types.items() if kind == "float64"}
    try:
        table = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=missing)
    except FileNotFoundError:
        raise config.UserError(f"{path}: missing: build the report again") from None
    except ValueError as error:
        raise config.UserError(f"{path}: malformed ({error}): build the report again") from None
    absent = [column for column in columns if column not in table.columns]
    if absent:
        raise config.UserError(f"{path}: column {absent[0]!r} is missing: build the report again")
    return table[list(columns)]


# --- publishing ----------------------------------------------------------------------------------


def publish(report: Path, folder: Path = PUBLISHED, readme: Path = README) -> None:
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
        raise config.UserError(f"{report / 'run.json'}: missing: build the report first")
    _require_full(run.record, report)
    earlier = load(folder)
    _require_nothing_else(folder, earlier)
    run = joined(run, earlier)
    text = _read_readme(readme)
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
        with artifacts.atomic_path(readme) as temporary:
            temporary.write_text(updated, encoding="utf-8")
            _replace_folder(folder, new, aside)


def _require_full(record: dict[str, Any], report: Path) -> None:
    profile = record["profile"]
    if profile["reduced"]:
        raise config.UserError(
            f"{report}: profile {profile['profile']!r} is a reduced one: only a run at the "
            "published scale is published, such as one with --profile paper"
        )
    substituted = [study for study, data in record["data"].items() if data["substituted"]]
    if substituted:
        raise config.UserError(
            f"{report}: {', '.join(substituted)} had substitute data: get the data that the "
            "protocol asks for, run the study and build the report again"
        )
    if record["dirty"]:
        raise config.UserError(
            f"{report}: was made from a checkout with changes that are not committed: commit them, "
            f"then make the report again with --profile {profile['profile']} -- --forcerun report"
        )


def _require_nothing_else(folder: Path, earlier: Published | None) -> None:
    """Refuse to replace a folder in which somebody keeps a file of another name than ours."""
    tables = ("metrics", "facts", "reported_vs_reproduced", *leaderboards.TABLES)
    ours = {"run.json", *(f"{name}.csv" for name in tables)}
    record = earlier.record if earlier else {}
    topics = [*config.study_names(), *config.leaderboard_names()]
    topics += [*record.get("studies", []), *record.get("leaderboards", [])]
    figure = re.compile(rf"figures/({'|'.join(map(re.escape, topics))})-\w+\.png")
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink() or not (name in {*ours, "figures"} or figure.fullmatch(name)):
            raise config.UserError(
                f"{path}: is not of a published run, and publishing replaces the whole folder: "
                "move it elsewhere"
            )


def _read_readme(readme: Path) -> str:
    try:
        return readme.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise config.UserError(f"{readme}: missing: the table has to go into it") from None


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
    ours = _seeds_by_topic(run.metrics, run.facts)
    theirs = _seeds_by_topic(earlier.metrics, earlier.facts) if earlier else {}
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
    for name in leaderboards.TABLES:
        new, old = run.boards.get(name), earlier.boards.get(name)
        if new is not None and old is not None:
            old = old[~old["study"].isin(run.record["leaderboards"])]
        parts = [table for table in (new, old) if table is not None]
        if parts:
            tables[name] = pd.concat(parts, ignore_index=True)
    return tables


def _seeds_by_topic(*tables: pd.DataFrame) -> dict[str, list[int]]:
    """List the seeds of each topic that have a row in one of the tables."""
    pairs = pd.concat([table[["study", "seed"]] for table in tables])
    return {
        str(study): sorted({int(seed) for seed in seeds})
        for study, seeds in pairs.groupby("study")["seed"]
    }


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
    metrics.to_csv(new / "metrics.csv", index=False, float_format="%.6g")
    for name, table in run.boards.items():
        table.to_csv(new / f"{name}.csv", index=False, float_format="%.6g")
    facts = run.facts.assign(value=run.facts["value"].map(without_paths))
    facts.to_csv(new / "facts.csv", index=False)
    verdicts = run.verdicts.assign(note=run.verdicts["note"].map(without_paths))
    verdicts.to_csv(new / "reported_vs_reproduced.csv", index=False)
    artifacts.write_json(new / "run.json", public_record(run.record))


def public_record(record: dict[str, Any]) -> dict[str, Any]:
    """Return a run's record with no more of the machine than processor, cores, memory and GPU."""
    hardware = {name: record["hardware"][name] for name in _Hardware.model_fields}
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
    text = content.replace(f"{config.ROOT}/", "").replace(f"{config.data_dir()}/", "data/")
    return ABSOLUTE_PATH.sub(r"…/\1", text)


# The slash of "pixels/raw", of an address, of "</b>" and of "a / b" begins no path.
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/~…)<-])/(?:[^\s/'\"()<>|]+/)*([\w.-]*\w)/?")


def _require_no_host_name(folder: Path) -> None:
    host = platform.node()
    if host in ("", "localhost"):
        return
    named = re.compile(rf"(?<![\w-]){re.escape(host)}(?![\w-])")
    for name in ("run.json", "reported_vs_reproduced.csv", "facts.csv"):  # texts are in these
        path = folder / name
        if named.search(path.read_text(encoding="utf-8")):
            raise config.UserError(
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
        raise config.UserError(
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
        raise config.UserError(f"{path}: not a picture ({error}): build the report again") from None
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
            raise config.UserError(
                f"{readme}: shows {link}, which this run does not have: publish a run with all "
                "studies, or show something else there"
            )


# --- the README's table --------------------------------------------------------------------------


def readme_block(published: Published | None) -> str:
    """Return what the README says of the published run, whether there is one or not."""
    if published is None:
        return NOTHING_YET
    parts = [headline(published)]
    if published.boards:
        parts += ["What clusters these images best, beyond the papers:", best_rows(published)]
    return "\n\n".join([*parts, "Where these numbers were made:", origins(published)])


def headline(published: Published) -> str:
    """Return each reported figure beside ours as a Markdown table."""
    shown: set[str] = set()
    rows = [HEADER, ALIGNMENT]
    for row in published.verdicts.itertuples():
        numbers = (row.reported, row.reproduced_mean, row.ci_low, row.ci_high)
        reported, mean, low, high = _write_alike(numbers)
        rows.append(
            (
                f"`{row.study}`" if row.study in shown else _with_title(row.study),
                _plain(row.figure),
                reported,
                mean,
                "–" if "–" in (low, high) else f"{low} to {high}",
                str(row.n_seeds),
                _plain(row.verdict) + (f": {_shortened(row.note)}" if row.note else ""),
            )
        )
        shown.add(row.study)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def best_rows(published: Published) -> str:
    """Return the best row of each leaderboard, and its named ones, as a Markdown table."""
    shown = [BOARD_HEADER, BOARD_ALIGNMENT]
    for name, rows in published.boards["leaderboard"].groupby("study", sort=False):
        best = rows["ari"] == rows["ari"].max()
        for row in rows[best | (rows["recipe"] != "")].itertuples():
            acc, ari, low, high = _write_alike((row.acc, row.ari, row.ari_low, row.ari_high))
            shown.append(
                (
                    f"`{name}`, {row.n:,.0f}",
                    _plain(describe(row.representation, row.space, row.clusterer)),
                    f"`{row.recipe}`" if row.recipe else "",
                    str(row.n_seeds),
                    acc,
                    ari,
                    "–" if "–" in (low, high) else f"{low} to {high}",
                    f"{row.seconds:,.0f} s",
                )
            )
    return "\n".join(f"| {' | '.join(row)} |" for row in shown)


def origins(published: Published) -> str:
    """Return a Markdown list of the runs that the numbers are from, newest first, and a sentence.

    The sentence, on the precision of the studies' networks, is left out if all are in float32.
    """
    record, facts = published.record, published.facts
    runs = "\n".join(f"- {_run_line(part)}" for part in (record, *record.get("earlier", [])))
    rounded = facts[(facts["fact"] == "precision") & (facts["value"] == "bfloat16")]
    if rounded.empty:
        return runs
    said = "Of the studies' networks these were trained in bfloat16, all others in float32"
    return f"{runs}\n\n{said}: seeds {_named_seeds(_seeds_by_topic(rounded))}."


def _named_seeds(seeds: dict[str, list[int]]) -> str:
    return "; ".join(f"`{topic}` {', '.join(map(str, of))}" for topic, of in seeds.items())


def _run_line(record: dict[str, Any]) -> str:
    commit = "no commit" if record["commit"] is None else f"commit `{record['commit'][:7]}`"
    if record["dirty"]:
        commit += " with uncommitted changes"
    hardware = record["hardware"]
    parts = [
        f"Run of {record['made'][:10]}",
        commit,
        f"profile `{record['profile']['profile']}`",
        _plain(hardware["cpu"]),
        "cores not known" if hardware["cores"] is None else f"{hardware['cores']} cores",
        f"GPU {_plain(hardware['gpu'])}" if hardware["gpu"] else "no GPU",
    ]
    seeds = _named_seeds(record.get("published", {}))
    return f"{', '.join(parts)}{'; seeds: ' if seeds else ''}{seeds}."


def _with_title(study: str) -> str:
    """Name a study in full; one that is in no file any more has no title."""
    if study not in config.study_names():
        return f"`{study}`"
    return f"`{study}`: {_plain(config.load_study(study).title.removeprefix('A '))}"


def _write_alike(numbers: tuple[float, ...]) -> list[str]:
    """Write counts whole, scores with four decimals, and a missing number as a dash."""
    known = [number for number in numbers if pd.notna(number)]
    counts = all(float(number).is_integer() for number in known)
    return [
        "–"
        if pd.isna(number)
        else f"{number:,.0f}"
        if counts or abs(number) >= 100
        else f"{number:.4f}"
        for number in numbers
    ]


def _shortened(note: str) -> str:
    return _plain(textwrap.shorten(note, LONGEST_NOTE, placeholder=" …"))


def _plain(text: str) -> str:
    """Write any text so that Markdown shows it as it is, on one line and in one cell."""
    return re.sub(r"([\\`*_\[\]<>|&$~])", r"\\\1", " ".join(text.split()))


def update_readme(text: str, table: str, begin: str = BEGIN, end: str = END) -> str:
    """Put `table` between the markers `begin` and `end` of `text`.

    Raises
    ------
    UserError
        If a marker is missing, is there twice, or they are in the wrong order.
    """
    for marker in (begin, end):
        if text.count(marker) != 1:
            raise config.UserError(
                f"README: the marker {marker} is there {text.count(marker)} times: the table "
                f"goes between one {begin} and one {end}"
            )
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise config.UserError(f"README: the marker {end} stands before {begin}: swap them")
    return f"{before}{begin}\n\n{table}\n\n{end}{after}"
