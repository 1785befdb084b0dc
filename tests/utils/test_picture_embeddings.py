"""Features that somebody else computed, from files of every allowed kind."""

import numpy as np
import pandas as pd
import pytest

from utils.data.picture_embeddings import read_embeddings
from utils.errors import UserError

NAMES = ("a.jpg", "b/c.jpg", "d.jpg")
VALUES = np.arange(8, dtype=np.float32).reshape(2, 4)
PATHS = ["b\\c.jpg", "a.jpg"]


def write_npz(file, paths, values):
    np.savez(file, paths=paths, features=values)


def write_npy(file, paths, values):
    np.save(file, values)
    file.with_suffix(".txt").write_text("".join(f"{path}\n" for path in paths))


def table(paths, values):
    return pd.DataFrame(values, columns=[f"f{i}" for i in range(values.shape[1])]).assign(
        Filename=paths
    )


def write_csv(file, paths, values):
    table(paths, values).to_csv(file, index=False)


def write_parquet(file, paths, values):
    table(paths, values).to_parquet(file)


def write_lists(file, paths, values):
    pd.DataFrame({"path": paths, "embedding": list(values)}).to_parquet(file)


WAYS = {
    "a.npz": write_npz,
    "a.npy": write_npy,
    "a.csv": write_csv,
    "a.parquet": write_parquet,
    "lists.parquet": write_lists,
}


@pytest.mark.parametrize("name", WAYS)
def test_features_belong_to_the_pictures_that_their_paths_name(tmp_path, name):
    WAYS[name](tmp_path / name, [*PATHS, "gone.jpg"], np.vstack([VALUES, VALUES[:1]]))
    own = read_embeddings(tmp_path / name, tmp_path / "pictures", NAMES)
    assert own.values.dtype == np.float32
    np.testing.assert_array_equal(own.values[[own.row_of["b/c.jpg"], own.row_of["a.jpg"]]], VALUES)
    assert set(own.row_of) == {"a.jpg", "b/c.jpg"}
    assert own.unmatched == ("gone.jpg",)
    assert own.weights.startswith(name)


def test_a_row_that_is_not_finite_does_not_count(tmp_path):
    values = VALUES.copy()
    values[1, 2] = np.inf
    write_npz(tmp_path / "a.npz", PATHS, values)
    own = read_embeddings(tmp_path / "a.npz", tmp_path, NAMES)
    assert own.not_finite == ("a.jpg",) and set(own.row_of) == {"b/c.jpg"}


def test_paths_may_be_bytes(tmp_path):
    write_npz(tmp_path / "a.npz", np.array(PATHS, "S"), VALUES)
    assert set(read_embeddings(tmp_path / "a.npz", tmp_path, NAMES).row_of) == {"a.jpg", "b/c.jpg"}


def test_a_row_without_a_path_is_unmatched(tmp_path):
    write_csv(tmp_path / "a.csv", [PATHS[0], None], VALUES)
    own = read_embeddings(tmp_path / "a.csv", tmp_path, NAMES)
    assert set(own.row_of) == {"b/c.jpg"} and own.unmatched == ("",)


def test_values_too_large_for_float32_are_not_finite(tmp_path):
    write_npz(tmp_path / "a.npz", PATHS, VALUES.astype(float) * [[1], [1e300]])
    assert read_embeddings(tmp_path / "a.npz", tmp_path, NAMES).not_finite == ("a.jpg",)


def write_with_a_damaged_stream(file):
    np.savez_compressed(file, paths=PATHS, features=VALUES)
    content = bytearray(file.read_bytes())
    content[60:70] = b"\xff" * 10  # within the compressed paths
    file.write_bytes(content)


def make_bad(folder):
    write_with_a_damaged_stream(folder / "stream.npz")
    (folder / "text.npz").write_text("path,feature")
    np.savez(folder / "rowless.npz", paths=np.array([], str), features=VALUES[:0])
    np.savez(folder / "complex.npz", paths=PATHS, features=VALUES * 1j)
    np.savez(folder / "strings.npz", paths=PATHS, features=VALUES.astype(str))
    table(PATHS, VALUES).to_csv(folder / "indexed.csv")
    (folder / "broken.npz").write_bytes(b"PK\3\4broken")
    (folder / "broken.parquet").write_bytes(b"PAR1broken")
    np.savez(folder / "names.npz", a=PATHS, b=VALUES)
    np.savez(folder / "short.npz", paths=PATHS[:1], features=VALUES)
    np.savez(folder / "flat.npz", paths=PATHS, features=VALUES[:, 0])
    np.savez(folder / "pickled.npz", paths=PATHS, features=np.array([{}, {}], dtype=object))
    np.savez(folder / "twice.npz", paths=["a.jpg", "./a.jpg"], features=VALUES)
    np.savez(folder / "others.npz", paths=["x.jpg", "y.jpg"], features=VALUES)
    np.save(folder / "alone.npy", VALUES)
    table(PATHS, VALUES).drop(columns="Filename").to_csv(folder / "pathless.csv")
    table(PATHS, VALUES).assign(note="x").to_csv(folder / "words.csv", index=False)
    (folder / "a.pkl").write_bytes(b"")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone.npz", "No such file"),
        ("broken.npz", "broken.npz"),
        ("broken.parquet", "broken.parquet"),
        ("names.npz", "has a, b: the arrays paths and features are needed"),
        ("short.npz", r"1 paths and features of shape \(2, 4\)"),
        ("flat.npz", r"features of shape \(2,\)"),
        ("pickled.npz", "allow_pickle"),
        ("twice.npz", "'a.jpg' has rows 1 and 2: keep one"),
        ("others.npz", r"none of its paths \('x.jpg', …\) is a picture"),
        ("alone.npy", "alone.txt is needed beside it"),
        ("pathless.csv", "a column path is needed; its columns are"),
        ("words.csv", "column 'note' has no numbers"),
        ("stream.npz", "stream.npz: Error .* while decompressing"),
        ("text.npz", "is no .npz file"),
        ("rowless.npz", r"0 paths and features of shape \(0, 4\)"),
        ("complex.npz", "of the type complex64: real numbers"),
        ("strings.npz", "of the type <U"),
        ("indexed.csv", "a column without a name"),
        ("a.pkl", "must end in .npz, .npy, .parquet, .csv"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, name, reason):
    make_bad(tmp_path)
    with pytest.raises(UserError, match=reason):
        read_embeddings(tmp_path / name, tmp_path, NAMES)
