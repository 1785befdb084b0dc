"""What was computed of pictures, kept by the content of their files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from utils.data.picture_reading import DIGEST_BYTES
from utils.store.files import sha256_file, temporary_place

_STATES, _FILES = "states", "file_digest"


def digest_of(content: bytes) -> bytes:
    """Return 16 bytes that stand for a file's content."""
    return hashlib.sha256(content).digest()[:DIGEST_BYTES]


def state_of(path: Path) -> bytes | None:
    """Return 16 bytes that change when a file is replaced or written to; None if there is none."""
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None
    times = f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}"
    return digest_of(os.fsencode(path) + b"\0" + times.encode())


class PictureStore:
    """Rows of arrays by the digest of a file, in shards that are only added.

    A shard is a safetensors file, which cannot hold code; its name is the checksum of its content.
    One that is damaged is removed, and what it held is computed again. It also holds states of
    files, so that a file that nobody wrote to since is not read again.

    Parameters
    ----------
    folder : Path
        All that it holds was computed in one way.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[bytes, tuple[Path, int]] = {}
        self._digests: dict[bytes, bytes] = {}
        for path in sorted(folder.glob("[!.]*.safetensors")):
            if sha256_file(path) == path.stem:
                self._take_in(path)
            else:
                path.unlink()

    def __contains__(self, digest: bytes | None) -> bool:
        return digest in self._places

    def digest_at(self, state: bytes) -> bytes | None:
        """Return the digest of the file that was in this state."""
        return self._digests.get(state)

    def column(self, name: str) -> dict[bytes, np.generic]:
        """Return the values of an array of single numbers by the digest of the file."""
        from safetensors import safe_open

        arrays = {}
        for path in {path for path, _ in self._places.values()}:
            with safe_open(path, "numpy") as file:
                arrays[path] = file.get_tensor(name)
        return {digest: arrays[path][row] for digest, (path, row) in self._places.items()}

    def add(self, arrays: Mapping[str, np.ndarray], digests: dict[bytes, bytes]) -> None:
        """Keep one more shard.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            Of one length, ``file_digest`` (uint8, 16 columns) among them; or nothing.
        digests : dict of bytes to bytes
            The digest of a file by its state.
        """
        from safetensors.numpy import save_file

        pairs = b"".join(state + digest for state, digest in digests.items())
        states = np.frombuffer(pairs, np.uint8).reshape(-1, 2 * DIGEST_BYTES)
        content = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        self._folder.mkdir(parents=True, exist_ok=True)
        with temporary_place(self._folder, ".safetensors") as temporary:
            save_file(content | {_STATES: states}, temporary)
            path = self._folder / f"{sha256_file(temporary)}.safetensors"
            temporary.rename(path)
        self._take_in(path)

    def rows(
        self, wanted: Mapping[bytes, list[int]]
    ) -> Iterator[tuple[list[int], dict[str, np.ndarray]]]:
        """Yield stored rows, a shard at a time.

        Parameters
        ----------
        wanted : mapping of bytes to list of int
            The places that the caller has for a digest.

        Yields
        ------
        places : list of int
        arrays : dict of str to ndarray
            One row for each place.
        """
        from safetensors.numpy import load_file

        by_shard: dict[Path, list[bytes]] = {}
        for digest in wanted:
            by_shard.setdefault(self._places[digest][0], []).append(digest)
        for path, digests in by_shard.items():
            arrays = load_file(path)
            arrays.pop(_STATES)
            places = [place for digest in digests for place in wanted[digest]]
            rows = [self._places[digest][1] for digest in digests for _ in wanted[digest]]
            yield places, {name: array[rows] for name, array in arrays.items()}

    def _take_in(self, path: Path) -> None:
        from safetensors import safe_open

        with safe_open(path, "numpy") as file:
            files = file.get_tensor(_FILES) if _FILES in file.keys() else ()  # noqa: SIM118
            for row, digest in enumerate(files):
                self._places[digest.tobytes()] = (path, row)
            for pair in file.get_tensor(_STATES):
                state, digest = pair[:DIGEST_BYTES].tobytes(), pair[DIGEST_BYTES:].tobytes()
                self._digests[state] = digest
