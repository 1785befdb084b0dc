"""A study of one's own is begun, checked while lines are open, and run when none is."""

import re

import pytest

from commands import check_study, main, study_file
from utils import config, places
from utils.config import checks, strict_yaml, unfinished
from utils.runs import trial


@pytest.fixture
def root(tmp_path, elsewhere):
    """A checkout with the configuration and the references of this one."""
    sources = [*places.config().rglob("*.yaml"), unfinished.references()]
    for path in sources:
        copy = tmp_path / path.relative_to(places.root())
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    elsewhere(tmp_path)
    return tmp_path


@pytest.fixture
def begun(root, capsys):
    """The file of a study that was begun from mnist-cae."""
    assert main.main(["new-study", "mine", "--like", "mnist-cae"]) == 0
    capsys.readouterr()
    return root / "config/studies/mine.yaml"


def fill_in(path):
    """Fill in every open line with some text."""
    lines = path.read_text("utf-8").splitlines()
    commented = [re.sub(rf" *# {unfinished.MARK}.*", "", line) for line in lines]
    path.write_text("\n".join(commented).replace(unfinished.MARK, "x") + "\n", "utf-8")


# --- new-study ------------------------------------------------------------------------------------


@pytest.mark.parametrize("like", config.study_names())
def test_the_text_of_a_new_study_is_valid_and_has_the_protocol_of_the_other(like):
    text = study_file.text_of("mine", config.load_study(like))
    content = strict_yaml.parse(text.encode()).content
    made, other = config.Study.model_validate(content, strict=True), config.load_study(like)
    own = {"study", "title", "citation", "summary", "variants", "reported", "losses", "identities"}
    own |= {"claims", "choices"}
    for key in config.Study.model_fields.keys() - own:
        assert getattr(made, key) == getattr(other, key), key
    assert [one.metric for one in made.reported] == [one.metric for one in other.reported]
    # Nothing that the other paper says or reports is taken for the new one's.
    printed = {value.value for one in other.reported for value in one.sources}
    assert not printed & {one.value for one in made.reported}
    for text in (made.title, made.summary, *(one.source for one in made.reported)):
        assert unfinished.MARK in text


def test_a_new_study_is_sound_but_for_what_is_open(begun, root):
    study = config.load_study("mine")
    for profile in map(config.load_profile, config.profile_names()):
        checks.require_sound([study], profile, may_be_open=True)
        with pytest.raises(config.load.UserError, match=r"mine\.yaml: line 5 is still to be fill"):
            checks.require_sound([study], profile)


def test_each_setting_and_each_value_of_a_new_study_is_open(begun, root):
    found = unfinished.open_lines("mine", "mine")
    lines = begun.read_text("utf-8").splitlines()
    for file, line, text in found:
        if file == begun:
            assert lines[line - 1].strip() == text
    texts = "\n".join(one.text for one in found)
    for key in ("title", "summary", "dataset", "images", "architecture", "options", "loss", "run"):
        assert re.search(rf"^(- )?{key}: ", texts, re.MULTILINE), key
    for key in ("optimizer", "batch_size", "epochs", "space", "kmeans", "backbones", "author"):
        assert re.search(rf"^(- )?{key}\b", texts, re.MULTILINE), key
    assert texts.count("value: ") == len(config.load_study("mine").reported) == 3
    assert not any(one.text.startswith("#") for one in found)


def test_the_stub_of_a_citation_is_open_until_it_is_filled_in(begun, root):
    references = root / "reports/template/references.bib"
    fill_in(begun)
    study, profile = config.load_study("mine"), config.load_profile("quick")
    with pytest.raises(config.load.UserError, match=r"references\.bib: line \d+ is still to be"):
        checks.require_sound([study], profile)
    # The entries of other papers are not this study's.
    checks.require_sound([config.load_study("mnist-cae")], profile)
    fill_in(references)
    checks.require_sound([study], profile)


def test_an_entry_that_is_there_is_not_written_again(root, capsys):
    references = root / "reports/template/references.bib"
    text = references.read_text("utf-8") + "\n@report{mine,\n  title = {T},\n}\n"
    references.write_text(text, "utf-8")
    assert main.main(["new-study", "mine", "--like", "fashion-ae"]) == 0
    assert references.read_text("utf-8") == text
    assert "references.bib" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "wrong", "allowed"),
    [
        (["mnist-cae", "--like", "fashion-ae"], "'mnist-cae' is a study already", "another name"),
        (["beyond-mnist", "--like", "fashion-ae"], "is a leaderboard already", "another name"),
        (["My study", "--like", "fashion-ae"], "'My study'", "lower-case letters, digits, - and _"),
        (["../x", "--like", "fashion-ae"], "'../x'", "lower-case letters, digits, - and _"),
        (["", "--like", "fashion-ae"], "''", "lower-case letters, digits, - and _"),
        (["pixels", "--like", "fashion-ae"], "'pixels' is the name of a representation", "hog"),
        (["mine", "--like", "nothing"], "unknown study 'nothing'", "cifar10-cae, fashion-ae"),
        (["mine"], "--like", "new-study NAME --like STUDY"),
    ],
)
def test_a_study_that_cannot_be_begun_is_one_line(root, capsys, arguments, wrong, allowed):
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert main.main(["new-study", *arguments]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert wrong in printed.err and allowed in printed.err
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


# --- a run waits until everything is filled in ----------------------------------------------------


def test_no_run_starts_while_something_is_open(begun, root, capsys):
    assert main.main(["--studies", "mine"]) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert f"{begun}: line 5 is still to be filled in ('title: " in complaint
    assert "./run_all.sh check mine lists all of them" in complaint
    assert not (root / "runs/quick").exists()


# --- check ----------------------------------------------------------------------------------------

SECONDS = trial.Seconds(n=1000, kmeans=0.1, scores=0.01, scores_of_half=0.005)
LAYERS = [{"part": "encoder", "layer": "Linear", "output_shape": (10,), "parameters": 7850}]


@pytest.fixture
def tried(monkeypatch):
    """A trial that takes no time."""
    made = trial.Trial(
        dataset="mnist5k",
        images=500,
        layers=LAYERS,
        weights=7840,
        biases=10,
        latent_size=10,
        loss=0.25,
        training=0.001,
        validation=0.0005,
        on_code=SECONDS,
        on_pixels=SECONDS,
    )
    monkeypatch.setattr(trial, "run_trial", lambda *_: made)
    return made


def test_a_check_lists_what_is_open_and_ends_with_status_1(begun, root, capsys, tried, monkeypatch):
    monkeypatch.chdir(root)
    assert main.main(["check", "mine"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "config/studies/mine.yaml: valid"
    n = len(unfinished.open_lines("mine", "mine"))
    assert said[1] == f"to be filled in: {n} lines"
    assert said[2].startswith('  config/studies/mine.yaml:5: title: "FILL IN')
    assert sum(line.startswith("  reports/template/references.bib:") for line in said) == 6
    fill_in(begun)
    fill_in(root / "reports/template/references.bib")
    assert main.main(["check", "mine"]) == 0
    assert "to be filled in: nothing" in capsys.readouterr().out.splitlines()


def test_a_check_says_layers_parameters_and_time(root, capsys, tried):
    assert main.main(["check", "mnist-conv-ae"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"encoder +Linear +10 +7,850", said)
    assert "7,850 parameters" in said
    assert (
        "one epoch on 500 images of mnist5k (in place of mnist): binary_cross_entropy 0.25" in said
    )
    # 300 epochs of 60,000 images at 1 ms and 10,000 at 0.5 ms, five seeds
    assert "27 h 05 min" in said
    assert "1 ms per image and epoch × 60,000 images and 0.5 ms × 10,000 held out" in said
    assert "at most: training may stop early" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("epochs: 50", "epochs: 0", "key 'autoencoder.epochs': must be greater than 0 (found 0)"),
        ("batch_size: 256", "batch_size: 70001", "autoencoder.batch_size': at most 70000"),
        ("n_clusters: 10", "n_clusters: 1", "kmeans.n_clusters': must be greater than 1"),
        ("n_clusters: 10", "n_clusters: 201", "key 'kmeans.n_clusters': at most 200"),
        (
            "ture: conv_batchnorm  #",
            "ture: transformer  #",
            "unknown architecture 'transformer': allowed are conv_",
        ),
        ("dataset: mnist", "dataset: mnits", "key 'dataset': must be 'mnist', 'fashion_mnist'"),
        ("  epochs: 50", "  epochs: 50\n  epochs: 5", "'autoencoder.epochs' is given twice, first"),
        ("  epochs: 50", "\tepochs: 50", "the line is indented with a tab: use spaces"),
        ("epochs: 50", "epochs:\t50", "a tab stands in column 10: use spaces"),
        (
            "nents: 50}",
            "nents: 3137}",
            "key 'space.n_components': at most 3136, the size of the latent",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(begun, root, capsys, old, new, said):
    text = begun.read_text("utf-8")
    if old not in text:
        pytest.fail(f"{old!r} is not in the file")
    begun.write_text(text.replace(old, new, 1), "utf-8")
    assert main.main(["check", "mine"]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert re.search(rf"{re.escape(str(begun))}: line \d+: ", printed.err)
    assert said in printed.err


@pytest.mark.parametrize("change", [lambda t: t.replace("\n", "\r\n"), lambda t: "\ufeff" + t])
def test_line_ends_of_windows_and_a_byte_order_mark_are_accepted(begun, change, capsys, tried):
    assert main.main(["check", "mine"]) == 1
    before = capsys.readouterr().out
    begun.write_bytes(change(begun.read_text("utf-8")).encode("utf-8"))
    assert main.main(["check", "mine"]) == 1
    assert capsys.readouterr().out == before


def test_the_check_of_an_unknown_study_lists_the_known_ones(root, capsys):
    assert main.main(["check", "nothing"]) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert "unknown study 'nothing': allowed are cifar10-cae, fashion-ae, mnist-cae" in complaint


def test_what_the_paper_leaves_open_is_listed(root):
    said = "\n".join(check_study._open(config.load_study("mnist-cae"), []))
    assert "left open by the paper (choices): channel counts, learning rate of Adam" in said
    assert "ARI is not decidable without it: the paper states neither the channels" in said
