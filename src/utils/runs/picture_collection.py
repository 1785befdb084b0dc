"""The readable pictures of a folder, read again where they are shown or compared."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from utils.data import picture_reading
from utils.data.picture_files import Found, printable
from utils.figures import Named
from utils.runs.picture_features import SHOWN_SIDE, Collected
from utils.runs.record import Record


@dataclass(frozen=True)
class Collection:
    """Pictures of a folder.

    Attributes
    ----------
    found : Found
        Every file that was found.
    collected : Collected
        What was computed of those that are pictures; rows are its rows.
    record : Record
        Notes what cannot be read any more.
    """

    found: Found
    collected: Collected
    record: Record

    @cached_property
    def names(self) -> list[str]:
        """The pictures' names, as a person reads them."""
        return [printable(self.found.names[row]) for row in self.collected.usable]

    def pictures(self, rows: Sequence[int], side: int = SHOWN_SIDE) -> np.ndarray:
        """Read some pictures again, larger: uint8 ``(m, side, side, 3)``.

        For a file that was removed or damaged since its features were computed, its small copy
        stands in.
        """
        return self._read(rows, side, picture_reading.read, self.collected.thumbs)

    def whole_pictures(self, rows: Sequence[int], side: int) -> np.ndarray:
        """Read some pictures again, whole and as squares: uint8 ``(m, side, side, 3)``."""
        return self._read(rows, side, picture_reading.read_whole, self.collected.small)

    def named(self, rows: Sequence[int]) -> Named:
        """Read some pictures again, with their names, for a contact sheet."""
        return Named(self.pictures(rows), [self.names[row] for row in rows])

    def _read(
        self,
        rows: Sequence[int],
        side: int,
        how: Callable[[Path, int], np.ndarray],
        copies: np.ndarray,
    ) -> np.ndarray:
        rows = [int(row) for row in rows]
        paths = [self.found.path(self.collected.usable[row]) for row in rows]
        read = picture_reading.read_many(paths, side, os.cpu_count() or 1, how)
        pairs = zip(rows, read, strict=True)
        return np.stack([self._or_copy(*pair, side, copies) for pair in pairs])

    def _or_copy(
        self,
        row: int,
        picture: np.ndarray | picture_reading.Unreadable,
        side: int,
        copies: np.ndarray,
    ) -> np.ndarray:
        from PIL import Image

        if not isinstance(picture, picture_reading.Unreadable):
            return picture
        self.record.note(f"{self.names[row]}: only its small copy can be shown now: {picture}")
        return np.asarray(Image.fromarray(copies[row]).resize((side, side)))
