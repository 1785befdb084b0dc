"""The variants of a study's network: what they change, and which seeds run them."""

import pytest

from utils.config.load import load_profile, load_study
from utils.config.schema import Variant


def variant(name="small", **settings):
    return Variant(name=name, options={"channels": [4, 8]}, why="to try", **settings)


def names(profile, seed, *variants, **changes):
    """Name the variants of a study that has these, run by a profile with one seed of variants."""
    study = load_study("mnist-cae").model_copy(update={"variants": list(variants)})
    chosen = load_profile(profile).model_copy(update={"variant_seeds": 1, **changes})
    return [found.name for found in study.variants_for(chosen, seed)]


def test_a_variant_changes_the_options_and_nothing_else():
    protocol = load_study("mnist-cae").autoencoder
    changed = variant().changed(protocol)
    assert changed.options == {"channels": [4, 8]}
    assert changed.model_copy(update={"options": protocol.options}) == protocol


def test_a_variant_with_a_learning_rate_changes_that_of_the_optimiser_only():
    protocol = load_study("mnist-cae").autoencoder
    before = protocol.model_dump()
    changed = variant(learning_rate=0.25).changed(protocol)
    assert changed.optimizer.learning_rate == 0.25 != protocol.optimizer.learning_rate
    assert changed.optimizer.name == protocol.optimizer.name
    assert protocol.model_dump() == before


@pytest.mark.parametrize("profile", ["quick", "paper"])
def test_a_variant_is_run_with_as_many_seeds_as_the_profile_says(profile):
    assert [names(profile, seed, variant()) for seed in (0, 1)] == [["small"], []]
    assert names(profile, 1, variant(), variant_seeds=2) == ["small"]
    assert names(profile, 0, variant(), variant_seeds=0) == []


def test_a_variants_own_seeds_count_at_full_scale_only():
    own = variant(seeds=3)
    assert [names("paper", seed, own) for seed in (1, 2, 3)] == [["small"], ["small"], []]
    assert [names("quick", seed, own) for seed in (0, 1)] == [["small"], []]
    assert names("paper", 1, variant(seeds=1), variant_seeds=2) == []


def test_a_variant_that_is_not_quick_is_left_out_of_reduced_profiles():
    both = (variant("slow", quick=False), variant("fast"))
    assert names("quick", 0, *both) == ["fast"]
    assert names("paper", 0, *both) == ["slow", "fast"]
