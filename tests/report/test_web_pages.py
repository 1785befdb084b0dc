"""One text as several pages: links between them, numbers, and what is loaded of their images."""

import json
import re

import pytest

from report import page_images, web_pages
from report.markdown import escape

TEXT = (
    "---\ntitle: |-\n  All of it\nabstract: |\n  short\nnotice: |\n  **Reduced** [b](#b)\n---\n"
    "\n# One {#one}\n\nSee [Table 2](#tbl-b), [two](#two) and [Table 1](#tbl-a).\n\n"
    ": **Table 1.** {#tbl-a}\n\n"
    f"{web_pages.page_break('x', 'The *x*')}"
    "# Two {#two}\n\nSee [Table 1](#tbl-a) and [Table 2](#tbl-b).\n\n## B {#b}\n\n"
    ': **Table 2.** {#tbl-b}\n\n![](figures/f.svg){#fig-f alt="f"}\n\n'
    "::: {#atlas-x .atlas}\n:::\n"
    f"{web_pages.page_break()}"
    "# Three {#three}\n\nSee [below](#two).\n\n# Bibliography {.unnumbered}\n"
)
LABELS = {"home": "Home", **web_pages.labels(TEXT, "s")}


@pytest.fixture
def pages():
    return web_pages.split(TEXT, "s", LABELS, {"atlas-x": "{}"}, {"atlas-x": "[]"})


def test_the_whole_is_the_text_without_marks():
    text = web_pages.whole(TEXT)
    assert web_pages.BREAK not in text
    assert text.count("\n# ") == 4 and "All of it" in text


def test_the_pages_have_all_places_of_the_whole_once(pages):
    found = [name for page in pages for name in web_pages.IDENTIFIER.findall(page.text)]
    titles = re.findall(r'^title-id: "(.+)"$', "\n".join(page.text for page in pages), re.MULTILINE)
    own = [name for name in found if not name.startswith("page-") and name != "refs"]
    assert sorted(own + titles) == sorted(web_pages.IDENTIFIER.findall(TEXT))


def test_pages_have_labels_and_lists_of_all_pages(pages):
    assert list(LABELS.items())[1:] == [("s", "Supplement"), ("s-x", escape("The *x*"))]
    for page in pages:
        listed = json.loads(re.search(r"^pages: (.+)$", page.text, re.MULTILINE)[1])
        assert [one["href"] for one in listed] == ["home.html", "s.html", "s-x.html"]
        assert [one["href"] for one in listed if "current" in one] == [f"{page.name}.html"]


def test_links_lead_to_the_page_that_has_the_place(pages):
    first, second = pages
    assert "[Table 2](s-x.html#tbl-b)" in first.text
    assert "[two](s-x.html#two)" in first.text and "[below](s-x.html#two)" in first.text
    assert "[Table 1](#tbl-a)" in first.text
    assert "[Table 1](s.html#tbl-a)" in second.text and "[Table 2](#tbl-b)" in second.text
    assert r"**Reduced** [b](#b)" in second.text  # in its front matter too
    assert "[b](s-x.html#b)" in first.text


def test_the_first_page_has_a_signpost_in_the_place_of_another(pages):
    first, second = pages
    headings = re.findall(r"^# (\S+)", first.text, re.MULTILINE)
    assert headings == ["One", "Two", "Three", "Bibliography"]
    assert "[a page of its own](s-x.html), with 1 figure and 1 table" in first.text
    assert (first.section, second.section) == (0, 2)
    assert first.plots == first.matrices == {}
    assert second.plots == {"atlas-x": "{}"} and second.matrices == {"atlas-x": "[]"}


def test_a_page_has_the_front_matter_of_the_whole_and_its_own_title(pages):
    front = pages[1].text.split("---\n")[1]
    assert 'title: "Two"' in front and 'title-id: "two"' in front and 'title-number: "2"' in front
    assert "abstract" not in front and "Reduced" in front
    assert pages[1].text.count("{#two}") == 0


def test_what_only_looks_like_a_link_or_a_mark_stays():
    hostile = escape("[Table 2](#tbl-b) {#tbl-a} \f x")
    text = TEXT.replace("See [below](#two).", f"See {hostile}.")
    first, second = web_pages.split(text, "s", LABELS, {}, {})
    assert hostile in first.text and len(web_pages.split(text, "s", LABELS, {}, {})) == 2
    assert "(#tbl-b)" in second.text


@pytest.mark.parametrize(
    ("text", "said"),
    [("# One {#one}\n", "no front matter"), (TEXT.replace("# Two", "Two"), "begin with a heading")],
)
def test_a_text_that_cannot_be_split_is_an_error(text, said):
    with pytest.raises(ValueError, match=said):
        web_pages.split(text, "s", LABELS, {}, {})


# --- images -------------------------------------------------------------------------------------

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="300pt" height="150pt">{}</svg>'
FIRST = '![**Figure 1.** What.](figures/{}){{#fig-f {} width="400" height="200" alt="f"}}'
IN_TEXT = '![**Figure 1.** What.](figures/{}){{#fig-f alt="f"}}'


@pytest.fixture
def folder(tmp_path):
    """A drawing, a drawing with many pixels in it, and their pictures, which compress badly."""
    import numpy as np
    from PIL import Image

    (tmp_path / "figures").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (150, 300, 3), dtype=np.uint8)
    for name, inside in (("drawn", "<path/>"), ("grid", f"<image/>{'x' * 200_000}")):
        (tmp_path / "figures" / f"{name}.svg").write_text(SVG.format(inside))
        Image.fromarray(noise).save(tmp_path / "figures" / f"{name}.png")
    return tmp_path


def test_a_drawing_stays_and_is_called_one(folder):
    text = page_images.prepare(IN_TEXT.format("drawn.svg"), folder, is_one_file=True)
    assert text == FIRST.format("drawn.svg", ".drawing")


def test_all_but_the_first_image_of_a_page_of_one_file_are_loaded_late(folder):
    text = page_images.prepare("\n".join([IN_TEXT.format("drawn.svg")] * 3), folder, True)
    assert [line.count('loading="lazy"') for line in text.splitlines()] == [0, 1, 1]


def test_points_that_became_pixels_are_a_drawing_too(folder):
    text = page_images.prepare(IN_TEXT.format("grid.svg"), folder, is_one_file=True)
    assert ".picture" in text
    (folder / "figures" / "grid.csv").write_text("a\n1\n")
    text = page_images.prepare(IN_TEXT.format("grid.svg"), folder, is_one_file=True)
    assert text == FIRST.format("grid.webp", ".drawing")


def test_pixels_become_a_lighter_copy_beside_the_files(folder):
    text = page_images.prepare(IN_TEXT.format("grid.svg"), folder, is_one_file=True)
    assert text == FIRST.format("grid.webp", ".picture")
    copy = folder / "figures" / "grid.webp"
    assert copy.stat().st_size < 0.5 * (folder / "figures" / "grid.svg").stat().st_size
    assert (folder / "figures" / "grid.svg").is_file()
    small = SVG.format("<image/>")
    (folder / "figures" / "grid.svg").write_text(small)
    assert "grid.svg" in page_images.prepare(IN_TEXT.format("grid.svg"), folder, is_one_file=True)


def test_images_beside_the_page_are_loaded_late_keep_their_place_and_lead_to_their_files(folder):
    text = page_images.prepare(IN_TEXT.format("grid.svg"), folder, is_one_file=False)
    assert 'loading="lazy" width="400" height="200" alt="f"' in text
    for kind in ("svg", "png"):
        assert f'[{kind.upper()}](figures/grid.{kind}){{download="grid.{kind}"}}' in text
    assert "CSV" not in text
    (folder / "figures" / "drawn.csv").write_text("a\n1\n")
    (folder / "figures" / "drawn.svg").unlink()
    text = page_images.prepare(IN_TEXT.format("drawn.png"), folder, is_one_file=False)
    assert 'width="300" height="150"' in text and "SVG" not in text and "[CSV]" in text
