"""Which panels of the article answer which figures of its sources."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from utils import errors, places
from utils.config.strict_yaml import parse
from utils.figures.panels import PANELS

FILE = "answers.yaml"


class SourceFigure(BaseModel):
    """A figure of a source; see ``config/answers.yaml``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    figure: str = Field(max_length=20)
    shows: str
    where: str = ""
    panel: Literal[PANELS] | None = None

    @property
    def place(self) -> str:
        """Where in the source it stands, in full."""
        return self.where or self.figure


_LISTED = TypeAdapter(dict[str, list[SourceFigure]])


def of_study(study: str) -> list[SourceFigure]:
    """List the figures of a study's source, in its order; of an unlisted study there are none.

    Raises
    ------
    UserError
        If the file is malformed. It may be missing, as in a configuration without the papers.
    """
    path = places.config() / FILE
    if not path.is_file():
        return []
    try:
        listed = _LISTED.validate_python(parse(path.read_bytes()).content)
    except ValueError as error:  # of the reader or of pydantic
        raise errors.UserError(f"{path}: {' '.join(str(error).split())}") from None
    return listed.get(study, [])


def by_panel(figures: Iterable[SourceFigure]) -> dict[str, str]:
    """Map each panel that answers a figure to the figure's short name."""
    return {one.panel: one.figure for one in figures if one.panel}
