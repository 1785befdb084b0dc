import subprocess
import sys

import pandas as pd
import pytest

from utils.errors import UserError
from utils.store import tables
from utils.store.tables import ASSIGNMENTS_TABLE, METRICS_TABLE, VERDICTS_TABLE, Table

CSV = Table("a.csv", {"name": "str", "count": "int64", "score": "float64", "given": "bool"})
PARQUET = Table("a.parquet", CSV.types)
ROWS = pd.DataFrame(
    {"given": [True, False], "score": [0.1, None], "count": [1, 2], "name": ["NA", ""], "x": [1, 1]}
)


@pytest.mark.parametrize("table", [CSV, PARQUET])
def test_what_is_written_is_read_with_its_types_and_without_other_columns(table, tmp_path):
    table.write(ROWS, tmp_path / table.file)
    read = table.read(tmp_path / table.file)
    assert {name: str(kind) for name, kind in read.dtypes.items()} == dict(table.types)
    assert list(read["name"]) == ["NA", ""]  # a text may be empty, or look like a missing number
    assert read["score"].isna().tolist() == [False, True]
    assert [path.name for path in tmp_path.iterdir()] == [table.file]


def test_a_table_with_a_missing_column_is_not_written(tmp_path):
    with pytest.raises(KeyError):
        CSV.write(ROWS.drop(columns="score"), tmp_path / "a.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,count,score,given\na,1.5,0.1,True\n", "column 'count' must have whole numbers only"),
        ("name,count,score,given\na,,0.1,True\n", "column 'count' must have whole numbers only"),
        ("name,count,score,given\na,1,high,True\n", "column 'score' must have numbers only"),
        ("name,count,score,given\na,1,,maybe\n", "column 'given' must have True or False only"),
        ("name,count,score\na,1,0.1\n", "column 'given' is missing"),
        ("", "malformed"),
        ('name,count,score,given\n"a', "malformed"),
        (None, "missing"),
    ],
)
def test_a_damaged_table_is_named_with_its_column_and_what_to_do(text, said, tmp_path):
    path = tmp_path / "a.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError) as error:
        CSV.read(path, "make it again")
    assert str(error.value).startswith(f"{path}: {said}")
    assert str(error.value).endswith(": make it again")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(b"PAR1"), "malformed"),
        (lambda path: ROWS.drop(columns="count").to_parquet(path), "column 'count' is missing"),
        (lambda path: ROWS.assign(count="x").to_parquet(path), "'count' must have whole numbers"),
    ],
)
def test_a_damaged_parquet_file_is_named(damage, said, tmp_path):
    damage(tmp_path / "a.parquet")
    with pytest.raises(UserError, match=said) as error:
        PARQUET.read(tmp_path / "a.parquet")
    assert str(error.value).endswith("run the notebook again")


def test_joining_leaves_out_empty_tables_so_that_types_stay():
    part = ROWS[list(CSV.columns)]
    joined = CSV.joined([CSV.empty(), part, CSV.empty()])
    assert joined.dtypes.equals(part.dtypes)
    assert CSV.joined([]).columns.tolist() == list(CSV.columns)


def test_no_table_has_a_column_of_an_unknown_type():
    declared = [value for value in vars(tables).values() if isinstance(value, Table)]
    assert len(declared) >= 10
    kinds = {kind for table in declared for kind in table.types.values()}
    assert kinds <= {"str", "int32", "int64", "float64", "bool"}
    assert len({table.file for table in declared}) == len(declared)
    assert set(tables.COMBINATION) < set(METRICS_TABLE.columns) & set(ASSIGNMENTS_TABLE.columns)
    assert "verdict" in VERDICTS_TABLE.columns


def test_naming_the_tables_needs_no_pandas():
    script = "import sys, utils.store.tables; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
