"""Whether results are stale: whether the code or the inputs behind them have changed.

Snakemake records in ``.snakemake`` what each result was made from. That folder can be lost or
damaged, so the manifest of each notebook has the same record, which `commands.workflow` compares.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from utils import places
from utils.store.files import read_state, sha256_file, write_json
from utils.store.fingerprints import notebook_definitions, notebook_fingerprint

# What Snakemake's model of a record expects where a value is given.
_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("input", "log", "params"), list),
    **dict.fromkeys(("rule", "shellcmd", "code", "conda_env", "container_img_url"), str),
    **dict.fromkeys(("software_stack_hash", "external_jobid"), str),
    **dict.fromkeys(("record_format_version", "job_hash", "starttime", "endtime"), (int, float)),
    "input_checksums": dict,
}


def made_from(
    code: str,
    numbers: str,
    inputs: Iterable[str],
    definitions: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the record for the manifest of a notebook that is about to run.

    Parameters
    ----------
    code : str
        The `notebook_fingerprint` of its script.
    numbers : str
        The `numbers_fingerprint` of its script.
    inputs : iterable of str
        Files that its results depend on, relative to the repository.
    definitions : mapping of str to str
        The `notebook_definitions` of its script, which tell later what has changed in the code.
    """
    return {
        "code": code,
        "numbers": numbers,
        "inputs": {name: sha256_file(places.root() / name) for name in inputs},
        "definitions": dict(definitions),
    }


@dataclass(frozen=True)
class Change:
    """Why the results of a notebook are stale.

    Attributes
    ----------
    recorded : bool
        Whether its manifest says what it was made from; if not, nothing else is known.
    code : bool
        Whether its code is another one.
    definitions : tuple of str
        What has changed, come or gone in its code, if an earlier version did not leave that out.
    inputs : tuple of str
        Files that have changed or are missing, relative to the repository.
    """

    recorded: bool = True
    code: bool = False
    definitions: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()


def is_stale(manifest: Path) -> bool:
    """Tell whether a notebook's code or inputs differ from those that its manifest records.

    A manifest without such a record is stale: nothing shows what it was made from.
    """
    return change_since(manifest) is not None


def change_since(manifest: Path) -> Change | None:
    """Compare a notebook's code and inputs with those that its manifest records.

    Returns
    -------
    Change or None
        None if nothing has changed, or the notebook no longer exists: nothing could make its
        results again.
    """
    script = places.root() / "notebooks" / f"{manifest.parent.name}.py"
    if not script.is_file():
        return None
    noted = _noted(manifest)
    if noted is None:
        return Change(recorded=False)
    inputs = tuple(
        name
        for name, digest in noted["inputs"].items()
        if _digest_of(places.root() / name) != digest
    )
    code = code_of(script) != noted.get("code")
    if not code and not inputs:
        return None
    earlier = noted.get("definitions")
    if not code or not earlier or not isinstance(earlier, dict):
        return Change(code=code, inputs=inputs)
    today = notebook_definitions(script)
    names = sorted(earlier.keys() | today.keys())
    changed = tuple(name for name in names if earlier.get(name) != today.get(name))
    return Change(code=code, definitions=changed, inputs=inputs)


def inputs_of(manifest: Path) -> list[str]:
    """List the files that a notebook was made from, by its manifest, relative to the repository."""
    return list((_noted(manifest) or {"inputs": ()})["inputs"])


def _noted(manifest: Path) -> dict[str, Any] | None:
    """Return the record of `made_from`, or None if there is none that can be used."""
    noted = (read_state(manifest, "made_from") or {}).get("made_from")
    is_record = isinstance(noted, dict) and isinstance(noted.get("inputs"), dict)
    return noted if is_record else None


# Many manifests name the same files, which do not change during one command.
@cache
def code_of(script: Path) -> str:
    """Return the fingerprint of the code behind a notebook's script."""
    return notebook_fingerprint(script)


@cache
def _digest_of(path: Path) -> str | None:
    return sha256_file(path) if path.is_file() else None


def mend_records(folder: Path) -> set[str]:
    """Reset Snakemake's unreadable records, and list the results with a readable one.

    Parameters
    ----------
    folder : Path
        Snakemake's ``.snakemake``.

    Returns
    -------
    set of str
        Results, as the workflow names them, whose record can be read.
    """
    for place in (folder, folder / "metadata", folder / "incomplete"):
        if place.exists() and not place.is_dir():
            place.unlink()
    readable = set()
    for path, result in records(folder / "metadata"):
        if _is_record(read_state(path)):
            readable.add(result)
        else:
            path.unlink()
    for path, _ in records(folder / "incomplete"):
        if not _is_record(read_state(path)):
            write_json(path, {"external_jobid": None})  # the result stays marked as incomplete
    return readable


def records(folder: Path) -> list[tuple[Path, str]]:
    """List Snakemake's records, each with its result, whose name is the file's in base 64."""
    records = []
    for path in folder.rglob("*"):
        if path.is_file():
            # A long name is split into folders, whose names begin with @.
            name = "".join(part.removeprefix("@") for part in path.relative_to(folder).parts)
            try:
                records.append((path, urlsafe_b64decode(name).decode()))
            except (binascii.Error, ValueError):
                continue  # not Snakemake's
    return records


def _is_record(content: dict[str, Any] | None) -> bool:
    return content is not None and all(
        content.get(name) is None or isinstance(content[name], kind)
        for name, kind in _TYPES.items()
    )
