"""A faster import of the notebook format."""

from __future__ import annotations

import sys


def skip_iri_grammars() -> None:
    """Have jsonschema do without ``rfc3987_syntax``; to be called before it is imported.

    Papermill and nbformat import both. That package compiles 38 grammars on import, for longer than
    all else that papermill imports takes (1.5 of 2.1 seconds). They check IRIs, of which a
    notebook's schema has none.
    """
    # A name that is None there cannot be imported; to jsonschema the package is not installed.
    sys.modules.setdefault("rfc3987_syntax", None)
