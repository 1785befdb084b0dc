"""Features of a frozen EfficientNet-Lite0, against a plain loop in float32."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from measure import OURS, Result, in_turn
from utils.data import datasets
from utils.representations import pretrained

IMAGES = 1000
ROUNDS = 3
THEIRS = "a plain float32 loop"


@torch.no_grad()
def _plain(model: nn.Module, backbone: pretrained.Backbone, images: np.ndarray) -> np.ndarray:
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (backbone.mean, backbone.std))
    parts = []
    for batch in torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().split(32):
        pixels = functional.interpolate(
            batch.float() / 255,
            size=(backbone.side, backbone.side),
            mode=backbone.interpolation,
            antialias=True,
        ).clamp_(0, 1)
        parts.append(model((pixels - mean) / std).numpy())
    return np.concatenate(parts)


def run() -> Result:
    images = datasets.load("cifar10").images[:IMAGES]
    backbone = pretrained.load_backbone("efficientnet_lite0")
    network = pretrained.lite_network("efficientnet_lite0")
    ways = {
        OURS: lambda: pretrained.features(backbone, images),
        THEIRS: lambda: _plain(network, backbone, images),
    }
    seconds, found = in_turn(ways, ROUNDS)
    a, b = found[OURS], found[THEIRS]
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    checks = {
        "images_per_second": {way: round(IMAGES / min(runs), 1) for way, runs in seconds.items()},
        "least_cosine": round(float(cosine.min()), 6),
        "mean_cosine": round(float(cosine.mean()), 6),
    }
    side = backbone.side
    what = f"EfficientNet-Lite0 on {IMAGES:,} images at {side}×{side} pixels"
    return Result(what, seconds, {THEIRS: 1.5}, checks)
