"""User input: any command line or notebook parameter is a run, or an error in a line."""

import contextlib
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands import main, picture_request, request
from utils.errors import UserError
from utils.runs import leaderboard, picture_folder
from utils.runs import study as study_module

OPTIONS = (
    *("--profile", "--studies", "--seeds", "--out", "--cores", "--offline", "--", "--clusters"),
    *("--clusterer", "--labels", "--export", "--copy", "--model", "--name", "--seed", "--what"),
)
VALUES = ("quick", "paper", "mnist-cae", "mnist-cae,fashion-ae", "0", "1", "-1", "auto", "gmm", "")
words = st.one_of(st.sampled_from(OPTIONS), st.sampled_from(VALUES), st.text(max_size=8))


def run_request(*arguments):
    request.request_of(main.parse(arguments))


def images_request(*arguments):
    picture_request.request_of(main.parse(["images", *arguments]), "plain")


@pytest.mark.parametrize(
    "parse",
    [
        run_request,
        images_request,
        lambda *arguments: main.parse(["publish", *arguments]),
        lambda *arguments: main.parse(["recipe", *arguments]),
    ],
)
@settings(max_examples=80)
@given(arguments=st.lists(words, max_size=6))
def test_a_command_line(tmp_path_factory, faults, monkeypatch_module, parse, arguments):
    faults.tried()
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            parse(*arguments)
        except UserError as error:
            assert str(error)
        except SystemExit as asked_for_help:
            assert asked_for_help.code == 0
    faults.survived()


@pytest.fixture(scope="module")
def monkeypatch_module(tmp_path_factory):
    """Let every folder that a command line names lie in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("here"))
        patch.setattr(request, "prepare_out", lambda *_: None)
        patch.setattr(picture_request, "prepare_out", lambda *_: None)
        patch.setattr(picture_request, "_prepare_export", lambda _request: None)
        yield patch


any_value = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=10), st.just([1])
)


@settings(max_examples=100)
@given(study=any_value, profile=any_value, seed=any_value)
def test_parameters_of_a_study(faults, study, profile, seed):
    faults.tried()
    with pytest.raises(UserError):
        study_module.open_run("01_baseline_kmeans", study, profile, seed)
    faults.survived()


@settings(max_examples=100)
@given(board=any_value, profile=any_value, seed=any_value)
def test_parameters_of_a_leaderboard(faults, board, profile, seed):
    faults.tried()
    with pytest.raises(UserError):
        leaderboard.open_board("05_beyond_the_papers", board, profile, seed, None)
    faults.survived()


@settings(max_examples=60)
@given(
    folder=st.one_of(st.text(max_size=6), st.none(), st.integers()),
    labels=any_value,
    backbone=any_value,
    seed=any_value,
)
def test_parameters_of_a_folder(faults, folder, labels, backbone, seed):
    faults.tried()
    with pytest.raises(UserError):
        picture_folder.open_folder(
            f"/nowhere/{folder}", labels, backbone, "auto", "gmm", "x", seed, None
        )
    faults.survived()
