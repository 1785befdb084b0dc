"""Configuration: what is wrong in a file is told with the file, the key and what is allowed."""

import copy
import re
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utils import config, places
from utils.config import load as load_module
from utils.config.load import load_profile, load_study
from utils.errors import UserError

STUDY = "mnist-cae"
PROFILE = "quick"
BACKBONES = (
    "efficientnet_lite0, efficientnet_lite1, efficientnet_lite2, resnet50, resnet50_random or "
    "timm:MODEL"
)


@pytest.fixture
def folder(tmp_path, monkeypatch, elsewhere):
    """A configuration folder with one good study and one good profile."""
    for kind, name in (("studies", STUDY), ("profiles", PROFILE)):
        (tmp_path / kind).mkdir()
        source = places.config() / kind / f"{name}.yaml"
        (tmp_path / kind / source.name).write_bytes(source.read_bytes())
    elsewhere(config=tmp_path)
    return tmp_path


@pytest.fixture
def study_file(folder):
    return folder / "studies" / f"{STUDY}.yaml"


@pytest.fixture
def changed(study_file):
    """Load the study with one value set: the keys and list positions on the way to it, then it."""

    def load(*path_and_value):
        *way, last, value = path_and_value
        content = yaml.safe_load(study_file.read_text(encoding="utf-8"))
        place = content
        for step in way:
            place = place[step]
        place[last] = value
        study_file.write_text(yaml.safe_dump(content), encoding="utf-8")
        return load_study(STUDY)

    return load


def test_what_settles_a_score_needs_something_open(changed):
    settled_by = {"notebook": "04_pretrained_comparison", "name": "weights_x", "begins": "Keras"}
    assert changed("reported", 0, "settled_by", settled_by).reported[0].settled_by is not None
    with pytest.raises(UserError, match="'settled_by' belongs to 'open', which is missing"):
        changed("reported", 0, "open", None)


def complaint(load, *arguments):
    with pytest.raises(UserError) as caught:
        load(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- the files that are shipped -------------------------------------------------------------------


@pytest.mark.parametrize("name", config.study_names())
def test_each_shipped_study_loads(name):
    study = load_study(name)
    assert study.study == name


@pytest.mark.parametrize("name", config.profile_names())
def test_each_shipped_profile_loads(name):
    assert load_profile(name).profile == name


def test_the_promised_profiles_are_shipped():
    assert {"quick", "paper"} <= set(config.profile_names())
    assert load_profile("quick").reduced
    paper = load_profile("paper")
    assert not paper.reduced
    assert not paper.allow_substitute_data
    assert paper.max_images is paper.max_epochs is None


def test_a_study_is_typed_and_cannot_be_changed():
    study = load_study(STUDY)
    assert study.autoencoder.optimizer.learning_rate == pytest.approx(1e-3)
    assert study.images.first is None
    with pytest.raises(ValueError, match="frozen"):
        study.dataset = "cifar10"


@pytest.mark.parametrize(
    ("space", "label"), [({"name": "raw"}, "raw"), ({"name": "pca", "n_components": 7}, "pca7")]
)
def test_the_label_of_a_space(changed, space, label):
    assert changed("space", space).space.label == label


def test_the_rule_of_a_verdict_is_shipped():
    rule = config.load_verdict_rule()
    assert rule.confidence == 0.95
    assert rule.statement


def test_everything_that_the_four_papers_report_is_there():
    """13 scores; the outcome of DBSCAN and five counts of parameters."""
    papers = ("mnist-cae", "fashion-ae", "mnist-conv-ae", "cifar10-cae")
    studies = [load_study(name) for name in papers]
    assert sum(len(study.reported) for study in studies) == 13
    identities = [identity for study in studies for identity in study.identities]
    assert len([identity for identity in identities if identity.clusters_of]) == 1
    assert len([identity for identity in identities if identity.fact]) == 5


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnist", "", "../profiles/quick", "MNIST-CAE", f"{STUDY}.yaml"])
def test_an_unknown_study_lists_the_studies(folder, name):
    message = complaint(load_study, name)
    assert f"unknown study {name!r}: allowed are {STUDY}" in message
    assert str(folder / "studies") in message


def test_an_unknown_profile_lists_the_profiles(folder):
    assert f"unknown profile 'fast': allowed are {PROFILE}" in complaint(load_profile, "fast")


def test_an_unknown_key_is_named_with_the_file_and_the_allowed_keys(changed, study_file):
    message = complaint(changed, "titel", "A title")
    line = study_file.read_text().splitlines().index("titel: A title") + 1
    said = f"{study_file}: line {line}: unknown key 'titel': allowed are study, title, "
    assert message.startswith(said)
    assert message.count("allowed are") == 1


@pytest.mark.parametrize(
    ("way", "key", "allowed"),
    [
        (("images",), "images.last", "split, first, resize"),
        (("autoencoder",), "autoencoder.last", "architecture, options, loss, optimizer"),
        (("autoencoder", "optimizer"), "autoencoder.optimizer.last", "name, learning_rate, rho"),
        (("space",), "space.last", "name, n_components"),
        (("reported", 1), "reported.1.last", "value, source, score, metric"),
        (("claims", 0, "rule"), "claims.0.rule.group.last", "kind, of, classes, only, share"),
        (("claims", 1, "rule", "of"), "claims.1.rule.overlap.of.last", "representation, space"),
        (("choices", 0), "choices.0.last", "topic, paper, run, why"),
    ],
)
def test_an_unknown_key_inside_another_is_named_by_its_way(changed, way, key, allowed):
    message = complaint(changed, *way, "last", 1)
    assert f"unknown key '{key}': allowed are {allowed}" in message


@pytest.mark.parametrize(
    ("path_and_value", "expected"),
    [
        (("dataset", "imagenet"), "key 'dataset': must be 'mnist', 'fashion_mnist'"),
        (("reported", 0, "metric", "f1"), "key 'reported.0.metric': must be 'ari', 'nmi'"),
        (("autoencoder", "epochs", "many"), "key 'autoencoder.epochs': must be a whole number (f"),
        (
            ("autoencoder", "epochs", 0),
            "key 'autoencoder.epochs': must be greater than 0 (found 0)",
        ),
        (("autoencoder", "epochs", 1.5), "key 'autoencoder.epochs': must be a whole number (found"),
        (("autoencoder", "epochs", None), "key 'autoencoder.epochs'"),
        (("autoencoder", "architecture", "a/b"), "key 'autoencoder.architecture'"),
        (("autoencoder", "options", {"channels": [0.5]}), "key 'autoencoder.options.channels"),
        (("autoencoder", "optimizer", "learning_rate", float("inf")), "a finite number"),
        (("reported", 0, "margin", float("nan")), "a finite number"),
        (("reported", {}), "key 'reported': must be a list (found {})"),
        (("kmeans", "n_clusters", 1), "key 'kmeans.n_clusters': must be greater than 1"),
        (("study", "other"), f"key 'study' must be '{STUDY}', the name of the file"),
        (("title", 3), "key 'title': must be text (found 3)"),
        (("images", 3), "key 'images': must be keys and values (found 3)"),
        (("reported", 0, "margin", -1.0), "key 'reported.0.margin': must be greater than 0 (f"),
        (("backbones", []), "key 'backbones': must have at least 1 entry (found [])"),
        (("backbones", 0, "vgg"), f"key 'backbones.0': must be {BACKBONES} (found 'vgg')"),
        (("variants", 0, "name", "A b"), "must be lower-case letters, digits, - and _, fi"),
        (("claims", 1, "rule", "pairs", 0, ["4"]), "must have at least 2 entries (found ['4'])"),
        (("claims", 0, "rule", "share", 1.0), "share': must be less than 1 (found 1.0)"),
        (("claims", 0, "rule", {"kind": "x"}), "'kind' must be 'group', 'overlap', 'split', "),
        (("claims", 0, "rule", {}), "key 'claims.0.rule': 'kind' is missing (found {})"),
        (("claims", 0, "rule", 3), "key 'claims.0.rule': must be keys and values (found 3)"),
        (("reported", 0, "value", 0.5), "key 'reported.0.value': must be text (found 0.5)"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(changed, study_file, path_and_value, expected):
    message = complaint(changed, *path_and_value)
    assert message.startswith(f"{study_file}: ")
    assert expected in message


def test_an_option_of_the_wrong_kind_is_one_mistake(changed, study_file):
    message = complaint(changed, "autoencoder", "options", {"channels": [0.5]})
    line = study_file.read_text().splitlines().index("    channels:") + 1
    assert message == (
        f"{study_file}: line {line}: key 'autoencoder.options.channels': must be true or false, a "
        "number, a word, or a list of whole numbers or of words (found [0.5])"
    )


def test_a_missing_key_is_named_without_the_rest_of_the_file(study_file):
    study_file.write_text(study_file.read_text().replace("citation: das2025\n", ""))
    assert complaint(load_study, STUDY) == f"{study_file}: line 1: key 'citation' is missing"


def test_a_long_wrong_value_is_shortened(changed):
    message = complaint(changed, "autoencoder", "epochs", list(range(1000)))
    assert len(message) < 400


def test_all_mistakes_are_told_at_once(study_file):
    text = study_file.read_text()
    study_file.write_text(text.replace("epochs:", "epoch:").replace("dataset: mnist", "dataset: x"))
    message = complaint(load_study, STUDY)
    for expected in ("key 'dataset'", "unknown key 'autoencoder.epoch'", "'autoencoder.epochs'"):
        assert expected in message


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"- 1", b"study", b"[", b"{", b"a: b: c", b"\tstudy: x", b"? [a]\n: b", b"&a [*a]"),
        *(b"\xff\xfe", b"\0", b"a: *unknown", b"!!python/object/apply:os.getcwd []", b"2024-13-01"),
        *(b"a: !!bool maybe", b"a: !!int x", b"a: !!timestamp x", b"a: " + b"9" * 5000),
        *(b"[" * 600, b"a: 2001-12-14t21:59:43.10-99:99", b'"\\ud800": 1', b"1: 2", b"a: &a [*a]"),
    ],
)
@pytest.mark.parametrize("load", [load_study, load_profile])
def test_malformed_yaml_names_the_file(folder, load, content):
    name = STUDY if load is load_study else PROFILE
    (path,) = folder.glob(f"*/{name}.yaml")
    path.write_bytes(content)
    assert complaint(load, name).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("yes", "bool"),
        ("on", "bool"),
        ("1", "bool"),
        ("1:30", "int"),
        ("1_000", "int"),
        ("5.0", "int"),
        ("true", "int"),
        ('"5"', "int"),
        ("2024-01-01", "int"),
    ],
)
def test_no_value_is_taken_for_one_of_another_kind(folder, text, key):
    path = folder / "profiles" / f"{PROFILE}.yaml"
    name, kind = {
        "bool": ("reduced", "true or false"),
        "int": ("seeds", "a whole number"),
    }[key]
    path.write_text(re.sub(rf"(?m)^{name}: .*", f"{name}: {text}", path.read_text()))
    message = complaint(load_profile, PROFILE)
    number = path.read_text().splitlines().index(f"{name}: {text}") + 1
    assert message.startswith(f"{path}: line {number}: key '{name}': must be {kind}")


def test_a_key_given_twice_is_refused_with_both_lines(study_file):
    lines = study_file.read_text().splitlines()
    place = lines.index("  epochs: 50")
    lines.insert(place + 1, "  epochs: 5")
    study_file.write_text("\n".join(lines))
    said = f"line {place + 2}: key 'autoencoder.epochs' is given twice, first in line {place + 1}"
    assert complaint(load_study, STUDY) == f"{study_file}: {said}"


@pytest.mark.parametrize("change", [lambda t: t.replace("\n", "\r\n"), lambda t: "\ufeff" + t])
def test_line_ends_of_windows_and_a_byte_order_mark_change_nothing(study_file, change):
    before = load_study(STUDY)
    study_file.write_bytes(change(study_file.read_text("utf-8")).encode("utf-8"))
    assert load_study(STUDY) == before


def test_a_file_that_cannot_be_read_is_named(folder, monkeypatch):
    def fail(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", fail)
    path = folder / "studies" / f"{STUDY}.yaml"
    assert complaint(load_study, STUDY) == f"{path}: cannot be read: Permission denied"


# --- what else lies in the folders ----------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [".#x.yaml", "._x.yaml", "x.yaml~", "#x.yaml#", ".x.yaml.swp", "x.txt"]
)
def test_what_editors_leave_is_not_read(folder, name):
    for kind in ("studies", "leaderboards", "profiles"):
        (folder / kind).mkdir(exist_ok=True)
        path = folder / kind / name
        if name.startswith(".#"):
            path.symlink_to("somebody@machine.123")
        else:
            path.write_bytes(b"\x00\x05\x16\x07 no text")
    assert config.study_names() == [STUDY]
    assert config.leaderboard_names() == []
    assert config.profile_names() == [PROFILE]
    assert config.note_on_ignored_files() is None


@pytest.mark.parametrize("name", ["x.yml", "X.yaml", "my study.yaml", "a folder", "a link"])
def test_what_may_be_meant_for_a_study_is_named_but_not_read(folder, name):
    path = folder / "studies" / name
    if name == "a folder":
        path = folder / "studies/x.yaml"
        path.mkdir()
    elif name == "a link":
        path = folder / "studies/x.yaml"
        path.symlink_to("nowhere")
    else:
        path.write_text("study: x")
    assert config.study_names() == [STUDY]
    assert f"ignored: {path} (a configuration file" in config.note_on_ignored_files()
    assert f"ignored: {path} (a configuration file" in complaint(load_study, "x")


def test_a_study_and_a_leaderboard_of_one_name_are_refused(folder):
    (folder / "leaderboards").mkdir()
    (folder / "leaderboards" / f"{STUDY}.yaml").write_text("leaderboard: x")
    assert "is a study and a leaderboard" in complaint(config.load_topic, STUDY)


# --- anything at all is a model or a UserError ----------------------------------------------------

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.text(max_size=5)
    | st.sampled_from(["raw", "pca", "mnist", "train", "adam", "1e-3", "last_fraction"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
    max_leaves=5,
)
any_speed = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=60,
)


def ways(content, way=()):
    """List the ways to every value inside nested mappings and lists."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in pairs:
        yield (*way, key)
        if isinstance(value, dict | list):
            yield from ways(value, (*way, key))


def is_model_or_user_error(path):
    try:
        loaded = load_module._validate(config.Study, path)
    except UserError as error:
        return str(error).startswith(f"{path}: ")
    # That its name is the file's is checked where it is loaded by name.
    return isinstance(loaded, config.Study)


GOOD = yaml.safe_load((places.config() / "studies" / f"{STUDY}.yaml").read_text(encoding="utf-8"))


@given(data=st.data(), value=values)
@any_speed
def test_any_value_anywhere_is_accepted_or_explained(study_file, data, value):
    content = copy.deepcopy(GOOD)
    *way, last = data.draw(st.sampled_from(list(ways(content))))
    place = content
    for step in way:
        place = place[step]
    if data.draw(st.booleans()) and isinstance(place, dict):
        last = data.draw(st.text(max_size=5) | st.integers() | st.none())
    place[last] = value
    study_file.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert is_model_or_user_error(study_file)


@given(
    text=st.text(alphabet="{}[]:,-?&*!|>'\"#%@`~ \n\t\\0123456789.eE+_" + string.ascii_lowercase)
    | st.text()
)
@any_speed
def test_any_text_is_accepted_or_explained(study_file, text):
    study_file.write_text(text, encoding="utf-8")
    assert is_model_or_user_error(study_file)


@given(data=st.data())
@any_speed
def test_any_edit_of_a_good_file_is_accepted_or_explained(study_file, data):
    text = (places.ROOT / "config" / "studies" / f"{STUDY}.yaml").read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text)))
    removed = data.draw(st.integers(0, 20))
    inserted = data.draw(st.text(max_size=8))
    study_file.write_text(text[:start] + inserted + text[start + removed :], encoding="utf-8")
    assert is_model_or_user_error(study_file)


# --- folders --------------------------------------------------------------------------------------


def test_the_data_folder_is_the_users_choice(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "elsewhere"))
    assert places.data_dir() == tmp_path / "elsewhere"
    monkeypatch.setenv("DATA_DIR", "")
    assert places.data_dir() == places.ROOT / "data"
    monkeypatch.delenv("DATA_DIR")
    assert places.data_dir() == places.ROOT / "data"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"kind": "group", "of": {}, "classes": ["0"], "sahre": 0.3}, "'of.representation'|share"),
        ({"kind": "grouping"}, "'group'"),
        ({"kind": "split", "classes": ["0"], "share": 1.5}, "share"),
        ({"kind": "group", "classes": []}, "classes"),
    ],
)
def test_a_wrong_rule_of_a_claim_names_what_is_allowed(changed, rule, said):
    with pytest.raises(UserError, match=said) as caught:
        changed("claims", 0, "rule", rule)
    assert "claims.0.rule" in str(caught.value)


FACT = {"notebook": "02_train_autoencoder", "name": "n_weights"}
CLUSTERED = {"representation": "autoencoder", "space": "raw", "clusterer": "kmeans"}


@pytest.mark.parametrize("place", [{}, {"fact": FACT, "clusters_of": CLUSTERED}])
def test_an_identity_has_one_place(changed, place):
    with pytest.raises(UserError, match="give either 'fact' or 'clusters_of'"):
        changed("identities", [{"what": "w", "value": "1", "source": "s"} | place])


@pytest.mark.parametrize("value", [0.6, "about 0.6", "", "1e-3", "0.6 ", ".6", "1,200"])
def test_a_reported_value_is_a_number_as_it_is_printed(changed, value):
    with pytest.raises(UserError, match=r"reported\.0\.value"):
        changed("reported", 0, "value", value)


def test_a_reported_score_has_the_paper_and_another_value_of_a_saved_run():
    purity, *_ = config.load_study("fashion-ae").reported
    assert [source.value for source in purity.sources] == ["0.5541", "0.5063"]
    silhouette, *_ = config.load_study("cifar10-cae").reported
    (source,) = silhouette.sources
    assert source.value == "0.0294"
    assert source.source == "Table 7.1; the run saved in the authors' notebook"
