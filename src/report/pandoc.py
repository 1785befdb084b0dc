"""Pandoc, run on Markdown without a network."""

from __future__ import annotations

import signal
import subprocess
import urllib.parse
from pathlib import Path

from utils import errors, places

# Neither raw HTML nor raw TeX is read, so that no text of a run can become markup.
MARKDOWN = "markdown-raw_html-raw_tex-raw_attribute-smart"


def run_pandoc(source: Path, target: Path, *arguments: str) -> None:
    """Run pandoc in the folder of `source`; a warning, such as an unknown citation, is an error."""
    import pypandoc

    command = [
        pypandoc.get_pandoc_path(),
        f"--from={MARKDOWN}",
        f"--output={target.name}",
        "--standalone",
        "--citeproc",
        f"--bibliography={template_path('references.bib')}",
        "--metadata=link-citations=true",
        "--number-sections",
        "--columns=100000",  # a long line gives a table no fixed widths
        "--fail-if-warnings",
        *arguments,
        source.name,
    ]
    done = subprocess.run(command, cwd=source.parent, capture_output=True, text=True)
    if done.returncode:
        raise errors.UserError(f"pandoc could not make {target.name}: {_why_it_failed(done)}")


def template_path(name: str) -> str:
    """Return the path of a file that pandoc fetches as it would a URL: it decodes ``%20``."""
    return urllib.parse.quote(str(places.template() / name))


def _why_it_failed(done: subprocess.CompletedProcess[str]) -> str:
    said = " ".join(done.stderr.split())
    if done.returncode >= 0:
        return said or f"exit status {done.returncode}"
    name = signal.Signals(-done.returncode).name
    return " ".join(
        [said, f"it was stopped by {name}; too little memory is a common cause"]
    ).strip()


def markdown_to_html(source: str) -> str:
    """Turn Markdown into a part of a page, with MathML, which needs no script."""
    import pypandoc

    command = [pypandoc.get_pandoc_path(), f"--from={MARKDOWN}", "--to=html5", "--mathml"]
    done = subprocess.run(command, input=source, capture_output=True, text=True)
    if done.returncode:
        raise errors.UserError(f"pandoc could not make a notebook's page: {_why_it_failed(done)}")
    return done.stdout
