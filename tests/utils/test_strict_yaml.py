"""The YAML of the project: one reading for each text, or a line that says what is wrong."""

import ast
import math
import subprocess

import pytest

from utils.config import strict_yaml
from utils.places import ROOT


def content(text):
    return strict_yaml.parse(text.encode("utf-8")).content


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, word) for word in ("yes", "no", "on", "off", "y", "N", "1:30", "1_000", "0b1")],
        *[(word, word) for word in ("2024-01-01", "2024-13-01", "=", "1.2.3", "1e", "-", "0x")],
        *[("'010'", "010"), ('"5"', "5"), ("'true'", "true"), ("''", "")],
        *[("", None), ("~", None), ("null", None), ("true", True), ("False", False)],
        *[("10", 10), ("-7", -7), ("+7", 7), ("0", 0), ("0o10", 8), ("0x1F", 31)],
        *[("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e-3", 0.001), ("1.0E+3", 1000.0)],
        *[("-.inf", -math.inf), (".INF", math.inf)],
    ],
)
def test_a_plain_value_is_what_yaml_1_2_says(text, value):
    found = content(f"a: {text}")["a"] if text != "-" else content("a: '-'")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("number", ["010", "-010", "00", "08", "+01"])
def test_a_number_with_a_leading_zero_is_refused(number):
    with pytest.raises(strict_yaml.Malformed) as caught:
        content(f"a: 1\nb:\n  c: {number}")
    said = f"line 3: key 'b.c': {number} begins with 0, which YAML 1.1 reads as an octal number"
    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith(f"write {int(number)}, or '{number}' in quotes for text")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2", "line 2: key 'a' is given twice, first in line 1"),
        ("a: {b: 1,\n\n  'b': 1}", "line 3: key 'a.b' is given twice, first in line 1"),
        ("a:\n- {b: 1}\n- {b: 1, b: 2}", "line 3: key 'a.1.b' is given twice, first in line 3"),
        ("a:\n\tb: 1", "line 2: not valid YAML: the line is indented with a tab"),
        ("a: 1\n \tb: 1", "line 2: not valid YAML: the line is indented with a tab"),
        ("a:\n  - x\n\t- y", "line 3: not valid YAML: the line is indented with a tab: use spaces"),
        ("a: 1\nb:\tc", "line 2: not valid YAML: a tab stands in column 3: use spaces"),
        ("a: [1,\t2]", "line 1: not valid YAML: a tab stands in column 7: use spaces"),
        ("a: 1\t# why", "line 1: not valid YAML: a tab stands in column 5: use spaces"),
        ("1: 2", "line 1: '1' cannot be a key"),
        ("a:\n  null: 2", "line 2: 'null' cannot be a key"),
        ("? [a]\n: b", "line 1: '[…]' cannot be a key"),
        ("a: !!int 5", "line 1: tag 'tag:yaml.org,2002:int' is not allowed"),
        ("a:\n  - ! x", "line 2: tag '!' is not allowed"),
        ("a: &a [*a]", "line 1: key 'a.0' contains itself"),
        ("a: 1\nb: &b\n  c: *b", "line 2: key 'b.c' contains itself"),
        ("a: *b", "line 1: not valid YAML: found undefined alias"),
        ("a: 1\n---\nb: 2", "line 2: not valid YAML: but found another document"),
        ("a: 'x\ny", "line 2: not valid YAML: found unexpected end of stream"),
        ("a: 1\nb: \0", "line 2: not valid YAML: control character 0x0"),
        ("a: " + "9" * 5000, "line 1: key 'a': a number of 5000 digits"),
        ("a:\n  " + "[" * 60, "line 2: more than 50 lists or mappings inside each other"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text, said):
    with pytest.raises(strict_yaml.Malformed) as caught:
        content(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_utf_8_are_told_with_their_line():
    with pytest.raises(strict_yaml.Malformed, match="line 2: not UTF-8 text"):
        strict_yaml.parse(b"a: 1\nb: \xff\n")


def test_many_aliases_of_aliases_cost_nothing():
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    found = content("\n".join(lines))["a39"]
    assert found[0] is found[1]


def test_the_line_of_each_part():
    document = strict_yaml.parse(b"a: &x\n  b: [1,\n    2]\nc:\n  - {d: 1}\n  - *x\n\ne: 1\n")
    lines = {
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "b", 1): 3,
        ("c", 0, "d"): 5,
        ("c", 1, "b"): 2,
        ("e",): 8,
        # What is missing is looked for where it would belong.
        ("a", "absent"): 1,
        ("c", 0, "of a kind", "d"): 5,
        ("c", 7): 4,
        (): 1,
    }
    assert {way: document.line(way) for way in lines} == lines


# --- one reader for all files ---------------------------------------------------------------------


def tracked(*patterns):
    listed = subprocess.run(
        ["git", "ls-files", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.splitlines()]


def test_every_yaml_file_of_the_project_is_read():
    files = tracked("*.yaml", "*.yml", "*.cff")
    assert len(files) > 10
    for path in files:
        assert strict_yaml.parse(path.read_bytes()).content, path


def test_no_other_module_reads_yaml():
    for path in sorted((ROOT / "src").rglob("*.py")):
        imported = {
            name.partition(".")[0]
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
            )
        }
        assert "yaml" not in imported or path.name == "strict_yaml.py", path
