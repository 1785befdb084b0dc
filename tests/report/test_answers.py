"""Which panels answer which figures of the sources."""

import pytest

from report import answers
from utils import config, errors, places
from utils.config.strict_yaml import parse


def listed():
    return parse((places.config() / answers.FILE).read_bytes()).content


def test_every_study_and_no_other_is_listed():
    assert set(listed()) == set(config.study_names())


@pytest.mark.parametrize("study", config.study_names())
def test_each_figure_of_a_source_is_named_once_and_each_panel_answers_one_entry(study):
    of_source = answers.of_study(study)
    names = [one.figure for one in of_source]
    panels = [one.panel for one in of_source if one.panel]
    assert len(set(names)) == len(names) > 0
    assert len(set(panels)) == len(panels) > 0
    assert answers.by_panel(of_source).keys() == set(panels)


def test_a_study_that_is_not_listed_has_no_answers(tmp_path, elsewhere):
    assert answers.of_study("another") == []
    elsewhere(config=tmp_path)
    assert answers.of_study("mnist-cae") == []


@pytest.mark.parametrize(
    "text", ["a: [{figure: 1, shows: x}]", "a: [{figure: F, shows: x, panel: z}]", "a: [b"]
)
def test_a_malformed_file_is_named(text, tmp_path, elsewhere):
    elsewhere(config=tmp_path)
    (tmp_path / answers.FILE).write_text(text)
    with pytest.raises(errors.UserError, match=r"answers\.yaml: "):
        answers.of_study("a")
