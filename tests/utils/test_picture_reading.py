"""Pictures of every kind and condition: read in one form, or left out with a reason."""

import io
import os
import re
import struct
import time
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from utils.data import picture_colours, picture_reading
from utils.data.picture_reading import Unreadable, read, read_many

RED, SIDE = (200, 30, 60), 32


def picture(mode="RGB", size=(60, 40)):
    return Image.new("RGB", size, RED).convert(mode)


def chunk(kind, content):
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def huge_png(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(100))), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# --- what can be read -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "suffix", ["jpg", "png", "webp", "tif", "bmp", "gif", "avif", "jp2", "jfif", "heic", "mpo"]
)
def test_every_format_gives_the_same_colours(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    picture_reading._prepare_pillow()  # Pillow alone cannot write HEIC
    picture().save(path, **({"save_all": True} if suffix == "mpo" else {}))
    found = read(path, SIDE)
    assert found.shape == (SIDE, SIDE, 3) and found.dtype == np.uint8
    assert np.abs(found.astype(int) - RED).max() <= 8


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("L", "png"), ("1", "png"), ("P", "png"), ("RGBA", "png"), ("LA", "png"), ("CMYK", "jpg")],
)
def test_every_mode_becomes_colours(tmp_path, mode, suffix):
    picture(mode).save(tmp_path / f"a.{suffix}")
    assert read(tmp_path / f"a.{suffix}", SIDE).shape == (SIDE, SIDE, 3)


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_what_is_transparent_is_white(tmp_path, mode):
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).convert(mode).save(tmp_path / "a.png")
    assert (read(tmp_path / "a.png", 8) == 255).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("ink", [0, 100, 255])
def test_the_ground_of_a_transparent_picture_is_in_contrast(tmp_path, mode, ink):
    made = Image.new("RGBA", (8, 8), (ink, ink, ink, 0))
    made.paste((ink, ink, ink, 255), (0, 0, 8, 4))
    made.convert(mode).save(tmp_path / "a.png")
    found = read(tmp_path / "a.png", 8)
    assert np.abs(found[:3].astype(int) - ink).max() <= 2
    assert (found[-3:] == (0 if ink == 255 else 255)).all()


def test_a_colour_that_stands_for_transparency(tmp_path):
    made = Image.new("RGB", (900, 900), "red")
    made.paste("blue", (0, 0, 900, 450))
    made.save(tmp_path / "a.png", transparency=(255, 0, 0))
    found = read(tmp_path / "a.png", 32)
    assert (found[:14] == (0, 0, 255)).all() and (found[-14:] == 255).all()


GREY = np.add.outer(np.arange(0, 200, 20), np.arange(0, 50, 5)).astype(np.float64)  # 0 to 225


@pytest.mark.parametrize(
    ("values", "suffix"),
    [
        ((GREY * 257).astype(np.uint16), "png"),
        ((GREY * 257).astype(np.uint16), "tif"),
        ((GREY * 16).astype(np.uint16), "tif"),
        ((GREY * 4).astype(np.uint16), "tif"),
        (GREY.astype(np.int32), "tif"),
        ((GREY * 257).astype(np.int32), "tif"),
        (GREY.astype(np.float32), "tif"),
        ((GREY / 255).astype(np.float32), "tif"),
        ((GREY * 257).astype(np.float32), "tif"),
    ],
    ids=["16", "16-tif", "12-in-16", "10-in-16", "8-in-32", "16-in-32", "f-255", "f-1", "f-16"],
)
def test_every_depth_gives_the_same_grey(tmp_path, values, suffix):
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    found = read(tmp_path / f"a.{suffix}", 10)
    assert np.abs(found[..., 0] - GREY).max() <= 1


@pytest.mark.parametrize("kind", [np.int32, np.float32])
@pytest.mark.parametrize("shift", [-900, 70_000])
def test_other_ranges_are_scaled_from_least_to_largest(tmp_path, kind, shift):
    values = (np.linspace(0, 800, 100).reshape(10, 10) + shift).astype(kind)
    if kind == np.float32:
        values[0, 1] = np.nan
        values -= 0 if shift < 0 else values[5, 5]
    Image.fromarray(values).save(tmp_path / "a.tif")
    found = read(tmp_path / "a.tif", 10)
    assert found.max() == 255 and found.min() == 0


def test_a_picture_is_turned_as_its_camera_says(tmp_path):
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:20] = 255  # white above
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter to the right
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    found = read(tmp_path / "a.png", 40)
    assert found[:, 30:].min() == 255 and found[:, :10].max() == 0


def test_the_middle_is_cut_out_of_a_long_picture(tmp_path):
    pixels = np.zeros((10, 90, 3), np.uint8)
    pixels[:, 40:50] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png", 10).min() == 255


def test_of_several_frames_the_first_is_taken(tmp_path):
    frames = [Image.new("L", (8, 8), value) for value in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (read(tmp_path / "a.gif", 8) == 10).all()


def animation(path, *colours):
    frames = [Image.new("RGB", (8, 8), colour) for colour in colours]
    for frame in frames[1:]:
        frame.paste("green", (0, 0, 8, 4))
    frames[0].save(path, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_the_first_frame_that_is_not_of_one_colour_is_taken(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    animation(path, "black", "red", "blue")
    found = picture_reading.decode(path.read_bytes(), 16)
    assert found.notes == ("frame 2 is used: those before it are of one colour",)
    assert np.abs(found.square(8)[-2:].astype(int) - (255, 0, 0)).max() <= 12


def test_of_frames_of_one_colour_the_first_is_taken(tmp_path):
    frames = [Image.new("L", (8, 8), value) for value in (10, 200)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    assert (read(tmp_path / "a.tif", 8) == 10).all()


# --- colours --------------------------------------------------------------------------------------


def exchanging_profile():
    """Return a profile that exchanges red and blue."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = content.index(b"rXYZ"), content.index(b"bXYZ")
    content[red : red + 4], content[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(content)


@pytest.mark.parametrize("size", [(60, 40), (600, 400)])
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_a_colour_profile_is_applied(tmp_path, suffix, size):
    red, green, blue = picture(size=size).split()
    path = tmp_path / f"a.{suffix}"
    Image.merge("RGB", (blue, green, red)).save(path, icc_profile=exchanging_profile())
    assert np.abs(read(path, SIDE).astype(int) - RED).max() <= 4


def test_the_usual_profile_changes_nothing(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png", icc_profile=profile)
    np.testing.assert_array_equal(read(tmp_path / "a.png", 32), noise)


@pytest.mark.parametrize("profile", [b"no profile", exchanging_profile()[:200]])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_a_broken_profile_costs_only_itself(tmp_path, mode, profile):
    picture(mode).save(tmp_path / "a.png", icc_profile=profile)
    plain = read(tmp_path / "a.png", SIDE)
    picture(mode).save(tmp_path / "b.png")
    np.testing.assert_array_equal(plain, read(tmp_path / "b.png", SIDE))


def test_a_profile_of_another_mode_is_not_applied(tmp_path):
    picture("L").save(tmp_path / "a.png", icc_profile=exchanging_profile())
    assert np.ptp(read(tmp_path / "a.png", SIDE).astype(int), axis=-1).max() == 0


@pytest.mark.parametrize("mode", ["LAB", "YCbCr", "CMYK"])
def test_other_colour_systems_of_tiff(tmp_path, mode):
    if mode == "LAB":
        way = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        made = ImageCms.applyTransform(picture(), ImageCms.buildTransform(*way))
    else:
        made = picture(mode)
    made.save(tmp_path / "a.tif")
    assert np.abs(read(tmp_path / "a.tif", SIDE).astype(int) - RED).max() <= 4


# --- metadata -------------------------------------------------------------------------------------


def jpeg(exif=b"", size=(60, 40), **how):
    buffer = io.BytesIO()
    picture(size=size).save(buffer, format="JPEG", **how)
    content = buffer.getvalue()
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif if exif else b""
    return content[:2] + segment + content[2:]


def tiff(*entries, extra=b""):
    body = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    head = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries))
    return head + body + bytes(4) + extra


TURN = (0x0112, 3, 1, struct.pack("<HH", 6, 0))
BEHIND = struct.pack("<I", 8 + 2 + 12 * 2 + 4)
BROKEN_EXIF = {
    "twice": (b"Exif\0\0" + tiff(TURN), True),
    "minus-one-by-zero": (tiff(TURN, (0x011A, 10, 1, BEHIND), extra=b"\xff" * 4 + bytes(4)), True),
    "resolution-as-two": (tiff(TURN, (0x011A, 5, 2, BEHIND), extra=bytes(16)), True),
    "offset-behind-the-end": (tiff(TURN, (0x011A, 5, 1, struct.pack("<I", 60_000))), True),
    "no-place-of-gps": (tiff(TURN, (0x8825, 4, 1, struct.pack("<I", 60_000))), True),
    "no-details": (tiff(TURN, (0x8769, 4, 1, struct.pack("<I", 60_000))), True),
    "orientation-as-text": (tiff((0x0112, 2, 4, b"6\0\0\0")), False),
    "orientation-9": (tiff((0x0112, 3, 1, struct.pack("<HH", 9, 0))), False),
    "no-byte-order": (b"Exif\0\0" + b"\0\x08\0\x02\x01\x12\0\x03" + bytes(20), False),
    "only-the-marker": (b"Exif\0\0", False),
}


@pytest.mark.parametrize(("exif", "is_turned"), BROKEN_EXIF.values(), ids=BROKEN_EXIF)
def test_broken_exif_costs_no_picture(exif, is_turned):
    with picture_reading.quiet_decoders():
        found = picture_reading.decode(jpeg(exif), SIDE)
    assert (found.width, found.height) == ((40, 60) if is_turned else (60, 40))
    assert found.picture.size == (found.width, found.height)
    assert np.abs(found.square(SIDE).astype(int) - RED).max() <= 8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif", "heic"])
def test_every_orientation_is_turned_upright(tmp_path, orientation, suffix):
    corner = np.zeros((90, 60, 3), np.uint8)
    corner[:30, :30] = 255
    upright = Image.fromarray(corner)
    back = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    held = upright if back is None else upright.transpose(Image.Transpose(back))
    picture_reading._prepare_pillow()
    # As bytes: only so the writer of HEIC also writes the turn that counts there.
    held.save(tmp_path / f"a.{suffix}", exif=exif.tobytes())
    found = picture_reading.decode((tmp_path / f"a.{suffix}").read_bytes(), 60)
    assert (found.width, found.height) == (60, 90) == found.picture.size
    np.testing.assert_allclose(np.asarray(found.picture).astype(int), corner, atol=60)


def test_date_and_camera_and_no_place(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "Canon EOS\x00 R5 \n"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:31 18:20:00"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 0.0)
    picture().save(tmp_path / "a.jpg", exif=exif)
    metadata = picture_reading.decode((tmp_path / "a.jpg").read_bytes(), SIDE).metadata
    assert (metadata.taken, metadata.camera) == ("2024-05-31 18:20:00", "Canon EOS R5")
    assert metadata.n_entries >= 3
    assert "52" not in str(metadata)


@pytest.mark.parametrize("date", ["0000:00:00 00:00:00", "yesterday", "2024"])
def test_an_impossible_date_is_no_date(tmp_path, date):
    exif = Image.Exif()
    exif[0x0132] = date
    picture().save(tmp_path / "a.jpg", exif=exif)
    assert picture_reading.decode((tmp_path / "a.jpg").read_bytes(), SIDE).metadata.taken == ""


def png_with(*chunks):
    buffer = io.BytesIO()
    picture().save(buffer, format="PNG")
    content = buffer.getvalue()
    place = content.index(b"IDAT") - 4
    return content[:place] + b"".join(chunk(*one) for one in chunks) + content[place:]


@pytest.mark.parametrize(
    ("kind", "body", "note"),
    [
        (b"zTXt", b"a\0\0" + zlib.compress(bytes(2_000_000)), ()),
        (b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(2_000_000)), ()),
        (b"tEXt", b"a\0" + b"x" * 2_000_000, ()),
        (
            b"iCCP",
            b"a\0\0" + zlib.compress(bytes(2_000_000)),
            ("its colour profile is too large and is not applied",),
        ),
    ],
)
def test_large_metadata_of_a_png_cost_no_picture(kind, body, note):
    found = picture_reading.decode(png_with((kind, body)), SIDE)
    assert found.notes == note
    assert (found.square(SIDE) == RED).all()
    assert found.metadata.n_entries == (kind != b"iCCP")


# --- what is damaged ------------------------------------------------------------------------------


def noisy_jpeg(**how):
    noise = np.random.default_rng(0).integers(0, 255, (400, 300, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, format="JPEG", **how)
    return buffer.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [1, 24, "tenth"])
def test_a_jpeg_without_its_end_is_used_with_a_note(missing, progressive):
    content = noisy_jpeg(progressive=progressive)
    n_missing = len(content) // 10 if missing == "tenth" else missing
    found = picture_reading.decode(content[:-n_missing], 300)
    (note,) = found.notes
    assert re.fullmatch(r"its end is missing: (8[5-9]|9\d|100)% of the picture is there", note)
    whole = picture_reading.decode(content, 300)
    assert whole.notes == ()
    if not progressive:
        top = slice(0, 40)
        np.testing.assert_array_equal(
            np.asarray(found.picture)[top], np.asarray(whole.picture)[top]
        )


@pytest.mark.parametrize("filler", [b"", b"\0"])
def test_a_jpeg_of_which_little_is_there_is_left_out(filler):
    content = noisy_jpeg()
    kept = len(content) // 3
    with pytest.raises(Unreadable, match=r"cut off: [23]\d% of the picture is there"):
        picture_reading.decode(content[:kept] + filler * (len(content) - kept), SIDE)


def test_what_follows_the_end_of_a_jpeg_does_not_matter():
    preview = jpeg()
    exif = tiff((0x0201, 4, 1, bytes(4)), extra=preview)
    for content in (jpeg() + bytes(10**6), jpeg() + b"film", jpeg(exif) + bytes(9)):
        assert picture_reading.decode(content, SIDE).notes == ()
    cut = jpeg(exif)[:-2]
    assert len(picture_reading.decode(cut, SIDE).notes) == 1  # the preview's end is another's


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<!DOCTYPE html><title>403", "no picture: a web page"),
        (b"  <html>", "no picture: a web page"),
        (b"%PDF-1.7", "no picture: a PDF document"),
        (b"PK\3\4rest", "no picture: a ZIP archive or an office document"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer: fetch"),
        (b"\0\5\x16\7" + bytes(200), r"metadata of a file from macOS"),
        (bytes(4000), "no picture: all its bytes are zero"),
        (b'{"error": 404}', "no picture: a JSON document"),
        (b"\0\0\0\x18ftypisom" + bytes(90), "no picture: a video"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(5000), "HEIF"),
        (b"words", "no picture of a format that is read"),
    ],
)
def test_another_kind_of_file_is_named(content, reason):
    with pytest.raises(Unreadable, match=reason):
        picture_reading.decode(content, SIDE)


def test_a_checksum_that_is_wrong():
    content = bytearray(png_with())
    content[content.index(b"IDAT") + 8] ^= 255
    with pytest.raises(Unreadable, match="damaged"):
        picture_reading.decode(bytes(content), SIDE)


def test_a_file_that_is_gone(tmp_path):
    with pytest.raises(Unreadable, match="removed or renamed in the meantime"):
        read(tmp_path / "a.png", SIDE)


# --- what cannot ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (huge_png(60_000, 60_000), "60,000 × 60,000 pixels: more than 100,000,000"),
        (huge_png(12_000, 9_000), r"12,000 × 9,000 pixels: .* \(--largest-megapixels\)"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "damaged|no picture|truncated"),
    ],
    ids=["empty", "bomb", "large", "header"],
)
def test_a_file_that_is_no_picture_has_its_reason(tmp_path, content, reason):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(Unreadable, match=reason):
        read(tmp_path / "a.png", SIDE)


def test_a_format_that_nobody_asked_for_is_not_tried(tmp_path):
    picture().save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    with pytest.raises(Unreadable, match="no picture: a PostScript file"):
        read(tmp_path / "a.png", SIDE)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    picture().save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(Unreadable, match="Permission denied"):
        read(tmp_path / "a.png", SIDE)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from(["jpeg", "png", "webp", "tiff", "bmp", "gif"]),
    cut=st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=5),
)
def test_a_damaged_file_gives_a_picture_or_a_reason(tmp_path, suffix, cut, flips):
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, format=suffix)
    content = bytearray(buffer.getvalue())
    for place, value in flips:
        content[int(place * len(content))] = value
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content[: int(cut * len(content))])
    (found,) = read_many([path], SIDE, threads=1)
    if isinstance(found, Unreadable):
        assert str(found)
    else:
        assert found.shape == (SIDE, SIDE, 3)


def test_reading_many_keeps_the_order(tmp_path):
    for value in range(5):
        Image.new("L", (4, 4), value * 10).save(tmp_path / f"{value}.png")
    (tmp_path / "2.png").write_text("no")
    found = read_many([tmp_path / f"{i}.png" for i in range(5)], 4, threads=3)
    assert isinstance(found[2], Unreadable)
    assert [int(found[i][0, 0, 0]) for i in (0, 1, 3, 4)] == [0, 10, 30, 40]


# --- how much memory it takes --------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_strips_give_the_same_values_as_the_whole(monkeypatch, kind):
    values = np.random.default_rng(0).integers(0, 60_000, (37, 11)).astype(kind)
    if kind == np.float32:
        values[:3, :3] = [[np.nan, np.inf, -np.inf], [-5e9, 3, 0], [1, 2, 3]]
    made = Image.fromarray(values)
    whole = picture_colours.eight_bits(made)
    for n_pixels in (1, 60, 200):
        monkeypatch.setattr(picture_colours, "STRIP_PIXELS", n_pixels)
        np.testing.assert_array_equal(picture_colours.eight_bits(made), whole)


def test_the_limit_of_pixels_can_be_set_and_counts_what_is_decoded():
    content = jpeg(size=(1600, 1200))
    assert picture_reading.decode(content, 100, most_pixels=100_000).width == 1600
    with pytest.raises(Unreadable, match="1,600 × 1,200 pixels: more than 40,000"):
        picture_reading.decode(content, 100, most_pixels=2_000)
    progressive = jpeg(size=(1600, 1200), progressive=True)
    with pytest.raises(Unreadable, match="more than 100,000"):
        picture_reading.decode(progressive, 100, most_pixels=100_000)


def test_what_a_picture_takes_is_told_by_its_header(tmp_path):
    picture(size=(1200, 900)).save(tmp_path / "a.png")
    picture(size=(1200, 900)).save(tmp_path / "a.jpg")
    picture(size=(1200, 900)).save(tmp_path / "b.jpg", progressive=True)

    def needed(name):
        with Image.open(tmp_path / name) as opened:
            return picture_reading._memory_needed(opened, 448, 10**8)

    assert needed("a.png") == 1200 * 900 * picture_reading.BYTES_PER_PIXEL
    assert needed("a.jpg") == 600 * 450 * picture_reading.BYTES_PER_PIXEL  # half of each side
    assert needed("b.jpg") == needed("a.jpg") + 1200 * 900 * 6


def test_large_pictures_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    """Of small ones together at most the budget; one that is larger than it has it for itself."""
    at_once, most = [], []
    whole = picture_colours.rgb

    def observe(made, profile):
        at_once.append(made.width)
        most.append(list(at_once))
        time.sleep(0.02)  # so that the others would come in between
        at_once.remove(made.width)
        return whole(made, profile)

    monkeypatch.setattr(picture_colours, "rgb", observe)
    three_small = 3 * 20 * 20 * picture_reading.BYTES_PER_PIXEL + 1000
    monkeypatch.setattr(picture_reading, "_BUDGET", picture_reading._Budget(three_small))
    for number in range(8):
        picture(size=(20, 20)).save(tmp_path / f"small-{number}.png")
    for number in range(3):
        picture(size=(90, 90)).save(tmp_path / f"large-{number}.png")
    paths = sorted(tmp_path.iterdir(), key=lambda path: path.name[-5])
    found = read_many(paths, SIDE, threads=8)
    assert all(isinstance(one, np.ndarray) for one in found)
    assert max(len(together) for together in most) <= 3
    assert all(together == [90] for together in most if 90 in together)


def test_the_budget_is_given_back_after_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_reading, "_BUDGET", picture_reading._Budget(1))
    buffer = io.BytesIO()
    picture(size=(300, 300)).save(buffer, format="PNG")
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for path in paths:
        path.write_bytes(buffer.getvalue()[:-40])
    found = read_many(paths, SIDE, threads=2)
    assert all(isinstance(one, Unreadable) for one in found)
