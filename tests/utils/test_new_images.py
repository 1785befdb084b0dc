import numpy as np
import pandas as pd
import pytest

from utils import metrics, pipeline
from utils.config.load import leaderboard_names, load_leaderboard
from utils.config.new_images import NewImages, load_new_images
from utils.data import datasets
from utils.errors import UserError
from utils.runs import leaderboard, new_images
from utils.store import stages
from utils.store.tables import NEW_IMAGES_TABLE, RELIABILITY_TABLE

NOTEBOOK = "05_beyond_the_papers"


@pytest.fixture
def split():
    """MNIST's embedded images, the last 1,500 of them as a test split."""
    small = datasets.load("mnist5k")
    values = {name: getattr(small, name) for name in small.__dataclass_fields__}
    return datasets.Dataset(**{**values, "n_train": 3500})


@pytest.fixture
def open_run(tmp_path, monkeypatch, elsewhere, split):
    elsewhere(runs=tmp_path / "runs")
    monkeypatch.setattr(datasets, "load", lambda name, offline=False: split)
    board = load_leaderboard("beyond-mnist").model_copy(update={"reduced_images": 400})
    monkeypatch.setattr(leaderboard, "load_leaderboard", lambda name: board)

    def opened(**described):
        said = NewImages(leaderboard="beyond-mnist", **{"fit": {"split": "train"}, **described})
        monkeypatch.setattr(new_images, "load_new_images", lambda name: said)
        folder = tmp_path / "runs" / "quick" / "beyond-mnist" / "seed-0" / NOTEBOOK
        run = leaderboard.open_board(NOTEBOOK, "beyond-mnist", "quick", 0, folder)
        return new_images.open_new_images(run)

    return opened


def test_what_is_shipped_fits_the_leaderboards():
    for name in leaderboard_names():
        board, described = load_leaderboard(name), load_new_images(name)
        recipes = {row.recipe for row in board.rows if row.recipe}
        assert set(described.not_assigned) <= recipes
        # A method with a view that is trained on the images gives a reason.
        for row in board.rows:
            if row.recipe and not set(row.parsed.views) <= set(new_images.REPRESENTATIONS):
                assert row.recipe in described.not_assigned
    assert load_new_images("nothing") is None


def test_held_out_images_of_cifar10_are_none_of_the_leaderboards():
    described, board = load_new_images("beyond-cifar10"), load_leaderboard("beyond-cifar10")
    # The test images are held out, and the leaderboard has images of the train split only.
    assert described.held_out
    assert (board.images.split, board.images.first) == ("train", 10_000)


def test_a_reduced_run_has_one_method_and_images_of_both_kinds(open_run):
    new = open_run()
    (method,) = new.methods()
    assert new.run.recipe_of(method) == "mnist-pixels"
    assert (new.fit_rows, new.new_rows) == (slice(0, 400), slice(3500, 3900))
    assert new.held_out(method) is None  # the leaderboard has all images


def test_assigned_images_and_the_scores_of_the_fit_are_recorded(open_run, split):
    new = open_run()
    (method,) = new.methods()
    found = new.assign(method)
    plain = pipeline.run(method, split.images[:400], 10, 0).assignment
    fit = metrics.external(plain, split.labels[:400])
    new.write()
    folder = new.run.record.folder
    table = NEW_IMAGES_TABLE.read(folder / NEW_IMAGES_TABLE.file)
    values = table.set_index(["kind", "metric"])["value"]
    assert values["fit", "ari"] == pytest.approx(fit["ari"])
    assert values["assigned", "acc"] == pytest.approx(found["acc"])
    assert 0.3 < found["acc_of_fit_match"] <= found["acc"]
    assert set(table["n_fit"]) == {400} and set(table["n"]) == {400}
    bins = RELIABILITY_TABLE.read(folder / RELIABILITY_TABLE.file)
    assert bins["n"].sum() == 400
    assert (bins["accuracy"] * bins["n"]).sum() / 400 == pytest.approx(found["acc_of_fit_match"])
    assert (bins["confidence"] * bins["n"]).sum() / 400 == pytest.approx(found["confidence"])


def test_labels_change_scores_only(open_run, split, monkeypatch):
    new = open_run()
    (method,) = new.methods()
    seen = []
    real = new_images.vote
    monkeypatch.setattr(new_images, "vote", lambda *given: seen.append(real(*given)) or seen[-1])
    new.assign(method)
    shuffled = np.random.default_rng(0).permutation(split.labels)
    object.__setattr__(new.data, "labels", shuffled)
    worse = new.assign(method)
    assert worse["acc"] < 0.3
    for one, other in zip(*seen, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_leaderboards_own_features_are_taken_where_it_has_the_images(open_run, monkeypatch):
    new = open_run()
    new.run.images = new.data.images
    computed = []
    real = pipeline.untrained
    monkeypatch.setattr(
        pipeline,
        "untrained",
        lambda name, images, _=None: computed.append(len(images)) or real(name, images),
    )
    fitted, others = new._view("pixels")
    assert set(computed) == {5000}
    np.testing.assert_array_equal(fitted, new.data.images[:400].reshape(400, -1) / np.float32(255))
    np.testing.assert_array_equal(
        others, new.data.images[3500:3900].reshape(400, -1) / np.float32(255)
    )
    # What a method that is fitted on these images then finds in the store.
    stage = real("pixels", new.data.images[:400])
    whole = real("pixels", new.data.images)
    assert stage.seconds == pytest.approx(whole.seconds * 400 / 5000)


def test_held_out_images_are_clustered_afresh(open_run, split, monkeypatch):
    new = open_run(held_out=True)
    new.new_rows = slice(400, 800)
    (method,) = new.methods()
    found = new.held_out(method)
    plain = pipeline.run(method, split.images[400:800], 10, 0).assignment
    assert found["ari"] == pytest.approx(metrics.external(plain, split.labels[400:800])["ari"])
    scores = new.scores()
    assert set(scores["kind"]) == {"held_out"} and set(scores["metric"]) == set(new_images.SCORES)


def test_a_method_that_assigns_nothing_gives_its_reason(open_run):
    new = open_run(not_assigned={"mnist-pixels": "because"})
    (method,) = new.methods()
    assert new.reason_not_to_assign(method) == "because"
    assert new.assign(method) is None
    new.write()
    assert new.scores().empty and new.reliability().empty
    other = open_run()
    other.new_rows = slice(5000, 5000)
    assert "no images besides" in other.reason_not_to_assign(method)


def test_a_trained_view_without_a_reason_is_refused(open_run):
    new = open_run()
    (three_views,) = new.run.methods("mnist-three-views")
    with pytest.raises(UserError, match="mnist-three-views: the view 'contrastive' is trained"):
        new.assign(three_views)


def test_a_part_of_a_stage_costs_its_share(tmp_path, elsewhere):
    elsewhere(runs=tmp_path / "runs")
    whole = stages.Stage({"features": np.arange(20.0).reshape(10, 2)}, 5.0, 100.0, "plain")
    part = stages.load_or_take("part", {"images": "a"}, ("utils.errors",), whole, slice(2, 6))
    np.testing.assert_array_equal(part.arrays["features"], whole.arrays["features"][2:6])
    assert (part.seconds, part.peak_memory_mb, part.settings) == (2.0, 100.0, "plain")


def test_the_file_names_a_wrong_key(tmp_path, elsewhere):
    (tmp_path / "new_images.yaml").write_text(
        "boards:\n  - leaderboard: beyond-mnist\n    fit: {splits: train}\n"
    )
    elsewhere(config=tmp_path)
    with pytest.raises(UserError, match=r"line 3: unknown key .*splits"):
        load_new_images("beyond-mnist")


def test_tables_without_rows_are_written_and_read(tmp_path):
    for schema in (NEW_IMAGES_TABLE, RELIABILITY_TABLE):
        schema.write(schema.empty(), tmp_path / schema.file)
        assert isinstance(schema.read(tmp_path / schema.file), pd.DataFrame)
