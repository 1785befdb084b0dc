"""What was computed of pictures is found by content, in any order, or not at all."""

import os

import numpy as np
import pytest

from utils.runs.picture_store import PictureStore, digest_of, state_of

DIGESTS = [digest_of(bytes([number])) for number in range(6)]


def arrays(*numbers):
    return {
        "file_digest": np.array([list(DIGESTS[number]) for number in numbers], np.uint8),
        "value": np.array(numbers, np.float32)[:, None],
    }


@pytest.fixture
def store(tmp_path):
    made = PictureStore(tmp_path / "store")
    made.add(arrays(0, 1, 2), {b"s" * 16: DIGESTS[2]})
    made.add(arrays(3, 4), {})
    return made


def values(store, *numbers):
    """Read values back in the order of these numbers."""
    wanted = {}
    for place, number in enumerate(numbers):
        wanted.setdefault(DIGESTS[number], []).append(place)
    found = np.full(len(numbers), -1.0)
    for places, some in store.rows(wanted):
        found[places] = some["value"][:, 0]
    return found.tolist()


def test_rows_come_back_in_any_order_and_number(store, tmp_path):
    for made in (store, PictureStore(tmp_path / "store")):
        assert values(made, 4, 0, 0, 3, 2) == [4, 0, 0, 3, 2]
        assert values(made) == []
        assert made.digest_at(b"s" * 16) == DIGESTS[2]
        assert made.digest_at(b"t" * 16) is None
        assert DIGESTS[5] not in made and None not in made


def test_states_alone_are_kept(store, tmp_path):
    store.add({}, {b"t" * 16: DIGESTS[0]})
    again = PictureStore(tmp_path / "store")
    assert again.digest_at(b"t" * 16) == DIGESTS[0]
    assert values(again, 1) == [1]


@pytest.mark.parametrize("damage", [lambda old: old[:-1], lambda old: old + b"x", lambda _: b""])
def test_a_damaged_shard_is_removed_and_the_others_stay(store, tmp_path, damage):
    shard, _ = sorted((tmp_path / "store").iterdir())
    kept = [number for number in range(5) if DIGESTS[number] in store]
    assert kept == [0, 1, 2, 3, 4]
    shard.write_bytes(damage(shard.read_bytes()))
    again = PictureStore(tmp_path / "store")
    assert not shard.exists()
    left = [number for number in range(5) if DIGESTS[number] in again]
    assert left in ([0, 1, 2], [3, 4])


def test_a_state_changes_with_the_file(tmp_path):
    path = tmp_path / "a"
    assert state_of(path) is None and state_of(tmp_path / "a\0") is None
    path.write_bytes(b"x")
    states = {state_of(path)}
    os.utime(path, ns=(1, 1))
    states.add(state_of(path))
    path.write_bytes(b"y")
    os.utime(path, ns=(1, 1))
    states.add(state_of(path))
    path.rename(tmp_path / "b")
    states.add(state_of(tmp_path / "b"))
    assert len(states) == 4 and None not in states
