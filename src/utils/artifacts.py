"""Atomic files, checksums, and results that are computed once for one fingerprint.

A *fingerprint* names everything that made a result: resolved configuration, data hash, seed,
library versions and the source code the result depends on. A stored result is used only when its
fingerprint and its checksum both hold; anything else is computed again.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

PACKAGE = Path(__file__).parent
LIBRARIES = ("numpy", "scikit-learn", "scipy", "torch", "torchvision", "timm", "umap-learn")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block ends without an exception.

    Parameters
    ----------
    path : Path
        The file to write. Its folder is made if it is missing.

    Yields
    ------
    Path
        A file in the same folder, so that the final rename is atomic. An interrupted block leaves
        the old `path` as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix is kept: several libraries choose the format by it.
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        # mkstemp makes the file private; a result is as readable as any file of its user.
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write `content` to `path` as indented JSON, atomically."""
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def update_json(path: Path, content: Any) -> None:
    """Write `content` to `path` unless it says so already: what depends on it stays up to date."""
    if not Path(path).is_file() or read_json(path) != content:
        write_json(path, content)


def read_json(path: Path) -> Any:
    """Read the JSON file `path`."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_array(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's bytes in C order as 64 hexadecimal digits."""
    import numpy as np

    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def fingerprint(content: Any) -> str:
    """Return a 64-digit name of `content`, which JSON can hold; the order of keys is irrelevant."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def source_files(*modules: str) -> list[Path]:
    """List the files of this package that `modules` depend on, themselves included.

    Parameters
    ----------
    *modules : str
        Names of modules of this package without the prefix, for example ``"training"``.

    Returns
    -------
    list of Path
        Sorted; found by following the package's own imports, those inside functions too.
    """
    return sorted(_closure({PACKAGE / f"{name}.py" for name in modules}))


def notebook_sources(script: Path) -> list[Path]:
    """List the files of this package that a notebook's paired script depends on."""
    return sorted(_closure(_imported_files(Path(script))))


def _closure(files: set[Path]) -> set[Path]:
    found: set[Path] = set()
    waiting = set(files)
    while waiting:
        file = waiting.pop()
        found.add(file)
        waiting |= _imported_files(file) - found
    return found


def _imported_files(file: Path) -> set[Path]:
    prefix = f"{PACKAGE.name}."
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = f"{prefix if node.level else ''}{node.module or ''}".removesuffix(".")
            if module == PACKAGE.name:
                names |= {f"{prefix}{alias.name}" for alias in node.names}
            else:
                names.add(module)
    return {PACKAGE / f"{n.removeprefix(prefix)}.py" for n in names if n.startswith(prefix)}


def source_fingerprint(*modules: str) -> str:
    """Return a fingerprint of the code behind `modules` that comments and layout do not change."""
    return fingerprint({path.name: _code_of(path) for path in source_files(*modules)})


def _code_of(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            del body[0]
    return ast.dump(tree)


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def library_versions() -> dict[str, str]:
    """Return the installed versions of the libraries that numbers depend on."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


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
        Modules of this package whose change makes the arrays stale.
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
        "libraries": library_versions(),
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


def with_prefix(arrays: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Pick the arrays or tensors whose names begin with `prefix`, and take it off their names."""
    return {
        name.removeprefix(prefix): value
        for name, value in arrays.items()
        if name.startswith(prefix)
    }


def _is_valid(arrays_path: Path, recipe_path: Path) -> bool:
    if not (arrays_path.is_file() and recipe_path.is_file()):
        return False
    try:
        expected = read_json(recipe_path)["sha256"]
    except (ValueError, KeyError, TypeError):
        return False  # a damaged recipe file proves nothing, so its arrays are computed again
    return sha256_file(arrays_path) == expected
