"""Hostile content: nothing that is loaded can run code, and no name gets out of its place."""

import ast
import io
import pickle
import re
import zipfile

import numpy as np
import pytest
import torch

from commands import images
from report import markdown, pages, templates
from utils import estimator
from utils.config.load import _validate
from utils.config.schema import Study
from utils.data import picture_reading
from utils.errors import UserError
from utils.places import ROOT
from utils.representations import pretrained
from utils.store import cache as cache_module
from utils.store import files

SOURCES = sorted([*ROOT.glob("src/utils/*.py"), *ROOT.glob("notebooks/*.py")])
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


class Bomb:
    """Leaves a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def calls(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def keyword(call, name):
    return next((ast.unparse(word.value) for word in call.keywords if word.arg == name), None)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_source_can_load_code(faults, path):
    faults.tried()
    tree = ast.parse(path.read_text("utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }
    assert not imported & FORBIDDEN_MODULES
    for call in calls(tree):
        name = ast.unparse(call.func)
        assert name not in FORBIDDEN_CALLS, name
        if name.endswith("torch.load"):
            assert keyword(call, "weights_only") == "True"
        if name.endswith(("np.load", "numpy.load")):
            assert keyword(call, "allow_pickle") in (None, "False")
        assert "read_pickle" not in name
        if name.startswith("yaml."):
            assert "load" not in name or "safe" in name or "Safe" in ast.unparse(call)
        assert keyword(call, "shell") in (None, "False"), name
    faults.survived()


@pytest.fixture
def bombs(tmp_path):
    """Files that run code if anything unpickles them; `trace` is what that would leave."""
    trace = tmp_path / "trace"
    pickled = pickle.dumps({"weight": Bomb(trace)})
    (tmp_path / "plain.pth").write_bytes(pickled)
    torch.save({"weight": Bomb(trace)}, tmp_path / "torch.pth")
    np.save(tmp_path / "a.npy", np.array([Bomb(trace)], dtype=object), allow_pickle=True)
    return tmp_path, trace


@pytest.mark.parametrize("name", ["plain.pth", "torch.pth", "a.npy"])
def test_a_pickle_in_the_place_of_weights(faults, bombs, monkeypatch, name):
    folder, trace = bombs
    faults.tried()
    # Even one whose checksum is right.
    start = files.sha256_file(folder / name)[:8]
    with pytest.raises(Exception, match=r"Weights only|Unsupported|magic|pickle|file"):
        pretrained._load_weights(folder / name, start)
    with pytest.raises(UserError, match="SHA-256"):
        pretrained._load_weights(folder / name, "00000000")
    assert not trace.exists()
    faults.survived()


@pytest.mark.parametrize("name", ["plain.pth", "torch.pth", "a.npy"])
def test_a_pickle_in_the_place_of_a_model_or_a_picture(faults, bombs, name):
    folder, trace = bombs
    faults.tried()
    with pytest.raises(UserError, match="damaged"):
        estimator.load(folder / name)
    with pytest.raises(picture_reading.Unreadable):
        picture_reading.read(folder / name, 8)
    assert not trace.exists()
    faults.survived()


@pytest.mark.parametrize("name", ["plain.pth", "torch.pth"])
def test_a_pickle_in_the_place_of_a_stored_result(faults, bombs, name):
    folder, trace = bombs
    faults.tried()
    cache = folder / "cache"
    load = lambda: cache_module.load_or_compute(  # noqa: E731
        "thing", {}, ("utils.config.vocabulary",), lambda: {"a": np.arange(3)}, cache
    )
    load()
    (path,) = cache.glob("*.safetensors")
    path.write_bytes((folder / name).read_bytes())
    np.testing.assert_array_equal(load()["a"], np.arange(3))
    assert not trace.exists()
    faults.survived()


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch {trace}']",
        "study: !!python/object/new:os.system ['touch {trace}']",
        "a: &a [*a, *a]",
    ],
)
def test_yaml_that_would_run_code(faults, tmp_path, text):
    faults.tried()
    trace = tmp_path / "trace"
    (tmp_path / "a.yaml").write_text(text.format(trace=trace))
    with pytest.raises(UserError):
        _validate(Study, tmp_path / "a.yaml")
    assert not trace.exists()
    faults.survived()


NAMES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    '#import "/etc/passwd"',
    "`{=html}<b>`",
    "$x$ [a](javascript:alert(1))",
    "{{ 7 * 7 }} {% raw %}",
    "../../../etc/passwd",
    "; rm -rf / #",
    "$(touch /tmp/hacked)",
    "a\x00b\x1b[31m",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_a_page_is_only_text(faults, tmp_path, name):
    faults.tried()
    template = templates.environment(markdown.Numbering()).from_string(
        "# {{ name }}\n\n{{ name }}\n"
    )
    (tmp_path / "a.md").write_text(template.render(name=name))
    pages.run_pandoc(tmp_path / "a.md", tmp_path / "a.html", "--to=html5", "--metadata=title=a")
    page = (tmp_path / "a.html").read_text()
    body = page[page.index("<body") :]
    assert not re.search(r"<(script|img|b)\b|href=\"javascript", body)
    assert "49" not in body
    faults.survived()


@pytest.mark.parametrize("name", NAMES)
def test_a_title_stays_in_its_folder(faults, name):
    faults.tried()
    assert re.fullmatch(r"[a-z0-9-]{1,80}", images.plain_name(name))
    faults.survived()


def test_an_archive_in_the_place_of_a_picture(faults, tmp_path):
    faults.tried()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../out.txt", "out")
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    with pytest.raises(picture_reading.Unreadable):
        picture_reading.read(tmp_path / "a.png", 8)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    faults.survived()


def test_the_lock_has_a_hash_for_every_requirement_and_no_address(faults):
    faults.tried()
    text = (ROOT / "requirements.lock").read_text("utf-8")
    requirements = re.findall(r"(?m)^[A-Za-z0-9].*?(?=^[A-Za-z0-9]|\Z)", text, re.DOTALL)
    assert len(requirements) > 100
    assert all("==" in one and "--hash=sha256:" in one for one in requirements)
    assert "://" not in text
    faults.survived()
