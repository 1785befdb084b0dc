"""The small figures of a published run."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from report import article_figures
from report.forests import draw_forests
from report.published import Published
from utils import errors

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
# Of all studies together.
LEADS = ("all-scores", "slopes")
WIDEST = 900  # pixels
COLOURS = 128
LARGEST_FIGURES = 2_500_000  # bytes, all together


def write_figures(run: Published, report: Path, published: Path, target: Path) -> None:
    """Write each figure small, with the seeds of all parts where the report draws it itself.

    Parameters
    ----------
    run : Published
    report, published : Path
        Folders of the built report and of the run published before, from which a figure is taken.
    target : Path
        Folder for the figures; must not exist.
    """
    topics = [*run.record["studies"], *run.record.get("leaderboards", [])]
    with tempfile.TemporaryDirectory() as drawn:
        # The report's own have this run's seeds alone.
        draw_forests(run.studies, run.metrics, run.verdicts, Path(drawn) / "figures")
        article_figures.draw(run, run.studies, [], Path(drawn), LEADS)
        names = [f"{topic}-{name}.png" for topic in topics for name in FIGURES]
        names += [f"{name}.png" for name in LEADS]
        _write_small((Path(drawn), report), published, names, target)


def _write_small(fresh: Sequence[Path], published: Path, names: list[str], target: Path) -> None:
    """Write each figure from the first of the folders that has it."""
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
