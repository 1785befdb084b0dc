import copy
import hashlib

import numpy as np
import pytest
import timm
import torch
from torch import nn

from utils.errors import UserError
from utils.representations import pretrained


@pytest.fixture(scope="module")
def lite0():
    return pretrained.load_backbone("efficientnet_lite0")


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    """No cached weights and a network that refuses at once."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.delenv("RESNET50_WEIGHTS", raising=False)
    monkeypatch.delenv("RESNET50_KERAS_WEIGHTS", raising=False)

    def refuse(url, path):
        raise ConnectionRefusedError("connection refused")

    monkeypatch.setattr(pretrained, "download", refuse)


@pytest.fixture
def resnet50_file(monkeypatch, tmp_path):
    """A state dict in the format of torchvision's weight file, with random values."""
    from torchvision.models import resnet50

    torch.manual_seed(7)
    path = tmp_path / "resnet50-random.pth"
    torch.save(resnet50().state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(pretrained, "_RESNET50_SHA256_START", digest[:8])
    monkeypatch.setenv("RESNET50_WEIGHTS", str(path))
    monkeypatch.delenv("RESNET50_KERAS_WEIGHTS", raising=False)
    return path


def test_lite0_is_the_packaged_network(lite0):
    assert lite0.name == lite0.requested == "efficientnet_lite0"
    assert (lite0.side, lite0.mean, lite0.std) == (224, (0.5,) * 3, (0.5,) * 3)
    # 4,652,008 parameters with the classifier of 1,280 × 1,000 weights and 1,000 biases.
    assert lite0.n_parameters == 4_652_008 - 1_281_000
    assert not lite0.model.training


@pytest.mark.parametrize("network", ["tf_efficientnet_lite0", "resnet18"])
def test_a_network_without_its_batch_norms_is_the_same_function(network):
    torch.manual_seed(0)
    model = timm.create_model(network, pretrained=False, num_classes=0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    folded = copy.deepcopy(model.eval())
    pretrained.fold_batch_norms(folded)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    pixels = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        expected, found = model(pixels), folded(pixels)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.std()))


def test_features_have_one_row_per_image_and_do_not_depend_on_the_batch(lite0, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    whole = pretrained.features(lite0, images)
    monkeypatch.setattr(pretrained, "BATCH", 2)
    calls = []
    parts = pretrained.features(lite0, images, lambda *call: calls.append(call))
    assert whole.shape == (5, 1280)
    assert whole.dtype == np.float32
    assert calls == [(2, 5), (4, 5), (5, 5)]
    cosine = (whole * parts).sum(1) / np.linalg.norm(whole, axis=1) / np.linalg.norm(parts, axis=1)
    assert cosine.min() > 0.999


def test_grey_images_are_seen_as_grey_colour_images(lite0):
    grey = np.random.default_rng(0).integers(0, 256, (2, 32, 32), dtype=np.uint8)
    colour = np.repeat(grey[..., None], 3, axis=3)
    np.testing.assert_array_equal(
        pretrained.features(lite0, grey), pretrained.features(lite0, colour)
    )


@pytest.mark.parametrize("offline", [True, False])
def test_without_weights_the_substitute_is_named_as_one(no_network, offline):
    backbone = pretrained.load_backbone("resnet50", offline=offline)
    assert backbone.name == "efficientnet_lite0"
    assert backbone.requested == "resnet50"
    assert "resnet50" in backbone.note
    assert "is used instead" in backbone.note


def test_resnet50_from_a_local_file(resnet50_file):
    backbone = pretrained.load_backbone("resnet50")
    assert backbone.name == backbone.requested == "resnet50"
    assert backbone.note is None
    assert backbone.n_parameters == 23_508_032
    state = torch.load(resnet50_file, weights_only=True)
    assert torch.equal(backbone.model.conv1.weight, state["conv1.weight"])
    images = np.zeros((2, 32, 32, 3), np.uint8)
    assert pretrained.features(backbone, images).shape == (2, 2048)


def test_a_download_of_something_else_is_not_kept(no_network, monkeypatch, tmp_path):
    """A proxy's error page, for example."""
    monkeypatch.setattr(pretrained, "download", lambda url, path: path.write_text("<html>"))
    backbone = pretrained.load_backbone("resnet50")
    assert backbone.name == "efficientnet_lite0"
    assert "SHA-256" in backbone.note
    assert not list(tmp_path.rglob("*.pth"))


def test_an_altered_weight_file_is_refused_not_replaced(resnet50_file):
    content = bytearray(resnet50_file.read_bytes())
    content[1000] ^= 1
    resnet50_file.write_bytes(content)
    with pytest.raises(UserError, match="SHA-256"):
        pretrained.load_backbone("resnet50")


def test_a_given_weight_file_that_is_missing_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("RESNET50_WEIGHTS", str(tmp_path / "none.pth"))
    monkeypatch.delenv("RESNET50_KERAS_WEIGHTS", raising=False)
    with pytest.raises(UserError, match="there is no file"):
        pretrained.load_backbone("resnet50")


def test_random_weights_have_a_name_of_their_own():
    backbone = pretrained.load_backbone("resnet50_random")
    assert backbone.name == "resnet50_random"
    assert "not pre-trained" in backbone.weights
    assert backbone.n_parameters == 23_508_032


@pytest.mark.parametrize("name", ["resnet5", "timm:no_such_model", ""])
def test_an_unknown_backbone_is_an_error(name):
    with pytest.raises(UserError, match="unknown"):
        pretrained.load_backbone(name)
