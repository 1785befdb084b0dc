"""Copies among a person's pictures, in groups with one to keep each; nothing is ever deleted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from utils.runs import picture_comparison
from utils.runs.picture_comparison import Placed
from utils.runs.picture_features import Collected

SAME_BYTES, SAME_PIXELS, NEAR = "same bytes", "same pixels", "near"
COLUMNS = ["group", "kind", "keep", "row", "similarity"]
LEAST_SIMILARITY = 0.9
# Of each picture so many nearest by features, and by 8 × 8 pixels in each orientation, are compared
# with it; the 25th best correlation is what a picture has with others that are no copies.
NEIGHBORS, THUMB_NEIGHBORS, THUMB_SIDE = 25, 3, 8
BACKGROUND_RANK = 25
# Pixels of a side of the pictures that are read again, larger.
READ_SIDE = 128
# Correlations below which a pair is given up: after the search, and after the alignment.
LEAST_PLACED, LEAST_ALIGNED = 0.75, 0.85
# A copy's distance (1 - correlation) to its original is at most this share of that to the 25th best
# picture: with details nearly everywhere, and of other pictures, which are alike more by chance.
NEARER, NEARER_IF_PLAIN, BLOCKS_OF_RICH = 0.3, 0.2, 32
LEAST_COSINE = 0.35
# Without a look at the others: equal but for noise.
SURELY, SURELY_INSIDE = 0.99, 0.98
# Covered in part, by a mark or a text: the other parts are equal.
COVERED, LEAST_SHARE, EQUAL_BLOCKS, BLOCKS_OF_COVERED = 0.75, 0.75, 0.97, 24

# Reads the whole of some pictures as squares: rows, side -> uint8 (m, side, side, 3).
Reader = Callable[[np.ndarray, int], np.ndarray]


@dataclass
class Comparison:
    """Pictures that can be compared.

    Attributes
    ----------
    features : ndarray of float32, shape (N, D)
        Each of length 1.
    small : ndarray of uint8, shape (N, 64, 64)
        Grey, the whole picture.
    read : callable
    background : ndarray of float32, shape (N,)
        Best correlation of each picture that is no evidence of a copy.
    """

    features: np.ndarray
    small: np.ndarray
    read: Reader
    background: np.ndarray = field(init=False)
    _large: dict[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.background = np.full(len(self.small), LEAST_PLACED, np.float32)

    @classmethod
    def of(cls, features: np.ndarray, small: np.ndarray, read: Reader) -> Comparison:
        """Prepare features of any length and coloured copies."""
        lengths = np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        return cls((features / lengths).astype(np.float32), picture_comparison.grey(small), read)

    def candidates(self, queries: np.ndarray, among: np.ndarray) -> np.ndarray:
        """Pair pictures with those that they may be copies of.

        Parameters
        ----------
        queries, among : ndarray of int64
            Rows.

        Returns
        -------
        ndarray of int64, shape (P, 2)
            Each pair once, the lower row first.
        """
        found = [_nearest(self.features[queries], self.features[among], NEIGHBORS + 1)]
        thumbs = picture_comparison.shrunk(self.small, THUMB_SIDE).reshape(len(self.small), -1)
        thumbs = picture_comparison.normalised(thumbs)
        for order in picture_comparison.turns(THUMB_SIDE):
            turned = np.ascontiguousarray(thumbs[queries][:, order])
            found.append(_nearest(turned, thumbs[among], THUMB_NEIGHBORS + 1))
        others = among[np.concatenate(found, axis=1)]
        pairs = np.column_stack([np.repeat(queries, others.shape[1]), others.ravel()])
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        return np.unique(np.sort(pairs, axis=1), axis=0)

    def placed(self, pairs: np.ndarray) -> Placed:
        """Lay pictures on each other; pairs that correlate by less than 0.75 are left out."""
        placed = picture_comparison.place(self.small, pairs)
        placed = placed.some(placed.correlation >= LEAST_PLACED)
        rows = np.arange(len(self.small))
        coarse = picture_comparison.shrunk(self.small, self.small.shape[1] // 2)
        placed = picture_comparison.align(coarse, rows, placed)
        return picture_comparison.align(self.small, rows, placed)

    def learn_background(self, placed: Placed) -> None:
        """Note the 25th best correlation of each picture."""
        rows = np.concatenate([placed.outer, placed.inner])
        values = np.tile(placed.correlation, 2)
        order = np.lexsort((-values, rows))
        rows, values = rows[order], values[order]
        present, starts, counts = np.unique(rows, return_index=True, return_counts=True)
        enough = counts >= BACKGROUND_RANK
        ranked = values[starts[enough] + BACKGROUND_RANK - 1]
        self.background[present[enough]] = np.maximum(ranked, LEAST_PLACED)

    def verified(self, placed: Placed, least_similarity: float) -> tuple[np.ndarray, np.ndarray]:
        """Keep the pairs that are copies, by a look at the pictures at twice the size.

        Returns
        -------
        pairs : ndarray of int64, shape (P, 2)
            The lower row first.
        similarity : ndarray of float32, shape (P,)
            The correlation or, of pictures covered in part, its median over blocks.
        """
        placed = self._promising(placed)
        rows = np.unique(np.concatenate([placed.outer, placed.inner]))
        large = self._read(rows)
        placed = picture_comparison.align(large, rows, placed)
        details = picture_comparison.detail(large, rows, placed)
        correlation = placed.correlation
        usual = np.maximum(self.background[placed.outer], self.background[placed.inner])
        distance = (1 - correlation) / np.maximum(1 - usual, 1e-6)
        nearer = np.where(details.blocks >= BLOCKS_OF_RICH, NEARER, NEARER_IF_PLAIN)
        like = (details.inner >= least_similarity - 0.05) & (details.mean >= 0.6)
        like &= (correlation >= least_similarity) & (distance <= nearer)
        same = (details.inner >= SURELY_INSIDE) & (details.median >= EQUAL_BLOCKS)
        same &= (correlation >= SURELY) & (details.blocks >= 4)
        covered = (details.median >= EQUAL_BLOCKS) & (details.share >= LEAST_SHARE)
        covered &= (details.blocks >= BLOCKS_OF_COVERED) & (correlation >= COVERED)
        covered &= distance <= 1
        similarity = np.where(like | same, correlation, details.median)
        accepted = (like | same | covered) & (similarity >= least_similarity)
        cosine = np.einsum(
            "pd,pd->p", self.features[placed.outer], self.features[placed.inner], optimize=True
        )
        accepted &= cosine >= LEAST_COSINE
        pairs = np.sort(np.column_stack([placed.outer, placed.inner])[accepted], axis=1)
        return pairs, np.clip(similarity[accepted], 0, 1)

    def _promising(self, placed: Placed) -> Placed:
        """Leave out what neither correlates as a whole nor in most of its blocks."""
        details = picture_comparison.detail(self.small, np.arange(len(self.small)), placed)
        well = placed.correlation >= LEAST_ALIGNED
        return placed.some((well & (details.mean >= 0.5)) | (details.median >= LEAST_ALIGNED))

    def _read(self, rows: np.ndarray) -> np.ndarray:
        """Read pictures larger, each once: uint8 ``(m, 128, 128)``."""
        new = [row for row in rows.tolist() if row not in self._large]
        for start in range(0, len(new), 256):
            part = np.array(new[start : start + 256])
            large = picture_comparison.grey(self.read(part, READ_SIDE))
            self._large.update(zip(part.tolist(), large, strict=True))
        empty = np.empty((0, READ_SIDE, READ_SIDE), np.uint8)
        return np.stack([self._large[row] for row in rows.tolist()]) if len(rows) else empty


def _nearest(queries: np.ndarray, points: np.ndarray, k: int) -> np.ndarray:
    """Return places of the k nearest points by the cosine: int64 ``(Q, k)``."""
    import faiss

    index = faiss.IndexFlatIP(points.shape[1])
    index.add(np.ascontiguousarray(points, np.float32))
    return index.search(np.ascontiguousarray(queries, np.float32), min(k, len(points)))[1]


def find(
    features: np.ndarray,
    collected: Collected,
    read: Reader,
    least_similarity: float = LEAST_SIMILARITY,
) -> pd.DataFrame:
    """Group pictures with their copies.

    Parameters
    ----------
    features : ndarray of float32, shape (N, D)
    collected : Collected
        Its small copies, sizes, digests and numbers of metadata.
    read : callable
        Reads the whole of some pictures as squares: ``read(rows, side)``, uint8 ``(m, side, side,
        3)``.
    least_similarity : float
        In [0, 1]; from it on a picture is a near copy.

    Returns
    -------
    DataFrame
        A row for each picture of a group: ``group`` from 0; ``kind``, same bytes, same pixels or
        near; ``keep``, yes for one picture of each group; ``row``; ``similarity`` in [0, 1]. The
        kept one is the largest, then that with most metadata, then the first by name.

    Notes
    -----
    Groups of equal files come first; of each only the kept one is compared further, and so with
    groups of equal pixels: without all pictures that are not kept, one of each is left. A near copy
    is grouped only with a picture that it was itself compared with, the group's centre, so that no
    chain leads to other pictures; its similarity is that to the centre.
    """
    order = preference(collected)
    rows = np.arange(len(features))
    groups: list[tuple[str, np.ndarray, np.ndarray]] = []
    for kind, digests in (
        (SAME_BYTES, collected.file_digest),
        (SAME_PIXELS, collected.pixel_digest),
    ):
        equal, rows = _equal(rows, digests, order)
        groups += [(kind, members, np.ones(len(members))) for members in equal]
    if len(rows) > 1:
        comparison = Comparison.of(features, collected.small, read)
        groups += [
            (NEAR, members, similarity)
            for members, similarity in _near(comparison, rows, order, least_similarity)
        ]
    content = [
        (number, kind, "no" if place else "yes", row, round(float(value), 4))
        for number, (kind, members, similarity) in enumerate(groups)
        for place, (row, value) in enumerate(zip(members.tolist(), similarity, strict=True))
    ]
    return pd.DataFrame(content, columns=COLUMNS)


def preference(collected: Collected) -> np.ndarray:
    """Rank pictures from the one to keep first: int64 ``(N,)``, 0 is the first."""
    size = collected.width.astype(np.int64) * collected.height
    best = np.lexsort((np.arange(len(size)), -collected.metadata.astype(np.int64), -size))
    rank = np.empty(len(size), np.int64)
    rank[best] = np.arange(len(size))
    return rank


def _equal(
    rows: np.ndarray, digests: np.ndarray, order: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """Group rows of equal digests, the kept one first; return also one row of each digest."""
    rows = rows[np.argsort(order[rows], kind="stable")]
    by_digest: dict[bytes, list[int]] = {}
    for row in rows.tolist():
        by_digest.setdefault(digests[row].tobytes(), []).append(row)
    groups = [np.array(members) for members in by_digest.values() if len(members) > 1]
    return groups, np.sort([members[0] for members in by_digest.values()])


def _near(
    comparison: Comparison, rows: np.ndarray, order: np.ndarray, least_similarity: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Group near copies: members, the kept one first, and their similarities to it."""
    placed = comparison.placed(comparison.candidates(rows, rows))
    comparison.learn_background(placed)
    known: dict[tuple[int, int], float] = {}
    linked: dict[int, set[int]] = {}

    def link(placed: Placed) -> None:
        pairs, similarity = comparison.verified(placed, least_similarity)
        for (a, b), value in zip(pairs.tolist(), similarity, strict=True):
            known[a, b] = value
            linked.setdefault(a, set()).add(b)
            linked.setdefault(b, set()).add(a)

    link(placed)
    missing = _two_links_away(linked, known, _centrality(linked, order))
    if len(missing):
        link(comparison.placed(missing))
    return _stars(linked, known, order)


def _centrality(linked: dict[int, set[int]], order: np.ndarray) -> dict[int, tuple[int, int]]:
    """Rank pictures, the one of most copies first; of several the one that would be kept."""
    return {row: (-len(copies), int(order[row])) for row, copies in linked.items()}


def _two_links_away(
    linked: dict[int, set[int]],
    known: dict[tuple[int, int], float],
    centrality: dict[int, tuple[int, int]],
) -> np.ndarray:
    """Pair each picture that may be a group's centre with the copies of its copies: ``(P, 2)``."""
    pairs = set()
    for row, copies in linked.items():
        if all(centrality[row] < centrality[other] for other in copies):
            for copy in copies:
                pairs |= {(min(row, far), max(row, far)) for far in linked[copy] if far != row}
    return np.array(sorted(pairs - known.keys()), dtype=np.int64).reshape(-1, 2)


def _stars(
    linked: dict[int, set[int]], known: dict[tuple[int, int], float], order: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Group each picture of most copies with all of them that are in no group yet.

    Returns
    -------
    list of tuple
        Members, the one to keep first, and the similarity of each to the centre of its group or, of
        the centre, to the kept one.
    """
    groups, taken = [], set()
    centrality = _centrality(linked, order)
    for centre in sorted(linked, key=centrality.get):
        copies = linked[centre] - taken
        if centre in taken or not copies:
            continue
        taken |= {centre, *copies}
        kept = min((centre, *copies), key=order.__getitem__)
        similarity = {copy: known[min(centre, copy), max(centre, copy)] for copy in copies}
        similarity[centre] = similarity.get(kept, 1)
        similarity[kept] = 1
        rest = sorted({centre, *copies} - {kept}, key=lambda row: (-similarity[row], row))
        members = [kept, *rest]
        groups.append((np.array(members), np.array([similarity[row] for row in members])))
    return groups


def against(
    features: np.ndarray,
    collected: Collected,
    read: Reader,
    other_features: np.ndarray,
    other: Collected,
    other_read: Reader,
    least_similarity: float = LEAST_SIMILARITY,
) -> pd.DataFrame:
    """List which of other pictures are here too, as they are or nearly.

    Parameters
    ----------
    features, collected, read, least_similarity
        See `find`.
    other_features, other, other_read
        The same of the other pictures, by the same network.

    Returns
    -------
    DataFrame
        For each other picture that is here too: ``row`` and ``other_row``, ``kind`` (same bytes,
        same pixels or near) and ``similarity``; of several the most alike.
    """
    n = len(features)

    def read_either(rows: np.ndarray, side: int) -> np.ndarray:
        here = rows < n
        pictures = np.empty((len(rows), side, side, 3), np.uint8)
        if here.any():
            pictures[here] = read(rows[here], side)
        if not here.all():
            pictures[~here] = other_read(rows[~here] - n, side)
        return pictures

    found: dict[int, tuple[int, int, str, float]] = {}
    for kind, digests, other_digests in (
        (SAME_BYTES, collected.file_digest, other.file_digest),
        (SAME_PIXELS, collected.pixel_digest, other.pixel_digest),
    ):
        first = {digest.tobytes(): row for row, digest in reversed(list(enumerate(digests)))}
        for row, digest in enumerate(other_digests):
            if digest.tobytes() in first:
                found.setdefault(row, (first[digest.tobytes()], row, kind, 1.0))
    left = np.array([row for row in range(len(other_features)) if row not in found], np.int64)
    if len(left) and n:
        comparison = Comparison.of(
            np.concatenate([features, other_features]),
            np.concatenate([collected.small, other.small]),
            read_either,
        )
        placed = comparison.placed(comparison.candidates(left + n, np.arange(n)))
        comparison.learn_background(placed)
        pairs, similarity = comparison.verified(placed, least_similarity)
        for place in np.argsort(-similarity, kind="stable"):
            here, row = pairs[place].tolist()
            value = round(float(similarity[place]), 4)
            found.setdefault(row - n, (here, row - n, NEAR, value))
    columns = ["row", "other_row", "kind", "similarity"]
    return pd.DataFrame([found[row] for row in sorted(found)], columns=columns)


def table(groups: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return groups for a file: ``group``, ``kind``, ``keep``, ``path`` and ``similarity``."""
    paths = [names[row] for row in groups["row"]]
    return groups.drop(columns="row").assign(path=paths)[
        ["group", "kind", "keep", "path", "similarity"]
    ]


def summary(groups: pd.DataFrame) -> pd.DataFrame:
    """Count by kind: groups, pictures in them, and pictures that are not kept."""
    rows = []
    for kind in (SAME_BYTES, SAME_PIXELS, NEAR):
        part = groups[groups["kind"] == kind]
        copies = int((part["keep"] == "no").sum())
        rows.append((kind, part["group"].nunique(), len(part), copies))
    return pd.DataFrame(rows, columns=["kind", "groups", "pictures", "copies"])


def sheet(groups: pd.DataFrame, most_groups: int, most_pictures: int) -> dict[str, np.ndarray]:
    """Pick the largest groups, by a name each: rows, the kept picture first."""
    sizes = groups.groupby("group").size()
    largest = sizes.sort_values(ascending=False, kind="stable").index[:most_groups]
    shown = {}
    for number in largest:
        part = groups[groups["group"] == number]
        rows = part["row"].to_numpy()[:most_pictures]
        shown[f"group {number}: {part['kind'].iloc[0]}, {len(part)} pictures"] = rows
    return shown
