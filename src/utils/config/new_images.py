"""The file ``config/new_images.yaml``: on which images a method is tried that it did not see."""

from __future__ import annotations

from pydantic import Field

from utils import places
from utils.config.load import _validate
from utils.config.schema import Images, _Model


class NewImages(_Model):
    """How the named methods of one leaderboard meet images that they did not see."""

    leaderboard: str
    fit: Images = Field(description="images to fit on; those of the test split are assigned")
    held_out: bool = Field(
        default=False,
        description="whether the test images are also clustered afresh: the leaderboard has none",
    )
    not_assigned: dict[str, str] = Field(
        default_factory=dict,
        description="recipes of methods that assign no new images, each with the reason",
    )


class _File(_Model):
    boards: list[NewImages]


def load_new_images(leaderboard: str) -> NewImages | None:
    """Read what ``config/new_images.yaml`` says of a leaderboard; None if it says nothing.

    Raises
    ------
    UserError
        If the file is malformed; the key and what is allowed are named.
    """
    boards = _validate(_File, places.config() / "new_images.yaml").boards
    return next((one for one in boards if one.leaderboard == leaderboard), None)
