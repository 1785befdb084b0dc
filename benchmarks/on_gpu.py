"""Train networks of the studies on MNIST on one GPU: ``on_gpu.py IMAGES OUT``.

``on_gpu.py IMAGES --pack`` makes IMAGES, one compressed file, from the verified MNIST. OUT receives
the loss curves (``networks.json``) and the weights of each network (``NAME.npz``). All computations
are in float32, with TF32 off. Results are written as they come, so that a run that is cut off keeps
them. `load_networks.py` stores what came back where the notebooks look for trained networks.

The small batches of these studies leave most of a GPU idle. The networks therefore train beside
each other, each on a stream of its own with its training step recorded as one graph. Weights, loss,
order of the images and early stopping are those of `utils.representations.training`, and a test
compares the two. The five networks of N2D, which have dense layers only, train as one batched
product.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
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
# N2D (McConville et al. 2021): dense layers 784-500-500-2000-10 and back, Adam as in Keras.
N2D = "n2d"
N2D_WIDTHS = (500, 500, 2000, 10)
N2D_EPOCHS, N2D_BATCH, N2D_SEEDS = 1000, 256, 5
# After so many epochs the state of N2D's networks is written, in case the time runs out.
N2D_WRITTEN_EVERY = 100
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

    def train(self) -> Iterator[None]:
        """Train by the protocol; after each step the next network has its turn."""
        if self.stream is not None:
            record_step(self, self.model.state_dict().values())
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

    def states(self, name: str) -> dict[str, dict[str, np.ndarray]]:
        """Return the weights by the network's name."""
        state = self.model.state_dict()
        return {name: {key: value.cpu().numpy() for key, value in state.items()}}

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


class Stack:
    """Networks of the same dense layers, one per seed, trained as one batched product.

    The outputs are linear and the loss is the mean squared error, as in N2D; the optimiser is Adam
    with Keras's settings.

    Parameters
    ----------
    images : Tensor of uint8, shape (N, D)
        Training images, on the device.
    widths : sequence of int
        Of the encoder's layers; the decoder mirrors them.
    seeds : sequence of int
    epochs, batch_size : int
    written : callable
        Called with the stack after every `N2D_WRITTEN_EVERY` epochs.
    """

    def __init__(
        self,
        images: torch.Tensor,
        widths: Sequence[int],
        seeds: Sequence[int],
        epochs: int,
        batch_size: int,
        written: Callable[[Stack], None] = lambda stack: None,
    ) -> None:
        self.images, self.seeds, self.epochs, self.written = images, seeds, epochs, written
        models = [n2d_network(images.shape[1], widths, seed) for seed in seeds]
        self.names = list(models[0].state_dict())
        states = [model.state_dict() for model in models]
        self.weights = [
            torch.stack([state[name] for state in states]).to(images.device).requires_grad_()
            for name in self.names
        ]
        on_gpu = images.device.type == "cuda"
        self.optimizer = torch.optim.Adam(
            self.weights, lr=1e-3, eps=1e-7, fused=True, capturable=on_gpu
        )
        self.rows = torch.zeros(len(seeds), batch_size, dtype=torch.long, device=images.device)
        self.total = torch.zeros(len(seeds), dtype=torch.float64, device=images.device)
        self.latent = len(widths) - 1
        self.history: dict[str, list] = {"loss": [], "seconds": []}
        self.stream = torch.cuda.Stream() if on_gpu else None
        self.replay: Callable[[], None] | None = None

    def step(self, rows: torch.Tensor) -> None:
        """Train on some of the images, `rows` of shape (networks, batch), and add their losses."""
        pixels = self.images[rows].float().div_(255)
        hidden = pixels
        layers = list(zip(self.weights[::2], self.weights[1::2], strict=True))
        for number, (weight, bias) in enumerate(layers):
            hidden = torch.baddbmm(bias.unsqueeze(1), hidden, weight.transpose(1, 2))
            if number not in (self.latent, len(layers) - 1):
                hidden = hidden.relu()
        self.optimizer.zero_grad(set_to_none=True)
        losses = (hidden - pixels).square().mean((1, 2))
        losses.sum().backward()
        self.optimizer.step()
        self.total += losses.detach().double() * rows.shape[1]

    def train(self) -> Iterator[None]:
        """Train all epochs; after each step the next network has its turn."""
        if self.stream is not None:
            record_step(self, self.weights)
        n = len(self.images)
        for epoch in range(1, self.epochs + 1):
            started = time.perf_counter()
            orders = [training.epoch_order(n, seed, epoch) for seed in self.seeds]
            with torch.cuda.stream(self.stream):
                self.total.zero_()
                order = torch.stack(orders).to(self.images.device)
            for rows in order.split(self.rows.shape[1], dim=1):
                yield
                with torch.cuda.stream(self.stream):
                    if self.replay is not None and rows.shape == self.rows.shape:
                        self.rows.copy_(rows)
                        self.replay()
                    else:
                        self.step(rows)
            with torch.cuda.stream(self.stream):
                losses = [float(value) / n for value in self.total]
            self.history["loss"].append(losses)
            self.history["seconds"].append(time.perf_counter() - started)
            if epoch % N2D_WRITTEN_EVERY == 0 and epoch < self.epochs:
                self.written(self)
        if self.stream is not None:
            self.stream.synchronize()

    def states(self, name: str) -> dict[str, dict[str, np.ndarray]]:
        """Return the weights of each network by its name."""
        with torch.cuda.stream(self.stream):
            arrays = [weight.detach().cpu().numpy() for weight in self.weights]
        return {
            f"{name}.seed-{seed}": {
                key: array[index] for key, array in zip(self.names, arrays, strict=True)
            }
            for index, seed in enumerate(self.seeds)
        }


def record_step(trained: Network | Stack, values: Iterable[torch.Tensor]) -> None:
    """Record the step as a CUDA graph on its stream; the steps that warm it up are undone.

    `values` are the weights, and the running averages if there are any, that a step changes.
    """
    values = [value.detach() for value in values]
    trained.stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(trained.stream):
        before = [value.clone() for value in values]
        for _ in range(WARM_UP):
            trained.step(trained.rows)
        trained.stream.synchronize()
        trained.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=trained.stream):
            trained.step(trained.rows)
        for value, first in zip(values, before, strict=True):
            value.copy_(first)
        for state in trained.optimizer.state.values():
            for value in state.values():
                value.zero_()
    trained.replay = graph.replay


def n2d_network(size: int, widths: Sequence[int], seed: int) -> autoencoders.Autoencoder:
    """Make one network of N2D with Keras's initial weights."""
    torch.manual_seed(seed)
    return autoencoders._keras_initialised(autoencoders.dense((1, 1, size), widths))


def train_together(
    networks: dict[str, Network | Stack],
    done: Callable[[str, Network | Stack], None] = lambda name, network: None,
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
    """

    def __init__(self, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.out = out
        self.record: dict[str, Any] = {"machine": machine(), "networks": {}}

    def add(self, name: str, network: Network | Stack) -> None:
        """Write the losses and the weights of a network, or of each network of a stack."""
        for part, state in network.states(name).items():
            temporary = self.out / f"{part}.part.npz"
            np.savez(temporary, **state)
            temporary.rename(self.out / f"{part}.npz")
            self.record["networks"][part] = network.history
        write(self.out / "networks.json", self.record)
        epochs, seconds = len(network.history["loss"]), sum(network.history["seconds"])
        loss = network.history["loss"][-1]
        print(f"{name}: loss {loss}, {epochs} epochs, {seconds:.0f} s", flush=True)


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
    parser.add_argument("--first", type=int, help="only so many networks of the list")
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
    results = Results(options.out)
    stack = Stack(
        everything.flatten(1),
        N2D_WIDTHS,
        range(N2D_SEEDS),
        N2D_EPOCHS,
        N2D_BATCH,
        lambda stack: results.add(N2D, stack),
    )
    networks: dict[str, Network | Stack] = {N2D: stack}
    for name, (network, seed) in list(read_networks().items())[: options.first]:
        split = network["study"] == "mnist-conv-ae"
        stacks = (everything[:N_TRAIN], everything[N_TRAIN:]) if split else (everything, None)
        networks[name] = Network(protocol_of(network), seed, *stacks)
    train_together(networks, results.add, until, options.at_once)


if __name__ == "__main__":
    main()
