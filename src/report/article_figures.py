"""The figures of the article, drawn from the evidence of full runs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from report import answers
from report.comparisons import values_to_compare
from report.evidence_tables import DIMENSIONS_TABLE, MAPS_TABLE
from report.notebook_parts import FigureView
from report.reproduction import values_of
from report.study_names import short_name
from utils import config, places
from utils.config.vocabulary import SUBSTITUTE
from utils.figures import article as figures
from utils.figures import description, panels, save
from utils.store import cache, files
from utils.store.files import sha256_array
from utils.store.tables import CONFUSION_TABLE, STARTS_TABLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from report.published import Published

# What the figure of the indices calls a network that was never trained.
RANDOM = "random network"
# Where the drawing is written; a change there draws anew.
DRAWING = ("utils.figures.article", "utils.figures.panels")
STAGES = (
    ("images", "pixels"),
    ("representation", "pixels, HOG,\nautoencoder,\nfrozen network"),
    ("space", "raw, PCA, UMAP"),
    ("clusterer", "k-means,\nDBSCAN, Gaussian\nmixture, Leiden"),
    ("scores", "ARI, purity …\n(with labels);\nsilhouette …"),
)


def draw(
    fullest: Published,
    studies: Iterable[config.Study],
    pictures: Sequence[Path],
    folder: Path,
    only: Collection[str] = (),
) -> dict[str, FigureView]:
    """Draw the figures of the article into the folder ``figures`` of a report.

    Parameters
    ----------
    fullest : Published
        The tables of the fullest evidence.
    studies : iterable of Study
    pictures : sequence of Path
        Folders with the picture ``<study>-reconstructions.png`` of a study; the first counts.
    folder : Path
        The report's.
    only : collection of str
        Names of the figures to draw; all if it is empty.

    Returns
    -------
    dict of str to FigureView
        By name; a figure for which there is no evidence is left out.
    """
    studies = list(studies)
    drawn: dict[str, FigureView] = {}

    def is_wanted(name: str) -> bool:
        return not only or name in only

    def add(name: str, made_of: Any, make: Callable[[], Figure]) -> None:
        if is_wanted(name):
            drawn[name] = _saved(name, made_of, make, folder)

    sound = fullest.sound
    scores = all_scores(fullest.verdicts, sound.metrics, studies)
    if any(score.runs for score in scores):
        add("all-scores", [list(score) for score in scores], partial(figures.all_scores, scores))
    add("pipeline", STAGES, partial(figures.pipeline, STAGES))
    slopes = slopes_of(sound, studies)
    if slopes:
        made_of = [[one.study, one.stages, one.paper] for one in slopes]
        add("slopes", made_of, partial(figures.slopes, slopes))
    indices = indices_of(sound, studies)
    if len(indices):
        add("indices", indices.to_json(), partial(figures.indices_and_ari, indices))
    for study in studies:
        name = f"{study.study}-panels"
        shown = panels_of(sound, study, pictures) if is_wanted(name) else None
        if shown is not None:
            made_of = [
                None if shown.reconstructions is None else sha256_array(shown.reconstructions),
                *(table.to_csv() for table in (shown.before, shown.after)),
                *(table.to_csv() for table in (shown.points, shown.view)),
                dict(shown.answers),
                list(shown.others),
            ]
            add(name, made_of, partial(panels.study_panels, shown, study.title))
    return drawn


def draw_leads(
    fullest: Published,
    studies: Sequence[config.Study],
    reduced: pd.DataFrame | None,
    folder: Path,
) -> list[tuple[str, FigureView]]:
    """Draw what a page may show in the place of the figure of all scores.

    Parameters
    ----------
    fullest : Published
    studies : sequence of Study
    reduced : DataFrame or None
        Metrics of a reduced run, of sound networks; None without such a run.
    folder : Path
        The report's.

    Returns
    -------
    list of (str, FigureView)
        Words for a switch, and the figure: the scores of each study, with their numbers, and all
        scores with those of the reduced run.
    """
    leads = []
    for study in studies:
        scores = all_scores(fullest.verdicts, fullest.sound.metrics, [study])
        if any(score.runs for score in scores):
            numbered = [score._replace(score=_with_numbers(score)) for score in scores]
            leads.append((short_name(study.study), f"all-scores-{study.study}", numbered))
    if reduced is not None:
        scores = [
            score._replace(reduced=list(values_of(reduced, study, reported).values()))
            for study in studies
            for score, reported in zip(
                all_scores(fullest.verdicts, fullest.sound.metrics, [study]),
                study.reported,
                strict=True,
            )
        ]
        leads.append(("with this reduced run", "all-scores-reduced", scores))
    return [
        (words, _saved(name, [list(one) for one in of], partial(figures.all_scores, of), folder))
        for words, name, of in leads
    ]


def _with_numbers(score: figures.ScoreOfPaper) -> str:
    """Name a score with the paper's value and the mean of ours."""
    ours = f", ours {np.mean(score.runs):.3f}" if score.runs else ""
    return f"{score.score} {score.paper:.3f}{ours}"


def _saved(name: str, made_of: Any, make: Callable[[], Figure], folder: Path) -> FigureView:
    """Draw a figure, or take it from the cache if it was drawn of the same numbers."""

    def drawn() -> dict[str, bytes]:
        figure = make()
        with tempfile.TemporaryDirectory() as temporary:
            saved = save(figure, Path(temporary), name)
            made = {path.suffix[1:]: path.read_bytes() for path in saved if path is not None}
        words = description(figure)
        return made | {"caption": words.caption.encode(), "alt": words.alt.encode()}

    made = cache.load_or_make(
        f"article-{name}",
        {"of": made_of},
        DRAWING,
        drawn,
        places.cache(),
    )
    for suffix in {"svg", "png", "csv"} & made.keys():
        with files.atomic_path(folder / "figures" / f"{name}.{suffix}") as temporary:
            temporary.write_bytes(made[suffix])
    # PNG where most of the picture is pixels and points.
    kind = "png" if name.endswith("-panels") else "svg"
    return FigureView(
        f"fig-{name}",
        name,
        made["caption"].decode(),
        made["alt"].decode(),
        f"figures/{name}.{kind}",
        Markup(""),
    )


# --- what the figures show ----------------------------------------------------------------------


def all_scores(
    verdicts: pd.DataFrame, metrics: pd.DataFrame, studies: Iterable[config.Study]
) -> list[figures.ScoreOfPaper]:
    """List every reported score with our runs."""
    verdicts = verdicts.drop_duplicates(["study", "score"]).set_index(["study", "score"])
    found = []
    for study in studies:
        for reported in study.reported:
            if (study.study, reported.score) not in verdicts.index:
                continue
            row = verdicts.loc[(study.study, reported.score)]
            values = [float(source.value) for source in reported.sources]
            found.append(
                figures.ScoreOfPaper(
                    short_name(study.study),
                    reported.score,
                    list(values_of(metrics, study, reported).values()),
                    float(row["prediction_low"]),
                    float(row["prediction_high"]),
                    values[0],
                    values[1] if len(values) > 1 else None,
                    reported.margin,
                    str(row["verdict"]),
                )
            )
    return found


def stages_of(fullest: Published, study: config.Study) -> dict[str, list[float]]:
    """Return the ARI of k-means for each run and each representation of a study.

    Of what is not trained there may be one run; then the values are those of other starts.
    """
    places_of = {
        "pixels": ("pixels", "raw"),
        "pca": ("pixels", "pca50"),
        "autoencoder": ("autoencoder", study.space.label),
        "frozen": (SUBSTITUTE, "raw"),
    }
    starts = fullest.evidence[STARTS_TABLE.file]
    own = fullest.metrics[
        (fullest.metrics["study"] == study.study) & (fullest.metrics["clusterer"] == "kmeans")
    ]
    sizes = own.groupby(["representation", "space"])["n"].max()
    return {
        stage: list(
            values_to_compare(
                fullest.metrics, starts, study, (*place, "kmeans"), "ari", sizes[place]
            ).values()
        )
        for stage, place in places_of.items()
        if place in sizes.index
    }


def slopes_of(fullest: Published, studies: Iterable[config.Study]) -> list[figures.Slope]:
    """List the studies whose autoencoder was run, with the ARI that their papers report."""
    found = []
    for study in studies:
        stages = stages_of(fullest, study)
        if stages.get("autoencoder"):
            reported = [float(one.value) for one in study.reported if one.metric == "ari"]
            paper = reported[0] if reported else None
            found.append(figures.Slope(short_name(study.study), stages, paper))
    return found


def indices_of(fullest: Published, studies: Iterable[config.Study]) -> pd.DataFrame:
    """Tabulate internal indices and the ARI of each representation, means over runs.

    All representations of a study are compared on the images that its frozen networks were given.
    """
    rows = []
    for study in studies:
        own = fullest.metrics[fullest.metrics["study"] == study.study]
        frozen = own[own["representation"] == SUBSTITUTE]
        if frozen.empty:
            continue
        same = own[(own["n"] == frozen["n"].max()) & (own["clusterer"] == "kmeans")]
        names = {
            "pixels": "pixels",
            "autoencoder": "autoencoder",
            SUBSTITUTE: "frozen network",
            "resnet50_random": RANDOM,
        }
        for representation, words in names.items():
            of = same[same["representation"] == representation]
            means = of.groupby("metric")["value"].mean()
            if {"ari", "silhouette", "davies_bouldin"} <= set(means.index):
                rows.append(
                    {
                        "study": short_name(study.study),
                        "representation": words,
                        **means[["silhouette", "davies_bouldin", "ari"]],
                    }
                )
    return pd.DataFrame(rows)


def panels_of(
    fullest: Published, study: config.Study, pictures: Sequence[Path]
) -> panels.StudyPanels | None:
    """Gather what the figure of a study shows; None without any evidence."""
    from PIL import Image

    paths = [folder / f"{study.study}-reconstructions.png" for folder in pictures]
    path = next(filter(Path.is_file, paths), None)
    picture = None if path is None else np.asarray(Image.open(path).convert("RGB"))
    maps = fullest.evidence[MAPS_TABLE.file]
    points = maps[(maps["study"] == study.study) & (maps["map"] == "tsne")]
    counts = fullest.evidence[CONFUSION_TABLE.file]
    before = sorted_counts(counts, study, "pixels", "raw")
    after = sorted_counts(counts, study, "autoencoder", study.space.label)
    if before.empty and after.empty and points.empty:
        return None
    of_source = answers.of_study(study.study)
    answered = answers.by_panel(of_source)
    view = view_of(fullest, study) if "view_3d" in answered else DIMENSIONS_TABLE.empty()
    if view.empty:
        answered.pop("view_3d", None)
    others = [f"{one.shows} ({one.place})" for one in of_source if one.panel not in answered]
    return panels.StudyPanels(
        picture, before, after, points.reset_index(drop=True), view, answered, others
    )


def view_of(fullest: Published, study: config.Study) -> pd.DataFrame:
    """Return the view of a study in three dimensions; empty if one of them is constant."""
    table = fullest.evidence[DIMENSIONS_TABLE.file]
    view = table[table["study"] == study.study].reset_index(drop=True)
    images = view[view["what"] == "image"]
    varies = len(images) > 0 and all(images[axis].nunique() > 1 for axis in "xyz")
    return view if varies else DIMENSIONS_TABLE.empty()


def sorted_counts(
    counts: pd.DataFrame, study: config.Study, representation: str, space: str
) -> pd.DataFrame:
    """Return the images by cluster and class of the first run, the clusters by majority class.

    Returns
    -------
    DataFrame
        A row for each cluster, named after its majority class; a column for each class.
    """
    own = counts[
        (counts["study"] == study.study)
        & (counts["representation"] == representation)
        & (counts["space"] == space)
        & (counts["clusterer"] == "kmeans")
    ]
    own = own[own["n"] == own["n"].max()]
    own = own[own["seed"] == own["seed"].min()]
    if own.empty:
        return pd.DataFrame()
    table = own.pivot_table(
        index="cluster", columns="class", values="images", aggfunc="sum", fill_value=0
    )
    majority = table.to_numpy().argmax(axis=1)
    order = np.lexsort((-table.to_numpy().max(axis=1), majority))
    names = [str(table.columns[place]) for place in majority[order]]
    return table.iloc[order].set_axis(names, axis=0)
