"""Store networks that a GPU trained: ``load_networks.py FOLDER --commit HASH --computed TIME``.

FOLDER is one that `on_gpu.py` wrote. The notebooks of this checkout then find its networks as if
they had been trained here. Their origin names the GPU, and so do manifests and tables. A network is
stored for the study, or the variant of it, whose protocol it was trained by; one that was cut off
is refused.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import on_gpu
import torch

from utils import config, places, runs
from utils.config.schema import Autoencoder as Protocol
from utils.errors import UserError
from utils.representations import autoencoders
from utils.runs import networks
from utils.runs.study import StudyRun
from utils.store import cache
from utils.store.origins import origin


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--commit", required=True, help="commit whose code was run on the GPU")
    parser.add_argument("--computed", required=True, help="when, in UTC: 2026-11-27T04:00:00+00:00")
    parser.add_argument("--studies", help="only these, separated by commas")
    options = parser.parse_args()
    record = json.loads((options.folder / "networks.json").read_text(encoding="utf-8"))
    where = {
        **origin(),
        "commit": options.commit,
        "dirty": False,
        "processor": record["machine"]["device"],
        "computed": options.computed,
        "torch": record["machine"]["torch"],
    }
    known = config.study_names()
    there = {name.split(".")[0] for name in record["networks"]} & set(known)
    for study in options.studies.split(",") if options.studies else sorted(there):
        load_study(options.folder, record["networks"], study, where)


def load_study(folder: Path, found: dict[str, Any], study: str, where: dict[str, Any]) -> None:
    """Store all networks of a study that came back.

    Parameters
    ----------
    folder : Path
        Has the weights of each network, ``NAME.npz``.
    found : dict
        Losses and seconds of each epoch by the network's name.
    study : str
    where : dict
        The networks' origin; see `cache.store`.

    Raises
    ------
    UserError
        If a network was cut off before its protocol's end.
    """
    seeds = {int(name.rpartition("-")[2]) for name in found if name.split(".")[0] == study}
    for seed in sorted(seeds):
        run = runs.open_study("02_train_autoencoder", study, "paper", seed)
        for variant in (None, *run.study.variants):
            protocol = run.protocol(variant)
            name = trained_as(study, protocol, seed)
            if name not in found:
                continue
            history = history_of(found[name], seed)
            require_complete(name, history, protocol)
            with np.load(folder / f"{name}.npz") as state:
                own = f"autoencoder-{variant.name}" if variant else "autoencoder"
                store(run, own, protocol, dict(state), history, where)
            print(f"{name} is stored as {own} of {study}, seed {seed}")


def trained_as(study: str, protocol: Protocol, seed: int) -> str | None:
    """Return the name under which `on_gpu.py` trains a protocol, or None if it does not."""
    if study == on_gpu.N2D:
        shape = (1, 28, 28)
        asked = autoencoders.build(protocol.architecture, shape, protocol.options, seed)
        made = on_gpu.n2d_network(math.prod(shape), on_gpu.N2D_WIDTHS, seed)
        is_same = _is_same(asked, made) and protocol.batch_size == on_gpu.N2D_BATCH
        return f"{on_gpu.N2D}.seed-{seed}" if is_same else None
    for name, (network, its_seed) in on_gpu.read_networks().items():
        if (network["study"], its_seed) == (study, seed) and on_gpu.protocol_of(
            network
        ) == protocol:
            return name
    return None


def _is_same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Tell whether two networks have the same layers with the same initial weights."""
    ours, theirs = one.state_dict(), other.state_dict()
    return list(ours) == list(theirs) and all(torch.equal(ours[key], theirs[key]) for key in ours)


def history_of(noted: dict[str, list], seed: int) -> dict[str, list[float]]:
    """Return one network's history; networks of a stack have a list of losses for each epoch."""
    return {
        key: [value[seed] if isinstance(value, list) else value for value in values]
        for key, values in noted.items()
    }


def require_complete(name: str, history: dict[str, list[float]], protocol: Protocol) -> None:
    """Refuse a network whose training ended before its protocol says so."""
    epochs, losses = len(history["loss"]), history.get("validation_loss")
    waited = epochs - (int(np.argmin(losses)) + 1) if losses else 0
    patience = protocol.validation.patience if protocol.validation else None
    if epochs < protocol.epochs and not (patience and waited >= patience):
        raise UserError(
            f"{name} was cut off after {epochs} of {protocol.epochs} epochs: train it again, or "
            "state the epochs that were run in the study's file"
        )


def store(
    run: StudyRun,
    own: str,
    protocol: Protocol,
    state: dict[str, np.ndarray],
    history: dict[str, list[float]],
    where: dict[str, Any],
) -> None:
    """Store one network under the name that `StudyRun.autoencoder` asks for."""
    arrays = {f"model.{name}": value for name, value in state.items()}
    arrays |= {f"history.{name}": np.array(values) for name, values in history.items()}
    recipe = networks.recipe(
        run.training_images,
        protocol,
        run.seed,
        run.study.images.resize,
        run.validation_images,
    )
    name = f"{run.study.study}-{own}-seed{run.seed}"
    cache.store(name, recipe, networks.CODE, arrays, where, places.cache())


if __name__ == "__main__":
    main()
