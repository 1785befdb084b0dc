"""Train the networks of `mnist-conv-ae` and `mnist-cae` on one GPU: ``on_gpu.py IMAGES OUT``.

``on_gpu.py IMAGES --pack`` makes IMAGES, one compressed file, from the verified MNIST. OUT receives
the loss curves of each network and, for `mnist-conv-ae`, the latents of the training images and the
decoder (an encoder has 42 MB), for `mnist-cae` the whole network. All computations are in float32,
with TF32 off. Results are written as they come, so that a run that is cut off keeps them.
`load_networks.py` stores what came back where the notebooks look for trained networks.

The small batches of these studies leave most of a GPU idle. The networks therefore train beside
each other, each on a stream of its own with its training step recorded as one graph. Weights, loss,
order of the images and early stopping are those of `utils.representations.training`, and a test
compares the two.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from utils.config.load import load_study  # noqa: E402
from utils.config.schema import Autoencoder as Protocol  # noqa: E402
from utils.representations import autoencoders, training  # noqa: E402

NETWORKS = ROOT / "benchmarks" / "gpu_networks.yaml"
N_TRAIN = 60_000
# A file that comes back has 16 MiB at most; the latents of a network have 3.4 MB.
LATENTS_PER_FILE = 3
# Steps that are run before a step is recorded; their effects are undone.
WARM_UP = 3


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


class Adadelta(torch.optim.Optimizer):
    """Adadelta in one pass over memory instead of ten."""

    def __init__(self, protocol: Protocol, weights: list[torch.nn.Parameter]) -> None:
        super().__init__(weights, {})
        chosen = protocol.optimizer
        self.settings = (chosen.learning_rate, chosen.rho, chosen.epsilon)
        on_gpu = weights[0].device.type == "cuda"
        self.move = torch.compile(adadelta, dynamic=True) if on_gpu else adadelta
        for weight in weights:
            zeros = {name: torch.zeros_like(weight) for name in ("square", "update")}
            self.state[weight] = zeros

    @torch.no_grad()
    def step(self) -> None:
        """Take one step."""
        for weight, state in self.state.items():
            self.move(weight, weight.grad, state["square"], state["update"], *self.settings)


def make_optimizer(protocol: Protocol, model: torch.nn.Module) -> torch.optim.Optimizer:
    """Return the protocol's optimiser; its steps can be recorded in a graph."""
    weights = list(model.parameters())
    chosen = protocol.optimizer
    if chosen.name == "adadelta":
        return Adadelta(protocol, weights)
    given = {} if chosen.epsilon is None else {"eps": chosen.epsilon}
    on_gpu = weights[0].device.type == "cuda"
    return torch.optim.Adam(
        weights, lr=chosen.learning_rate, **given, fused=True, capturable=on_gpu
    )


class Network:
    """A network that is trained beside others.

    Parameters
    ----------
    protocol : config.Autoencoder
    seed : int
    stack, held_out : Tensor of uint8, shape (N, C, H, W), held_out may be None
        Training and validation images, on the device.
    """

    def __init__(
        self,
        protocol: Protocol,
        seed: int,
        stack: torch.Tensor,
        held_out: torch.Tensor | None = None,
    ) -> None:
        self.protocol, self.seed, self.stack, self.held_out = protocol, seed, stack, held_out
        self.device = stack.device
        shape = tuple(stack.shape[1:])
        model = autoencoders.build(protocol.architecture, shape, protocol.options, seed)
        self.model = model.to(self.device)
        self.optimizer = make_optimizer(protocol, self.model)
        self.rows = torch.zeros(protocol.batch_size, dtype=torch.long, device=self.device)
        self.total = torch.zeros((), dtype=torch.float64, device=self.device)
        self.history: dict[str, list[float]] = {"loss": [], "seconds": []}
        self.best: dict[str, torch.Tensor] = {}
        on_gpu = self.device.type == "cuda"
        self.stream = torch.cuda.Stream() if on_gpu else None
        self.replay: Callable[[], None] | None = None

    def step(self, rows: torch.Tensor) -> None:
        """Train on some of the images and add their loss to the epoch's."""
        pixels = training.to_pixels(self.stack[rows]).contiguous()
        self.optimizer.zero_grad(set_to_none=True)
        loss = training.reconstruction_loss(self.model, pixels, self.protocol)
        loss.backward()
        self.optimizer.step()
        self.total += loss.detach().double() * len(rows)

    def record_step(self) -> None:
        """Record the step as a CUDA graph; the steps that warm it up are undone."""
        before = {name: value.clone() for name, value in self.model.state_dict().items()}
        for _ in range(WARM_UP):
            self.step(self.rows)
        self.stream.synchronize()
        self.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            self.step(self.rows)
        self.model.load_state_dict(before)
        for state in self.optimizer.state.values():
            for value in state.values():
                value.zero_()
        self.replay = graph.replay

    def train(self) -> Iterator[None]:
        """Train by the protocol; after each step the next network has its turn."""
        if self.stream is not None:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                self.record_step()
        patience = self.protocol.validation.patience if self.protocol.validation else None
        for epoch in range(1, self.protocol.epochs + 1):
            with torch.cuda.stream(self.stream):
                started = time.perf_counter()
                self.model.train()
                self.total.zero_()
                order = training.epoch_order(len(self.stack), self.seed, epoch).to(self.device)
            for rows in order.split(self.protocol.batch_size):
                yield
                with torch.cuda.stream(self.stream):
                    if self.replay is not None and len(rows) == len(self.rows):
                        self.rows.copy_(rows)
                        self.replay()
                    else:
                        self.step(rows)
            with torch.cuda.stream(self.stream):
                self.end_epoch(started)
            losses = self.history.get("validation_loss", [])
            if patience and epoch - (int(np.argmin(losses)) + 1) >= patience:
                break
        with torch.cuda.stream(self.stream):
            if self.best:
                self.model.load_state_dict(self.best)
            self.model.eval()
        if self.stream is not None:
            self.stream.synchronize()

    def end_epoch(self, started: float) -> None:
        """Note the losses of an epoch, and its weights if they are the best so far."""
        loss = float(self.total) / len(self.stack)
        if not np.isfinite(loss):
            raise training.TrainingError(f"seed {self.seed}: the loss became {loss}")
        if self.held_out is not None:
            value = self.validation_loss()
            losses = self.history.setdefault("validation_loss", [])
            if value < min(losses, default=np.inf):
                state = self.model.state_dict()
                self.best = {name: weight.clone() for name, weight in state.items()}
            losses.append(value)
        self.history["loss"].append(loss)
        self.history["seconds"].append(time.perf_counter() - started)
        if len(self.history["loss"]) % 50 == 0:
            print(
                f"seed {self.seed}: epoch {len(self.history['loss'])}, loss {loss:.5f}", flush=True
            )

    @torch.no_grad()
    def validation_loss(self) -> float:
        """Return the mean loss on the held-out images."""
        self.model.eval()
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for part in self.held_out.split(training.ENCODE_BATCH):
            pixels = training.to_pixels(part).contiguous()
            loss = training.reconstruction_loss(self.model, pixels, self.protocol)
            total += loss.double() * len(part)
        return float(total) / len(self.held_out)


def train_together(
    networks: dict[str, Network],
    done: Callable[[str, Network], None] = lambda name, network: None,
    until: float = float("inf"),
    at_once: int = 8,
) -> None:
    """Train networks by turns, one step each, until each has ended by its protocol.

    Parameters
    ----------
    networks : dict of str to Network
    done : callable
        Called with the name and the network as soon as it is trained.
    until : float
        Time (`time.monotonic`) after which nothing is trained; a network that is not complete then
        is dropped.
    at_once : int
        How many are trained beside each other.
    """
    waiting = [(name, network, network.train()) for name, network in networks.items()]
    running, waiting = waiting[:at_once], waiting[at_once:]
    while running and time.monotonic() < until:
        ended = []
        for turn in running:
            name, network, steps = turn
            if next(steps, turn) is turn:
                ended.append(turn)
                done(name, network)
        for turn in ended:
            running.remove(turn)
            if waiting:
                running.append(waiting.pop(0))
    for name, network, _ in [*running, *waiting]:
        print(f"{name}: no time left after {len(network.history['loss'])} epochs", flush=True)


def protocol_of(network: dict[str, Any]) -> Protocol:
    """Return a study's protocol with the changes of a network of the list."""
    content = load_study(network["study"]).autoencoder.model_dump()
    content |= {"options": network["options"], "precision": "float32"}
    if "learning_rate" in network:
        content["optimizer"] |= {"learning_rate": network["learning_rate"]}
    return Protocol.model_validate(content)


def read_networks() -> dict[str, tuple[dict[str, Any], int]]:
    """Return the networks of the list and their seeds by name, in the order of the list."""
    listed = yaml.safe_load(NETWORKS.read_text(encoding="utf-8"))
    return {
        f"{network['study']}.{network['name']}.seed-{seed}": (network, seed)
        for network in listed
        for seed in range(network["seeds"])
    }


class Results:
    """What comes back from the GPU, written whenever a network is complete.

    Parameters
    ----------
    out : Path
        Folder, made if it is not there.
    images : ndarray of uint8, shape (N, H, W)
        Training images of `mnist-conv-ae`, whose latents come back.
    """

    def __init__(self, out: Path, images: np.ndarray) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out, self.images = out, images
        self.record: dict[str, Any] = {"machine": machine(), "networks": {}}
        self.weights: dict[str, dict[str, np.ndarray]] = {}
        self.latents: dict[str, np.ndarray] = {}

    def add(self, name: str, network: Network) -> None:
        """Write a network's losses, and its weights or its latents and decoder."""
        state = {key: value.cpu().numpy() for key, value in network.model.state_dict().items()}
        if name.startswith("mnist-conv-ae"):
            self.latents[name] = training.encode(network.model, self.images)
            state = {key: value for key, value in state.items() if key.startswith("decoder.")}
            first = (len(self.latents) - 1) // LATENTS_PER_FILE * LATENTS_PER_FILE
            part = list(self.latents)[first : first + LATENTS_PER_FILE]
            path = self.out / f"latents-{first // LATENTS_PER_FILE}.npz"
            np.savez(path, **{key: self.latents[key] for key in part})
        study = name.split(".")[0]
        weights = self.weights.setdefault(study, {})
        weights |= {f"{name}.{key}": value for key, value in state.items()}
        np.savez(self.out / f"weights-{study}.npz", **weights)
        self.record["networks"][name] = network.history
        write(self.out / "networks.json", self.record)
        epochs, seconds = len(network.history["loss"]), sum(network.history["seconds"])
        loss = network.history["loss"][-1]
        print(f"{name}: loss {loss:.5f}, {epochs} epochs, {seconds:.0f} s", flush=True)
        network.model, network.best, network.replay = None, {}, None


def machine() -> dict[str, Any]:
    """Describe what the networks are trained on."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {"device": name, "torch": torch.__version__, "precision": "float32", "tf32": False}


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
    parser.add_argument("--pack", action="store_true", help="write IMAGES instead")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--at-once", type=int, default=8, help="networks beside each other")
    parser.add_argument("--skip", type=int, default=0, help="so many networks of the list")
    options = parser.parse_args()
    if options.pack:
        pack(options.images)
        return
    until = time.monotonic() + options.seconds
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    images = read_images(options.images)
    device = training.pick_device()
    everything = training.on_device(images, device)
    results = Results(options.out, images[:N_TRAIN])
    networks = {}
    for name, (network, seed) in list(read_networks().items())[options.skip :]:
        split = network["study"] == "mnist-conv-ae"
        stacks = (everything[:N_TRAIN], everything[N_TRAIN:]) if split else (everything, None)
        networks[name] = Network(protocol_of(network), seed, *stacks)
    train_together(networks, results.add, until, options.at_once)


if __name__ == "__main__":
    main()
