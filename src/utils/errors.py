"""Mistakes that a person can mend."""

from __future__ import annotations


class UserError(Exception):
    """A mistake a person can mend; the text is one line: what, where, what is allowed."""
