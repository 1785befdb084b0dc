"""What the parsers of all commands share.

Only the standard library is imported: ``run_all.sh`` parses each call with the system's Python
before there is an environment (see `commands.main`).
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from utils import places
from utils.errors import UserError

PROGRAM = "run_all.sh"


class WrongCall(UserError):
    """A call that is refused before anything runs; one line that says what is allowed."""


class Parser(argparse.ArgumentParser):
    """A parser without abbreviations whose complaints are `WrongCall`."""

    def __init__(self, **options: object) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print."""
        raise WrongCall(f"{message} ({' '.join(self.format_usage().split())})")


@contextmanager
def refusing() -> Iterator[None]:
    """Refuse the call, instead of failing, if a `UserError` is raised in this block."""
    try:
        yield
    except UserError as error:
        raise WrongCall(str(error)) from None


def whole_number_from_1(text: str) -> int:
    """Return the whole number that an argument stands for.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is not a whole number from 1 to 999999999.
    """
    if not re.fullmatch("0*[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 999999999")
    return int(text)


def names_in(folder: str) -> list[str]:
    """List the studies, leaderboards or profiles that have a file in ``config/<folder>``."""
    return sorted(
        path.stem
        for path in (places.config() / folder).glob("*.yaml")
        if re.fullmatch(places.PLAIN_NAME, path.stem) and path.is_file()
    )


def require_known(kind: str, name: str, allowed: Sequence[str], where: str = "") -> None:
    """Refuse a name that does not exist.

    Raises
    ------
    WrongCall
        With the allowed names, and `where` they are defined.
    """
    if name not in allowed:
        raise WrongCall(f"unknown {kind} {name!r}: allowed are {', '.join(allowed)}{where}")


def require_profile(name: str) -> None:
    """Refuse the name of a profile that does not exist.

    Raises
    ------
    WrongCall
        With the names of the profiles.
    """
    folder = places.config() / "profiles"
    require_known("profile", name, names_in("profiles"), f" ({folder})")


def place(option: str, text: str) -> Path:
    """Return the absolute path that an argument stands for.

    Raises
    ------
    WrongCall
        If it cannot be a path, is empty, or is not UTF-8, which reports and their parameters are.
    """
    if not text.strip():
        raise WrongCall(f"{option} is empty: give a path")
    try:
        path = Path(text).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise WrongCall(f"{option} {text!r}: is not a path ({error})") from None
    require_utf8(option, str(path))
    return path


def require_utf8(option: str, text: str) -> None:
    """Refuse text whose bytes are not UTF-8.

    Raises
    ------
    WrongCall
        If they are not.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise WrongCall(f"{option} {text!a}: is not UTF-8; rename it") from None


def require_place(out: Path) -> None:
    """Check that a folder can be made and written to, without making it.

    Raises
    ------
    WrongCall
        If it cannot.
    """
    # Snakemake reads them as its own in the names of results, which are relative to the checkout.
    name = out.relative_to(places.root()) if out.is_relative_to(places.root()) else out
    if set(str(name)) & set("{}\n"):
        raise WrongCall(f"--out {str(name)!r}: braces and line breaks are not allowed in its path")
    nearest = _nearest_that_exists(out)
    reason = None if nearest.is_dir() else f"{nearest} is a file"
    if reason is None and not os.access(nearest, os.W_OK | os.X_OK):
        reason = f"{nearest} is not writable"
    if reason is not None:
        raise WrongCall(f"cannot write to {out}: {reason}; name another folder with --out")


def _nearest_that_exists(path: Path) -> Path:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return _nearest_that_exists(path.parent)
    return path
