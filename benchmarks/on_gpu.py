"""Train the networks of `mnist-conv-ae` and `mnist-cae` on one GPU: ``on_gpu.py IMAGES OUT STUDY``.

``on_gpu.py IMAGES --pack`` makes IMAGES, one compressed file, from the verified MNIST. OUT receives
the loss curves of each network and, for `mnist-conv-ae`, the latents of the training images and the
decoder (an encoder has 42 MB), for `mnist-cae` the whole network. All computations are in float32,
with TF32 off. Results are written as they come, so that a run that is cut off keeps them.

The small batches of `mnist-conv-ae` leave most of a GPU idle. Its networks therefore train
together, step by step, as one stack of weights. Initial weights, the order of the images and early
stopping are those of `utils.representations.training`, and a test compares the two.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.nn import functional

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from utils import config  # noqa: E402
from utils.representations import autoencoders, training  # noqa: E402

NETWORKS = ROOT / "benchmarks" / "gpu_networks.yaml"
N_TRAIN = 60_000
# On an H200 a network takes about 190 s. In stacks of three, some are complete if time runs out.
NETWORKS_PER_STACK = 3
SHOWN = 10


class PatchConv2d(nn.Module):
    """A 3×3 convolution as a matrix product, which a stack of networks does at once."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = conv.weight, conv.bias

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = functional.unfold(images, 3, padding=1)
        maps = self.weight.flatten(1) @ patches + self.bias[:, None]
        return maps.unflatten(-1, images.shape[-2:])


def protocol_of(network: dict[str, Any]) -> config.Autoencoder:
    """Return a study's protocol with the changes of a network of the list."""
    content = config.load_study(network["study"]).autoencoder.model_dump()
    content |= {"options": network["options"], "precision": "float32"}
    if "learning_rate" in network:
        content["optimizer"] |= {"learning_rate": network["learning_rate"]}
    return config.Autoencoder.model_validate(content)


def build_stackable(protocol: config.Autoencoder, seed: int) -> nn.Module:
    """Return a network of `conv_dense` with its usual initial weights, ready to be stacked."""
    model = autoencoders.build(protocol.architecture, (1, 28, 28), protocol.options, seed)
    model.encoder[0] = PatchConv2d(model.encoder[0])
    return model


def adadelta(
    weight: torch.Tensor,
    gradient: torch.Tensor,
    square: torch.Tensor,
    update: torch.Tensor,
    rate: float,
    rho: float,
    epsilon: float,
) -> None:
    """Take one step of Adadelta in place (Zeiler 2012, algorithm 1), as `torch.optim` does."""
    square.mul_(rho).add_((1 - rho) * gradient * gradient)
    delta = (update + epsilon).sqrt() / (square + epsilon).sqrt() * gradient
    update.mul_(rho).add_((1 - rho) * delta * delta)
    weight.sub_(rate * delta)


def scaled(images: torch.Tensor) -> torch.Tensor:
    """Scale uint8 images to float32 in [0, 1]."""
    return images.float().div_(255)


class Stack:
    """Networks of one architecture that take their training steps together.

    Parameters
    ----------
    protocol : config.Autoencoder
        Of `conv_dense`, with Adadelta, a validation set and patience.
    seeds : list of int
        One network each.
    device : torch.device
    """

    def __init__(
        self, protocol: config.Autoencoder, seeds: list[int], device: torch.device
    ) -> None:
        models = [build_stackable(protocol, seed).to(device) for seed in seeds]
        self.protocol, self.seeds, self.device = protocol, list(seeds), device
        self.skeleton = models[0]
        weights, _ = stack_module_state(models)
        self.weights = {name: value.detach().clone() for name, value in weights.items()}
        self.squares = {name: torch.zeros_like(value) for name, value in self.weights.items()}
        self.updates = {name: torch.zeros_like(value) for name, value in self.weights.items()}
        self.step: Callable[[torch.Tensor], torch.Tensor] | None = None

    def loss(self, weights: dict[str, torch.Tensor], pixels: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of one network on pixels ``(N, 1, 28, 28)``."""
        logits = functional_call(self.skeleton, weights, (pixels,))
        return functional.binary_cross_entropy_with_logits(logits, pixels)

    def keep(self, rows: list[int]) -> None:
        """Keep some of the networks; the step is made anew for their number."""
        for state in (self.weights, self.squares, self.updates):
            for name, value in state.items():
                state[name] = value[rows].clone()
        self.seeds = [self.seeds[row] for row in rows]
        self.step = None

    def make_step(self, stack: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return the training step, rows ``(S, N)`` → losses ``(S,)``; on a GPU as one graph."""
        chosen = self.protocol.optimizer
        settings = (chosen.learning_rate, chosen.rho, chosen.epsilon)
        differentiate = vmap(grad_and_value(self.loss))
        # One pass over memory instead of ten; dynamic, because the number of networks falls.
        on_cpu = self.device.type == "cpu"
        move = adadelta if on_cpu else torch.compile(adadelta, dynamic=True)

        def step(rows: torch.Tensor) -> torch.Tensor:
            gradients, losses = differentiate(self.weights, scaled(stack[rows]))
            for name, weight in self.weights.items():
                move(weight, gradients[name], self.squares[name], self.updates[name], *settings)
            return losses

        return step if on_cpu else self._captured(step)

    def _captured(
        self, step: Callable[[torch.Tensor], torch.Tensor]
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        """Record a step as a CUDA graph; the steps that warm it up are undone."""
        rows = torch.zeros(
            len(self.seeds), self.protocol.batch_size, dtype=torch.long, device=self.device
        )
        states = (self.weights, self.squares, self.updates)
        before = [{name: value.clone() for name, value in state.items()} for state in states]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                step(rows)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            losses = step(rows)
        for state, saved in zip(states, before, strict=True):
            for name, value in saved.items():
                state[name].copy_(value)

        def replay(chosen: torch.Tensor) -> torch.Tensor:
            rows.copy_(chosen)
            graph.replay()
            return losses.clone()

        return replay

    def train_epoch(self, stack: torch.Tensor, epoch: int) -> np.ndarray:
        """Train for an epoch, each network in its seed's order; return the mean losses ``(S,)``."""
        if self.step is None:
            self.step = self.make_step(stack)
        orders = torch.stack(
            [training.epoch_order(len(stack), seed, epoch) for seed in self.seeds]
        ).to(self.device)
        size = self.protocol.batch_size
        if len(stack) % size:
            raise SystemExit(f"{len(stack)} images are no multiple of the batch size {size}")
        losses = [self.step(rows) for rows in orders.split(size, dim=1)]
        return torch.stack(losses).double().mean(0).cpu().numpy()

    @torch.no_grad()
    def validation_losses(self, stack: torch.Tensor) -> np.ndarray:
        """Return each network's mean loss on held-out images, ``(S,)``."""
        evaluate = vmap(self.loss, in_dims=(0, None))
        total = np.zeros(len(self.seeds))
        for part in stack.split(training.ENCODE_BATCH):
            pixels = scaled(part)
            total += evaluate(self.weights, pixels).double().cpu().numpy() * len(part)
        return total / len(stack)

    def one(self, row: int) -> dict[str, torch.Tensor]:
        """Return a copy of one network's weights."""
        return {name: value[row].clone() for name, value in self.weights.items()}


def train_together(
    images: np.ndarray,
    validation: np.ndarray,
    protocol: config.Autoencoder,
    seeds: list[int],
    device: torch.device,
    until: float = float("inf"),
) -> dict[int, tuple[dict[str, torch.Tensor], dict[str, list[float]]]]:
    """Train one network per seed, each until its patience ends.

    Parameters
    ----------
    images, validation : ndarray of uint8, shape (N, 28, 28)
    until : float
        Time (`time.monotonic`) after which no epoch begins. The history of a network that this cuts
        off has ``cut_off``: it does not follow the protocol.

    Returns
    -------
    dict of int to (dict of str to Tensor, dict of str to list of float)
        For each seed the weights of its best epoch and its history by epoch.
    """
    stack = training.on_device(images, device)
    held_out = training.on_device(validation, device)
    networks = Stack(protocol, seeds, device)
    histories = {seed: {"loss": [], "validation_loss": [], "seconds": []} for seed in seeds}
    best: dict[int, dict[str, torch.Tensor]] = {}
    for epoch in range(1, protocol.epochs + 1):
        if time.monotonic() > until or not networks.seeds:
            break
        started = time.perf_counter()
        losses = networks.train_epoch(stack, epoch)
        validations = networks.validation_losses(held_out)
        seconds = time.perf_counter() - started
        going_on = []
        for row, seed in enumerate(networks.seeds):
            history = histories[seed]
            if float(validations[row]) < min(history["validation_loss"], default=np.inf):
                best[seed] = networks.one(row)
            history["loss"].append(float(losses[row]))
            history["validation_loss"].append(float(validations[row]))
            history["seconds"].append(seconds / len(networks.seeds))
            best_epoch = int(np.argmin(history["validation_loss"])) + 1
            if epoch - best_epoch < protocol.validation.patience:
                going_on.append(row)
        if epoch % 10 == 1:
            shown = " ".join(f"{value:.5f}" for value in validations)
            print(f"epoch {epoch}: {seconds:.2f} s, validation {shown}", flush=True)
        if len(going_on) < len(networks.seeds):
            networks.keep(going_on)
    for seed in networks.seeds:
        if len(histories[seed]["loss"]) < protocol.epochs:
            histories[seed]["cut_off"] = [1.0]
    return {seed: (best[seed], histories[seed]) for seed in best}


@torch.no_grad()
def encode_and_show(
    protocol: config.Autoencoder, weights: dict[str, torch.Tensor], images: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the latents ``(N, D)`` of images, the first reconstructions and the decoder."""
    device = next(iter(weights.values())).device
    model = build_stackable(protocol, seed=0).to(device)
    model.load_state_dict(weights)
    model.eval()
    latents = training.encode(model, images)
    decoder = {
        f"decoder.{name}": value.cpu().numpy() for name, value in model.decoder.state_dict().items()
    }
    return {
        "latents": latents,
        "reconstructions": training.reconstruct(model, images[:SHOWN]),
        **decoder,
    }


def read_networks(study: str) -> list[dict[str, Any]]:
    """Return the networks of a study, in their order."""
    networks = yaml.safe_load(NETWORKS.read_text(encoding="utf-8"))
    return [network for network in networks if network["study"] == study]


def machine() -> dict[str, Any]:
    """Describe what the networks are trained on."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {"device": name, "torch": torch.__version__, "precision": "float32", "tf32": False}


def run_conv_ae(images: np.ndarray, out: Path, device: torch.device, until: float) -> None:
    """Train and encode the networks of `mnist-conv-ae`, those of equal shape in stacks."""
    train, validation = images[:N_TRAIN], images[N_TRAIN:]
    record: dict[str, Any] = {"machine": machine(), "networks": {}}
    for network in read_networks("mnist-conv-ae"):
        protocol, seeds = protocol_of(network), range(network["seeds"])
        for first in seeds[::NETWORKS_PER_STACK]:
            stack = list(seeds[first : first + NETWORKS_PER_STACK])
            name = f"{network['name']}-seeds-{stack[0]}-{stack[-1]}"
            started = time.perf_counter()
            trained = train_together(train, validation, protocol, stack, device, until)
            latents, small = {}, {}
            for seed, (weights, history) in trained.items():
                record["networks"][f"{network['name']}.seed-{seed}"] = history
                arrays = encode_and_show(protocol, weights, train)
                latents[f"seed-{seed}"] = arrays.pop("latents")
                small |= {f"seed-{seed}.{key}": value for key, value in arrays.items()}
            record[f"{name}_seconds"] = time.perf_counter() - started
            # Latents alone: a file of three networks of 60,000 × 14 values has 10 MB.
            np.savez(out / f"mnist-conv-ae-{name}-latents.npz", **latents)
            np.savez_compressed(out / f"mnist-conv-ae-{name}-decoders.npz", **small)
            write(out / "mnist-conv-ae.json", record)


def run_cae(images: Path, out: Path, processes: int, until: float) -> None:
    """Train the networks of `mnist-cae` as the CPU does, several processes at a time."""
    networks = read_networks("mnist-cae")
    jobs = [
        (network, seed)
        for k in range(max(network["seeds"] for network in networks))
        for network in networks
        for seed in range(network["seeds"])
        if seed == k
    ]
    # The first seed of each filling comes before the second of any.
    record: dict[str, Any] = {"machine": machine(), "networks": {}}
    arrays: dict[str, np.ndarray] = {}
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        running = [pool.submit(train_cae, images, *job, until) for job in jobs]
        for future in as_completed(running):
            key, history, state = future.result()
            if state is None:
                print(f"{key}: no time left", flush=True)
                continue
            record["networks"][key] = history
            arrays |= {f"{key}.{name}": value for name, value in state.items()}
            write(out / "mnist-cae.json", record)
            np.savez(out / "mnist-cae-weights.npz", **arrays)
            print(
                f"{key}: loss {history['loss'][-1]:.5f}, {sum(history['seconds']):.0f} s",
                flush=True,
            )


class OutOfTime(Exception):
    """The time of a training is over."""


def train_cae(
    images: Path, network: dict[str, Any], seed: int, until: float
) -> tuple[str, dict[str, list[float]], dict[str, np.ndarray] | None]:
    """Train one network of `mnist-cae`; the state is None if time ran out."""

    def check(epoch: int, _values: dict[str, float]) -> None:
        if time.time() > until:
            raise OutOfTime

    key = f"{network['name']}.seed-{seed}"
    try:
        check(0, {})
        with training.threads(1):
            done = training.train(read_images(images), protocol_of(network), seed, on_epoch=check)
    except OutOfTime:
        return key, {}, None
    state = {name: value.cpu().numpy() for name, value in done.model.state_dict().items()}
    return key, done.history, state


def read_images(path: Path) -> np.ndarray:
    """Read the images that `pack` wrote, uint8 ``(70000, 28, 28)``."""
    with np.load(path) as file:
        return file["images"]


def pack(path: Path) -> None:
    """Write the verified images of MNIST into one compressed file."""
    from utils.data import datasets

    np.savez_compressed(path, images=datasets.load("mnist").images)


def write(path: Path, content: Any) -> None:
    """Write JSON so that a run that is cut off leaves the file whole."""
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(path)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("study", nargs="?", choices=["mnist-conv-ae", "mnist-cae"])
    parser.add_argument("--pack", action="store_true", help="write IMAGES instead")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--processes", type=int, default=min(12, os.cpu_count() or 1))
    options = parser.parse_args()
    if options.pack:
        pack(options.images)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    if options.study == "mnist-conv-ae":
        until = time.monotonic() + options.seconds
        run_conv_ae(read_images(options.images), options.out, training.pick_device(), until)
    else:
        run_cae(options.images, options.out, options.processes, time.time() + options.seconds)


if __name__ == "__main__":
    main()
