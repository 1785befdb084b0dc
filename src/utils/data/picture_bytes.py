"""What the bytes of a file say before they are decoded: its kind, and whether all are there."""

from __future__ import annotations

import struct
import zlib

HEAD_BYTES = 512  # enough for every beginning that is known here
END_OF_JPEG = b"\xff\xd9"
# Pillow reads no larger text or profile; a colour profile of a picture has some kilobytes.
MOST_PROFILE_BYTES = 2**20
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_TEXT = frozenset({b"tEXt", b"zTXt", b"iTXt"})

# Formats whose beginning cannot be mistaken: files of other names that begin so are tried as well.
# TIFF is not among them: camera raw files begin like it.
_PICTURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (_PNG, "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
)
_BRANDS = {
    b"avif": "AVIF",
    b"avis": "AVIF",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"mif1"), "HEIF"),
}
_OTHERS = (
    (b"version https://git-lfs", "a Git LFS pointer: fetch the file itself with 'git lfs pull'"),
    (b"\0\5\x16\7", "the metadata of a file from macOS (AppleDouble)"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"8BPS", "a Photoshop document"),
    (b"PK\3\4", "a ZIP archive or an office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"\x80\x02", "a pickle"),
    (b"\x93NUMPY", "a NumPy array"),
)


def picture_format(head: bytes) -> str | None:
    """Return the format of a picture by the first bytes of its file; None if it is none of some."""
    for start, name in _PICTURES:
        if head.startswith(start):
            return name
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    return _BRANDS.get(head[8:12]) if head[4:8] == b"ftyp" else None


def other_kind(content: bytes) -> str | None:
    """Say in words what a file is that is no picture, by its bytes; None if it is not known."""
    head = content[:HEAD_BYTES]
    for start, words in _OTHERS:
        if head.startswith(start):
            return words
    if not content.strip(b"\0"):
        return "all its bytes are zero"
    if head[4:8] == b"ftyp":
        return "a video, or a picture of a format that is not read"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    if text.startswith((b"<svg", b"<?xml")):
        return "an SVG drawing or another XML document"
    if text.startswith((b"{", b"[")) and text.isascii():
        return "a JSON document"
    return None


def jpeg_lacks_its_end(content: bytes) -> bool:
    """Tell whether a JPEG file stops before the marker that ends its picture.

    Bytes after that marker do not matter: some cameras append a film. A preview in the metadata has
    a marker of its own, so the search begins where the picture's own data begin.
    """
    place = 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if marker == 0xDA:
            # Among the data this pair of bytes stands for nothing else.
            return content.find(END_OF_JPEG, place) < 0
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return False  # no data at all, or no JPEG: its decoder says so


def with_end_of_jpeg(content: bytes) -> bytes:
    """Return a JPEG file that `jpeg_lacks_its_end` with one, so that its decoder fills the rest."""
    return content.rstrip(b"\0\xff") + END_OF_JPEG


def without_png_texts(content: bytes) -> tuple[bytes, int, bool]:
    """Take texts, and a colour profile that is too large, out of a PNG file.

    Returns
    -------
    content : bytes
        The file as it was if it is no PNG, or has nothing of the kind.
    n_texts : int
    had_large_profile : bool
    """
    if not content.startswith(_PNG):
        return content, 0, False
    kept, place, n_texts, large = [_PNG], len(_PNG), 0, False
    while place + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, place)
        end = place + 12 + size
        if kind in _PNG_TEXT:
            n_texts += 1
        elif kind == b"iCCP" and _is_large_profile(content[place + 8 : end - 4]):
            large = True
        else:
            kept.append(content[place:end])
        if kind == b"IEND":
            break
        place = end
    return (b"".join(kept), n_texts, large) if n_texts or large else (content, 0, False)


def _is_large_profile(chunk: bytes) -> bool:
    name_end = chunk.find(b"\0")
    unpack = zlib.decompressobj()
    try:
        unpack.decompress(chunk[name_end + 2 :], MOST_PROFILE_BYTES)
    except zlib.error:
        return False  # Pillow ignores it
    return bool(unpack.unconsumed_tail)
