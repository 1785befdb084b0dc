"""Mistakes that a person can mend, and what went wrong in words."""

from __future__ import annotations


class UserError(Exception):
    """A mistake a person can mend; the text is one line: what, where, what is allowed."""


def reason_of(error: BaseException) -> str:
    """Return the message of an error without the system's error number."""
    wrapped = getattr(error, "reason", None)  # urllib wraps the error of the network
    if isinstance(wrapped, BaseException):
        error = wrapped
    text = str(error)
    if isinstance(error, OSError) and error.strerror and error.errno is not None:
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return text.strip() or type(error).__name__
