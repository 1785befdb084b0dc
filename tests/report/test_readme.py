"""README and pages of docs: short, linked, and true about labels."""

import re

import pytest

from report import leaderboards, readme
from utils import places

PAGES = sorted([places.ROOT / "README.md", places.ROOT / "CONTRIBUTING.md"])
PAGES += sorted((places.ROOT / "docs").glob("*.md"))
IDS = [path.name for path in PAGES]
MOST_LINES = 200
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def prose(path):
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchor(heading):
    """Return the anchor that GitHub gives a heading."""
    text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading.lower())
    return re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")


def anchors(path):
    return {anchor(line.lstrip("#")) for line in prose(path).splitlines() if line.startswith("#")}


def links(path):
    found = re.findall(r"\]\(([^)\s]+)\)", prose(path))
    return [link for link in found if not link.startswith(("https:", "http:"))]


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(path):
    for link in links(path):
        file, _, place = link.partition("#")
        target = (path.parent / file) if file else path
        assert target.exists(), link
        if place:
            assert place in anchors(target), link


def test_every_page_of_docs_can_be_reached_from_the_readme():
    reached, waiting = set(), [places.ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        for link in links(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target not in reached:
                waiting.append(target)
    assert set(PAGES) <= reached


def test_the_readme_is_short():
    text = (places.ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES


def test_the_first_screen_has_the_findings_the_figure_and_the_commands_in_this_order():
    text = (places.ROOT / "README.md").read_text(encoding="utf-8")
    order = [
        "\n1. ",
        "\n2. ",
        "\n3. ",
        "![Forest plot",
        "./run_all.sh ",
        "./run_tests.sh ",
        "## Scores",
    ]
    found = [text.index(part) for part in order]
    assert found == sorted(found)
    assert text.index("## ") == text.index("## Scores")


UNTRUE = [
    r"[Nn]o (setting|method|row)s? (is|was|are) [^.]*(chosen|tuned)[^.]*label",
    r"chosen or tuned (with|by) labels",
    r"before any (run|was run)",
]


def texts():
    yield from PAGES
    yield from (places.ROOT / "reports" / "template").glob("*.j2")
    yield from (places.ROOT / "notebooks").glob("*.py")


@pytest.mark.parametrize("pattern", UNTRUE)
def test_nobody_says_that_labels_chose_nothing(pattern):
    said = {
        path.name: found
        for path in texts()
        if (found := re.findall(pattern, " ".join(path.read_text(encoding="utf-8").split())))
    }
    assert said == {}


@pytest.mark.parametrize(
    ("representation", "labels"),
    [
        ("pixels+hog", "none"),
        ("contrastive", "none"),
        ("efficientnet_lite0+efficientnet_lite2", "ImageNet-1k"),
        ("deskewed+efficientnet_lite1", "ImageNet-1k"),
    ],
)
def test_a_method_says_with_which_labels_its_weights_were_trained(representation, labels):
    assert leaderboards.labels_behind(representation, "umap10", "gmm") == labels


def test_the_best_methods_and_the_findings_name_the_labels_of_imagenet():
    page = (places.ROOT / readme.PAGE).read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `beyond-")]
    assert rows
    for row in rows:
        assert ("| ImageNet-1k |" in row) == ("EfficientNet" in row)
    text = (places.ROOT / "README.md").read_text(encoding="utf-8")
    findings = text[: text.index("## Scores")]
    assert "ImageNet-1k" in findings and "labels" in findings
