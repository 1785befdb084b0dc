"""What a picture file says about itself: how its camera was held, when, and which it was."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

_ORIENTATION, _MAKE, _MODEL, _CHANGED, _DETAILS, _TAKEN = 274, 271, 272, 306, 0x8769, 36867
_DATE = re.compile(r"((?:19|20)\d\d)[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_LONGEST_CAMERA = 80


@dataclass(frozen=True)
class Metadata:
    """What is taken from the EXIF data of a picture; never the place where it was taken.

    Attributes
    ----------
    orientation : int
        1 to 8, as EXIF counts them; 1 is upright.
    n_entries : int
    taken : str
        Date and time as ``2024-05-31 18:20:00``, or empty.
    camera : str
        Make and model, or empty.
    is_readable : bool
    """

    orientation: int = 1
    n_entries: int = 0
    taken: str = ""
    camera: str = ""
    is_readable: bool = True


def metadata_of(picture: Image) -> Metadata:
    """Read the EXIF data of an open picture; broken ones cost only themselves."""
    try:
        exif = picture.getexif()
        details = exif.get_ifd(_DETAILS)
        orientation = exif.get(_ORIENTATION)
        taken = _date(details.get(_TAKEN)) or _date(exif.get(_CHANGED))
        camera = _camera(exif.get(_MAKE), exif.get(_MODEL))
        n_entries = len(exif) + len(details)
    except Exception:
        # SyntaxError, struct.error, ZeroDivisionError, …: what broken EXIF data cause has no type
        # in common. The caller tells the person by `is_readable`.
        return Metadata(is_readable=False)
    is_known = isinstance(orientation, int) and 1 <= orientation <= 8
    return Metadata(orientation if is_known else 1, n_entries, taken, camera)


def turned(picture: Image, orientation: int) -> Image:
    """Turn or mirror a picture so that it is upright."""
    from PIL.Image import Transpose

    how = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return picture.transpose(how[orientation]) if orientation in how else picture


def _date(value: Any) -> str:
    found = _DATE.match(value) if isinstance(value, str) else None
    return "{}-{}-{} {}:{}:{}".format(*found.groups()) if found else ""


def _camera(make: Any, model: Any) -> str:
    make, model = (_text(value) for value in (make, model))
    # Many cameras repeat the make in the model.
    known = model.lower().startswith(make.lower())
    return (model if known else f"{make} {model}".strip())[:_LONGEST_CAMERA]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in value).split())
