import base64
import io
import itertools
import xml.etree.ElementTree as ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from utils import figures
from utils.figures import sheets, style

mpl.use("Agg")
NAMES = ["T-shirt/top", "US$ and CA$", "_private", "<b>&amp;", r"$\frac", "Ankle boot"]


def images(n, colour=False, side=8):
    shape = (n, side, side, 3) if colour else (n, side, side)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def labels(n, k=6):
    return (np.arange(n) % k).astype(np.uint8)


def points(n):
    return np.random.default_rng(0).standard_normal((n, 2)).astype(np.float32)


def convolutions(n):
    """Lists `n` layers, each of another shape than the one before."""
    half = n // 2
    shapes = [(2**i, 64 >> i, 64 >> i) for i in range(half)]
    return [
        {"part": part, "layer": f"{kind} 3×3", "output_shape": shape, "parameters": 1000 * shape[0]}
        for part, kind, order in (
            ("encoder", "Conv2d", shapes),
            ("decoder", "ConvTranspose2d", shapes[::-1]),
        )
        for shape in order
    ]


def dense(*widths):
    middle = len(widths) // 2
    return [
        {
            "part": "encoder" if i <= middle else "decoder",
            "layer": "Linear",
            "output_shape": (width,),
            "parameters": width * 100,
        }
        for i, width in enumerate(widths)
    ]


def metrics_frame(rows=2):
    values = {"ari": -0.03, "nmi": 0.5, "acc": 0.6, "silhouette": 0.043, "davies_bouldin": 3.0}
    return pd.DataFrame([values] * rows, index=[f"net$_{i}$ / raw / kmeans" for i in range(rows)])


def cloud(n):
    return np.random.default_rng(0).standard_normal((n, 5)).astype(np.float32)


def strip_frame():
    return pd.DataFrame(
        {
            "eps": [1.0, 2.0, 3.0],
            "k_found": [0, 4, 1],
            "noise_fraction": [1.0, 0.4, 0.0],
            "ari": [0.0, 0.3, 0.0],
            "ari_covered": [np.nan, 0.6, 0.0],
        }
    )


def spaces_frame():
    return pd.DataFrame(
        {
            "clusters_of": ["one", "two", "one", "two"],
            "measured_in": ["a", "a", "b", "b"],
            "silhouette": [0.1, 0.3, 7.0, 5.0],
            "davies_bouldin": [2.0, 1.0, 5.0, np.nan],
        }
    )


def board(seconds, ari, half_interval=0.02):
    rows = len(ari)
    return pd.DataFrame(
        {
            "representation": [f"net$_{i}$" for i in range(rows)],
            "space": "umap10",
            "clusterer": "kmeans",
            "seconds": seconds,
            "ari": ari,
            "ari_low": np.array(ari) - half_interval,
            "ari_high": np.array(ari) + half_interval,
            "k_given": np.arange(rows) % 3 > 0,
        }
    )


# A front with three points on one spot, and two rows behind it.
CROWDED = board([1, 1.01, 1.02, 9, 300, 10, 200], [0.1, 0.11, 0.12, 0.5, 0.51, 0.2, 0.4])
CROWDED_FRONT = np.arange(7) < 5

ESTIMATES = [
    figures.Estimate("ARI", [0.344, 0.288], [0.29, 0.31, 0.27], 0.19, 0.39),
    figures.Estimate("purity on raw pixels", [1.0], [1.0, 1.0], 1.0, 1.0),
    figures.Estimate("silhouette", [-0.0294], [-0.0047], float("nan"), float("nan")),
]
FIGURES = {
    "samples": lambda: figures.samples(images(60), labels(60), NAMES, 8),
    "samples_in_colour": lambda: figures.samples(images(60, True), labels(60), NAMES, 3),
    "class_balance": lambda: figures.class_balance(labels(60), NAMES),
    "mean_images": lambda: figures.mean_images(images(60), labels(60), NAMES),
    "architecture": lambda: figures.architecture(convolutions(12)),
    "architecture_dense": lambda: figures.architecture(dense(784, 128, 64, 32, 64, 128, 784)),
    "loss_curve": lambda: figures.loss_curve(
        pd.DataFrame(
            {"epoch": [1, 2, 3], "loss": [0.3, 0.2, 0.1], "validation_loss": [0.4, 0.3, 0.2]}
        )
    ),
    "reconstructions": lambda: figures.reconstructions(images(10, side=28), images(10, side=28)),
    "confusion": lambda: figures.confusion(
        np.arange(60).reshape(10, 6) * 1000, [*NAMES, *"ghij"], NAMES, "$counts$"
    ),
    "confusion_10": lambda: figures.confusion(
        np.full((10, 10), 54321), [f"class {i}" for i in range(10)], ["automobile"] * 10, ""
    ),
    "matched_confusion": lambda: figures.matched_confusion(
        labels(60), labels(60, 7), NAMES, "$matched$"
    ),
    "majority_confusion": lambda: figures.majority_confusion(
        labels(60), labels(60, 7), NAMES, "$majority$"
    ),
    "image_rows": lambda: figures.image_rows({"a": images(3), "b": images(2)}, "$rows$"),
    "contact_sheet": lambda: figures.contact_sheet(
        {
            "near": figures.Named(images(9, True), [f"a$_{{{i}}}$/W{i}.jpg" for i in range(9)]),
            "far": figures.Named(
                images(2, True), ["写真.jpg", "a/a very long name of a picture.jpeg"]
            ),
        },
        "$sheet$",
    ),
    "k_curve": lambda: figures.k_curve(np.array([2, 3, 4]), np.array([0.1, 0.4, 0.2]), 3),
    "internal_by_space": lambda: figures.internal_by_space(spaces_frame()),
    "map_by_class": lambda: figures.map_by_class(points(60), labels(60), NAMES, "$map$", "class_$"),
    "map_centroids": lambda: figures.map_centroids(points(60), labels(60), NAMES, points(6)),
    "map_density": lambda: figures.map_density(points(60)),
    "view_3d": lambda: figures.view_3d(cloud(60), labels(60), NAMES, "$view$", "class"),
    "view_3d_with_centres": lambda: figures.view_3d(
        cloud(60), labels(60), NAMES, "", "cluster", cloud(6)
    ),
    "k_distances": lambda: figures.k_distances(np.arange(9.0) ** 2, 6, 5.0, k=5),
    "eps_strip": lambda: figures.eps_strip(strip_frame()),
    "pareto": lambda: figures.pareto(CROWDED, CROWDED_FRONT, "$time$"),
    "pareto_of_one_row": lambda: figures.pareto(board([3], [0.5], np.nan), np.array([True]), ""),
    "forest": lambda: figures.forest(ESTIMATES, "$time$ <b>"),
    "comparison": lambda: figures.comparison(metrics_frame()),
    "comparison_without_labels": lambda: figures.comparison(
        metrics_frame()[["silhouette", "davies_bouldin"]]
    ),
}


def visible_texts(fig):
    texts = [text for text in fig.findobj(Text) if text.get_visible() and text.get_text().strip()]
    # Ticks beyond the limits of their axes exist, and are not drawn.
    outside = set()
    for ax in fig.findobj(mpl.axes.Axes):
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not low <= tick.get_loc() <= high or not ax.axison:
                    outside |= {tick.label1, tick.label2}
    return [text for text in texts if text not in outside]


def all_texts(fig):
    fig.draw_without_rendering()
    return [text.get_text() for text in visible_texts(fig)]


# --- every figure --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIGURES)
def test_text_is_large_enough_and_inside_and_the_files_are_the_same_again(name, tmp_path):
    fig = FIGURES[name]()
    assert fig.get_figwidth() == pytest.approx(16 / 2.54, abs=0.01)
    saved = figures.save(fig, tmp_path / "figures", name)
    fig.draw_without_rendering()  # at the figure's own resolution again
    texts = visible_texts(fig)
    assert texts
    spatial = {t for ax in fig.axes if ax.name == "3d" for t in ax.findobj(Text)}
    for text in texts:
        assert text.get_fontsize() >= 8, text
        if text in spatial:
            continue  # its extent is that of its coordinates, not of its place on the page
        box = text.get_window_extent()
        assert box.x0 >= -1 and box.y0 >= -1, text
        assert box.x1 <= fig.bbox.x1 + 1 and box.y1 <= fig.bbox.y1 + 1, text

    before = _contents(saved)
    assert figures.save(fig, tmp_path / "figures", name) == saved
    assert _contents(saved) == before
    assert _contents(figures.save(FIGURES[name](), tmp_path, "anew")) == before


def _contents(saved):
    return [path.read_bytes() for path in saved if path is not None]


OF_IMAGES = ("samples", "image_rows", "mean_images", "reconstructions")


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_its_numbers_unless_it_shows_images(name, tmp_path):
    saved = figures.save(FIGURES[name](), tmp_path, name)
    if name.startswith(OF_IMAGES):
        assert saved.csv is None
        return
    table = pd.read_csv(saved.csv)
    assert saved.csv.name == f"{name}.csv"
    assert len(table) and len(table.columns) > 1
    assert not any(column.startswith("Unnamed") for column in table)


def test_the_numbers_of_a_map_are_its_points_and_centres(tmp_path):
    xy = np.array([[1.23456, 2], [3, 4], [5, -6]])
    fig = figures.map_centroids(xy, np.array([1, -1, 0]), ["a", "b"], xy[:2] + 1)
    table = pd.read_csv(figures.save(fig, tmp_path, "map").csv)
    assert table["cluster"].tolist() == ["b", "noise", "a", "a", "b"]
    assert table["what"].tolist() == ["image"] * 3 + ["centre"] * 2
    assert table["x"].tolist() == [1.2346, 3, 5, 2.2346, 4]
    assert table["y"].tolist() == [2, 4, -6, 3, 5]


def test_the_numbers_of_a_confusion_matrix_are_its_counts(tmp_path):
    fig = figures.confusion(np.array([[5, 0], [1, 7]]), ["a", "a"], ["x", "y"], "title")
    lines = figures.save(fig, tmp_path, "table").csv.read_text().splitlines()
    assert lines == ["cluster \\ class,x,y", "a,5,0", "a,1,7"]


def test_a_contact_sheet_has_the_name_of_each_picture(tmp_path):
    fig = FIGURES["contact_sheet"]()
    table = pd.read_csv(figures.save(fig, tmp_path, "sheet").csv)
    assert table["part"].tolist() == ["near"] * 9 + ["far"] * 2
    assert table["name"].iloc[-1] == "a/a very long name of a picture.jpeg"
    shown = all_texts(fig)
    assert {"W0.jpg", "□□.jpg", "a very lo\n…ure.jpeg", "near", "far", "$sheet$"} <= set(shown)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("ok-1.jpg", "ok-1.jpg"),
        ("ok-003.jpg", "ok-003\n.jpg"),
        ("holiday-07.jpg", "holiday-0\n7.jpg"),
        ("no suffix at all", "no suffix\n at all"),
        (".a-hidden-one", ".a-hidden\n-one"),
    ],
)
def test_a_name_below_a_picture_breaks_before_its_suffix(name, shown):
    assert sheets._short(f"folder/{name}") == shown


def test_a_long_curve_is_thinned(tmp_path):
    curve = np.linspace(0, 1, 50_001)
    fig = figures.k_distances(curve, 40_000, 0.3, 5)
    table = pd.read_csv(figures.save(fig, tmp_path, "curve").csv)
    assert figures.MOST_ON_CURVE / 2 < len(table) <= figures.MOST_ON_CURVE
    assert table["distance"].tolist() == pytest.approx(table["image"] / 50_000, rel=1e-4)


# The report draws these itself, and describes them in its own words.
OF_THE_REPORT = ("pareto", "pareto_of_one_row", "forest")


@pytest.mark.parametrize("name", [name for name in FIGURES if name not in OF_THE_REPORT])
def test_a_figure_describes_itself(name):
    caption, alt = figures.description(FIGURES[name]())
    assert caption.endswith(".") and alt.endswith(".")
    assert 20 < len(caption) < 300 and 20 < len(alt) < 300
    assert "nan" not in caption + alt and ".." not in caption + alt


def test_a_description_states_what_the_figure_shows():
    def of(name):
        return figures.description(FIGURES[name]())

    sizes = figures.class_balance(np.array([0, 2, 2], np.uint8), ["a", "b", "c"])
    assert figures.description(sizes).caption == "Images per class: from 0 (b) to 2 (c)."
    losses = of("loss_curve")
    assert "training from 0.3000 to 0.1000, validation from 0.4000 to 0.2000" in losses.caption
    assert "the validation loss falls from 0.4000 to 0.2000" in losses.alt
    assert "highest ARI is -0.030 of net$_0$ / raw / kmeans" in of("comparison").alt
    assert "the space of a: 0.300, clusters of two" in of("internal_by_space").alt
    assert "The knee proposes eps 36.00; the paper has 5." in of("k_distances").caption
    assert "highest at 3" in of("k_curve").alt
    assert "784 pixel values become 32 numbers" in of("architecture_dense").alt
    assert "at most 4 clusters are found, at eps 2.00, with 40% noise" in of("eps_strip").alt


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ([0.3, 0.2, 0.4], "falls from 0.3000 to 0.2000 in epoch 2 and ends higher, at 0.4000"),
        ([0.3, 0.2, 0.1], "falls from 0.3000 to 0.1000"),
        ([0.1, 0.2, 0.3], "is lowest in the first epoch, at 0.1000, and ends at 0.3000"),
        ([0.1], "is 0.1000"),
    ],
)
def test_the_words_for_a_validation_curve_are_its_own(losses, said):
    history = pd.DataFrame(
        {
            "epoch": range(1, 1 + len(losses)),
            "loss": np.linspace(3, 1, len(losses)),
            "validation_loss": losses,
        }
    )
    alt = figures.description(figures.loss_curve(history)).alt
    assert alt.endswith(f"the validation loss {said}.")


def test_a_map_says_how_many_neighbours_share_a_group_and_how_much_is_noise():
    xy = np.repeat([[0.0, 0.0], [9.0, 9.0]], 20, axis=0) + points(40) / 10
    groups = np.repeat([0, -1], 20)
    caption, alt = figures.description(figures.map_by_class(xy, groups, ["a"], "Title", "cluster"))
    assert caption == (
        "Title: t-SNE map of 40 images, a colour for each cluster, noise (50.0%) in grey."
    )
    assert "of an image's 10 nearest neighbours 100% have its cluster" in alt


def test_a_matched_confusion_has_the_pairs_on_its_diagonal():
    labels, clusters = np.array([0, 0, 0, 1, 1, 1]), np.array([7, 7, 3, 3, 3, 5])
    fig = figures.matched_confusion(labels, clusters, ["a", "b"], "title")
    assert fig.shown_numbers.to_numpy().tolist() == [
        ["a", 2, 0], ["b", 1, 2], ["unmatched", 0, 1],
    ]  # fmt: skip
    alt = figures.description(fig).alt
    assert "the largest confusion is 1 image of a in a cluster of b" in alt


def test_a_majority_confusion_names_the_classes_that_were_not_found():
    labels, clusters = np.array([0, 0, 0, 1]), np.array([4, 4, 2, 2])
    fig = figures.majority_confusion(labels, clusters, ["a", "b"], "title")
    assert fig.shown_numbers.to_numpy().tolist() == [["a", 2, 0], ["a", 1, 1]]
    assert "No cluster has the majority of: b." in figures.description(fig).caption
    found = figures.majority_confusion(labels, labels, ["a", "b"], "title")
    assert "Every class is the majority of some cluster." in figures.description(found).caption


def test_saved_files(tmp_path):
    svg, png, csv = figures.save(FIGURES["map_by_class"](), tmp_path, "map")
    assert (svg.name, png.name, csv.name) == ("map.svg", "map.png", "map.csv")
    with Image.open(png) as image:
        assert image.width == round(figures.WIDTH * 160)
        assert image.info["dpi"] == pytest.approx((160, 160), abs=0.1)
        assert set(image.info) == {"dpi"}
    root = ElementTree.parse(svg).getroot()
    tags = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert "text" not in tags  # letters are paths, so no font is needed
    assert "date" not in tags
    assert tags.count("image") == 1  # the points, as pixels


def test_a_forest_shows_every_value_on_its_own_axis():
    fig = figures.forest(ESTIMATES, "A study")
    assert len(fig.axes) == len(ESTIMATES)
    for ax, estimate in zip(fig.axes, ESTIMATES, strict=True):
        drawn = {round(float(x), 6) for line in ax.lines for x in line.get_xdata()}
        values = (*estimate.runs, np.mean(estimate.runs), *estimate.reported)
        assert drawn == {round(value, 6) for value in values}
        diamonds = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "D"]
        assert sorted(diamonds) == sorted(estimate.reported)
        spans = [(p.get_x(), p.get_x() + p.get_width()) for p in ax.patches]
        expected = [] if np.isnan(estimate.low) else [(estimate.low, estimate.high)]
        assert spans == [pytest.approx(span) for span in expected]
        low, high = ax.get_xlim()
        assert all(low < value < high for value in drawn)


def test_a_forest_without_saved_runs_does_not_name_them():
    said = all_texts(figures.forest(ESTIMATES[1:], "A study"))
    assert "paper" in said
    assert "authors' saved run" not in said
    assert "authors' saved run" in all_texts(figures.forest(ESTIMATES, "A study"))


def _embedded(picture):
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def test_pictures_in_an_svg_get_a_palette_where_nobody_sees_it():
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[..., 3] = np.arange(64) * 4  # black, from transparent to opaque
    faded = _embedded(Image.fromarray(pixels))
    fewer = style._with_palette(faded)
    shown = Image.open(io.BytesIO(base64.b64decode(fewer)))
    assert len(fewer) <= len(faded)
    assert np.abs(np.asarray(shown.convert("RGBA")).astype(int) - pixels)[..., 3].max() <= 8
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    colourful = _embedded(Image.fromarray(noise))
    assert style._with_palette(colourful) == colourful


def test_a_failed_save_keeps_the_old_files(tmp_path, monkeypatch):
    fig = FIGURES["class_balance"]()
    saved = figures.save(fig, tmp_path, "figure")
    before = _contents(saved)

    def fail(path, **_):
        path.write_bytes(b"half a figure")
        raise OSError("disk full")

    monkeypatch.setattr(fig, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        figures.save(fig, tmp_path, "figure")
    assert _contents(saved) == before
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in saved}


def test_pyplot_keeps_no_figure():
    import matplotlib.pyplot as plt

    FIGURES["loss_curve"]()
    FIGURES["comparison"]()
    assert plt.get_fignums() == []


@pytest.mark.parametrize("name", ["samples", "class_balance", "mean_images", "confusion"])
def test_names_are_drawn_as_they_are(name):
    texts = FIGURES[name]().findobj(Text)
    shown = {text.get_text() for text in texts if not text.get_parse_math()}
    assert set(NAMES) <= shown


# --- colours -------------------------------------------------------------------------------------

# Machado, Oliveira and Fernandes (2009), severity 1.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


def oklab(linear_rgb):
    """Ottosson (2020): a space in which distances are about as large as they look."""
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    opponents = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return opponents @ np.cbrt(cones @ linear_rgb)


def least_distance(some, others, vision):
    def seen(colours):
        rgb = np.array([mpl.colors.to_rgb(colour) for colour in colours])
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return [oklab(np.clip(VISION[vision] @ colour, 0, 1)) for colour in linear]

    pairs = itertools.product(
        zip(some, seen(some), strict=True), zip(others, seen(others), strict=True)
    )
    return min(np.linalg.norm(a - b) for (one, a), (other, b) in pairs if one != other)


@pytest.mark.parametrize("vision", VISION)
def test_ten_classes_stay_apart(vision):
    # matplotlib's default ten come to 0.007 and 0.023 with the two deficiencies.
    assert least_distance(figures.class_colours(10), figures.class_colours(10), vision) > 0.07


@pytest.mark.parametrize("vision", VISION)
def test_ten_clusters_stay_apart(vision):
    assert least_distance(figures.cluster_colours(10), figures.cluster_colours(10), vision) > 0.14


@pytest.mark.parametrize("n", [10, 30])
def test_a_cluster_is_taken_for_no_class_by_its_colour_or_its_name(n):
    assert least_distance(figures.cluster_colours(10), figures.class_colours(10), "normal") > 0.06
    assert not set(figures.cluster_colours(n)) & set(figures.class_colours(n))
    assert not set(figures.cluster_names(n)) & {str(i) for i in range(n)}


def test_maps_have_the_colours_of_what_they_show():
    groups = np.arange(6)
    for kind, colours in (("class", figures.class_colours), ("cluster", figures.cluster_colours)):
        drawn = figures.map_by_class(points(6), groups, NAMES, "", kind)
        view = figures.view_3d(cloud(6), groups, NAMES, "", kind)
        assert list(legend_of(drawn)[1].values()) == colours(6)
        assert list(legend_of(view)[1].values()) == colours(6)


def test_a_class_has_one_colour_whatever_the_number_of_classes():
    assert figures.class_colours(10)[:4] == figures.class_colours(4)
    assert len(set(figures.class_colours(30))) == 30


# --- each figure ---------------------------------------------------------------------------------


def test_samples_has_a_row_for_each_class_and_leaves_missing_images_white():
    shown = np.full((5, 4, 4), 7, dtype=np.uint8)
    fig = figures.samples(shown, np.array([0, 0, 0, 1, 0]), ["a", "b"], per_class=3)
    (ax,) = fig.axes
    sheet = ax.images[0].get_array()
    assert sheet.shape == (2 * 4 + 1, 3 * 4 + 2)
    assert (sheet == 7).sum() == 4 * 16  # three of class a, one of class b
    assert (sheet[5:, 5:] == 255).all()
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b"]


def test_class_balance_counts():
    fig = figures.class_balance(np.array([0, 2, 2], dtype=np.uint8), ["a", "b", "c"])
    assert [bar.get_width() for bar in fig.axes[0].patches] == [1, 0, 2]
    colours = [mpl.colors.to_hex(bar.get_facecolor()) for bar in fig.axes[0].patches]
    assert colours == figures.class_colours(3)


def test_mean_images():
    pixels = np.stack([np.full((2, 2), value, np.uint8) for value in (10, 20, 200)])
    fig = figures.mean_images(pixels, np.array([0, 0, 2]), list("abcdef"))
    assert [ax.get_title() for ax in fig.axes] == [*"abcdef", "", "", "", ""]
    assert [ax.images[0].get_array().max() if ax.images else None for ax in fig.axes[:3]] == [
        15,
        None,
        200,
    ]


def test_confusion_shows_every_count_and_shades_by_share_of_the_row():
    matrix = np.array([[90, 10], [0, 4], [0, 0]])
    fig = figures.confusion(matrix, ["a", "b", "c"], ["x", "y"], "title")
    ax, bar = fig.axes
    assert bar.get_ylabel() == "colour: share of the row"
    assert "its colour is their share of the row" in figures.description(fig).caption
    assert [text.get_text() for text in ax.texts] == ["90", "10", "0", "4", "0", "0"]
    shades = ax.collections[0].get_array().reshape(3, 2)
    np.testing.assert_allclose(shades, [[0.9, 0.1], [0, 1], [0, 0]])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b", "c"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["x", "y"]
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("title", "class", "cluster")


def test_confusion_too_large_for_counts_has_a_bar_of_shades():
    names = [str(i) for i in range(25)]
    fig = figures.confusion(np.full((25, 25), 54321), names, names, "")
    heat_map, bar = fig.axes
    assert not heat_map.texts
    assert bar.get_ylabel() == "colour: share of the row"


def boxes_of(fig):
    return [patch for patch in fig.axes[0].patches if isinstance(patch, Rectangle)]


def test_architecture_draws_a_box_for_each_layer():
    layers = convolutions(12)
    fig = figures.architecture(layers)
    boxes = boxes_of(fig)
    assert len(boxes) == 12
    widths = [box.get_width() for box in boxes]
    heights = [box.get_height() for box in boxes]
    assert widths[:6] == sorted(widths[:6], reverse=True)
    assert heights[:6] == sorted(heights[:6])
    assert widths[6:] == widths[:6][::-1]
    texts = all_texts(fig)
    assert "ConvTranspose2d 3×3" in texts
    assert "4×16×16 · 4,000 parameters" in texts
    assert "latent: 32×2×2 = 128 values" in texts
    assert texts.count("63,000 parameters") == 2


def test_architecture_of_dense_layers():
    fig = figures.architecture(dense(784, 128, 64, 32, 64, 128, 784))
    assert len(boxes_of(fig)) == 7
    assert "latent: 32 values" in all_texts(fig)


def test_architecture_writes_activations_into_the_block_before():
    layers = [
        {"part": "encoder", "layer": "Conv2d 3×3", "output_shape": (4, 8, 8), "parameters": 40},
        {"part": "encoder", "layer": "BatchNorm2d", "output_shape": (4, 8, 8), "parameters": 8},
        {"part": "encoder", "layer": "ReLU", "output_shape": (4, 8, 8), "parameters": 0},
        {"part": "encoder", "layer": "Conv2d 3×3", "output_shape": (4, 8, 8), "parameters": 148},
        {"part": "decoder", "layer": "Conv2d 3×3", "output_shape": (4, 8, 8), "parameters": 148},
    ]
    fig = figures.architecture(layers)
    assert len(boxes_of(fig)) == 3
    texts = all_texts(fig)
    assert "BatchNorm2d, ReLU" in texts
    assert "4×8×8 · 48 parameters" in texts


@pytest.mark.parametrize("columns", [["loss"], ["loss", "validation_loss"]])
def test_loss_curve(columns):
    history = pd.DataFrame({"epoch": [1, 2, 3], **{c: [3.0, 2.0, 1.0] for c in columns}})
    (ax,) = figures.loss_curve(history).axes
    assert [list(line.get_xdata()) for line in ax.lines] == [[1, 2, 3]] * len(columns)
    assert (ax.get_legend() is not None) == (len(columns) == 2)


@pytest.mark.parametrize("colour", [False, True])
def test_reconstructions_may_be_larger_than_the_originals(colour):
    large = images(4, colour).repeat(8, axis=1).repeat(8, axis=2)
    fig = figures.reconstructions(images(4, colour), large)
    titles = [ax.get_yticklabels()[0].get_text() for ax in fig.axes]
    assert titles == ["original", "reconstruction"]
    np.testing.assert_array_equal(fig.axes[1].images[0].get_array()[:64, :64], large[0])


def test_to_images():
    grey = np.array([[[[0.0, 0.5], [1.0, 1.5]]]], dtype=np.float32)
    np.testing.assert_array_equal(figures.to_images(grey), [[[0, 128], [255, 255]]])
    assert figures.to_images(grey).dtype == np.uint8
    colour = np.random.default_rng(0).random((2, 3, 4, 5), dtype=np.float32)
    turned = figures.to_images(colour)
    assert turned.shape == (2, 4, 5, 3)
    assert turned[1, 2, 3, 0] == round(float(colour[1, 0, 2, 3]) * 255)


def legend_of(fig):
    (legend,) = fig.legends
    texts = [text.get_text() for text in legend.get_texts()]
    colours = [mpl.colors.to_hex(handle.get_color()) for handle in legend.legend_handles]
    return legend.get_title().get_text(), dict(zip(texts, colours, strict=True))


def test_map_legend_lists_what_is_there_in_the_colours_of_the_points():
    values = np.array([3, 1, -1, 1, 3, 3], dtype=np.int32)
    fig = figures.map_by_class(points(6), values, NAMES, "title", "class")
    title, entries = legend_of(fig)
    assert title == "class"
    assert list(entries) == [NAMES[1], NAMES[3], "noise"]
    (dots,) = fig.axes[0].collections
    assert dots.get_rasterized()
    drawn = {}
    for place, colour in zip(dots.get_offsets(), dots.get_facecolors(), strict=True):
        drawn[tuple(np.float32(place))] = mpl.colors.to_hex(colour)
    for place, value in zip(points(6), values, strict=True):
        assert drawn[tuple(place)] == entries[NAMES[value] if value >= 0 else "noise"]


@pytest.mark.parametrize("axes", ["t-SNE", "UMAP"])
def test_the_axes_of_a_map_name_what_made_it(axes):
    chosen = {} if axes == "t-SNE" else {"axes": axes}
    (ax,) = figures.map_by_class(points(6), labels(6, 2), NAMES, "title", "class", **chosen).axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == (f"{axes} 1", f"{axes} 2")


def test_a_name_that_begins_with_an_underscore_is_in_the_legend():
    _, entries = legend_of(FIGURES["map_by_class"]())
    assert list(entries) == NAMES


def test_centroids_are_marked_and_named():
    centres = np.array([[1.0, 2], [3, 4]])
    fig = figures.map_centroids(points(6), labels(6, 2), ["first", "second"], centres)
    marks = fig.axes[0].texts
    assert [mark.get_text() for mark in marks] == ["first", "second"]
    np.testing.assert_array_equal([mark.xy for mark in marks], centres)


def test_density_is_drawn_without_ticks():
    (ax,) = figures.map_density(points(60)).axes
    assert ax.collections
    assert len(ax.get_xticks()) == len(ax.get_yticks()) == 0


def test_comparison_keeps_internal_indices_apart():
    frame = metrics_frame(3)
    fig = figures.comparison(frame)
    with_labels, silhouette, davies_bouldin = fig.axes
    assert len(with_labels.patches) == 9
    assert sorted(bar.get_height() for bar in silhouette.patches) == [0.043] * 3
    assert sorted(bar.get_height() for bar in davies_bouldin.patches) == [3.0] * 3
    texts = all_texts(fig)
    assert any("not comparable between representations" in text for text in texts)
    assert texts.count("−0.03") == texts.count("0.50") == texts.count("0.043") == 3
    assert [text.get_text() for text in fig.legends[0].get_texts()] == list(frame.index)


def test_comparison_leaves_a_gap_for_a_missing_value():
    frame = metrics_frame()
    frame.loc[frame.index[0], "silhouette"] = np.nan
    fig = figures.comparison(frame)
    texts = all_texts(fig)
    assert texts.count("0.043") == 1
    assert "nan" not in texts


def test_internal_indices_by_space_are_shaded_within_each_space():
    left, right = figures.internal_by_space(spaces_frame()).axes
    np.testing.assert_allclose(left.images[0].get_array(), [[0, 1], [1, 0]])
    np.testing.assert_allclose(right.images[0].get_array()[:, 0], [0, 1])
    assert [text.get_text() for text in left.texts] == ["0.100", "7.000", "0.300", "5.000"]
    assert [text.get_text() for text in right.texts] == ["2.000", "5.000", "1.000", "–"]


# --- DBSCAN and three dimensions -----------------------------------------------------------------


def test_the_knee_and_the_published_radius_are_named():
    texts = all_texts(figures.k_distances(np.arange(9.0) ** 2, 6, 5.0, k=5))
    assert "knee: eps 36.00" in texts
    assert "published: eps 5" in texts


def test_the_strip_has_a_panel_for_clusters_noise_and_ari():
    fig = figures.eps_strip(strip_frame())
    assert [ax.get_ylabel() for ax in fig.axes] == ["clusters", "share of noise", "ARI"]
    assert [len(ax.lines) for ax in fig.axes] == [1, 1, 2]


def test_a_count_has_whole_numbers_from_0_on_its_axis():
    clusters, noise, ari = figures.eps_strip(
        strip_frame().assign(k_found=1, noise_fraction=0.0, ari=0.0, ari_covered=0.0)
    ).axes
    low, high = clusters.get_ylim()
    shown = [tick for tick in clusters.get_yticks() if low <= tick <= high]
    assert low == 0 and shown == [0, 1]
    assert noise.get_ylim()[1] > 1
    assert ari.get_ylim()[1] >= 0.1


def test_three_dimensions_are_the_first_three_with_numbered_centres():
    points = cloud(60)
    fig = figures.view_3d(points, labels(60), NAMES, "", "cluster", centres=cloud(6))
    ax = fig.axes[0]
    drawn = np.sort(np.array(ax.collections[0]._offsets3d).T, axis=0)
    np.testing.assert_allclose(drawn, np.sort(points[:, :3], axis=0))
    assert set(NAMES) <= {text.get_text() for text in ax.texts}


@pytest.mark.parametrize(
    ("constant", "drawn", "said"),
    [
        ([1], "134", "Dimension 2 is the same for all images."),
        ([0, 2], "245", "Dimensions 1 and 3 are the same for all images."),
        ([4], "123", "Dimension 5 is the same for all images."),
        ([0, 1, 3, 4], "123", "Of 5 dimensions 4 are the same for all images."),
    ],
)
def test_a_dimension_that_is_constant_is_not_drawn_if_three_vary(constant, drawn, said):
    points = cloud(60)
    points[:, constant] = 2
    fig = figures.view_3d(points, labels(60), NAMES, "Title", "class")
    ax = fig.axes[0]
    shown = [axis.get_label_text()[-1] for axis in (ax.xaxis, ax.yaxis, ax.zaxis)]
    assert shown == list(drawn)
    assert all(np.ptp(limits) >= 1 for limits in (ax.get_xlim(), ax.get_ylim(), ax.get_zlim()))
    caption, alt = figures.description(fig)
    assert caption.endswith(said)
    assert "nan" not in alt


def test_points_that_are_all_the_same_can_be_drawn():
    fig = figures.view_3d(np.ones((9, 4), np.float32), labels(9), NAMES, "", "class")
    assert "have 0% of the variance" in figures.description(fig).alt


# --- quality and time ----------------------------------------------------------------------------


def test_the_front_is_joined_numbered_by_time_and_named():
    shuffled = CROWDED.iloc[::-1]
    fig = figures.pareto(shuffled, CROWDED_FRONT[::-1], "title")
    (ax,) = fig.axes
    assert ax.get_xscale() == "log"
    (line,) = [line for line in ax.lines if line.get_linestyle() == "-"]
    np.testing.assert_array_equal(line.get_xdata(), [1, 1.01, 1.02, 9, 300])
    np.testing.assert_array_equal(line.get_ydata(), [0.1, 0.11, 0.12, 0.5, 0.51])
    assert [(text.get_text(), *text.xy) for text in ax.texts[:2]] == [
        ("1", 1, 0.1),
        ("2", 1.01, 0.11),
    ]
    named = [text.get_text() for text in fig.legends[0].get_texts()]
    assert named[:3] == [
        "number of clusters given",
        "number of clusters found",
        "1  net$_0$, UMAP 10, k-means",
    ]
    assert len(named) == 2 + 5
    drawn = sorted(x for points in ax.lines if points is not line for x in points.get_xdata())
    assert drawn == sorted(CROWDED["seconds"])


def test_numbers_of_close_points_do_not_touch(tmp_path):
    fig = FIGURES["pareto"]()
    figures.save(fig, tmp_path, "pareto")  # after which the layout stays
    fig.draw_without_rendering()
    boxes = [text.get_window_extent() for text in fig.axes[0].texts]
    assert len(boxes) == 5
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert max(box.y1 for box in boxes) <= fig.axes[0].get_window_extent().y1 + 1


def test_a_long_name_below_the_front_stays_on_the_page():
    named = "deskewed+deskewed_hog+contrastive"
    fig = figures.pareto(
        board([3], [0.5]).assign(representation=named, clusterer="gmm+self_label"),
        np.array([True]),
        "title",
    )
    fig.draw_without_rendering()
    assert fig.legends[0].get_window_extent().x1 <= fig.bbox.x1


def test_intervals_are_drawn_where_there_are_any():
    (ax,) = FIGURES["pareto"]().axes
    ends = np.array([path.vertices[:, 1] for bars in ax.collections for path in bars.get_paths()])
    assert sorted(ends[:, 0]) == sorted(CROWDED["ari_low"])
    assert ax.get_ylabel() == "ARI (mean and interval over seeds)"
    assert FIGURES["pareto_of_one_row"]().axes[0].get_ylabel() == "ARI"
