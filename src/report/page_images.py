"""The images of an HTML page: how they are shown, and what is loaded of them."""

from __future__ import annotations

import io
import re
from pathlib import Path

from utils.store import files

# An image in Markdown, as `templates` writes it: the end of its caption, its file and its name.
IMAGE = re.compile(r"\]\((figures/[^)]+)\)\{#(fig-[A-Za-z0-9_.:-]+) ")
# As Matplotlib begins a drawing.
DRAWN_SIZE = re.compile(r'<svg [^>]*?\bwidth="([\d.]+)pt" height="([\d.]+)pt"')
PIXELS = b"<image"
QUALITY = 85
# A picture is worth a copy if the copy has less than this share of its bytes.
MUCH_SMALLER = 0.5
SAVED_AS = ("svg", "png", "csv")
POINT = 4 / 3  # CSS pixels


def prepare(text: str, folder: Path, is_one_file: bool) -> str:
    """Let a page's images say what they are, and take the lightest file of each.

    Drawings of numbers are told apart from pictures, which show images: a dark page may turn
    drawings over. Images keep their place until they are loaded, which is when they come near,
    but for the first one of a page of one file. Those beside the page have links to their files.

    Parameters
    ----------
    text : str
        In pandoc's Markdown; image files are relative to `folder`.
    folder : Path
        Of the report, into whose folder ``figures`` lighter copies are written.
    is_one_file : bool
        Whether the page has its images in itself.
    """
    first = min((found.start() for found in IMAGE.finditer(text)), default=0)

    def prepared(found: re.Match[str]) -> str:
        shown = folder / found[1]
        kind = "picture" if _has_pixels(shown) and not _has_numbers(shown) else "drawing"
        lightest = _lightest(shown) if _has_pixels(shown) else shown
        width, height = _size(shown)
        is_late = not is_one_file or found.start() > first
        attributes = f"#{found[2]} .{kind}" + (' loading="lazy"' if is_late else "")
        attributes += f' width="{width}" height="{height}"'
        links = "" if is_one_file else _links(shown)
        return f"{links}](figures/{lightest.name}){{{attributes} "

    return IMAGE.sub(prepared, text)


def _has_pixels(path: Path) -> bool:
    return path.suffix != ".svg" or PIXELS in path.read_bytes()


def _has_numbers(path: Path) -> bool:
    """Whether a figure draws numbers, which lie beside it, such as points that became pixels."""
    return path.with_suffix(".csv").is_file()


def _lightest(shown: Path) -> Path:
    """Return a copy as WebP if it is much smaller, else the file itself."""
    from PIL import Image

    png, copy = shown.with_suffix(".png"), shown.with_suffix(".webp")
    if not png.is_file():
        return shown
    made = io.BytesIO()
    with Image.open(png) as picture:
        picture.convert("RGB").save(made, "WEBP", quality=QUALITY, method=6)
    if len(made.getvalue()) > MUCH_SMALLER * shown.stat().st_size:
        return shown
    with files.atomic_path(copy) as temporary:
        temporary.write_bytes(made.getvalue())
    return copy


def _size(shown: Path) -> tuple[int, int]:
    """Return width and height on the page, in CSS pixels; a drawing says them in points."""
    from PIL import Image

    drawing = shown.with_suffix(".svg")
    if drawing.is_file():
        with drawing.open(encoding="utf-8") as file:
            found = DRAWN_SIZE.search(file.read(4096))
        if found:
            return round(POINT * float(found[1])), round(POINT * float(found[2]))
    with Image.open(shown.with_suffix(".png")) as picture:
        return picture.size


def _links(shown: Path) -> str:
    """Write links to the files of a figure, which lie beside the page."""
    kept = [shown.with_suffix(f".{kind}") for kind in SAVED_AS]
    links = [
        f'[{path.suffix[1:].upper()}](figures/{path.name}){{download="{path.name}"}}'
        for path in kept
        if path.is_file()
    ]
    return f" [{' '.join(links)}]{{.downloads}}"
