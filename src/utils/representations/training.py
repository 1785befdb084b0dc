"""Training of autoencoders on images held in memory, and encoding with a trained one."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from utils.errors import UserError
from utils.representations.autoencoders import Autoencoder, LinearAutoencoder, build
from utils.store.cache import with_prefix
from utils.store.files import atomic_path, sha256_arrays
from utils.store.fingerprints import fingerprint

if TYPE_CHECKING:
    from utils.config.schema import Autoencoder as Protocol

ENCODE_BATCH = 1000
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4  # of malloc.h


class TrainingError(UserError):
    """Training cannot go on: the loss is no longer a number."""


@dataclass
class TrainingRun:
    """A trained model and how it got there.

    Attributes
    ----------
    model : Autoencoder
        In evaluation mode, with the last weights or, under early stopping, the best.
    history : dict of str to list of float
        A value per epoch: ``loss`` (mean over the epoch's images), ``seconds`` and, where there are
        validation images, ``validation_loss``.
    best : dict of str to Tensor
        Weights of the epoch with the lowest validation loss; empty without early stopping.
    """

    model: Autoencoder
    history: dict[str, list[float]] = field(default_factory=lambda: {"loss": [], "seconds": []})
    best: dict[str, torch.Tensor] = field(default_factory=dict)


def pick_device() -> torch.device:
    """Return the GPU where there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_bfloat16(device: torch.device) -> bool:
    """Tell whether the processor multiplies bfloat16 natively, so that it is the faster type."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def image_shape(images: np.ndarray, resize: int | None = None) -> tuple[int, int, int]:
    """Return channels, height and width of images ``(N, H, W[, C])`` after resizing."""
    channels = 1 if images.ndim == 3 else images.shape[3]
    height, width = (resize, resize) if resize else images.shape[1:3]
    return channels, height, width


def to_pixels(images: torch.Tensor, resize: int | None = None) -> torch.Tensor:
    """Scale uint8 images ``(N, C, H, W)`` to float32 in [0, 1], bilinearly resized if asked."""
    pixels = images.float().div_(255)
    if resize and pixels.shape[-2:] != (resize, resize):
        pixels = functional.interpolate(pixels, size=(resize, resize), mode="bilinear")
    return pixels.contiguous(memory_format=torch.channels_last)


def on_device(images: np.ndarray, device: torch.device) -> torch.Tensor:
    """Move uint8 images to the device once, as ``(N, C, H, W)``."""
    stack = torch.from_numpy(np.ascontiguousarray(images))
    stack = stack.unsqueeze(1) if stack.ndim == 3 else stack.permute(0, 3, 1, 2)
    return stack.to(device)


@contextmanager
def threads(number: int | None) -> Iterator[None]:
    """Compute with so many threads on the CPU, or with as many as before if it is None.

    On another number of threads the sums of a training differ in their last bits, and after some
    epochs in more.
    """
    usual = torch.get_num_threads()
    torch.set_num_threads(number or usual)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Have the C library reuse blocks of any size, where it is glibc.

    By default it gives every block of more than 32 MiB back to the system at once, and each batch
    then pays for mapping and clearing all its large feature maps again: more than half of the time
    of a frozen network.
    """
    library = ctypes.CDLL(None)
    mallopt = getattr(library, "mallopt", None)
    if mallopt is None:
        yield
        return
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_M_MMAP_MAX, 0)
    try:
        yield
    finally:
        # What glibc itself comes to in a process that has freed such blocks.
        mallopt(_M_MMAP_MAX, 65_536)
        mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)
        mallopt(_M_TRIM_THRESHOLD, 64 * 2**20)
        library.malloc_trim(0)


@freed_memory_kept()
@torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
def train(
    images: np.ndarray,
    protocol: Protocol,
    seed: int,
    resize: int | None = None,
    validation: np.ndarray | None = None,
    checkpoint: Path | None = None,
    on_epoch: Callable[[int, dict[str, float]], None] | None = None,
) -> TrainingRun:
    """Train an autoencoder to reconstruct `images`; no label is seen.

    Parameters
    ----------
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, C)
        Training images.
    protocol : config.Autoencoder
        Architecture, loss, optimiser, batch size and number of epochs.
    seed : int
        Seed of the initial weights, of the order of the images and of dropout.
    resize : int, optional
        Side in pixels to which each image is resized bilinearly.
    validation : ndarray of uint8, shape (M, H, W) or (M, H, W, C), optional
        Images on which the loss is measured after every epoch, without training on them. If
        ``protocol.validation.patience`` is set, training stops after that many epochs without a
        lower loss, and the weights of the best epoch are kept.
    checkpoint : Path, optional
        File that is rewritten after every epoch. If it exists and belongs to this very training,
        training goes on from it, with the result of an undisturbed run. The caller removes it once
        the result is stored.
    on_epoch : callable, optional
        Called with the epoch's number from 1 and the values of `history` for it.

    Returns
    -------
    TrainingRun

    Raises
    ------
    TrainingError
        If the loss of a batch is not finite; the epoch and the batch are named.
    """
    device = pick_device()
    shape = image_shape(images, resize)
    model = build(protocol.architecture, shape, protocol.options, seed)
    model = model.to(device, memory_format=torch.channels_last)
    optimizer = _make_optimizer(protocol, model, device)
    run = TrainingRun(model)
    identity = fingerprint(
        [protocol.model_dump(mode="json"), seed, resize, list(images.shape), str(device)]
    )
    if checkpoint is not None and checkpoint.is_file():
        _restore(checkpoint, identity, run, optimizer)
    stack = on_device(images, device)
    held_out = None if validation is None else on_device(validation, device)
    patience = protocol.validation.patience if protocol.validation else None
    for epoch in range(len(run.history["loss"]) + 1, protocol.epochs + 1):
        if _ran_out_of_patience(run, patience):
            break
        started = time.perf_counter()
        values = {"loss": _train_epoch(model, optimizer, stack, protocol, resize, seed, epoch)}
        if held_out is not None:
            values["validation_loss"] = _validation_loss(model, held_out, protocol, resize)
        values["seconds"] = time.perf_counter() - started
        for name, value in values.items():
            run.history.setdefault(name, []).append(value)
        if patience and _best_epoch(run) == epoch:
            run.best = {name: value.clone() for name, value in model.state_dict().items()}
        if checkpoint is not None:
            _save(checkpoint, identity, run, optimizer)
        if on_epoch is not None:
            on_epoch(epoch, values)
    if run.best:
        model.load_state_dict(run.best)
    model.eval()
    return run


def _best_epoch(run: TrainingRun) -> int:
    """Return the first epoch, from 1, with the lowest validation loss."""
    return int(np.argmin(run.history["validation_loss"])) + 1


def _ran_out_of_patience(run: TrainingRun, patience: int | None) -> bool:
    epochs = len(run.history["loss"])
    return patience is not None and epochs > 0 and epochs - _best_epoch(run) >= patience


def _train_epoch(
    model: Autoencoder,
    optimizer: torch.optim.Optimizer,
    stack: torch.Tensor,
    protocol: Protocol,
    resize: int | None,
    seed: int,
    epoch: int,
) -> float:
    # Every epoch has random streams of its own, so that a resumed run repeats them exactly.
    model.train()
    torch.manual_seed(_epoch_seed(seed, epoch))
    order = epoch_order(len(stack), seed, epoch).to(stack.device)
    losses = []
    for rows in order.split(protocol.batch_size):
        pixels = to_pixels(stack[rows], resize)
        optimizer.zero_grad(set_to_none=True)
        loss = reconstruction_loss(model, pixels, protocol)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    values = torch.stack(losses)
    _require_finite(values, epoch)
    sizes = torch.tensor([len(rows) for rows in order.split(protocol.batch_size)])
    return float((values.cpu().double() * sizes).sum() / len(stack))


@torch.no_grad()
def _validation_loss(
    model: Autoencoder, stack: torch.Tensor, protocol: Protocol, resize: int | None
) -> float:
    model.eval()
    total = 0.0
    for part in stack.split(ENCODE_BATCH):
        loss = reconstruction_loss(model, to_pixels(part, resize), protocol)
        total += float(loss) * len(part)
    return total / len(stack)


def reconstruction_loss(
    model: Autoencoder, pixels: torch.Tensor, protocol: Protocol
) -> torch.Tensor:
    """Return the mean loss per pixel, float32 scalar.

    Parameters
    ----------
    model : Autoencoder
        Gives logits, or pixels if it is a `LinearAutoencoder`.
    pixels : Tensor, shape (N, C, H, W)
        Float32 in [0, 1]; input and target.
    protocol : config.Autoencoder
        Its ``loss`` compares the sigmoid of the logits, or the output of a `LinearAutoencoder`,
        with the pixels; in ``precision`` bfloat16 the layers run in that type, while weights and
        loss stay in float32.
    """
    rounded = protocol.precision == "bfloat16"
    with torch.autocast(pixels.device.type, torch.bfloat16, enabled=rounded):
        logits = model(pixels)
    if isinstance(model, LinearAutoencoder):
        return functional.mse_loss(logits.float(), pixels)
    if protocol.loss == "binary_cross_entropy":
        return functional.binary_cross_entropy_with_logits(logits.float(), pixels)
    return functional.mse_loss(torch.sigmoid(logits.float()), pixels)


def encode(model: Autoencoder, images: np.ndarray, resize: int | None = None) -> np.ndarray:
    """Encode images in float32.

    Parameters
    ----------
    model : Autoencoder
        In evaluation mode.
    images : ndarray of uint8, shape (N, H, W) or (N, H, W, C)
    resize : int, optional
        Side in pixels, as in training.

    Returns
    -------
    ndarray of float32, shape (N, D)
    """
    return _apply(model.encode, model, images, resize)


def reconstruct(model: Autoencoder, images: np.ndarray, resize: int | None = None) -> np.ndarray:
    """Reconstruct images: float32 ``(N, C, H, W)`` in [0, 1]."""
    return _apply(model.reconstruct, model, images, resize)


@freed_memory_kept()
@torch.inference_mode()
def _apply(
    function: Callable, model: nn.Module, images: np.ndarray, resize: int | None
) -> np.ndarray:
    device = next(model.parameters()).device
    out: np.ndarray | None = None
    for start in range(0, len(images), ENCODE_BATCH):
        pixels = to_pixels(on_device(images[start : start + ENCODE_BATCH], device), resize)
        part = function(pixels).cpu().numpy()
        if out is None:
            out = np.empty((len(images), *part.shape[1:]), part.dtype)
        out[start : start + len(part)] = part
    if out is None:
        raise UserError("there are no images to encode")
    return out


def epoch_order(n: int, seed: int, epoch: int) -> torch.Tensor:
    """Return the order in which an epoch, from 1, sees `n` images: int64 ``(n,)``."""
    generator = torch.Generator().manual_seed(_epoch_seed(seed, epoch))
    return torch.randperm(n, generator=generator)


def _epoch_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


def _require_finite(losses: torch.Tensor, epoch: int) -> None:
    bad = torch.nonzero(~torch.isfinite(losses))
    if len(bad):
        batch = int(bad[0]) + 1
        raise TrainingError(
            f"the loss became {losses[batch - 1].item()} in epoch {epoch}, batch {batch} of "
            f"{len(losses)}: lower autoencoder.optimizer.learning_rate in the study's file"
        )


def _make_optimizer(
    protocol: Protocol, model: nn.Module, device: torch.device
) -> torch.optim.Optimizer:
    chosen = protocol.optimizer
    given = {"lr": chosen.learning_rate, "eps": chosen.epsilon, "rho": chosen.rho}
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if chosen.name == "adam":
        return torch.optim.Adam(model.parameters(), **settings, fused=True)
    if device.type != "cpu":
        return torch.optim.Adadelta(model.parameters(), **settings)
    from utils.representations.cpu_kernels import FusedAdadelta

    return FusedAdadelta(model.parameters(), **settings)


def _save(path: Path, identity: str, run: TrainingRun, optimizer: torch.optim.Optimizer) -> None:
    from safetensors.torch import save_file

    tensors = {f"model.{name}": value for name, value in run.model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in state.items()}
    tensors |= {f"best.{name}": value for name, value in run.best.items()}
    for name, values in run.history.items():
        tensors[f"history.{name}"] = torch.tensor(values, dtype=torch.float64)
    # safetensors stores rows in memory order; channels-last weights are made plain first.
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with atomic_path(path) as temporary:
        metadata = {"identity": identity, "sha256": _digest(plain)}
        save_file(plain, temporary, metadata=metadata)


def _digest(tensors: dict[str, torch.Tensor]) -> str:
    return sha256_arrays({name: tensor.numpy() for name, tensor in tensors.items()})


def _restore(path: Path, identity: str, run: TrainingRun, optimizer: torch.optim.Optimizer) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("identity") != identity:
                return
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        is_whole = metadata.get("sha256") == _digest(tensors)
    except (SafetensorError, OSError):
        is_whole = False
    if not is_whole:
        print(f"the checkpoint {path.name} is damaged: training starts from the first epoch")
        return
    run.model.load_state_dict(with_prefix(tensors, "model."))
    states: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in with_prefix(tensors, "optimizer.").items():
        index, key = name.split(".", 1)
        states.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": states})
    _match_memory_format(optimizer)
    device = next(run.model.parameters()).device
    run.best = {name: v.to(device) for name, v in with_prefix(tensors, "best.").items()}
    run.history = {
        name: values.tolist() for name, values in with_prefix(tensors, "history.").items()
    }
    print(f"training goes on after epoch {len(run.history['loss'])}, from its checkpoint")


def _match_memory_format(optimizer: torch.optim.Optimizer) -> None:
    """Lay out restored moments as their weights are: the fused step reads both as plain memory."""
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if value.shape == parameter.shape:
                state[key] = torch.empty_like(parameter).copy_(value)
