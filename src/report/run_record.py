"""What a report says of its run in ``run.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from utils import config, errors
from utils.store import files
from utils.store.tables import BUILD_AGAIN


class _Profile(BaseModel):
    profile: config.Name
    reduced: bool


class Hardware(BaseModel):
    """What a published record contains about the machine."""

    cpu: str
    cores: int | None
    memory_gib: float
    gpu: str | None


class _Data(BaseModel):
    substituted: bool


class _Record(BaseModel):
    """What is read of ``run.json`` here; it holds more, see `results.record`."""

    made: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T")]
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{7,64}$")] | None
    dirty: bool | None
    profile: _Profile
    studies: list[config.Name]
    leaderboards: list[config.Name] = []
    seeds: list[int] = Field(min_length=1)
    hardware: Hardware
    data: dict[config.Name, _Data]


def read_record(path: Path, remedy: str = BUILD_AGAIN) -> dict[str, Any]:
    """Read the ``run.json`` of a report or of a published run.

    Raises
    ------
    UserError
        If it is not valid JSON, or lacks a key; `remedy` ends the message.
    """
    try:
        content = files.read_json(path)
        _Record.model_validate(content)
    except ValidationError as error:
        explained = config.explain(error, _Record)
        raise errors.UserError(f"{path}: {explained}: {remedy}") from None
    except ValueError as error:
        raise errors.UserError(f"{path}: not valid JSON ({error}): {remedy}") from None
    return content
