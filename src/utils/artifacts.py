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
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

PACKAGE = Path(__file__).parent
CHECKSUMS = "checksums.json"
# Which files of its folder are the report's, and their checksums.
REPORT_FILES = ".files.json"
SECONDS_TO_GROW_OLD = 30
LIBRARIES = (
    "numpy",
    "numba",
    "scikit-learn",
    "scipy",
    "torch",
    "torchvision",
    "timm",
    "umap-learn",
)


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
    prefix = temporary_prefix(path.stem)
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
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


def temporary_prefix(name: str) -> str:
    """Begin the name of a temporary file or folder: hidden, and with the process that makes it."""
    return f".{name}-{os.getpid()}-"


def remove_leftovers(hidden: Iterable[Path]) -> list[Path]:
    """Remove those of some hidden files and folders that killed processes left, and return them.

    Those of processes that live, and very young ones, which may be of another machine, stay.
    """
    found = [path for path in hidden if _is_leftover(path)]
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return found


def _is_leftover(path: Path) -> bool:
    made_by = re.fullmatch(r"\..+-([0-9]+)-[a-z0-9_]{8}(\.[A-Za-z0-9]+)?", path.name)
    if made_by is None or not path.exists():
        return False
    try:
        os.kill(int(made_by[1]), 0)
    except ProcessLookupError:
        return time.time() - path.stat().st_mtime > SECONDS_TO_GROW_OLD
    except PermissionError:
        return False  # it lives, as another user's
    return False


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


def write_checksums(folder: Path) -> None:
    """Write the `checksums` of `folder` into its file `CHECKSUMS`.

    Whoever reads the files later can tell with `damaged_files` whether they are as they were.
    """
    write_json(folder / CHECKSUMS, checksums(folder))


def damaged_files(folder: Path) -> list[str]:
    """List the files of `folder` that are missing, new or other than `write_checksums` noted.

    If the note itself cannot be read, it is what is listed.
    """
    try:
        noted = dict(read_json(folder / CHECKSUMS))
    except (OSError, ValueError, TypeError):
        return [CHECKSUMS]
    found = checksums(folder)
    return sorted(name for name in noted | found if noted.get(name) != found.get(name))


def checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below `folder` by its path; logs and hidden files not."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): sha256_file(path)
        for path in files
        if not path.name.startswith(".") and path.suffix != ".log" and path.name != CHECKSUMS
    }


def report_files(out: Path) -> dict[str, str | None]:
    """Return the checksum of each of a report's files by its path in the folder `out`.

    None stands for a file that was about to be written when something stopped it. Without a list
    that can be read, nothing is known to be the report's.
    """
    try:
        noted = dict(read_json(out / REPORT_FILES))
    except (OSError, ValueError, TypeError):
        return {}
    return {name: digest for name, digest in noted.items() if is_inside(name)}


def is_inside(name: str) -> bool:
    """Tell whether a relative path cannot lead out of its folder."""
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def sha256_array(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's bytes in C order as 64 hexadecimal digits."""
    import numpy as np

    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def sha256_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of named arrays: names, types, shapes and bytes, in the names' order."""
    import numpy as np

    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(array.data)
    return digest.hexdigest()


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


def _closure(files: set[Path]) -> set[Path]:
    found: set[Path] = set()
    waiting = set(files)
    while waiting:
        file = waiting.pop()
        found.add(file)
        waiting |= _imported_files(file) - found
    return found


def _imported_files(file: Path) -> set[Path]:
    targets = _imports_in(ast.parse(file.read_text(encoding="utf-8"))).values()
    return {PACKAGE / f"{module}.py" for module, _ in targets}


def _imports_in(tree: ast.AST) -> dict[str, tuple[str, str | None]]:
    """Map each name that `tree` imports from this package to its module and its name there.

    The second is None where the name stands for the whole module.
    """
    prefix = f"{PACKAGE.name}."
    found: dict[str, tuple[str, str | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith(prefix):
                    module = alias.name.removeprefix(prefix)
                    found[alias.asname or alias.name.partition(".")[0]] = (module, None)
        elif isinstance(node, ast.ImportFrom):
            module = f"{prefix if node.level else ''}{node.module or ''}".removesuffix(".")
            for alias in node.names:
                if module == PACKAGE.name:
                    found[alias.asname or alias.name] = (alias.name, None)
                elif module.startswith(prefix):
                    target = (module.removeprefix(prefix), alias.name)
                    found[alias.asname or alias.name] = target
    return found


def source_fingerprint(*modules: str) -> str:
    """Return a fingerprint of the code behind `modules`.

    It covers everything in `modules`, and of other modules of this package the definitions that
    these reach: a change elsewhere, in comments, docstrings or layout leaves it as it was.
    """
    return _fingerprint_of((module, None) for module in modules)


def notebook_fingerprint(script: Path) -> str:
    """Return a fingerprint of the code behind a notebook's paired script, without the script's own.

    It covers the definitions of this package that the script reaches, as in `source_fingerprint`.
    """
    own = ""  # what the script itself defines is in no module
    used = _Source(own, Path(script))
    steps = (step for node in used.statements for step in used.references(node))
    return _fingerprint_of(step for step in steps if step[0] != own)


def _fingerprint_of(steps: Iterable[tuple[str, str | None]]) -> str:
    """Follow definitions, given by module and name, to everything that they reach."""
    sources: dict[str, _Source] = {}
    reached: dict[tuple[str, str | None], list[str]] = {}
    waiting = list(steps)
    while waiting:
        module, name = step = waiting.pop()
        if step in reached:
            continue
        if module not in sources:
            sources[module] = _source(module)
        statements = sources[module].statements_of(name)
        reached[step] = [_code_of(statement) for statement in statements]
        waiting += [next for node in statements for next in _used_by(node, sources[module])]
    return fingerprint({f"{m}.{name or '*'}": code for (m, name), code in reached.items()})


def _source(module: str) -> _Source:
    """Read a module of this package, again only if its file has changed."""
    path = PACKAGE / f"{module}.py"
    return _read_source(module, path, path.stat().st_mtime_ns)


@cache
def _read_source(module: str, path: Path, _changed: int) -> _Source:
    return _Source(module, path)


# Several notebooks reach the same statements, which are looked through once.
@cache
def _code_of(statement: ast.stmt) -> str:
    return ast.dump(statement)


@cache
def _used_by(statement: ast.stmt, source: _Source) -> list[tuple[str, str | None]]:
    return source.references(statement)


class _Source:
    """A file of Python, as statements that define names and use others."""

    def __init__(self, module: str, path: Path) -> None:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if isinstance(body, list) and body and _is_docstring(body[0]):
                del body[0]
        self.module = module
        self.statements = [node for node in tree.body if not isinstance(node, _IMPORTS)]
        self.imported = {
            alias: target
            for statement in tree.body
            if not isinstance(statement, _DEFINITIONS)
            for alias, target in _imports_in(statement).items()
        }
        self.defined = {name for node in self.statements for name in _names_defined_by(node)}

    def statements_of(self, name: str | None) -> list[ast.stmt]:
        """Return the statements behind a definition; all if `name` is None or not defined here.

        A statement that defines nothing runs whenever the module is imported, so it always counts.
        """
        if name not in self.defined:
            return self.statements
        names = [(_names_defined_by(node), node) for node in self.statements]
        return [node for defined, node in names if not defined or name in defined]

    def references(self, statement: ast.stmt) -> list[tuple[str, str | None]]:
        """List what a statement uses of this package: module and name, None for a whole module."""
        nodes = list(ast.walk(statement))
        names = [node for node in nodes if isinstance(node, ast.Name)]
        parts = [
            node
            for node in nodes
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        ]
        imported_here = _imports_in(statement)
        own = [(self.module, name) for name in {node.id for node in names} & self.defined]
        # Of a module that is named only to take something out of it, this counts alone.
        imports = self.imported | imported_here
        with_part = {id(node.value) for node in parts}
        whole = {node.id for node in names if id(node) not in with_part}
        found = [target for alias, target in imports.items() if alias in whole]
        for node in parts:
            module, name = imports.get(node.value.id, (None, None))
            if module is not None:
                found.append((module, name or node.attr))
        # What is imported from a module by name is used.
        return [*own, *found, *(t for t in imported_here.values() if t[1] is not None)]


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTS = (ast.Import, ast.ImportFrom)


def _names_defined_by(statement: ast.stmt) -> set[str]:
    if isinstance(statement, _DEFINITIONS):
        return {statement.name}
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        nodes = [node for target in targets for node in ast.walk(target)]
        return {node.id for node in nodes if isinstance(node, ast.Name)}
    return set()


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
