"""Results that are computed once for one fingerprint.

A *fingerprint* names everything that made a result: resolved configuration, data hash, seed,
library versions and the source code the result depends on. A stored result is used only when its
fingerprint and its checksum both hold; anything else is computed again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.store.files import atomic_path, read_state, sha256_file, write_json
from utils.store.fingerprints import fingerprint, library_versions, source_fingerprint
from utils.store.origins import origin

if TYPE_CHECKING:
    import numpy as np


def load_or_compute(
    name: str,
    recipe: dict[str, Any],
    code: tuple[str, ...],
    compute: Callable[[], dict[str, np.ndarray]],
    cache: Path,
) -> dict[str, np.ndarray]:
    """Return stored arrays if what made them is unchanged, otherwise compute and store them.

    Parameters
    ----------
    name : str
        What it is, for the file name: ``"mnist-cae-model"``.
    recipe : dict
        Everything besides code and libraries that the arrays depend on; JSON types only.
    code : tuple of str
        Our modules whose change makes the arrays stale, and so does another version of a library
        that they import.
    compute : callable
        Returns the arrays; called only when no valid stored result exists.
    cache : Path
        Folder of the stored results.

    Returns
    -------
    dict of str to ndarray
        The arrays, as `compute` returned them.

    Notes
    -----
    The arrays lie in a safetensors file, which cannot hold code; beside it a JSON file states the
    recipe, the checksum and the origin of the arrays. The JSON file is written last, so a killed
    write leaves no valid entry.
    """
    return load_or_compute_with_origin(name, recipe, code, compute, cache)[0]


def load_or_compute_with_origin(
    name: str,
    recipe: dict[str, Any],
    code: tuple[str, ...],
    compute: Callable[[], dict[str, np.ndarray]],
    cache: Path,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Do what `load_or_compute` does, and return also where the arrays come from.

    Returns
    -------
    arrays : dict of str to ndarray
    origin : dict
        What `origins.origin` said when they were computed, with ``code`` (fingerprint of the code
        that computed them) and ``seconds`` (that this took).
    """
    from safetensors.numpy import load_file

    arrays_path, recipe_path, _ = _place(name, recipe, code, cache)
    if (stored := _valid_recipe(arrays_path, recipe_path)) is not None:
        return load_file(arrays_path), stored["origin"]
    started = time.perf_counter()
    arrays = compute()
    where = {**origin(), "seconds": round(time.perf_counter() - started, 3)}
    return store(name, recipe, code, arrays, where, cache)


def store(
    name: str,
    recipe: dict[str, Any],
    code: tuple[str, ...],
    arrays: dict[str, np.ndarray],
    where: dict[str, Any],
    cache: Path,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Store arrays that were computed elsewhere, for `load_or_compute` to find.

    Parameters
    ----------
    name, recipe, code, cache
        As for `load_or_compute`.
    arrays : dict of str to ndarray
    where : dict
        Their origin; see `load_or_compute_with_origin`.

    Returns
    -------
    arrays, origin
        As from `load_or_compute_with_origin`.
    """
    import numpy as np
    from safetensors.numpy import save_file

    arrays_path, recipe_path, full_recipe = _place(name, recipe, code, cache)
    # safetensors writes the memory of a transposed or strided array in the wrong order, silently.
    ordered = {key: np.asarray(array, order="C") for key, array in arrays.items()}
    where = {**where, "code": full_recipe["code"]}
    with atomic_path(arrays_path) as temporary:
        save_file(ordered, temporary)
    write_json(recipe_path, {**full_recipe, "sha256": sha256_file(arrays_path), "origin": where})
    return ordered, where


def _place(
    name: str, recipe: dict[str, Any], code: tuple[str, ...], cache: Path
) -> tuple[Path, Path, dict[str, Any]]:
    """Return the files of the arrays and of what made them, and the latter's content."""
    full_recipe = {
        "name": name,
        "recipe": recipe,
        "code": source_fingerprint(*code),
        "libraries": library_versions(*code),
    }
    stem = f"{name}-{fingerprint(full_recipe)[:16]}"
    return cache / f"{stem}.safetensors", cache / f"{stem}.json", full_recipe


def load_or_make(
    name: str,
    recipe: dict[str, Any],
    code: tuple[str, ...],
    make: Callable[[], dict[str, bytes]],
    cache: Path,
) -> dict[str, bytes]:
    """Return stored files by name if what made them is unchanged, otherwise make and store them.

    The parameters are those of `load_or_compute`, and so are the checks of what is stored.
    """
    import numpy as np

    def compute() -> dict[str, np.ndarray]:
        return {key: np.frombuffer(content, np.uint8) for key, content in make().items()}

    stored = load_or_compute(name, recipe, code, compute, cache)
    return {key: array.tobytes() for key, array in stored.items()}


def with_prefix(arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Pick the arrays or tensors whose names begin with `prefix`, and take it off their names."""
    return {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }


def _valid_recipe(arrays_path: Path, recipe_path: Path) -> dict[str, Any] | None:
    # A damaged recipe file proves nothing, so its arrays are computed again.
    recipe = read_state(recipe_path, "sha256", "origin")
    if recipe is None or not arrays_path.is_file():
        return None
    return recipe if sha256_file(arrays_path) == recipe["sha256"] else None
