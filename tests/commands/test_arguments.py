"""The arguments of `run_all.sh`: what they know without reading anything agrees with the rest."""

import ast
import re
import sys

import pytest

from commands import arguments
from utils import clustering, config, errors
from utils.places import ROOT
from utils.representations import pretrained


@pytest.mark.parametrize(
    "name",
    [
        "commands/arguments.py",
        "commands/environment.py",
        "utils/places.py",
        "utils/errors.py",
    ],
)
def test_what_runs_before_there_is_an_environment_needs_none(name):
    tree = ast.parse((ROOT / "src" / name).read_text("utf-8"))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        own = ("utils", "utils.errors")
        assert all(n.split(".")[0] in sys.stdlib_module_names or n in own for n in names)


def test_the_names_of_files_are_the_names_of_what_is_in_them():
    assert arguments.names_in("studies") == config.study_names()
    assert arguments.names_in("leaderboards") == config.leaderboard_names()
    assert arguments.names_in("profiles") == config.profile_names()


def test_the_recipes_are_those_of_the_leaderboards():
    boards = [config.load_leaderboard(name) for name in config.leaderboard_names()]
    rows = [(row.recipe, board.leaderboard) for board in boards for row in board.rows if row.recipe]
    assert list(arguments.recipes().items()) == rows


def test_what_pictures_are_clustered_with_is_what_there_is():
    assert tuple(clustering.CLUSTERERS) == arguments.CLUSTERERS
    with pytest.raises(errors.UserError) as refused:
        pretrained.load_backbone("magic")
    named = re.findall(r"[a-z]+[a-z0-9_]*\d[a-z0-9_]*", str(refused.value))
    assert set(arguments.BACKBONES) == set(named)


def test_a_list_of_recipes_is_an_answer(capsys):
    with pytest.raises(SystemExit) as answered:
        arguments.parse(["recipe"])
    assert answered.value.code == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == list(arguments.recipes())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["images", "a" * 300], "File name too long"),
        (["--out", "a" * 300], "File name too long"),
        (["--out", "~nobody-of-this-name/x"], "is not a path"),
        (["--out", "a\0b"], "is not a path"),
        (["images", ".", "--backbone", "magic"], "--backbone 'magic': allowed are efficient"),
        (["images", ".", "--backbone", "timm:"], "--backbone 'timm:': allowed are efficient"),
        (["--seeds", "2", "images", "."], "the sub-command 'images' comes first"),
        (["run"], "unknown sub-command 'run'"),
        (["lab", "x", "--", "y"], "lab takes no 'x'"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(words, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(arguments.WrongCall, match=reason):
        arguments.parse(words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "status"), [(["recipe"], arguments.ANSWERED), (["x"], arguments.USAGE_ERROR)]
)
def test_the_status_tells_run_all_what_to_do(words, status, monkeypatch, capsys):
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert arguments.main(words) == status
    assert len(capsys.readouterr().err.splitlines()) == (status == arguments.USAGE_ERROR)
