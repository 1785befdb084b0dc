"""What of a study's file decides its numbers."""

import pytest

from utils.config.load import load_study
from utils.config.settings import settings_of


def changed(study, **updates):
    return settings_of(load_study(study).model_copy(update=updates))


def test_texts_reported_values_and_claims_decide_no_number():
    before = settings_of(load_study("n2d"))
    assert changed("n2d", title="x", summary="x", reported=[], claims=[], choices=[]) == before
    mixture = load_study("n2d").gmm
    others = [one.model_copy(update={"why": "x"}) for one in mixture.also_in]
    assert changed("n2d", gmm=mixture.model_copy(update={"also_in": others})) == before


def test_each_representation_has_the_settings_that_decide_it():
    study = load_study("mnist-cae")
    before = settings_of(study)
    names = {f"autoencoder-{variant.name}" for variant in study.variants}
    assert set(before) == {"pixels", "autoencoder", *names, *study.backbones}
    epochs = study.autoencoder.model_copy(update={"epochs": 1})
    after = changed("mnist-cae", autoencoder=epochs)
    assert {name for name in before if before[name] != after[name]} == {"autoencoder", *names}
    space = study.space.model_copy(update={"n_components": 2})
    after = changed("mnist-cae", space=space)
    assert {name for name in before if before[name] != after[name]} == {"autoencoder", *names}
    starts = study.kmeans.model_copy(update={"n_init": 1})
    after = changed("mnist-cae", kmeans=starts)
    assert all(before[name] != after[name] for name in before)


def test_a_variant_changes_its_own_network_only():
    study = load_study("mnist-cae")
    first = study.variants[0].model_copy(update={"options": {"channels": [4, 4]}, "why": "x"})
    after = changed("mnist-cae", variants=[first, *study.variants[1:]])
    before = settings_of(study)
    assert [name for name in before if before[name] != after[name]] == [f"autoencoder-{first.name}"]


@pytest.mark.parametrize("number", [0, 1])
def test_every_space_of_the_mixture_counts(number):
    mixture = load_study("n2d").gmm
    fewer = mixture.model_copy(update={"also_in": mixture.also_in[:number]})
    assert changed("n2d", gmm=fewer)["autoencoder"] != settings_of(load_study("n2d"))["autoencoder"]
