"""Artifacts: no interrupted write is ever seen, and no stale or damaged result is ever used."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from utils import places
from utils.store import cache, fingerprints
from utils.store import files as files_module
from utils.store.cache import load_or_compute, load_or_make
from utils.store.files import atomic_path
from utils.store.fingerprints import fingerprint

any_speed = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)

# --- atomic files ---------------------------------------------------------------------------------


def test_a_finished_block_leaves_only_the_file(tmp_path):
    path = tmp_path / "new" / "folder" / "table.csv"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".csv"
        temporary.write_text("done")
        assert not path.exists()
    assert path.read_text() == "done"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("exception", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_file(tmp_path, exception):
    path = tmp_path / "table.csv"
    path.write_text("old")

    def interrupted():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise exception

    with pytest.raises(exception):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


KILLED_WRITER = """
import sys
from pathlib import Path
from utils.store.files import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary, temporary.open("w") as file:
    file.write("half")
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_process_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    environment = {**os.environ, "PYTHONPATH": str(fingerprints.SOURCE)}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_WRITER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdout.readline() == b"writing\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    with atomic_path(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_a_reader_never_sees_a_half_written_file(tmp_path):
    path = tmp_path / "file"
    contents = ["a" * 100_000, "b" * 50_000]
    files_module.write_text(path, contents[0])

    def write():
        for number in range(60):
            files_module.write_text(path, contents[number % 2])

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert path.read_text() in contents
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_a_file_is_as_readable_as_the_user_wants(tmp_path):
    before = os.umask(0o027)
    try:
        files_module.write_text(tmp_path / "file", "content")
        assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


@given(content=json_values)
@settings(parent=any_speed, max_examples=50)
def test_json_is_read_back_as_written(tmp_path, content):
    files_module.write_json(tmp_path / "file.json", content)
    assert files_module.read_json(tmp_path / "file.json") == content


# --- checksums and fingerprints -------------------------------------------------------------------


def test_checksums_are_those_of_the_bytes(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "file").write_bytes(array.tobytes())
    expected = hashlib.sha256(bytes(range(24))).hexdigest()
    assert files_module.sha256_file(tmp_path / "file") == expected
    assert files_module.sha256_array(array) == expected


@given(array=arrays(np.int16, array_shapes(max_dims=3, max_side=4)))
@any_speed
def test_a_checksum_does_not_depend_on_the_layout_in_memory(array):
    expected = files_module.sha256_array(array.copy(order="C"))
    assert files_module.sha256_array(np.asfortranarray(array)) == expected
    assert files_module.sha256_array(array[::-1][::-1]) == expected
    assert files_module.sha256_array(array + 1) != expected


def with_reversed_keys(content):
    if isinstance(content, dict):
        return {key: with_reversed_keys(content[key]) for key in reversed(content)}
    if isinstance(content, list):
        return [with_reversed_keys(item) for item in content]
    return content


@given(content=json_values)
@any_speed
def test_the_order_of_keys_does_not_change_a_fingerprint(content):
    assert fingerprint(with_reversed_keys(content)) == fingerprint(content)


@given(content=st.dictionaries(st.text(), st.integers() | st.text(), min_size=1), data=st.data())
@any_speed
def test_each_value_and_key_changes_a_fingerprint(content, data):
    key = data.draw(st.sampled_from(sorted(content)))
    other = data.draw((st.integers() | st.text()).filter(lambda value: value != content[key]))
    new_key = data.draw(st.text().filter(lambda text: text not in content))
    renamed = {new_key if k == key else k: value for k, value in content.items()}
    removed = {k: value for k, value in content.items() if k != key}
    names = [fingerprint(c) for c in (content, {**content, key: other}, renamed, removed)]
    assert len(set(names)) == 4


def test_fingerprints_tell_types_apart():
    values = [1, 1.0, "1", True, None, "null", [1], {"1": 1}]
    assert len({fingerprint(value) for value in values}) == len(values)


# --- the code behind a result ---------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package in which `top` needs `middle`, that `bottom`, and nothing needs `other`."""
    folder = tmp_path / "utils"
    folder.mkdir()
    modules = {
        "top": "import json\n\ndef run():\n    from utils.middle import work\n    return work()\n",
        "middle": '"""Text."""\nfrom utils import bottom\n\ndef work():\n    return bottom.value\n',
        "bottom": 'from utils import top\n\nvalue = 1\ntext = "a"\n',
        "other": "value = 2\n",
    }
    for name, code in modules.items():
        (folder / f"{name}.py").write_text(code)
    monkeypatch.setattr(fingerprints, "SOURCE", tmp_path)
    return folder


def names(files):
    return [path.stem for path in files]


def test_sources_are_followed_through_imports(package):
    assert names(fingerprints.source_files("utils.top")) == ["bottom", "middle", "top"]
    assert names(fingerprints.source_files("utils.other")) == ["other"]
    assert names(fingerprints.source_files("utils.other", "utils.bottom")) == [
        "bottom",
        "middle",
        "other",
        "top",
    ]


def test_a_notebook_depends_on_what_it_takes_out_of_modules(shared_module, tmp_path):
    script = tmp_path / "notebook.py"
    script.write_text("from utils import middle, shared\n\nmine = shared.used()\nprint(mine)\n")
    before = fingerprints.notebook_fingerprint(script)
    shared = shared_module / "shared.py"
    code = shared.read_text()
    shared.write_text(code.replace("LIMIT + 7", "LIMIT + 8"))
    (shared_module / "middle.py").write_text("changed = 1\n")
    script.write_text(script.read_text() + "\nprint(1)\n")
    assert fingerprints.notebook_fingerprint(script) == before
    shared.write_text(code.replace("LIMIT = 1", "LIMIT = 2"))
    assert fingerprints.notebook_fingerprint(script) != before
    # A module that is handed on as a whole counts as a whole.
    shared.write_text(code)
    script.write_text("from utils import shared\nvars(shared)\n")
    before = fingerprints.notebook_fingerprint(script)
    shared.write_text(code.replace("LIMIT + 7", "LIMIT + 8"))
    assert fingerprints.notebook_fingerprint(script) != before


def test_what_is_imported_for_type_checkers_is_not_reached(package):
    top = package / "top.py"
    block = (
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from utils.other import value\n"
    )
    top.write_text(block + "\ndef run(given: value):\n    return given\n")
    before = fingerprints.source_fingerprint("utils.top")
    other = package / "other.py"
    other.write_text(other.read_text() + "\nvalue = 99\n")
    assert fingerprints.source_fingerprint("utils.top") == before


@pytest.mark.parametrize(
    ("module", "counts"), [("figures", False), ("store.cache", False), ("metrics", True)]
)
def test_what_draws_and_stores_makes_no_numbers(package, tmp_path, module, counts):
    path = package / f"{module.replace('.', '/')}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text("from utils import other\n\ndef used():\n    return other.value, 1\n")
    script = tmp_path / "notebook.py"
    script.write_text(f"from utils.{module} import used\nused()\n")
    before = fingerprints.numbers_fingerprint(script)
    complete = fingerprints.notebook_fingerprint(script)
    path.write_text(path.read_text().replace("value, 1", "value, 2"))
    assert (fingerprints.numbers_fingerprint(script) != before) == counts
    assert fingerprints.notebook_fingerprint(script) != complete


@pytest.mark.parametrize(
    "statement",
    [
        "from utils import other",
        "from utils import middle, other as o",
        "from utils.other import value",
        "import utils.other",
        "import json, utils.other as o",
        "from . import other",
        "from .other import value",
        "if True:\n    from utils.other import value",
        "def f():\n    import utils.other",
    ],
)
def test_every_way_to_import_is_followed(package, statement):
    (package / "top.py").write_text(statement + "\n")
    assert "other" in names(fingerprints.source_files("utils.top"))


@pytest.mark.parametrize("statement", ["import other", "from other import x", "import utilsother"])
def test_other_packages_are_not_followed(package, statement):
    (package / "bottom.py").write_text(statement + "\n")
    assert names(fingerprints.source_files("utils.bottom")) == ["bottom"]


def test_a_module_that_does_not_exist_is_an_error(package):
    with pytest.raises(FileNotFoundError):
        fingerprints.source_fingerprint("utils.absent")


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("middle", '"""Text."""\n', ""),
        ("middle", "Text.", "Other words."),
        ("top", "def run():\n", 'def run():\n    """Say."""\n'),
        ("bottom", "value = 1\n", "# why\nvalue   =   (1)  # here\n\n\n"),
        ("other", "2", "3"),
        ("bottom", '"a"', '"b"'),
    ],
)
def test_words_and_layout_keep_the_code_fingerprint(package, module, old, new):
    before = fingerprints.source_fingerprint("utils.top")
    path = package / f"{module}.py"
    path.write_text(path.read_text().replace(old, new))
    assert fingerprints.source_fingerprint("utils.top") == before


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("bottom", "1", "2"),
        ("bottom", "value", "other_value"),
        ("middle", "bottom.value", "-bottom.value"),
        ("top", "return work()", "work()"),
    ],
)
def test_a_change_of_code_anywhere_below_changes_the_fingerprint(package, module, old, new):
    before = fingerprints.source_fingerprint("utils.top")
    path = package / f"{module}.py"
    path.write_text(path.read_text().replace(old, new))
    assert fingerprints.source_fingerprint("utils.top") != before


@pytest.fixture
def shared_module(package):
    """`top` uses one function of `shared`, which leads to a constant and to a base class."""
    (package / "top.py").write_text("from utils.shared import used as u\n\ndef run():\n    u()\n")
    (package / "shared.py").write_text(
        "import json\nfrom utils.other import value\n\n"
        "LIMIT = 1\nBY_NAME = {}\n\n"
        "class Base:\n    size = LIMIT\n\n"
        "class Used(Base):\n    kind: Base\n\n"
        "def used():\n    return Used, BY_NAME, value\n\n"
        "def unused():\n    return LIMIT + 7\n\n"
        "BY_NAME['a'] = 3\n"
    )
    return package


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("shared", "LIMIT + 7", "LIMIT + 8"),
        ("shared", "def unused", "def unused_too"),
        ("shared", "import json", "import csv"),
        ("bottom", "1", "2"),
    ],
)
def test_what_is_not_reached_keeps_the_code_fingerprint(shared_module, module, old, new):
    before = fingerprints.source_fingerprint("utils.top")
    path = shared_module / f"{module}.py"
    path.write_text(path.read_text().replace(old, new))
    assert fingerprints.source_fingerprint("utils.top") == before


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("shared", "LIMIT = 1", "LIMIT = 2"),
        ("shared", "size = LIMIT", "size = LIMIT + 1"),
        ("shared", "kind: Base", "kind: int"),
        ("shared", "BY_NAME['a'] = 3", "BY_NAME['a'] = 4"),
        ("shared", "return Used, BY_NAME", "return Used"),
        ("shared", "\nBY_NAME['a'] = 3", "\nprint(LIMIT)"),
        ("other", "2", "3"),
    ],
)
def test_what_is_reached_changes_the_code_fingerprint(shared_module, module, old, new):
    before = fingerprints.source_fingerprint("utils.top")
    path = shared_module / f"{module}.py"
    path.write_text(path.read_text().replace(old, new))
    assert fingerprints.source_fingerprint("utils.top") != before


def test_training_does_not_depend_on_how_files_of_studies_are_read(monkeypatch, tmp_path):
    """What they say is part of the recipe of each network."""
    before = fingerprints.source_fingerprint("utils.representations.training")
    shutil.copytree(fingerprints.SOURCE / "utils", tmp_path / "utils")
    monkeypatch.setattr(fingerprints, "SOURCE", tmp_path)
    config = tmp_path / "utils" / "config" / "schema.py"
    code = config.read_text()
    config.write_text(
        code.replace("class Reported(_Model):", "class Reported(_Model):\n    x: int")
    )
    assert fingerprints.source_fingerprint("utils.representations.training") == before
    config.write_text(code.replace("batch_size: int", "batch_size: float"))
    assert fingerprints.source_fingerprint("utils.representations.training") == before
    training = tmp_path / "utils" / "representations" / "training.py"
    training.write_text(training.read_text().replace("ENCODE_BATCH = 1000", "ENCODE_BATCH = 999"))
    assert fingerprints.source_fingerprint("utils.representations.training") != before


def test_a_name_that_a_package_passes_on_is_followed(package):
    """`top` uses what the package `parts` offers, which is defined in `parts.inner`."""
    folder = package / "parts"
    folder.mkdir()
    (folder / "__init__.py").write_text("from utils.parts.inner import work, unused\n")
    inner = "def work():\n    return 1\n\ndef unused():\n    return 2\n"
    (folder / "inner.py").write_text(inner)
    (package / "top.py").write_text("from utils import parts\n\nvalue = parts.work()\n")
    before = fingerprints.source_fingerprint("utils.top")
    assert names(fingerprints.source_files("utils.top")) == ["__init__", "inner", "top"]
    (folder / "inner.py").write_text(inner.replace("return 2", "return 3"))
    assert fingerprints.source_fingerprint("utils.top") == before
    (folder / "inner.py").write_text(inner.replace("return 1", "return 3"))
    assert fingerprints.source_fingerprint("utils.top") != before


def test_relative_imports_of_a_package_within_a_package_are_followed(package):
    (package / "parts").mkdir()
    (package / "parts" / "__init__.py").write_text("")
    (package / "parts" / "inner.py").write_text("from ..other import value\nprint(value)\n")
    assert names(fingerprints.source_files("utils.parts.inner")) == ["other", "inner"]


def test_libraries_are_those_of_the_code_that_is_reached(package):
    """A library that only an unused function imports has no say, nor has the standard library."""
    (package / "bottom.py").write_text(
        "import json\nimport numpy as np\nimport pandas\n\n"
        "value = np.zeros(1)\n\ndef unused():\n    return pandas.NA\n"
    )
    (package / "middle.py").write_text(
        "from utils.bottom import value\n\ndef work():\n    import PIL\n    return value\n"
    )
    versions = fingerprints.library_versions("utils.top")
    assert list(versions) == ["numpy", "pillow"]
    assert versions["numpy"] == np.__version__


def test_the_methods_of_own_images_depend_on_the_libraries_that_they_use():
    versions = fingerprints.library_versions("utils.runs.pictures", "utils.runs.picture_folder")
    assert {"faiss-cpu", "igraph", "leidenalg", "MiniSom", "pillow", "torch"} <= set(versions)


# --- results that are computed once ---------------------------------------------------------------


@pytest.fixture
def compute(package, tmp_path):
    """Load or compute; `compute.calls` counts the computations."""

    def run(recipe=None, name="result", code=("utils.top",)):
        def work():
            run.calls += 1
            return {"values": np.arange(5.0), "labels": np.array([[1, 2], [3, 4]], np.uint8)}

        return load_or_compute(name, recipe or {"seed": 0}, code, work, tmp_path / "cache")

    run.calls = 0
    run.cache = tmp_path / "cache"
    return run


def assert_right(result):
    assert set(result) == {"values", "labels"}
    np.testing.assert_array_equal(result["values"], np.arange(5.0))
    np.testing.assert_array_equal(result["labels"], [[1, 2], [3, 4]])
    assert result["labels"].dtype == np.uint8


def test_a_second_call_loads(compute):
    assert_right(compute())
    assert_right(compute())
    assert compute.calls == 1


def test_the_recipe_lies_beside_the_arrays(compute):
    compute({"seed": 3})
    (recipe,) = compute.cache.glob("result-*.json")
    content = json.loads(recipe.read_text())
    assert content["recipe"] == {"seed": 3}
    assert content["sha256"] == files_module.sha256_file(recipe.with_suffix(".safetensors"))


@pytest.mark.parametrize(
    "change",
    [
        lambda _package, _patch: {"recipe": {"seed": 1}},
        lambda _package, _patch: {"recipe": {"seed": 0, "epochs": 2}},
        lambda _package, _patch: {"name": "other"},
        lambda _package, _patch: {"code": ("utils.top", "utils.other")},
        lambda package, _patch: (package / "bottom.py").write_text("value = 9\n") and {},
        lambda _package, patch: patch.setattr(cache, "library_versions", lambda *_: {"x": "2"}),
    ],
    ids=["value", "key", "name", "modules", "code", "library"],
)
def test_what_made_a_result_is_part_of_its_name(compute, package, monkeypatch, change):
    compute()
    assert_right(compute(**(change(package, monkeypatch) or {})))
    assert compute.calls == 2


def flip(position):
    def damage(path):
        content = bytearray(path.read_bytes())
        content[position] ^= 1
        path.write_bytes(content)

    return damage


# --- where results come from -------------------------------------------------------------------

FIRST, THEN = ({"processor": name, "commit": None} for name in ("first", "then"))


@pytest.fixture
def compute_with_origin(compute, monkeypatch):
    """Load or compute on a processor, and return also the origin."""

    def run(here):
        monkeypatch.setattr(cache, "origin", lambda: here)

        def work():
            compute.calls += 1
            return {"values": np.arange(5.0)}

        return cache.load_or_compute_with_origin(
            "result", {"seed": 0}, ("utils.top",), work, compute.cache
        )

    return run


def test_the_origin_is_that_of_the_computation_and_not_of_the_loading(compute, compute_with_origin):
    _, computed = compute_with_origin(FIRST)
    _, loaded = compute_with_origin(THEN)
    assert compute.calls == 1
    assert loaded == computed
    assert {name: computed[name] for name in FIRST} == FIRST
    assert computed["seconds"] >= 0
    assert computed["code"] == fingerprints.source_fingerprint("utils.top")


def test_what_was_computed_elsewhere_is_loaded_with_its_origin(compute, compute_with_origin):
    arrays = {"values": np.arange(4, dtype=np.float32)}
    elsewhere = {"processor": "a GPU", "commit": "0" * 40, "seconds": 3600.0}
    name = ("result", {"seed": 0}, ("utils.top",))
    cache.store(*name, arrays, elsewhere, compute.cache)
    loaded, origin = compute_with_origin(THEN)
    assert compute.calls == 0
    np.testing.assert_array_equal(loaded["values"], arrays["values"])
    assert origin == {**elsewhere, "code": fingerprints.source_fingerprint("utils.top")}


def test_what_is_stored_without_its_origin_is_computed_again(compute, compute_with_origin):
    compute_with_origin(FIRST)
    (recipe,) = compute.cache.glob("result-*.json")
    content = json.loads(recipe.read_text())
    del content["origin"]
    recipe.write_text(json.dumps(content))
    _, origin = compute_with_origin(THEN)
    assert compute.calls == 2
    assert origin["processor"] == "then"


@pytest.mark.parametrize("suffix", ["safetensors", "json"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: os.truncate(path, path.stat().st_size - 3),
        lambda path: os.truncate(path, 0),
        lambda path: path.write_bytes(bytes(path.stat().st_size)),
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text("[]"),
        lambda path: path.write_text("{}"),
    ],
    ids=["cut", "emptied", "zeroed", "removed", "binary", "list", "dictionary"],
)
def test_a_damaged_entry_is_computed_again(compute, suffix, damage):
    compute()
    (path,) = compute.cache.glob(f"*.{suffix}")
    damage(path)
    assert_right(compute())
    assert compute.calls == 2
    assert_right(compute())
    assert compute.calls == 2


@pytest.mark.parametrize("position", [0, 8, 20, -9, -1])
def test_a_flipped_bit_is_noticed(compute, position):
    compute()
    (path,) = compute.cache.glob("*.safetensors")
    flip(position)(path)
    assert_right(compute())
    assert compute.calls == 2


def test_a_failed_computation_leaves_nothing(package, tmp_path):
    def fail():
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError):
        load_or_compute("result", {}, ("utils.top",), fail, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@given(
    array=arrays(
        st.sampled_from([np.uint8, np.int32, np.int64, np.float32, np.float64, np.bool_]),
        array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    )
)
@settings(parent=any_speed, max_examples=30)
def test_arrays_come_back_as_they_went_in(package, tmp_path_factory, array):
    stored = {"plain": array, "transposed": array.T, "every_second": array[..., None][::2]}
    cache = tmp_path_factory.mktemp("cache")

    def again():
        raise AssertionError("the stored result was not used")

    load_or_compute("arrays", {}, ("utils.top",), lambda: stored, cache)
    loaded = load_or_compute("arrays", {}, ("utils.top",), again, cache)
    for name, expected in stored.items():
        assert loaded[name].dtype == expected.dtype
        np.testing.assert_array_equal(loaded[name], expected)


# --- temporary files ------------------------------------------------------------------------------


@pytest.fixture
def temporaries(tmp_path, monkeypatch, elsewhere):
    elsewhere(tmp_path)
    return places.temporaries()


LEAVE = """
import os, sys
from pathlib import Path
from utils import places
from utils.store import files
kept = places.elsewhere(runs=Path(sys.argv[1]))
kept.__enter__()
with files.atomic_path(Path(sys.argv[2])) as file:
    with files.temporary_place(Path(sys.argv[2]).parent) as folder:
        (folder / "inside").mkdir(parents=True)
        print(file, folder, flush=True)
        os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path, temporaries):
    dead = subprocess.Popen(["true"])
    dead.wait()
    mine = (
        *(".backup-2023-december", ".photos-1999-holidays", ".notes-2019-freezing.txt"),
        *(f".building-{dead.pid}-abcd1234", f".thing-{10**20}-abcd1234.json", ".complete"),
        f".{'0' * 32}",
    )
    (tmp_path / "out").mkdir()
    for name in mine:
        (tmp_path / "out" / name).write_text("mine")
        os.utime(tmp_path / "out" / name, (0, 0))
    command = [sys.executable, "-c", LEAVE, temporaries.parent, tmp_path / "out" / "thing.json"]
    left = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.split()
    assert len(left) == 2 and all(map(os.path.exists, left))
    assert sorted(map(str, files_module.remove_leftovers())) == sorted(left)
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(mine)
    assert not list(temporaries.iterdir())


def test_a_temporary_file_in_use_stays(tmp_path, temporaries):
    with files_module.atomic_path(tmp_path / "thing.json") as temporary:
        assert not files_module.remove_leftovers()
        assert temporary.exists()
    assert not list(temporaries.iterdir())


def test_a_made_up_entry_removes_nothing(tmp_path, temporaries):
    temporaries.mkdir(parents=True)
    (tmp_path / "precious").mkdir()
    token = "a" * 32
    for content in (tmp_path / "precious", tmp_path, "precious", f"../.{token}", "", b"\xff\0"):
        (temporaries / token).write_bytes(os.fsencode(content))
        (temporaries / "notes.txt").write_text(str(tmp_path / "precious"))
        assert not files_module.remove_leftovers()
    assert (tmp_path / "precious").is_dir() and (temporaries / "notes.txt").exists()


def test_a_file_of_any_allowed_name_is_written(tmp_path):
    files_module.write_text(tmp_path / f"{'a' * 250}.csv", "text")
    assert (tmp_path / f"{'a' * 250}.csv").read_text() == "text"


def test_stored_files_are_made_again_only_if_something_has_changed_or_they_are_damaged(tmp_path):
    made = []

    def make(content):
        made.append(content)
        return {"svg": content, "empty": b""}

    def ask(recipe, content):
        return load_or_make(
            "a", recipe, ("utils.config.vocabulary",), lambda: make(content), tmp_path
        )

    assert ask({"n": 1}, b"one") == ask({"n": 1}, b"other") == {"svg": b"one", "empty": b""}
    assert ask({"n": 2}, b"two")["svg"] == b"two"
    for file in tmp_path.glob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert ask({"n": 1}, b"again")["svg"] == b"again"
    assert made == [b"one", b"two", b"again"]
