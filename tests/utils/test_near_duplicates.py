"""Copies among pictures: what is found, what is not taken for one, groups and files."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from utils.runs import near_duplicates, picture_comparison
from utils.runs.near_duplicates import NEAR, SAME_BYTES, SAME_PIXELS

SIDE = 256


def scene(number):
    """Draw a picture with details everywhere, another one for each number."""
    random = np.random.default_rng(number)
    grey = Image.fromarray(random.integers(0, 255, (8, 8), np.uint8))
    picture = grey.resize((SIDE, SIDE), Image.Resampling.BICUBIC).convert("RGB")
    draw = ImageDraw.Draw(picture)
    for _ in range(60):
        x, y, size = (int(value) for value in random.integers(0, SIDE, 3))
        colour = tuple(int(value) for value in random.integers(0, 255, 3))
        draw.ellipse((x, y, x + size // 5, y + size // 6), fill=colour)
    return picture


def collection(pictures):
    """Return made-up features (of tones only), what reading gives, and a reader."""
    n = len(pictures)

    def read(rows, side):
        return np.stack([np.asarray(pictures[row].resize((side, side))) for row in rows])

    digests = [np.frombuffer(hash_of(picture), np.uint8) for picture in pictures]
    features = np.stack(
        [np.asarray(p.convert("L").resize((4, 4)), np.float32).ravel() for p in pictures]
    )
    collected = SimpleNamespace(
        small=read(range(n), 64),
        width=np.array([picture.width for picture in pictures]),
        height=np.array([picture.height for picture in pictures]),
        metadata=np.zeros(n, int),
        file_digest=np.arange(2 * n).reshape(n, 2).view(np.uint8),
        pixel_digest=np.stack(digests),
    )
    return features, collected, read


def hash_of(picture):
    from hashlib import blake2b

    return blake2b(str(picture.size).encode() + picture.tobytes(), digest_size=16).digest()


OTHERS = [scene(number) for number in range(1, 40)]
CHANGES = {
    "cropped": lambda p: p.crop((25, 20, 230, 235)),
    "mirrored": ImageOps.mirror,
    "turned": lambda p: p.transpose(Image.Transpose.ROTATE_90),
    "turned and mirrored": lambda p: ImageOps.mirror(p.transpose(Image.Transpose.ROTATE_270)),
    "brighter": lambda p: ImageEnhance.Brightness(p).enhance(1.2),
    "less contrast": lambda p: ImageEnhance.Contrast(p).enhance(0.5),
    "grey": lambda p: p.convert("L").convert("RGB"),
    "smaller": lambda p: p.resize((90, 90)),
    "blurred": lambda p: p.filter(ImageFilter.GaussianBlur(2)),
    "framed": lambda p: ImageOps.expand(p, 12, "white"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_copy_is_found_and_nothing_else(kind):
    pictures = [scene(0), *OTHERS, CHANGES[kind](scene(0))]
    found = near_duplicates.find(*collection(pictures))
    assert sorted(found["row"]) == [0, 40] and set(found["kind"]) == {NEAR}
    assert found["similarity"].between(0.9, 1).all()


def test_a_mark_over_a_part_is_no_other_picture():
    marked = scene(0)
    ImageDraw.Draw(marked).text((20, 190), "SAMPLE", fill="white", font_size=40)
    found = near_duplicates.find(*collection([scene(0), *OTHERS, marked]))
    assert sorted(found["row"]) == [0, 40]


def test_the_same_frame_around_other_pictures_is_no_copy():
    framed = [ImageOps.expand(picture, 30, "white") for picture in OTHERS]
    assert near_duplicates.find(*collection(framed)).empty


def test_pictures_without_content_are_no_near_copies_of_each_other():
    pictures = [Image.new("RGB", (40 + number, 40), (number, 0, 0)) for number in range(30)]
    assert near_duplicates.find(*collection(pictures)).empty


def test_equal_files_equal_pixels_and_near_copies_are_groups_of_their_own():
    large = scene(0).resize((512, 512))
    pictures = [*[scene(0)] * 12, *[scene(0)] * 2, large, *OTHERS]
    features, collected, read = collection(pictures)
    collected.file_digest[:12] = collected.file_digest[0]
    found = near_duplicates.find(features, collected, read)
    groups = {kind: part["row"].tolist() for kind, part in found.groupby("kind")}
    assert groups[SAME_BYTES] == list(range(12))
    assert groups[SAME_PIXELS] == [0, 12, 13]
    assert groups[NEAR] == [14, 0]  # the largest first
    left = set(range(len(pictures))) - set(found.loc[found["keep"] == "no", "row"])
    assert left == {14, *range(15, len(pictures))}
    counts = near_duplicates.summary(found)
    assert counts["copies"].tolist() == [11, 2, 1] and counts["pictures"].tolist() == [12, 3, 2]


def test_of_equal_sizes_the_one_with_most_metadata_is_kept_then_the_first():
    features, collected, read = collection([scene(0), scene(0), scene(0), *OTHERS])
    collected.metadata[1:3] = 7
    found = near_duplicates.find(features, collected, read)
    assert found.loc[found["keep"] == "yes", "row"].tolist() == [1]


def test_groups_are_not_chained():
    # 1 is near 0 and 2, which are not near each other; 3 is near 2 only.
    linked = {0: {1}, 1: {0, 2}, 2: {1, 3}, 3: {2}, 4: {2}}
    linked[2].add(4)
    known = {(0, 1): 0.9, (1, 2): 0.95, (2, 3): 0.97, (2, 4): 0.92}
    groups = near_duplicates._stars(linked, known, np.array([0, 1, 2, 3, 4]))
    assert [members.tolist() for members, _ in groups] == [[1, 3, 2, 4]]
    assert groups[0][1].tolist() == [1, 0.97, 0.95, 0.92]


def test_a_higher_threshold_leaves_only_closer_copies():
    pictures = [scene(0), *OTHERS, scene(0).filter(ImageFilter.GaussianBlur(8))]
    arguments = collection(pictures)
    similarity = near_duplicates.find(*arguments)["similarity"].min()
    assert near_duplicates.find(*arguments, least_similarity=similarity + 0.001).empty


def test_the_file_names_each_picture_with_its_group():
    found = near_duplicates.find(*collection([scene(0), *OTHERS, scene(0).resize((200, 200))]))
    names = [f"{row}.png" for row in range(41)]
    listed = near_duplicates.table(found, names)
    assert list(listed) == ["group", "kind", "keep", "path", "similarity"]
    assert listed["path"].tolist() == ["0.png", "40.png"]
    assert listed["keep"].tolist() == ["yes", "no"]
    shown = near_duplicates.sheet(found, 5, 12)
    assert [rows.tolist() for rows in shown.values()] == [[0, 40]]


def test_other_pictures_that_are_here_too_are_listed():
    here = [scene(0), *OTHERS]
    there = [scene(100), CHANGES["cropped"](scene(3)), scene(5), scene(101)]
    features, collected, read = collection(here)
    other_features, other, other_read = collection(there)
    other.file_digest[:] = 255  # of no file here
    found = near_duplicates.against(features, collected, read, other_features, other, other_read)
    assert found[["row", "other_row", "kind"]].to_numpy().tolist() == [
        [3, 1, NEAR],
        [5, 2, SAME_PIXELS],
    ]


@pytest.mark.parametrize("orientation", range(8))
def test_a_crop_is_laid_where_it_was_cut(orientation):
    whole = picture_comparison.grey(np.asarray(scene(0).resize((64, 64)))[None])
    cut = scene(0).crop((26, 51, 231, 256)).resize((64, 64))
    inner = picture_comparison.grey(np.asarray(cut)[None])
    # Turned so that `orientation` turns it back.
    back = next(
        turned
        for number in range(8)
        if (
            picture_comparison.oriented(
                turned := picture_comparison.oriented(inner, number), orientation
            )
            == inner
        ).all()
    )
    small = np.concatenate([whole, back])
    placed = picture_comparison.place(small, np.array([[0, 1]]))
    placed = picture_comparison.align(small, np.arange(2), placed)
    assert placed.outer[0] == 0 and placed.orientation[0] == orientation
    assert placed.window[0] == pytest.approx([51 / 256, 26 / 256, 0.8, 0.8], abs=0.01)
    assert placed.correlation[0] > 0.98
