"""What comes before the workflow: the data, and a look at what earlier runs left."""

from __future__ import annotations

import os
from typing import Any

from commands.request import Request
from commands.telling import shown
from utils import places
from utils.config.load import note_on_ignored_files
from utils.data.datasets import DataUnavailable
from utils.data.prepared import prepare_data
from utils.errors import UserError
from utils.store.files import damaged_files, date_to_now, update_json


def prepare(request: Request) -> dict[str, str]:
    """Get the data and clear away what would stop the workflow.

    Returns
    -------
    dict of str to str
        Why each study that cannot run has no data, by its name.

    Raises
    ------
    UserError
        If data are not available: in a reduced profile only if no study has its data.
    """
    print(f"profile {request.profile.profile}: {request.profile.description}", flush=True)
    if note := note_on_ignored_files():
        print(note, flush=True)
    if request.offline:
        os.environ["OFFLINE"] = "1"  # for the notebooks, see utils.config.is_offline
    not_run = get_data(request)
    discard_damaged(request)
    date_to_now_what_is_compared(request)
    return not_run


def get_data(request: Request) -> dict[str, str]:
    """Get each study's data and record which they are; return why others have none.

    Raises
    ------
    UserError
        If data are not available: in a reduced profile only if no study has its data.
    """
    not_run: dict[str, str] = {}
    described: dict[str, dict[str, Any]] = {}
    for study in request.studies:
        place = request.place(study)
        try:
            # Each dataset is read and verified once, however many studies use it.
            if study.dataset in described:
                data = described[study.dataset]
                update_json(place.data, data)
            else:
                data = prepare_data(study, request.profile, request.offline, place.folder)
                described[study.dataset] = data
        except DataUnavailable as error:
            if not request.profile.reduced:
                raise
            not_run[study.name] = " ".join(str(error).split())
            place.data.unlink(missing_ok=True)
            update_json(place.not_run, {"reason": not_run[study.name]})
            print(f"{study.name}: not run: {not_run[study.name]}", flush=True)
        else:
            place.not_run.unlink(missing_ok=True)
            substitute = f", in place of {data['requested']}" if data["substituted"] else ""
            reason = f": {data['reason']}" if data["reason"] else ""
            print(
                f"{study.name}: {data['dataset']}, {data['n']:,} images, "
                f"from {data['source']}{substitute}{reason}",
                flush=True,
            )
    if len(not_run) == len(request.studies):
        raise UserError("no study can run: none of the datasets is available (see above)")
    return not_run


def discard_damaged(request: Request) -> None:
    """Let each notebook run again that has a changed or damaged result."""
    for study in request.studies:
        for manifest in request.place(study).manifests():
            if damaged := damaged_files(manifest.parent):
                print(f"{shown(manifest.parent / damaged[0])}: changed or damaged: made again")
                manifest.unlink()


def date_to_now_what_is_compared(request: Request) -> None:
    """Give files of the workflow that are dated in the future the present time.

    Snakemake stops at each of them, and whatever is made from one would seem older than it.
    """
    sources = ("config", "notebooks", "src", "reports/template", "reports/published")
    files = [path for name in sources for path in (places.root() / name).rglob("*")]
    files += [places.root() / "requirements.lock", places.root() / request.out / ".complete"]
    files += request.runs.rglob("*")
    if late := date_to_now(files):
        more = f" and {len(late) - 1} more" if len(late) > 1 else ""
        print(f"{shown(late[-1])}{more}: dated in the future; given the present time")
