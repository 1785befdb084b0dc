"""Read the YAML files of ``config``; a mistake is reported with its line and what is allowed."""

from __future__ import annotations

import os
import re
import reprlib
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from utils import places
from utils.config import strict_yaml
from utils.config.schema import Leaderboard, Profile, Study, VerdictRule, _Model
from utils.config.strict_yaml import Way
from utils.errors import UserError
from utils.places import PLAIN_NAME

# What is wrong with a value, by pydantic's name of the mistake.
_IN_WORDS = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "list_type": "must be a list",
    "dict_type": "must be keys and values",
    "model_type": "must be keys and values",
    "model_attributes_type": "must be keys and values",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
    "too_short": "must have at least {min_length} {entries}",
    "too_long": "must have at most {max_length} {entries}",
    "union_tag_invalid": "{discriminator} must be {expected_tags}",
    "union_tag_not_found": "{discriminator} is missing",
    "value_error": "{error}",
}


def study_names() -> list[str]:
    """List the studies that have a file in ``config/studies``."""
    return _names_in(places.config() / "studies")


def leaderboard_names() -> list[str]:
    """List the leaderboards that have a file in ``config/leaderboards``."""
    return _names_in(places.config() / "leaderboards")


def profile_names() -> list[str]:
    """List the profiles that have a file in ``config/profiles``."""
    return _names_in(places.config() / "profiles")


def _names_in(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*") if _is_read(path))


def _is_read(path: Path) -> bool:
    return path.suffix == ".yaml" and bool(re.fullmatch(PLAIN_NAME, path.stem)) and path.is_file()


def note_on_ignored_files() -> str | None:
    """Name the entries that look like a study, leaderboard or profile but are ignored, if any.

    Hidden files and editors' backup copies (``x.yaml~``) are left out.
    """
    ignored = sorted(
        str(path)
        for folder in ("studies", "leaderboards", "profiles")
        for path in (places.config() / folder).glob("*")
        if path.suffix in (".yaml", ".yml") and path.name[0] not in ".#" and not _is_read(path)
    )
    if not ignored:
        return None
    return (
        f"ignored: {', '.join(ignored)} (a configuration file must be named NAME.yaml, where NAME "
        "has only lower-case letters, digits, - and _)"
    )


def load_study(name: str) -> Study:
    """Read and validate ``config/studies/<name>.yaml``.

    Raises
    ------
    UserError
        If there is no such study, or its file is malformed; the file, the key and what is allowed
        are named.
    """
    return _load(Study, "study", name, places.config() / "studies", study_names())


def load_leaderboard(name: str) -> Leaderboard:
    """Read and validate ``config/leaderboards/<name>.yaml``.

    Raises
    ------
    UserError
        If there is no such leaderboard, or its file is malformed; the file, the key and what is
        allowed are named.
    """
    folder = places.config() / "leaderboards"
    return _load(Leaderboard, "leaderboard", name, folder, leaderboard_names())


def load_topic(name: str) -> Study | Leaderboard:
    """Read and validate the study or the leaderboard of this name; they share no name.

    Raises
    ------
    UserError
        If there is neither, or its file is malformed; what is allowed is named.
    """
    if name in leaderboard_names():
        if name in study_names():
            raise UserError(
                f"{places.config()}: {name!r} is a study and a leaderboard: give one of them "
                "another name"
            )
        return load_leaderboard(name)
    if name in study_names():
        return load_study(name)
    folders = f"{places.config() / 'studies'}, {places.config() / 'leaderboards'}"
    raise _unknown("study", name, [*study_names(), *leaderboard_names()], folders)


def load_profile(name: str) -> Profile:
    """Read and validate ``config/profiles/<name>.yaml``.

    Raises
    ------
    UserError
        If there is no such profile, or its file is malformed; the file, the key and what is allowed
        are named.
    """
    return _load(Profile, "profile", name, places.config() / "profiles", profile_names())


def load_verdict_rule() -> VerdictRule:
    """Read and validate ``config/verdict.yaml``.

    Raises
    ------
    UserError
        If the file is malformed; the key and what is allowed are named.
    """
    return _validate(VerdictRule, places.config() / "verdict.yaml")


def is_offline() -> bool:
    """Tell whether ``$OFFLINE`` forbids the network; ``run_all.sh --offline`` sets it."""
    return os.environ.get("OFFLINE", "0") not in ("", "0")


def training_threads() -> int | None:
    """Return how many threads a training is to use; None: as many as all else.

    It is what ``$TRAINING_THREADS`` says; the workflow sets it.
    """
    number = os.environ.get("TRAINING_THREADS")
    return int(number) if number else None


def _load(model: type[_Model], kind: str, name: str, folder: Path, allowed: list[str]):
    if name not in allowed:
        raise _unknown(kind, name, allowed, str(folder))
    path = folder / f"{name}.yaml"
    loaded = _validate(model, path)
    if getattr(loaded, kind) != name:
        raise complaint(path, [((kind,), f"key '{kind}' must be {name!r}, the name of the file")])
    return loaded


def _unknown(kind: str, name: str, allowed: list[str], folders: str) -> UserError:
    note = note_on_ignored_files()
    return UserError(
        f"unknown {kind} {name!r}: allowed are {', '.join(allowed)} ({folders})"
        + (f"; {note}" if note else "")
    )


def _validate(model: type[_Model], path: Path):
    document = _read(path)
    content = document.content
    if not isinstance(content, dict):
        found = "nothing" if content is None else type(content).__name__
        raise UserError(f"{path}: expected keys and values, found {found}")
    try:
        return model.model_validate(content, strict=True)
    except ValidationError as error:
        raise _complaint(path, document, mistakes_in(error, model)) from None


def _read(path: Path) -> strict_yaml.Document:
    try:
        return strict_yaml.parse(path.read_bytes())
    except strict_yaml.Malformed as error:
        raise UserError(f"{path}: {error}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def complaint(path: Path, mistakes: Iterable[tuple[Way, str]]) -> UserError:
    """Make an error of what is wrong in a YAML file: the way to each mistake, and words."""
    return _complaint(path, _read(path), mistakes)


def _complaint(
    path: Path, document: strict_yaml.Document, mistakes: Iterable[tuple[Way, str]]
) -> UserError:
    parts = [f"line {document.line(way)}: {words}" for way, words in mistakes]
    return UserError(f"{path}: {'; '.join(parts)}")


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Say in one line which keys of a `model` are wrong and what is allowed."""
    return "; ".join(words for _, words in mistakes_in(error, model))


def mistakes_in(error: ValidationError, model: type[BaseModel]) -> list[tuple[Way, str]]:
    """List which keys of a `model` are wrong: the way to each, and what is allowed."""
    found = []
    for problem in error.errors():
        key = ".".join(str(step) for step in problem["loc"])
        if problem["type"] == "extra_forbidden":
            allowed = _fields_at(model, problem["loc"][:-1])
            words = f"unknown key '{key}': allowed are {', '.join(allowed)}"
        elif problem["type"] == "missing":
            words = f"key '{key}' is missing"
        else:
            shown = reprlib.repr(problem["input"])  # shortened: it may be the whole file
            words = f"key '{key}': {_allowed(problem)} (found {shown})"
        found.append((problem["loc"], words))
    return found


def _allowed(problem: ErrorDetails) -> str:
    """Say what a value must be."""
    if problem["type"] not in _IN_WORDS:
        return problem["msg"]
    values = problem.get("ctx", {})
    length = values.get("min_length", values.get("max_length"))
    entries = "entry" if length == 1 else "entries"
    return _IN_WORDS[problem["type"]].format(**values, entries=entries)


def _fields_at(model: type[BaseModel], location: tuple) -> list[str]:
    """Name the keys that are allowed at `location`, a path of keys and list positions."""
    models = [model]
    for step in location:
        if len(models) > 1:  # a union; the path has the tag of the chosen model
            models = [m for m in models if step in m.model_fields["kind"].annotation.__args__]
        elif isinstance(step, str):
            models = _models_in(models[0].model_fields[step].annotation)
    return list(models[0].model_fields)


def _models_in(annotation: object) -> list[type[BaseModel]]:
    """Find the models inside an annotation such as ``list[Model]`` or ``Model | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]
