"""Training of the autoencoder of `mnist-cae` on all 70,000 images, against the usual recipes."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader
from torchvision import transforms
from torchvision.datasets import MNIST

from measure import OURS, Result, in_turn
from utils import config
from utils.data import datasets
from utils.representations import autoencoders, training

EPOCHS = 2
ROUNDS = 2
USUAL, IN_MEMORY = "DataLoader with a transform per image, float32", "tensors in memory, float32"
GEMM_SIDE = 2048


def run() -> Result:
    data = datasets.load("mnist")
    protocol = config.load_study("mnist-cae").autoencoder
    protocol = protocol.model_copy(update={"epochs": EPOCHS})
    with tempfile.TemporaryDirectory() as folder:
        _write_idx(data, Path(folder))
        ways = {
            OURS: lambda: training.train(data.images, protocol, seed=0).history["loss"],
            USUAL: lambda: _per_image(Path(folder), protocol),
            IN_MEMORY: lambda: _in_memory(data.images, protocol),
        }
        few = data.images[: 20 * protocol.batch_size]
        seconds, losses = in_turn(
            ways,
            ROUNDS,
            lambda: (training.train(few, protocol, seed=0), _in_memory(few, protocol)),
        )
    images = EPOCHS * len(data.images)
    checks = {
        "images_per_second": {way: round(images / min(runs)) for way, runs in seconds.items()},
        "loss_after_each_epoch": {way: [round(v, 5) for v in loss] for way, loss in losses.items()},
        "final_loss_differs_by": {
            way: round(loss[-1] / losses[OURS][-1] - 1, 5) for way, loss in losses.items()
        },
        **_share_of_peak(protocol, images / min(seconds[OURS])),
    }
    what = f"mnist-cae's autoencoder, {EPOCHS} epochs of {len(data.images):,} images"
    return Result(what, seconds, {USUAL: 4.0, IN_MEMORY: 2.0}, checks)


def _write_idx(data: datasets.Dataset, folder: Path) -> None:
    """Write the files that torchvision's own MNIST reads."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, rows in (("train", slice(0, 60_000)), ("t10k", slice(60_000, None))):
        for kind, array in (("images-idx3", data.images[rows]), ("labels-idx1", data.labels[rows])):
            head = np.array([0x800 + array.ndim, *array.shape], dtype=">i4")
            (raw / f"{part}-{kind}-ubyte").write_bytes(head.tobytes() + array.tobytes())


def _per_image(folder: Path, protocol: config.Autoencoder) -> list[float]:
    to_tensor = transforms.ToTensor()
    parts = [MNIST(folder, train=train, transform=to_tensor) for train in (True, False)]
    torch.manual_seed(0)
    loader = DataLoader(ConcatDataset(parts), batch_size=protocol.batch_size, shuffle=True)
    return _usual_training(lambda: (batch for batch, _ in loader), protocol)


def _in_memory(images: np.ndarray, protocol: config.Autoencoder) -> list[float]:
    pixels = torch.from_numpy(images).unsqueeze(1).float() / 255
    torch.manual_seed(0)
    return _usual_training(
        lambda: (pixels[rows] for rows in torch.randperm(len(pixels)).split(protocol.batch_size)),
        protocol,
    )


def _usual_training(batches, protocol: config.Autoencoder) -> list[float]:
    """Train as the tutorials do: zero gradients, forward, loss, backward, step."""
    model = autoencoders.build(protocol.architecture, (1, 28, 28), protocol.options, seed=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=protocol.optimizer.learning_rate)
    criterion = nn.BCELoss()
    means = []
    for _ in range(protocol.epochs):
        total, count = 0.0, 0
        for pixels in batches():
            optimizer.zero_grad()
            loss = criterion(model.reconstruct(pixels), pixels)
            loss.backward()
            optimizer.step()
            total, count = total + loss.item() * len(pixels), count + len(pixels)
        means.append(total / count)
    return means


def _share_of_peak(protocol: config.Autoencoder, images_per_second: float) -> dict[str, float]:
    """Set the operations that our training does beside what a matrix product reaches."""
    from torch.utils.flop_counter import FlopCounterMode

    model = autoencoders.build(protocol.architecture, (1, 28, 28), protocol.options, seed=0)
    pixels = torch.rand(protocol.batch_size, 1, 28, 28)
    with FlopCounterMode(display=False) as counter:
        training.reconstruction_loss(model, pixels, protocol).backward()
    per_image = counter.get_total_flops() / len(pixels)
    kind = torch.bfloat16 if training.has_bfloat16(torch.device("cpu")) else torch.float32
    a, b = torch.rand(2, GEMM_SIDE, GEMM_SIDE).to(kind)
    a @ b
    times = []
    for _ in range(10):
        started = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - started)
    peak = 2 * GEMM_SIDE**3 / min(times)
    return {
        "million_operations_per_image": round(per_image / 1e6, 2),
        "matrix_product_gigaflops": round(peak / 1e9),
        "share_of_matrix_product": round(per_image * images_per_second / peak, 3),
    }
