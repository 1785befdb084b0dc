"""What ``CITATION.cff`` says of this project."""

from __future__ import annotations

from typing import Any

from utils import places
from utils.config.strict_yaml import parse


def about() -> dict[str, Any]:
    """Read the title, the authors, the version and the licence, by the keys of the file."""
    return parse((places.root() / "CITATION.cff").read_bytes()).content


def name_of(author: dict[str, str]) -> str:
    """Return the name of an author, who is an organisation or a person."""
    return author.get("name") or f"{author['given-names']} {author['family-names']}"
