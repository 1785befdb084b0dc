"""Features of a person's own pictures, computed once for the content of a file."""

from __future__ import annotations

import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from utils import places
from utils.data import picture_reading
from utils.data.picture_files import Found, printable
from utils.data.picture_reading import DIGEST_BYTES, MOST_PIXELS, Unreadable
from utils.runs import picture_quality
from utils.runs.picture_store import PictureStore, digest_of, state_of
from utils.store.fingerprints import fingerprint, library_versions, source_fingerprint

if TYPE_CHECKING:
    from utils.data.picture_embeddings import Embeddings
    from utils.data.picture_reading import Decoded
    from utils.representations.pretrained import Backbone

# Pictures per checkpoint; a killed run loses at most this many. A multiple of the network's batch.
CHUNK = 256
THUMB, SMALL, SHOWN_SIDE = 32, 64, 128  # pixels
# Of pictures whose features somebody else computed.
SIDE_WITHOUT_NETWORK = 128
_CODE = (
    "utils.data.picture_reading",
    "utils.representations.pretrained",
    "utils.runs.picture_quality",
)
_COLUMNS = {
    "thumbs": ((THUMB, THUMB, 3), np.uint8),
    "square_digest": ((DIGEST_BYTES,), np.uint8),
    "file_digest": ((DIGEST_BYTES,), np.uint8),
    "pixel_digest": ((DIGEST_BYTES,), np.uint8),
    "width": ((), np.int32),
    "height": ((), np.int32),
    "metadata": ((), np.int32),
    "n_bytes": ((), np.int64),
    "sharpness": ((), np.float32),
}
_FORMAT_OF_SUFFIX = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".jpg_large"), ("JPEG", "MPO")),
    **dict.fromkeys((".png", ".apng"), ("PNG",)),
    **dict.fromkeys((".heic", ".heif", ".hif"), ("HEIF",)),
    ".webp": ("WEBP",),
    ".gif": ("GIF",),
    ".avif": ("AVIF",),
    ".bmp": ("BMP",),
}


@dataclass(frozen=True)
class Collected:
    """What was computed of the readable pictures of a collection; one row for each.

    Attributes
    ----------
    usable : ndarray of int, shape (N,)
        Their positions in `Found.names`.
    reasons : dict of int to str
        Why each other file cannot be used, by its position.
    features : ndarray of float32, shape (N, D)
        Of the network; no columns without one.
    thumbs : ndarray of uint8, shape (N, 32, 32, 3)
        The middle of each picture.
    small : ndarray of uint8, shape (N, 64, 64, 3)
        The whole of each picture, without its proportions. Lies in a file, not in memory.
    width, height : ndarray of int32, shape (N,)
    n_bytes : ndarray of int64, shape (N,)
    file_digest, pixel_digest : ndarray of uint8, shape (N, 16)
        Equal for files of the same bytes, and for those of the same pixels in one size.
    metadata : ndarray of int32, shape (N,)
        Number of entries of metadata; 0 if they were not to be read.
    sharpness : ndarray of float32, shape (N,)
        See `picture_quality.sharpness`.
    facts : list of dict, length N
        ``format``, ``notes`` (of what is odd), ``taken`` (date) and ``camera``.
    """

    usable: np.ndarray
    reasons: dict[int, str]
    features: np.ndarray
    thumbs: np.ndarray
    small: np.ndarray
    width: np.ndarray
    height: np.ndarray
    n_bytes: np.ndarray
    file_digest: np.ndarray
    pixel_digest: np.ndarray
    metadata: np.ndarray
    sharpness: np.ndarray
    facts: list[dict[str, object]]

    def details(self) -> pd.DataFrame:
        """Return facts on the files: ``width``, ``height``, ``bytes``, ``taken``, ``camera``."""
        return pd.DataFrame(
            {
                "width": self.width,
                "height": self.height,
                "bytes": self.n_bytes,
                "taken": [fact["taken"] for fact in self.facts],
                "camera": [fact["camera"] for fact in self.facts],
            }
        )

    def notes(self, found: Found) -> pd.DataFrame:
        """List files that are used although something is odd: columns ``path`` and ``note``."""
        entries = []
        for row, fact in zip(self.usable, self.facts, strict=True):
            name = found.names[row]
            expected = _FORMAT_OF_SUFFIX.get(Path(name).suffix.lower())
            notes = list(fact["notes"])
            if expected is not None and fact["format"] not in expected:
                notes.append(f"{fact['format']}, although its name says {expected[0]}")
            if notes:
                entries.append((printable(name), "; ".join(notes)))
        return pd.DataFrame(entries, columns=["path", "note"])


class _Reading(NamedTuple):
    """How files are read; see `collect`.

    `large` has the digests of stored pictures above `most_pixels`, which a run with a higher limit
    may have stored.
    """

    side: int
    most_pixels: int
    with_metadata: bool
    large: frozenset[bytes]


@dataclass(frozen=True)
class _File:
    """What was made of one file.

    Attributes
    ----------
    state : bytes or None
        See `picture_store.state_of`.
    digest : bytes
        Of its content; empty if it cannot be used.
    new : dict of str to ndarray, or None
        What the store does not have yet: ``square`` for the network, and a row of each array that
        is stored.
    reason : str or None
        Why it cannot be used.
    """

    state: bytes | None
    digest: bytes = b""
    new: dict[str, np.ndarray] | None = None
    reason: str | None = None


def collect(
    found: Found,
    network: Backbone | None,
    most_pixels: int = MOST_PIXELS,
    with_metadata: bool = True,
) -> Collected:
    """Compute the features of all files; of each content once, see `PictureStore`.

    Parameters
    ----------
    found : Found
    network : Backbone, optional
    most_pixels : int
        See `picture_reading.decode`.
    with_metadata : bool
        Whether dates and cameras are read.
    """
    side = network.side if network else SIDE_WITHOUT_NETWORK
    store = PictureStore(_folder(network, with_metadata))
    reading = _Reading(side, most_pixels, with_metadata, _large(store, most_pixels))
    digests: dict[int, bytes] = {}
    reasons: dict[int, str] = {}
    # What was read and is not stored yet.
    new: dict[bytes, dict[str, np.ndarray]] = {}
    states: dict[bytes, bytes] = {}
    began, n_new, total = time.monotonic(), 0, len(found.names)
    # Not side by side with the network: on few cores its threads would wait for each other.
    with picture_reading.quiet_decoders(), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for start in range(0, total, CHUNK):
            rows = range(start, min(start + CHUNK, total))
            made = pool.map(lambda row: _made(found.path(row), store, reading), rows)
            for row, file in zip(rows, made, strict=True):
                if file.reason is not None:
                    reasons[row] = file.reason
                    continue
                digests[row] = file.digest
                if file.state is not None and store.digest_at(file.state) != file.digest:
                    states[file.state] = file.digest
                if file.new is not None:
                    new.setdefault(file.digest, file.new)
            if len(new) >= CHUNK or (rows.stop == total and (new or states)):
                store.add(_computed(list(new.values()), network), states)
                n_new += len(new)
                new, states = {}, {}
            seconds = time.monotonic() - began
            print(_progress(rows.stop, total, len(reasons), n_new, seconds), flush=True)
    return _gathered(store, digests, reasons)


def _progress(done: int, total: int, left_out: int, done_now: int, seconds: float) -> str:
    """Describe the progress; the time left is estimated from files that were not stored."""
    text = f"features {done:,}/{total:,}, {left_out:,} left out"
    if done_now:
        speed = done_now / seconds
        text += f", {speed:.0f} images a second, about {(total - done) / speed / 60:.0f} min left"
    return text


def _folder(network: Backbone | None, with_metadata: bool) -> Path:
    """Return the folder of what is computed in one way."""
    recipe = {
        "network": network and [network.name, network.weights, network.side],
        "with_metadata": with_metadata,
        "code": source_fingerprint(*_CODE),
        "libraries": library_versions(*_CODE),
    }
    return places.cache() / f"pictures-{fingerprint(recipe)[:16]}"


def _large(store: PictureStore, most_pixels: int) -> frozenset[bytes]:
    heights = store.column("height")
    widths = store.column("width").items()
    return frozenset(d for d, width in widths if int(width) * int(heights[d]) > most_pixels)


def _made(path: Path, store: PictureStore, reading: _Reading) -> _File:
    """Read a file as far as it is not stored."""
    state = state_of(path)
    digest = store.digest_at(state) if state else None
    if digest in store and digest not in reading.large:
        return _File(state, digest)
    try:
        content = picture_reading.content_of(path)
        digest = digest_of(content)
        if digest in store and digest not in reading.large:
            return _File(state, digest)
        # A large one is decoded again: of a JPEG the limit applies to a fraction.
        decoded = picture_reading.decode(content, 2 * reading.side, reading.most_pixels)
    except Unreadable as error:
        return _File(state, reason=str(error))
    if digest in store:
        return _File(state, digest)
    return _File(state, digest, _rows_of(decoded, digest, len(content), reading))


def _rows_of(
    decoded: Decoded, digest: bytes, n_bytes: int, reading: _Reading
) -> dict[str, np.ndarray]:
    from PIL import Image

    square = decoded.square(reading.side)
    thumb = Image.fromarray(square).resize((THUMB, THUMB), Image.Resampling.BOX)
    within = decoded.picture.copy()
    within.thumbnail((picture_quality.LONGEST_SIDE,) * 2)
    metadata = decoded.metadata
    facts = {
        "format": decoded.format,
        "notes": decoded.notes,
        "taken": metadata.taken if reading.with_metadata else "",
        "camera": metadata.camera if reading.with_metadata else "",
    }
    return {
        "square": square,
        "square_digest": np.frombuffer(digest_of(square.tobytes()), np.uint8),
        "thumbs": np.asarray(thumb),
        "small": decoded.squashed(SMALL),
        "width": np.int32(decoded.width),
        "height": np.int32(decoded.height),
        "n_bytes": np.int64(n_bytes),
        "file_digest": np.frombuffer(digest, np.uint8),
        "pixel_digest": np.frombuffer(decoded.pixel_digest, np.uint8),
        "metadata": np.int32(metadata.n_entries if reading.with_metadata else 0),
        "sharpness": np.float32(picture_quality.sharpness(np.asarray(within))),
        "facts": np.frombuffer(json.dumps(facts).encode(), np.uint8),
    }


def _computed(new: list[dict[str, np.ndarray]], network: Backbone | None) -> dict[str, np.ndarray]:
    """Return the arrays of a shard: of pictures that were read, with their features."""
    if not new:
        return {}
    longest = max(len(one["facts"]) for one in new)
    for one in new:
        one["facts"] = np.pad(one["facts"], (0, longest - len(one["facts"])))
    arrays = {name: np.stack([one[name] for one in new]) for name in new[0]}
    squares = arrays.pop("square")
    return arrays | {"features": _features(squares, network)}


def _features(squares: np.ndarray, network: Backbone | None) -> np.ndarray:
    from utils.representations import pretrained

    if network is None:
        return np.empty((len(squares), 0), np.float32)
    # In whole batches: the last bits of a feature depend on their size, and this one changes with
    # each file that is added.
    n_blank = -len(squares) % pretrained.BATCH
    padded = np.concatenate([squares, np.zeros((n_blank, *squares.shape[1:]), np.uint8)])
    return pretrained.features(network, padded)[: len(squares)]


def _gathered(store: PictureStore, digests: dict[int, bytes], reasons: dict[int, str]) -> Collected:
    """Join what is stored of the usable files."""
    usable = np.array(sorted(digests), dtype=int)
    wanted: dict[bytes, list[int]] = {}
    for place, row in enumerate(usable.tolist()):
        wanted.setdefault(digests[row], []).append(place)
    n = len(usable)
    joined = {name: np.empty((n, *shape), dtype) for name, (shape, dtype) in _COLUMNS.items()}
    # Read rarely and 12 kB a picture.
    places.cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=places.cache()) as file:
        shape = (max(n, 1), SMALL, SMALL, 3)
        joined["small"] = np.memmap(file, np.uint8, "w+", shape=shape)[:n]
    facts: list[dict[str, object]] = [{}] * n
    for rows, arrays in store.rows(wanted):
        for row, text in zip(rows, arrays.pop("facts"), strict=True):
            facts[row] = json.loads(text.tobytes().rstrip(b"\0"))
        if "features" not in joined:
            joined["features"] = np.empty((n, arrays["features"].shape[1]), np.float32)
        for name, values in arrays.items():
            joined[name][rows] = values
    features = joined.pop("features", np.empty((n, 0), np.float32))
    # Pictures of the same pixels have the same features to the last bit, whatever the file.
    first_with: dict[bytes, int] = {}
    for row, digest in enumerate(joined.pop("square_digest")):
        features[row] = features[first_with.setdefault(digest.tobytes(), row)]
    return Collected(usable=usable, reasons=reasons, features=features, facts=facts, **joined)


def left_out(found: Found, reasons: dict[int, str]) -> pd.DataFrame:
    """List what is not used, folders and other files first: columns ``path`` and ``reason``."""
    files = {found.names[row]: reasons[row] for row in sorted(reasons)}
    entries = [(printable(name), why) for name, why in (found.not_read() | files).items()]
    return pd.DataFrame(entries, columns=["path", "reason"])


def with_features(found: Found, own: Embeddings) -> Found:
    """Keep the pictures for which there are features; the others are named with the reason."""
    kept = [row for row, name in enumerate(found.names) if name in own.row_of]
    reasons = dict.fromkeys(found.names, "no row in the file of --features")
    reasons |= dict.fromkeys(own.not_finite, "its features are not finite numbers")
    without = {name: why for name, why in reasons.items() if name not in own.row_of}
    return replace(
        found,
        names=tuple(found.names[row] for row in kept),
        labels=None if found.labels is None else tuple(found.labels[row] for row in kept),
        others=found.others | without,
    )


def features_of(found: Found, usable: np.ndarray, own: Embeddings) -> np.ndarray:
    """Return the features of the usable pictures, float32 ``(N, D)``, as a file has them."""
    return own.values[[own.row_of[found.names[row]] for row in usable]]
