"""Results that are computed once for one fingerprint.

A *fingerprint* names everything that made a result: resolved configuration, data hash, seed,
library versions and the source code the result depends on. A stored result is used only when its
fingerprint and its checksum both hold; anything else is computed again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from utils.store.files import atomic_path, read_state, sha256_file, write_json
from utils.store.fingerprints import fingerprint, library_versions, source_fingerprint

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
    recipe and the checksum. The JSON file is written last, so a killed write leaves no valid entry.
    """
    import numpy as np
    from safetensors.numpy import load_file, save_file

    full_recipe = {
        "name": name,
        "recipe": recipe,
        "code": source_fingerprint(*code),
        "libraries": library_versions(*code),
    }
    stem = f"{name}-{fingerprint(full_recipe)[:16]}"
    arrays_path, recipe_path = cache / f"{stem}.safetensors", cache / f"{stem}.json"
    if _is_valid(arrays_path, recipe_path):
        return load_file(arrays_path)
    arrays = compute()
    # safetensors writes the memory of a transposed or strided array in the wrong order, silently.
    ordered = {key: np.asarray(array, order="C") for key, array in arrays.items()}
    with atomic_path(arrays_path) as temporary:
        save_file(ordered, temporary)
    write_json(recipe_path, {**full_recipe, "sha256": sha256_file(arrays_path)})
    return ordered


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


def _is_valid(arrays_path: Path, recipe_path: Path) -> bool:
    # A damaged recipe file proves nothing, so its arrays are computed again.
    recipe = read_state(recipe_path, "sha256")
    return (
        recipe is not None
        and arrays_path.is_file()
        and sha256_file(arrays_path) == recipe["sha256"]
    )
