"""What was asked for with a folder of pictures, validated before anything runs."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from commands.outputs import prepare_out, reserved_places
from utils.data import picture_files
from utils.data.picture_embeddings import read_embeddings
from utils.errors import UserError
from utils.store import ownership
from utils.store.files import temporary_place


@dataclass(frozen=True)
class PictureRequest:
    """A validated request to cluster a folder of pictures.

    Attributes
    ----------
    study : str
        Plain name of the collection, for folders and links.
    labels : str or None
        ``"folders"``, or the absolute path of a CSV file.
    model : Path or None
        Put the pictures into the clusters of this model, instead of finding new ones.
    exclude : tuple of str
        Patterns of names that are left out.
    features : Path or None
        A file of features that is used instead of a network.
    subset : int or None
        How many pictures to choose for labelling.
    against : Path or None
        Another folder, whose pictures are compared with these.
    least_similarity : float
        In (0, 1]; from it on a picture is a near copy.
    level : int or "auto"
        The level of groups in front, 1 for the coarsest.
    levels : bool
        Whether an export has a folder within a folder for each level.
    method : str or None
        "auto" if the clusterer and its number are chosen by the rule without labels.
    """

    folder: Path
    title: str
    study: str
    clusters: int | str
    clusterer: str
    backbone: str
    labels: str | None
    export: Path | None
    copy: bool
    model: Path | None
    out: Path
    seed: int
    offline: bool
    exclude: tuple[str, ...]
    largest_megapixels: int
    with_metadata: bool
    features: Path | None
    subset: int | None
    against: Path | None
    least_similarity: float
    level: int | str
    levels: bool
    method: str | None

    @property
    def owner(self) -> str:
        """Name the owner of what is written to `out`, as its manifest does."""
        if self.model is not None:
            return ownership.assignment_of_pictures(self.folder)
        return ownership.report_on_pictures(self.folder)


def request_of(options: Namespace, study: str) -> PictureRequest:
    """Validate a checked call against the files, and make the folder of the report.

    Parameters
    ----------
    options : Namespace
        From `commands.main.parse`.
    study : str
        Plain name of the collection.

    Raises
    ------
    UserError
        If there are no pictures, or a folder must not be written to.
    """
    request = PictureRequest(
        folder=options.folder,
        title=options.name,
        study=study,
        clusters=options.clusters,
        clusterer=options.clusterer,
        backbone=options.backbone,
        labels=options.labels,
        export=options.export,
        copy=options.copy,
        model=options.model,
        out=options.out,
        seed=options.seed,
        offline=options.offline,
        exclude=tuple(options.exclude),
        largest_megapixels=options.largest_megapixels,
        with_metadata=not options.no_metadata,
        features=options.features,
        subset=options.subset,
        against=options.against,
        least_similarity=options.duplicates_from,
        level=options.level,
        levels=options.levels,
        method=options.method,
    )
    _require_apart(request)
    found = picture_files.find(request.folder, request.labels, request.exclude)
    if request.features is not None:
        read_embeddings(request.features, request.folder, found.names)
    n = len(found.names)
    if request.subset is not None and request.subset > n:
        raise UserError(f"--subset {request.subset:,}: there are {n:,} pictures")
    if request.clusters != "auto" and request.clusters > n:
        _require_no_number(request, n)
    if request.against is not None:
        picture_files.find(request.against, exclude=request.exclude)
    if options.is_default_out:
        _require_own_name(request)
    prepare_out(request.out, request.owner)
    if request.export is not None:
        _prepare_export(request)
    return request


def _require_apart(request: PictureRequest) -> None:
    """Refuse to write where pictures, labels or the model are, and folders that overlap."""
    read = {"the folder of the pictures": request.folder}
    if request.labels not in (None, "folders"):
        read["the file of --labels"] = Path(request.labels)
    if request.model is not None:
        read["the file of --model"] = request.model
    if request.features is not None:
        read["the file of --features"] = request.features
    if request.against is not None:
        ownership.require_apart({"--against": request.against}, read)
        read["the folder of --against"] = request.against
    written = {"--out": request.out}
    if request.export is not None:
        written["--export"] = request.export
        ownership.require_apart({"--export": request.export}, reserved_places())
    ownership.require_apart(written, read)


def _require_no_number(request: PictureRequest, n_pictures: int) -> None:
    """Refuse more clusters than pictures, unless the clusterer finds the number itself."""
    from utils import clustering  # its libraries are large

    if request.clusterer not in clustering.FINDS_K:
        raise UserError(f"--clusters {request.clusters:,}: there are {n_pictures:,} pictures")


def _require_own_name(request: PictureRequest) -> None:
    """Refuse the default folder if it has the report of another collection of the same name."""
    manifest = ownership.read_manifest(request.out)
    if manifest is not None and not manifest.belongs_to(request.owner):
        raise UserError(
            f"{request.out}: another collection of this name has its report there "
            f"({manifest.owner.strip()}): choose another place with --name TITLE or --out DIR"
        )


def _prepare_export(request: PictureRequest) -> None:
    owner = ownership.export_of_pictures(request.folder)
    ownership.require_own(request.export, owner, "--export")
    ownership.require_writable(request.export, "--export")
    if not request.copy:
        require_links(request.export)


def require_links(target: Path) -> None:
    """Check that the file system of a folder supports links.

    Raises
    ------
    UserError
        If it does not.
    """
    try:
        with temporary_place(target) as probe:
            probe.symlink_to(target)
    except OSError as error:
        raise UserError(
            f"--export {target}: links cannot be made there ({error.strerror}); give --copy"
        ) from None
