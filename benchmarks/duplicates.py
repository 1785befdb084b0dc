"""Near duplicates found among photographs and among pictures that are no copies."""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from utils.data import datasets, picture_files, picture_reading
from utils.representations import pretrained
from utils.runs import near_duplicates, picture_features

TILE, PHOTO_TILES = 192, 8
CIFAR_SIDE, CIFAR_PICTURES = 160, 1900
QUALITY = 90
DIGITS, DRAWN, DARK = 1000, 80, 40
ORIGINAL = "original"


class Folder(NamedTuple):
    """Pictures as files; those of one source are copies of each other."""

    files: list[bytes]
    sources: list[int]
    kinds: list[str]


def _cropped(picture: Image.Image, share: float) -> Image.Image:
    """Cut a share of the width and of the height off at each side."""
    width, height = picture.size
    x, y = round(width * share), round(height * share)
    return picture.crop((x, y, width - x, height - y))


def _watermarked(picture: Image.Image) -> Image.Image:
    marked = picture.copy()
    size = max(8, picture.width // 8)
    ImageDraw.Draw(marked).text(
        (picture.width // 20, picture.height - 2 * size), "SAMPLE", fill="white", font_size=size
    )
    return marked


# By kind, how a copy is made, and as what file: JPEG of a quality, or PNG.
KINDS: dict[str, tuple[Callable[[Image.Image], Image.Image], int | None]] = {
    "crop 5 %": (lambda p: _cropped(p, 0.05), QUALITY),
    "crop 10 %": (lambda p: _cropped(p, 0.10), QUALITY),
    "mirror": (ImageOps.mirror, QUALITY),
    "turn 90°": (lambda p: p.transpose(Image.Transpose.ROTATE_90), QUALITY),
    "turn 180°": (lambda p: p.transpose(Image.Transpose.ROTATE_180), QUALITY),
    "brighter": (lambda p: ImageEnhance.Brightness(p).enhance(1.3), QUALITY),
    "less contrast": (lambda p: ImageEnhance.Contrast(p).enhance(0.6), QUALITY),
    "grey": (lambda p: p.convert("L"), QUALITY),
    "half size": (lambda p: p.resize((p.width // 2, p.height // 2)), QUALITY),
    "JPEG quality 30": (lambda p: p, 30),
    "blurred": (lambda p: p.filter(ImageFilter.GaussianBlur(1)), QUALITY),
    "PNG": (lambda p: p, None),
    "border": (lambda p: ImageOps.expand(p, p.width // 20, "white"), QUALITY),
    "watermark": (_watermarked, QUALITY),
}


def encoded(picture: Image.Image, quality: int | None) -> bytes:
    """Return a picture as a JPEG file of a quality, or as a PNG file."""
    file = io.BytesIO()
    if quality is None:
        picture.save(file, "PNG")
    else:
        picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def copy_of(original: bytes, kind: str) -> bytes:
    """Make a copy from an original's file."""
    change, quality = KINDS[kind]
    return encoded(change(Image.open(io.BytesIO(original)).convert("RGB")), quality)


def photo_tiles() -> Iterator[Image.Image]:
    """Cut up to eight separate tiles from each photograph of scikit-image and scikit-learn."""
    from skimage import data
    from sklearn.datasets import load_sample_images

    names = ("astronaut", "camera", "chelsea", "coffee", "coins", "hubble_deep_field", "rocket")
    photos = [getattr(data, name)() for name in names]
    photos += [data.stereo_motorcycle()[0], *load_sample_images().images]
    for photo in photos:
        picture = Image.fromarray(photo).convert("RGB")
        tops = range(0, picture.height - TILE + 1, TILE)
        lefts = range(0, picture.width - TILE + 1, TILE)
        corners = [(left, top) for top in tops for left in lefts]
        for left, top in corners[:: -(-len(corners) // PHOTO_TILES)]:
            yield picture.crop((left, top, left + TILE, top + TILE))


def photographs() -> Folder:
    """Make a folder of tiles of photographs, each with a copy of every kind."""
    folder = Folder([], [], [])
    for number, tile in enumerate(photo_tiles()):
        original = encoded(tile, QUALITY)
        folder.files.extend([original, *(copy_of(original, kind) for kind in KINDS)])
        folder.sources.extend([number] * (1 + len(KINDS)))
        folder.kinds.extend([ORIGINAL, *KINDS])
    return folder


def cifar10() -> Folder:
    """Make a folder of CIFAR-10's images, enlarged; of a third of them there is one copy each."""
    images = datasets.load("cifar10").images
    with_copy = CIFAR_PICTURES // 3 // len(KINDS) * len(KINDS)
    drawn = np.random.default_rng(0).choice(len(images), CIFAR_PICTURES - with_copy, replace=False)
    folder = Folder([], [], [])
    size = (CIFAR_SIDE, CIFAR_SIDE)
    for number, row in enumerate(drawn):
        original = encoded(
            Image.fromarray(images[row]).resize(size, Image.Resampling.LANCZOS), QUALITY
        )
        kinds = [ORIGINAL]
        folder.files.append(original)
        if number < with_copy:
            kinds.append(list(KINDS)[number % len(KINDS)])
            folder.files.append(copy_of(original, kinds[1]))
        folder.sources.extend([number] * len(kinds))
        folder.kinds.extend(kinds)
    return folder


def _all_different(pictures: Iterator[Image.Image]) -> Folder:
    files = [encoded(picture, None) for picture in pictures]
    return Folder(files, list(range(len(files))), [ORIGINAL] * len(files))


def digits() -> Folder:
    """Make a folder of MNIST's first images; all are different."""
    return _all_different(map(Image.fromarray, datasets.load("mnist").images[:DIGITS]))


def icons() -> Folder:
    """Draw white icons of three shapes each on a transparent ground; all are different."""

    def drawn(number: int) -> Image.Image:
        random = np.random.default_rng(number)
        icon = Image.new("RGBA", (96, 96), (255, 255, 255, 0))
        draw = ImageDraw.Draw(icon)
        for x, y in random.integers(4, 60, (3, 2)).tolist():
            shape = draw.ellipse if number % 2 else draw.rectangle
            shape((x, y, x + 30, y + 30), fill="white")
        return icon

    return _all_different(map(drawn, range(DRAWN)))


def receipts() -> Folder:
    """Draw pages with lines of small print, from the same place on; all are different."""

    def drawn(number: int) -> Image.Image:
        random = np.random.default_rng(number)
        page = Image.new("L", (600, 900), 255)
        draw = ImageDraw.Draw(page)
        for y in range(60, int(random.integers(200, 840)), 24):
            letters = random.integers(ord("A"), ord("Z") + 1, random.integers(4, 30))
            draw.text((60, y), "".join(map(chr, letters)), fill=0)
        return page

    return _all_different(map(drawn, range(DRAWN)))


def dark_pictures() -> Folder:
    """Darken images of CIFAR-10 to a twenty-fifth; all are different."""
    images = datasets.load("cifar10").images[:DARK]
    return _all_different(map(Image.fromarray, (images // 25).astype(np.uint8)))


FOLDERS: dict[str, Callable[[], Folder]] = {
    "photographs": photographs,
    "CIFAR-10": cifar10,
    "MNIST's digits": digits,
    "icons": icons,
    "receipts": receipts,
    "dark pictures": dark_pictures,
}


def found_in(folder: Folder) -> tuple[pd.DataFrame, float]:
    """Search a folder as `run_all.sh images` does; return the groups, and the search's time."""
    network = pretrained.load_backbone("efficientnet_lite0")
    with tempfile.TemporaryDirectory() as name:
        for number, content in enumerate(folder.files):
            suffix = "jpg" if content.startswith(b"\xff\xd8") else "png"
            (Path(name) / f"{number:05}.{suffix}").write_bytes(content)
        found = picture_files.find(Path(name))
        collected = picture_features.collect(found, network)

        def read(rows: np.ndarray, side: int) -> np.ndarray:
            paths = [found.path(collected.usable[row]) for row in rows]
            whole = picture_reading.read_whole
            return np.stack(picture_reading.read_many(paths, side, os.cpu_count() or 1, how=whole))

        started = time.process_time()
        groups = near_duplicates.find(collected.features, collected, read)
        return groups, time.process_time() - started


def recall_by_kind(folder: Folder, groups: pd.DataFrame) -> dict[str, float]:
    """Return the share of the copies of each kind that lead to their original by groups."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    kept = groups[groups["keep"] == "yes"].set_index("group")["row"]
    one, other = groups["row"].to_numpy(), groups["group"].map(kept).to_numpy()
    n = len(folder.files)
    links = coo_array((np.ones(len(one)), (one, other)), shape=(n, n))
    together = connected_components(links, directed=False)[1]
    kinds, sources = np.array(folder.kinds), np.array(folder.sources)
    originals = np.flatnonzero(kinds == ORIGINAL)
    is_found = together == together[originals[sources]]
    return {kind: float(is_found[kinds == kind].mean()) for kind in KINDS if kind in folder.kinds}


def wrong_copies(folder: Folder, groups: pd.DataFrame) -> int:
    """Count pictures that are no copies of the one kept of their group."""
    kept = groups[groups["keep"] == "yes"].set_index("group")["row"]
    sources = np.array(folder.sources)
    return int((sources[groups["row"]] != sources[groups["group"].map(kept)]).sum())


def run() -> dict[str, Any]:
    recalls, folders = {}, []
    for name, make in FOLDERS.items():
        folder = make()
        groups, seconds = found_in(folder)
        n_copies = sum(kind != ORIGINAL for kind in folder.kinds)
        row = {"folder": name, "pictures": len(folder.files), "copies": n_copies, "found": ""}
        if n_copies:
            recalls[name] = recall_by_kind(folder, groups)
            met = sum(recalls[name][kind] * folder.kinds.count(kind) for kind in KINDS)
            row["found"] = round(met / n_copies, 3)
        row |= {"called copies": int((groups["keep"] == "no").sum())}
        row |= {
            "of another picture": wrong_copies(folder, groups),
            "processor seconds": round(seconds, 1),
        }
        folders.append(row)
        print(f"  {row}", flush=True)
    rows = [
        {"kind of copy": kind} | {name: round(recalls[name][kind], 3) for name in recalls}
        for kind in KINDS
    ]
    return {
        "what": "copies that are found, by kind: of tiles of photographs (scikit-image, "
        "scikit-learn), each with a copy of every kind, and of CIFAR-10's images, one copy each",
        "rows": rows,
        "folders": folders,
    }


def tables(found: dict[str, Any]) -> str:
    """Return what was found as Markdown tables: by kind of copy, and by folder."""
    said = found["what"]
    parts = [f"{said[:1].upper()}{said[1:]}."]
    for rows in (found["rows"], found["folders"]):
        columns = list(rows[0])
        lines = ["| " + " | ".join(columns) + " |", "| :-- |" + " --: |" * (len(columns) - 1)]
        lines += [
            "| " + " | ".join(_shown(row[column]) for column in columns) + " |" for row in rows
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _shown(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:,}"
