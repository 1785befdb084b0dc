"""The arguments of `run_all.sh`: what they know without reading anything agrees with the rest."""

import re
import subprocess
import sys

import pytest

from commands import arguments, images, last_resort, main, recipe
from utils import clustering, config, errors
from utils.places import ROOT
from utils.representations import pretrained
from utils.runs import near_duplicates


@pytest.mark.parametrize("name", ["main", "environment"])
def test_what_runs_before_there_is_an_environment_needs_none(name):
    """Without site-packages, and of `utils` only two modules, nothing else can be imported."""
    code = (
        "import importlib, sys; sys.path.insert(0, sys.argv[1]); "
        "importlib.import_module(sys.argv[2]); "
        "print(*sorted(name for name in sys.modules if name.startswith(('utils.', 'report'))))"
    )
    command = [sys.executable, "-I", "-S", "-c", code, ROOT / "src", f"commands.{name}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= {"utils.places", "utils.errors"}


def test_the_names_of_files_are_the_names_of_what_is_in_them():
    assert arguments.names_in("studies") == config.study_names()
    assert arguments.names_in("leaderboards") == config.leaderboard_names()
    assert arguments.names_in("profiles") == config.profile_names()


def test_the_recipes_are_those_of_the_leaderboards():
    boards = [config.load_leaderboard(name) for name in config.leaderboard_names()]
    rows = [(row.recipe, board.leaderboard) for board in boards for row in board.rows if row.recipe]
    assert list(recipe.recipes().items()) == rows


def test_what_pictures_are_clustered_with_is_what_there_is():
    assert ("levels", *clustering.CLUSTERERS) == images.CLUSTERERS
    with pytest.raises(errors.UserError) as refused:
        pretrained.load_backbone("magic")
    named = re.findall(r"[a-z]+[a-z0-9_]*\d[a-z0-9_]*", str(refused.value))
    assert set(images.BACKBONES) == set(named)
    assert images.LEAST_SIMILARITY == near_duplicates.LEAST_SIMILARITY


def test_a_list_of_recipes_is_an_answer(capsys):
    with pytest.raises(SystemExit) as answered:
        main.parse(["recipe"])
    assert answered.value.code == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == list(recipe.recipes())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["images", "a" * 300], "File name too long"),
        (["--out", "a" * 300], "File name too long"),
        (["--out", "~nobody-of-this-name/x"], "is not a path"),
        (["--out", "a\0b"], "is not a path"),
        (["images", ""], "DIR is empty"),
        (["images", ".", "--against", ""], "--against is empty"),
        (["images", ".", "--out", " "], "--out is empty"),
        (["images", ".", "--export", ""], "--export is empty"),
        (["images", "\udce9"], r"DIR '.*\\udce9': is not UTF-8"),
        (["images", ".", "--out", "\udce9"], "--out .*: is not UTF-8"),
        (["images", ".", "--name", "\udce9"], "--name .*: is not UTF-8"),
        (["images", ".", "--exclude", "\udce9"], "--exclude .*: is not UTF-8"),
        (["images", ".", "--backbone", "magic"], "--backbone 'magic': allowed are efficient"),
        (["images", ".", "--backbone", "timm:"], "--backbone 'timm:': allowed are efficient"),
        (["--seeds", "2", "images", "."], "the command 'images' comes first"),
        (["run"], "unrecognized arguments: run"),
        (["lab", "x", "--", "y"], "unrecognized arguments: x"),
        (["--seeds", "1" * 5000], "is not a whole number from 1"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(words, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(arguments.WrongCall, match=reason):
        main.parse(words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("words", "status"), [("recipe", 3), ("x", 2), ("--seeds 1", 0)])
def test_the_status_tells_run_all_what_to_do(words, status):
    command = [sys.executable, "-I", "-S", ROOT / "src/commands/main.py", *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert len(done.stderr.splitlines()) == (status == last_resort.USAGE_ERROR)


def test_what_follows_the_dashes_is_passed_on_by_two_commands_only():
    assert main.parse(["--seeds", "3", "--", "--seeds"]).passed_on == ("--seeds",)
    assert main.parse(["lab", "--", "-x", "--"]).passed_on == ("-x", "--")
    with pytest.raises(arguments.WrongCall, match="unrecognized arguments"):
        main.parse(["publish", "--", "x"])


def test_a_folder_whose_name_begins_with_a_dash_follows_the_dashes(tmp_path, monkeypatch):
    (tmp_path / "-mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main.parse(["images", "--", "-mine"]).folder == tmp_path / "-mine"
