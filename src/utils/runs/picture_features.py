"""Features of a person's own pictures, computed and stored chunk by chunk."""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from utils import places
from utils.data import picture_files
from utils.data.picture_files import Found, printable
from utils.store.cache import load_or_compute

if TYPE_CHECKING:
    from utils.representations.pretrained import Backbone

# Files per checkpoint; a killed run loses at most this many.
CHUNK = 256
THUMB, SHOWN_SIDE = 32, 128  # pixels


def collect(
    found: Found, network: Backbone, topic: str
) -> tuple[np.ndarray, dict[int, str], np.ndarray, np.ndarray]:
    """Compute the features of all files, chunk by chunk; each chunk is stored.

    Returns
    -------
    usable : ndarray of int, shape (N,)
        Positions of the readable pictures in `found.names`.
    reasons : dict of int to str
        Why each other file cannot be used, by its position.
    features : ndarray of float32, shape (N, D)
    thumbs : ndarray of uint8, shape (N, 32, 32, 3)
    """
    total = len(found.names)
    features = thumbs = None
    began, done_now = time.monotonic(), 0
    usable: list[int] = []
    reasons: dict[int, str] = {}
    first_with: dict[bytes, int] = {}
    for start in range(0, total, CHUNK):
        rows = range(start, min(start + CHUNK, total))
        chunk, was_stored = _chunk(found, rows, network, topic)
        answers = json.loads(chunk["reasons"].tobytes())
        good = [row for row, reason in zip(rows, answers, strict=True) if reason is None]
        reasons |= {row: reason for row, reason in zip(rows, answers, strict=True) if reason}
        if features is None:
            # In one piece from the start: joining the chunks would need twice the memory.
            features = np.empty((total, chunk["features"].shape[1]), np.float32)
            thumbs = np.empty((total, THUMB, THUMB, 3), np.uint8)
        place = slice(len(usable), len(usable) + len(good))
        features[place], thumbs[place] = chunk["features"], chunk["thumbs"]
        # Pictures of the same pixels have the same features to the last bit, whatever the batch.
        for row, digest in enumerate(chunk["digests"], start=len(usable)):
            features[row] = features[first_with.setdefault(digest.tobytes(), row)]
        usable += good
        done_now += 0 if was_stored else len(rows)
        seconds = time.monotonic() - began
        print(_progress(rows.stop, total, len(reasons), done_now, seconds), flush=True)
    return np.array(usable, dtype=int), reasons, features[: len(usable)], thumbs[: len(usable)]


def _progress(done: int, total: int, left_out: int, done_now: int, seconds: float) -> str:
    """Describe the progress; the time left is estimated from files that were not stored."""
    text = f"features {done:,}/{total:,}, {left_out:,} left out"
    if done_now:
        speed = done_now / seconds
        text += f", {speed:.0f} images a second, about {(total - done) / speed / 60:.0f} min left"
    return text


def _chunk(
    found: Found, rows: range, network: Backbone, topic: str
) -> tuple[dict[str, np.ndarray], bool]:
    """Return features, thumbnails and reasons of some files, and whether they were stored."""
    recipe = {"files": _state_of(found, rows), "network": network.name, "weights": network.weights}
    recipe["holds"] = ["features", "thumbs", "digests", "reasons"]
    computed = []

    def compute() -> dict[str, np.ndarray]:
        computed.append(rows)
        return _compute_chunk(found, rows, network)

    name = f"{topic}-features-{rows.start}"
    code = ("utils.data.picture_files", "utils.representations.pretrained")
    return load_or_compute(name, recipe, code, compute, places.cache()), not computed


def _state_of(found: Found, rows: range) -> str:
    """Hash the paths, sizes and times of a chunk's files, so that a changed file is noticed."""
    digest = hashlib.sha256()
    for row in rows:
        path = found.path(row)
        digest.update(os.fsencode(path) + b"\0")
        try:
            state = path.stat()
        except (OSError, ValueError):
            continue  # no such file or no possible name: reading it gives the reason
        digest.update(f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} ".encode())
    return digest.hexdigest()


def _compute_chunk(found: Found, rows: range, network: Backbone) -> dict[str, np.ndarray]:
    from PIL import Image

    from utils.representations import pretrained

    paths = [found.path(row) for row in rows]
    read = picture_files.read_many(paths, network.side, os.cpu_count() or 1)
    good = [picture for picture in read if isinstance(picture, np.ndarray)]
    reasons = [str(file) if isinstance(file, picture_files.Unreadable) else None for file in read]
    if good:
        features = pretrained.features(network, np.stack(good))
    else:
        shape = (1, network.side, network.side, 3)
        features = pretrained.features(network, np.zeros(shape, np.uint8))[:0]
    small = [
        np.asarray(Image.fromarray(picture).resize((THUMB, THUMB), Image.Resampling.BOX))
        for picture in good
    ]
    thumbs = np.stack(small) if small else np.empty((0, THUMB, THUMB, 3), np.uint8)
    digests = [hashlib.blake2b(picture.tobytes(), digest_size=16).digest() for picture in good]
    return {
        "features": features,
        "thumbs": thumbs,
        "digests": np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16),
        "reasons": np.frombuffer(json.dumps(reasons).encode(), np.uint8),
    }


def left_out(found: Found, reasons: dict[int, str]) -> pd.DataFrame:
    """List what could not be used, folders first: columns ``path`` and ``reason``."""
    files = {found.names[row]: reasons[row] for row in sorted(reasons)}
    entries = [(printable(name), why) for name, why in (found.unlisted | files).items()]
    return pd.DataFrame(entries, columns=["path", "reason"])
