"""What the interactive map shows of a person's own pictures."""

import io
import os
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote_to_bytes

import numpy as np
import pandas as pd
from PIL import Image

from utils.runs.picture_map import address, map_table

N = 5
NAMES = ["a b/#1.png", "c.png", "d.png", "e.png", "é.png"]


def opened():
    """Five of six files are pictures; the first one is twice as wide as high."""
    known = pd.DataFrame({"path": NAMES, "confidence": 0.5, "cluster": [1, 0, 1, -1, 0]})
    known["taken"] = ["2020-01-31 12:00:00", "", "2020-13-31 12:00:00", "", ""]
    small = np.zeros((N, 8, 8, 3), np.uint8) + np.arange(0, 250, 50, np.uint8)[:, None, None, None]
    files = ["a b/#1.png", "broken", *NAMES[1:]]
    return SimpleNamespace(
        assignments=lambda: known.assign(level_1=0, x=0.1, y=0.2),
        found=SimpleNamespace(path=lambda row: Path("/photos") / files[row]),
        usable=np.array([0, 2, 3, 4, 5]),
        nearest=np.array([[1, 2]] * N),
        positions=np.arange(2 * N, dtype=np.float32).reshape(N, 2),
        collected=SimpleNamespace(
            small=small, width=np.array([20, 8, 8, 8, 8]), height=np.array([10, 8, 8, 8, 8])
        ),
    )


def test_every_picture_is_on_the_map_with_all_that_is_known():
    table = map_table(opened())
    assert table["name"].tolist() == NAMES
    assert table.columns[:2].tolist() == ["cluster", "level_1"]
    assert {"confidence", "x", "y", "nearest", "aspect"} < set(table.columns)
    assert table["taken"].notna().tolist() == [True] + [False] * 4
    np.testing.assert_array_equal(table[["x", "y"]], np.arange(10).reshape(5, 2))
    assert table["aspect"].tolist() == [2, 1, 1, 1, 1]
    assert table["file"].tolist()[:2] == ["/photos/a%20b/%231.png", "/photos/c.png"]
    sheet = np.asarray(Image.open(io.BytesIO(table["image"][0])).convert("L"))
    shades = [round(int(sheet[4, 8 * cell + 4]), -1) for cell in table["cell"]]
    assert shades == [0, 50, 100, 150, 200]


def test_an_address_keeps_every_byte_of_a_name():
    path = Path("/photos") / os.fsdecode(b"caf\xe9 100%.jpg")
    assert address(path).isascii()
    assert unquote_to_bytes(address(path)) == os.fsencode(path)
