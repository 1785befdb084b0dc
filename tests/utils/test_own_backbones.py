"""Networks of timm that a cache has are used offline."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from utils.errors import UserError
from utils.representations import own_backbones
from utils.representations.own_backbones import load_own_backbone

MODEL = "resnet10t"


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Weights of a small network as a download would leave them, and an empty cache of the hub."""
    torch.manual_seed(1)
    model = timm.create_model(MODEL)
    path = tmp_path / "model.safetensors"
    save_file(model.state_dict(), path)
    cached = []
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache",
        lambda repo, name: next(iter(cached), None) if name == path.name else None,
    )
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "hub"))
    return model.conv1[0].weight, path, cached


def test_the_cache_of_the_hub_is_used(weights):
    first, path, cached = weights
    cached.append(str(path))
    network = load_own_backbone(f"timm:{MODEL}", offline=True)
    assert network.name == f"timm:{MODEL}" and network.note is None
    assert network.weights == f"timm, {MODEL}"
    assert torch.equal(network.model.conv1[0].weight, first)
    assert not network.model.training


def test_the_cache_of_torch_is_used(weights, tmp_path):
    first, _, _ = weights
    name = timm.get_pretrained_cfg(MODEL).url.rpartition("/")[2]
    assert own_backbones.cached_weights(MODEL) is None
    folder = tmp_path / "hub/checkpoints"
    folder.mkdir(parents=True)
    torch.save({"conv1.0.weight": first}, folder / name)
    assert own_backbones.cached_weights(MODEL) == str(folder / name)


def test_without_a_cache_the_substitute_says_so(weights):
    network = load_own_backbone(f"timm:{MODEL}", offline=True)
    assert network.name == "efficientnet_lite0" and "offline" in network.note


def test_an_unknown_model_is_named(weights):
    with pytest.raises(UserError, match="unknown timm model 'nonsense'"):
        load_own_backbone("timm:nonsense", offline=True)
