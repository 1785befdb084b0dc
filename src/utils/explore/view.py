"""Linked views of images, as widgets: they only show what `settings` computes."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as widgets
import jscatter
import numpy as np
import pandas as pd
import traitlets

from utils import clustering, figures, metrics
from utils.config.methods import NAMES
from utils.errors import UserError
from utils.explore import settings
from utils.explore.pictures import Pictures
from utils.explore.settings import RECORDED, Outcome, Setting

MOST_SHOWN, MOST_LINES = 60, 6
SIDE, HEIGHT = 44, 400
CHOICES = ("representation", "space", "clusterer", "k", "neighbours", "seed", "map", "colour")
HERE = Path(__file__).parent


class Matrix(anywidget.AnyWidget):
    """A table of counts, a button for each cell.

    Attributes
    ----------
    chosen : list of int
        Row and column of the chosen cell; empty if none is.
    """

    _esm = HERE / "matrix.js"
    _css = HERE / "matrix.css"
    rows = traitlets.List(traitlets.Unicode()).tag(sync=True)
    columns = traitlets.List(traitlets.Unicode()).tag(sync=True)
    counts = traitlets.List().tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    corner = traitlets.Unicode().tag(sync=True)
    chosen = traitlets.List(traitlets.Int()).tag(sync=True)


class View:
    """A map, the images, the matrix and the scores of one setting, linked.

    Parameters
    ----------
    pictures : Pictures
    setting : Setting, optional
        By default `settings.start`.
    reopen : dict of str to callable, optional
        Other pictures to choose from, by name, each a function that opens them.
    folder : path, optional
        Where selections are saved, see `settings.save_selection`.

    Attributes
    ----------
    outcome : Outcome
        What is shown.
    chosen : ndarray of int
        Positions of the chosen images.
    box : Widget
        To be displayed.
    """

    def __init__(
        self,
        pictures: Pictures,
        setting: Setting | None = None,
        reopen: dict[str, Callable[[], Pictures]] | None = None,
        folder: str | Path | None = None,
    ) -> None:
        self.pictures = pictures
        self.outcomes: list[Outcome] = []
        self.chosen = np.empty(0, int)
        self.status = widgets.HTML()
        self.images = widgets.HTML()
        self.scores = widgets.HTML()
        self.saved = widgets.HTML()
        self.matrix = Matrix()
        self.name = widgets.Text(placeholder="name-of-selection", layout={"width": "180px"})
        self.save = widgets.Button(description="Save selection", tooltip="Write a CSV file")
        self.compute = widgets.Button(description="Compute", button_style="primary")
        self._reopen = reopen or {}
        self._folder = None if folder is None else Path(folder)
        self._is_filling = False
        self.controls = self._make_controls()
        self._fill(setting or settings.start(pictures))
        self._update()
        self._observe()
        self.box = self._lay_out()

    # --- controls ------------------------------------------------------------------------------

    def _make_controls(self) -> dict[str, widgets.Widget]:
        wide = {"width": "250px"}
        style = {"description_width": "105px"}
        lists = ("representation", "space", "clusterer", "map", "colour")
        made: dict[str, Any] = {
            name: widgets.Dropdown(description=name, layout=wide, style=style) for name in lists
        }
        numbers = {
            "k": (settings.LEAST_K, settings.MOST_K),
            "neighbours": (settings.FEWEST_NEIGHBOURS, settings.MOST_NEIGHBOURS),
        }
        for name, (least, most) in numbers.items():
            made[name] = widgets.IntSlider(
                description=name, min=least, max=most, continuous_update=False, style=style
            )
        made["seed"] = widgets.BoundedIntText(
            description="seed", min=0, max=99, layout=wide, style=style
        )
        return {name: made[name] for name in CHOICES}

    def _fill(self, setting: Setting) -> None:
        """Offer what the pictures have, and choose a setting."""
        self._is_filling = True
        recorded = [RECORDED] if self.pictures.recorded is not None else []
        names = {"representation": [*recorded, *self.pictures.representations]}
        names |= {"space": settings.SPACES, "clusterer": settings.CLUSTERERS}
        names |= {"map": [*recorded, *settings.MAPS]}
        names |= {"colour": ["cluster"] + ["class"] * (self.pictures.labels is not None)}
        for name, allowed in names.items():
            self.controls[name].options = [(NAMES.get(one, one), one) for one in allowed]
            self.controls[name].value = allowed[0]
        for name in ("representation", "space", "clusterer", "k", "neighbours", "seed"):
            self.controls[name].value = getattr(setting, name)
        self._is_filling = False
        self._enable()

    def _enable(self) -> None:
        """Switch off the controls that the chosen method does not look at."""
        chosen = self.setting
        is_recorded = chosen.representation == RECORDED
        uses_umap = chosen.space.startswith("umap") or self.controls["map"].value == "umap"
        for name in ("space", "clusterer", "seed", "map"):
            self.controls[name].disabled = is_recorded
        self.controls["k"].disabled = is_recorded or chosen.clusterer in clustering.FINDS_K
        self.controls["neighbours"].disabled = is_recorded or not uses_umap

    @property
    def setting(self) -> Setting:
        """The setting that the controls show."""
        values = {name: self.controls[name].value for name in CHOICES[:-2]}
        return Setting(**values)

    def _observe(self) -> None:
        for control in self.controls.values():
            control.observe(self._on_change, names="value")
        self.matrix.observe(self._on_cell, names="chosen")
        self.scatter.widget.observe(self._on_lasso, names="selection")
        self.save.on_click(self._on_save)
        self.compute.on_click(lambda _: self._update())

    def _on_change(self, change: dict[str, Any]) -> None:
        if self._is_filling:
            return
        self._enable()
        seconds = settings.expected_seconds(self.pictures, self.setting, self.controls["map"].value)
        if change["owner"] is self.controls["colour"]:
            self._draw()
        elif seconds > settings.SLOW:
            self.compute.layout.visibility = "visible"
            self._say(
                f"{self.setting} takes about {seconds:.0f} s on two cores unless it is stored: "
                "press Compute. Shown is still the setting before."
            )
        else:
            self._update()

    def open(self, name: str) -> None:
        """Go over to other pictures, one of `reopen`."""
        self._say(f"opening {name} …")
        self.pictures = self._reopen[name]()
        self.outcomes = []
        self._fill(settings.start(self.pictures))
        self._update()

    # --- what is shown -------------------------------------------------------------------------

    def _update(self) -> None:
        """Compute what the controls ask for, and show it."""
        self.compute.layout.visibility = "hidden"
        self._say(f"computing {self.setting} …")
        try:
            self.outcome = settings.run(self.pictures, self.setting)
            self._plane = settings.map_of(self.pictures, self.outcome, self.controls["map"].value)
        except UserError as error:
            self._say(f"<b>{html.escape(str(error))}</b> Shown is still the setting before.")
            return
        others = [one for one in self.outcomes if one.setting != self.outcome.setting]
        self.outcomes = [self.outcome, *others][:MOST_LINES]
        self._choose(np.empty(0, int))
        self._draw()
        self._show_matrix()
        table = settings.score_table(self.outcomes).reset_index()
        self.scores.value = _as_html(table)
        self._say(
            " ".join(map(html.escape, self.pictures.notes))
            + f" Shown: {html.escape(str(self.outcome.setting))}, {len(self.pictures):,} images."
        )

    def _frame(self) -> pd.DataFrame:
        """Gather what the map shows of each image."""
        clusters = _cluster_words(self.outcome.assignment)
        frame = pd.DataFrame({"x": self._plane[:, 0], "y": self._plane[:, 1], "cluster": clusters})
        if self.pictures.labels is not None:
            rows = range(len(self.pictures))
            frame["class"] = pd.Categorical([self.pictures.class_of(row) for row in rows])
        frame["name"] = self.pictures.names
        frame["image"] = [_as_address(image) for image in self.pictures.images]
        return frame

    def _draw(self) -> None:
        frame, by = self._frame(), self.controls["colour"].value
        names = list(frame[by].cat.categories)
        colours = figures.class_colours if by == "class" else figures.cluster_colours
        # A list: jupyter-scatter 1.0.1 cannot exchange the data of a dictionary of colours.
        palette = colours(len(names) - ("noise" in names))
        palette = ([figures.NOISE_GREY] if "noise" in names else []) + palette
        shown = [column for column in ("name", "cluster", "class") if column in frame]
        if hasattr(self, "scatter"):
            self.scatter.data(frame, reset_scales=True, zoom_view=True)
            self.scatter.color(by=by, map=palette)
            return
        self.scatter = jscatter.Scatter(
            data=frame, x="x", y="y", color_by=by, color_map=palette, height=HEIGHT, size=5,
            opacity=0.8, axes=False, legend=True, background_color="white",
        )  # fmt: skip
        self.scatter.lasso(min_delay=0, min_dist=2)
        self.scatter.tooltip(
            True, properties=shown, preview="image", preview_type="image",
            preview_image_size="contain",
        )  # fmt: skip

    def _show_matrix(self) -> None:
        """Show clusters against classes, or without labels the sizes of the clusters."""
        assignment, labels = self.outcome.assignment, self.pictures.labels
        if labels is None:
            clusters, sizes = np.unique(assignment, return_counts=True)
            counts, columns = sizes[:, None], ["images"]
            title = "Clusters and their sizes"
        else:
            # Images without a class have a column of their own, the first.
            table = metrics.majority_order(labels, assignment)
            clusters, counts = table.clusters, table.counts
            columns = [self.pictures.class_names[c] if c >= 0 else "none" for c in table.classes]
            self._classes = table.classes
            title = "Clusters (rows) and classes (for looking and scoring only)"
        self._clusters = clusters
        with self.matrix.hold_sync():
            self.matrix.rows = [_cluster_word(cluster) for cluster in clusters]
            self.matrix.columns = columns
            self.matrix.counts = counts.tolist()
            self.matrix.title, self.matrix.corner = title, ""
            self.matrix.chosen = []

    def _on_cell(self, _change: object) -> None:
        if not self.matrix.chosen:
            if self._is_of_cell:
                self._choose(np.empty(0, int))
            return
        row, column = self.matrix.chosen
        is_chosen = self.outcome.assignment == self._clusters[row]
        if self.pictures.labels is not None:
            is_chosen &= self.pictures.labels == self._classes[column]
        self._choose(np.flatnonzero(is_chosen), is_of_cell=True)

    def _on_lasso(self, change: dict[str, Any]) -> None:
        rows = np.asarray([] if change["new"] is None else change["new"], dtype=int)
        if not np.array_equal(np.sort(rows), self.chosen):
            self._choose(rows)
            self.matrix.chosen = []

    def _choose(self, rows: np.ndarray, is_of_cell: bool = False) -> None:
        """Light images up on the map, and show them."""
        self.chosen, self._is_of_cell = np.sort(rows), is_of_cell
        if hasattr(self, "scatter"):
            self.scatter.selection(self.chosen)
        self.images.value = self._sheet()

    def _sheet(self) -> str:
        if not len(self.chosen):
            return (
                "<p>Move the mouse over a point to see its image. Press the lasso button of the "
                "map and draw around points, or choose a cell of the matrix, to see images "
                "here.</p>"
            )
        shown = "".join(map(self._picture, self.chosen[:MOST_SHOWN]))
        more = len(self.chosen) - MOST_SHOWN
        tail = f", the first {MOST_SHOWN} of them:" if more > 0 else ":"
        return f"<p><b>{len(self.chosen):,} images</b>{tail}</p><div>{shown}</div>"

    def _picture(self, row: int) -> str:
        cluster = _cluster_word(self.outcome.assignment[row])
        words = [self.pictures.names[row], cluster, self.pictures.class_of(row)]
        title = html.escape(", ".join(filter(None, words)), quote=True)
        return (
            f'<img src="{_as_address(self.pictures.images[row])}" alt="{title}" title="{title}" '
            f'style="height:{SIDE}px;margin:1px;image-rendering:pixelated;display:inline-block">'
        )

    def _on_save(self, _button: object) -> None:
        try:
            path = settings.save_selection(
                self.pictures, self.outcome, self.chosen, self.name.value.strip(), self._folder
            )
            self.saved.value = f"{len(self.chosen):,} images in {html.escape(str(path))}"
        except UserError as error:
            self.saved.value = f"<b>{html.escape(str(error))}</b>"

    def _say(self, words: str) -> None:
        self.status.value = f'<div role="status">{words}</div>'

    def _lay_out(self) -> widgets.Widget:
        first = []
        if self._reopen:
            study = widgets.Dropdown(
                description="study", options=list(self._reopen), value=self.pictures.topic,
                layout={"width": "250px"}, style={"description_width": "105px"},
            )  # fmt: skip
            study.observe(lambda change: self.open(change["new"]), names="value")
            first = [study]
        wrapped = widgets.Layout(flex_flow="row wrap")
        controls = widgets.HBox([*first, *self.controls.values(), self.compute], layout=wrapped)
        # Only in a grid does the map know its width from the beginning.
        linked = widgets.GridBox(
            [jscatter.compose([self.scatter], row_height=HEIGHT), self.matrix],
            layout={"grid_template_columns": "minmax(0, 1fr) auto", "grid_gap": "12px"},
        )
        saving = widgets.HBox([self.name, self.save, self.saved], layout=wrapped)
        return widgets.VBox(
            [
                controls,
                self.status,
                linked,
                self.images,
                saving,
                self.scores,
            ]
        )


class SideBySide:
    """Two settings of the same images beside each other, with their agreement.

    A choice in one map lights up in the other.

    Parameters
    ----------
    pictures : Pictures
    a, b : Setting

    Attributes
    ----------
    views : tuple of View
    box : Widget
    """

    def __init__(self, pictures: Pictures, a: Setting, b: Setting) -> None:
        self.views = (View(pictures, a), View(pictures, b))
        self.agreement = widgets.HTML()
        for view in self.views:
            view.scores.observe(lambda _: self._compare(), names="value")
        maps = [view.scatter for view in self.views]
        linked = jscatter.compose(maps, sync_selection=True, sync_hover=True, row_height=HEIGHT)
        columns = [
            widgets.HBox(
                [*view.controls.values(), view.compute, view.status],
                layout={"flex_flow": "row wrap", "width": "50%"},
            )
            for view in self.views
        ]
        self.box = widgets.VBox(
            [widgets.HBox(columns), self.agreement, linked, self.views[0].images]
        )
        self._compare()

    def _compare(self) -> None:
        a, b = (view.outcome for view in self.views)
        found = settings.compare(self.views[0].pictures, a.setting, b.setting)
        table = settings.score_table([a, b]).reset_index()
        self.agreement.value = (
            f"<p>Agreement of the two: <b>ARI {found.ari:.3f}</b>; {found.moved.sum():,} of "
            f"{len(found.moved):,} images change their cluster.</p>{_as_html(table)}"
        )


def _as_html(table: pd.DataFrame) -> str:
    styled = table.style.hide(axis="index").format(precision=3, na_rep="–")
    cell = [("padding", "2px 8px"), ("text-align", "left")]
    return styled.set_table_styles([{"selector": "th, td", "props": cell}]).to_html()


def _cluster_word(cluster: int) -> str:
    return "noise" if cluster == metrics.NOISE else f"c{cluster}"


def _cluster_words(assignment: np.ndarray) -> pd.Categorical:
    names = [_cluster_word(cluster) for cluster in np.unique(assignment)]
    return pd.Categorical(list(map(_cluster_word, assignment)), categories=names)


def _as_address(image: np.ndarray) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
