"""The text with which a study of one's own begins: its YAML file, and the entry of its paper."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from utils.config.schema import Study
from utils.config.strict_yaml import Malformed, parse
from utils.config.unfinished import MARK, citation_keys, references
from utils.config.vocabulary import ARCHITECTURES, DATASETS

# Of the paper it begins with, and not of the new one.
_LEFT_OUT = ("study", "title", "citation", "summary")
_OF_THE_PAPER = ("variants", "reported", "losses", "identities", "claims", "choices")
_LONGEST_LINE = 100

# What stands above a key of the protocol.
_COMMENTS = {
    "dataset": f"One of {', '.join(DATASETS)}.",
    "images": "split: all or train; first: so many images only; resize: side in pixels.",
    "autoencoder": (
        f"architecture: {', '.join(ARCHITECTURES)}. The sizes of the layers are its options.\n"
        "loss: binary_cross_entropy or mean_squared_error; optimizer: adam or adadelta."
    ),
    "space": "Where the code is clustered: as it is ({name: raw}), or after a projection.",
    "kmeans": "n_init: starts; random_state: the paper's seed, left out if it states none.",
    "backbones": "Frozen networks that are shown beside it; efficientnet_lite0 comes in a package.",
}

_HEAD = """\
# The study {name}, begun from {like}. docs/adding-a-study.md walks through an example.
# A line with the mark {mark} is open: write what the paper says, and remove the mark.
# ./run_all.sh check {name} lists all open lines; no run starts before the last one is filled in.
study: {name}
title: "{mark}: method and dataset, as in '{title}'"
# Key of the paper's entry in reports/template/references.bib, where a stub waits to be filled in.
citation: {name}
summary: "{mark}: what the paper did, in two or three sentences for readers who do not know it"

# --- The protocol, copied from {like}: compare each line with the paper -------------------------
"""

_FOOT = """
# What the paper says in words, each as something that a number can bear out or contradict. kind:
# group, overlap, split, diagonal, all_found, better or fact. If it says nothing such: claims: []
claims:
  - text: "{mark}: the paper's words"
    source: "{mark}: section"
    reading: "{mark}: how a number tests it, such as: k-means on the code has a higher ARI"
    rule:
      kind: better
      of: {{representation: autoencoder, space: {space}, clusterer: kmeans}}
      than: {{representation: pixels, space: raw, clusterer: kmeans}}
      metric: ari

# What the paper leaves open, or says in two ways. If it leaves nothing open: choices: []
choices:
  - topic: "{mark}: such as the learning rate"
    paper: "{mark}: not stated"
    run: "{mark}: what was run instead"
    why: "{mark}"

# Optional lists, written as in the files of other studies:
#   variants    other settings that the paper also says or allows
#   identities  counts that the protocol fixes, such as that of parameters
#   losses      losses that the authors' own saved run printed
#
# Before the full run:
#   1. ./run_all.sh check {name} finds nothing open, and prints the paper's layers and parameters.
#   2. Each reported value has all the digits that are printed, and its place in the paper.
#   3. A value that depends on something the paper leaves open says so: open: what decides it.
#   4. Margins, readings and choices are committed before the first run, and stay as they are.
#   5. ./run_all.sh --studies {name} ends without a failure (minutes, no verdict).
# Then: ./run_all.sh --profile paper --studies {name}
"""

_STUB = """
@report{{{name},
  author = {{{mark}: Last, First and Last, First}},
  title = {{{mark}}},
  type = {{{mark}: Project report; or make this an @article or @inproceedings}},
  institution = {{{mark}}},
  date = {{{mark}: 2025, or leave the line out}},
  url = {{{mark}: or leave the line out}},
}}
"""


def text_of(name: str, like: Study) -> str:
    """Write the file of a study that begins with the protocol of another.

    Parameters
    ----------
    name : str
    like : Study
        What is its paper's own is left out; its scores and settings stay, each marked as open.

    Returns
    -------
    str
        YAML that is a valid study.
    """
    named = {"name": name, "like": like.study, "mark": MARK}
    lines = [*_protocol(like), "", *_reported(like)]
    foot = _FOOT.format(space=like.space.label, **named)
    return _HEAD.format(title=like.title, **named) + "\n".join(lines) + "\n" + foot


def bibliography_with(name: str) -> str | None:
    """Return the file of references with a stub for the paper of a study; None if it has one."""
    if name in citation_keys():
        return None
    text = references().read_text(encoding="utf-8").rstrip("\n")
    return text + "\n" + _STUB.format(name=name, mark=MARK)


def _protocol(like: Study) -> Iterator[str]:
    for key, value in like.model_dump(exclude_unset=True, exclude_none=True).items():
        if key in (*_LEFT_OUT, *_OF_THE_PAPER):
            continue
        yield from (f"# {line}" for line in _COMMENTS.get(key, "").splitlines())
        yield from _entry(key, value, "")


def _entry(key: str, value: Any, indent: str) -> Iterator[str]:
    """Write a key in one line, or with a line for each key in it, and mark each line."""
    line = f"{indent}{key}: {_flow(value)}"
    if isinstance(value, dict) and (len(line) > _LONGEST_LINE or key == "autoencoder"):
        yield f"{indent}{key}:"
        for inner, inside in value.items():
            yield from _entry(inner, inside, f"{indent}  ")
    else:
        yield f"{line}  # {MARK}"


def _reported(like: Study) -> Iterator[str]:
    yield "# What the authors report; never used by anything that trains, clusters or tunes."
    yield "# margin: half the widest interval that still decides something; fix it before any run."
    yield "reported:" if like.reported else "reported: []"
    for one in like.reported:
        # A variant is the other paper's own.
        representation = one.representation.partition("-")[0]
        yield f"  - score: {_flow(one.score)}"
        yield f"    metric: {one.metric}"
        yield f'    value: "0"  # {MARK}: as it is printed, in quotation marks: "0.60" is not "0.6"'
        yield f'    source: "{MARK}: table or section"'
        yield f"    margin: {_flow(one.margin)}"
        yield f"    representation: {representation}"
        yield f"    space: {one.space}"
        yield f"    clusterer: {one.clusterer}"


def _flow(value: Any) -> str:
    """Write a value as YAML in one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_flow(inside)}' for key, inside in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, str):
        return value if _is_plain(value) else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def _is_plain(text: str) -> bool:
    """Tell whether YAML reads a text as itself without quotation marks."""
    try:
        return parse(f"[{text}]".encode()).content == [text]
    except Malformed:
        return False
