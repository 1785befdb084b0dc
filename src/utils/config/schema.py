"""What studies, leaderboards and profiles hold, as typed, validated objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from utils.config.methods import K_CHOSEN, Method
from utils.config.metrics_table import METRICS
from utils.places import PLAIN_NAME

Dataset = Literal["mnist", "fashion_mnist", "cifar10", "mnist5k", "digits"]
Metric = Literal[tuple(METRICS)]


def _in_words(allowed: str) -> WrapValidator:
    """Say in a few words what is allowed, instead of a pattern or one mistake per type."""

    def validate(value: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise PydanticCustomError("in_words", f"must be {allowed}") from None

    return WrapValidator(validate)


Name = Annotated[
    str,
    Field(pattern=rf"^{PLAIN_NAME}$"),
    _in_words("lower-case letters, digits, - and _, first a letter or digit"),
]
Backbone = Annotated[
    str,
    Field(pattern=r"^(efficientnet_lite[012]|resnet50|resnet50_random|timm:[A-Za-z0-9_.]+)$"),
    _in_words(
        "efficientnet_lite0, efficientnet_lite1, efficientnet_lite2, resnet50, resnet50_random or "
        "timm:MODEL"
    ),
]
Option = Annotated[
    bool | int | float | str | list[int] | list[str],
    _in_words("true or false, a number, a word, or a list of whole numbers or of words"),
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Images(_Model):
    """Which images of the dataset a study uses, in the dataset's own order."""

    split: Literal["all", "train"] = "all"
    first: int | None = Field(default=None, gt=0)
    resize: int | None = Field(default=None, gt=0, description="side in pixels, bilinear")


class Optimizer(_Model):
    """Optimiser and its settings; what is not given is PyTorch's default."""

    name: Literal["adam", "adadelta"]
    learning_rate: float = Field(gt=0)
    rho: float | None = Field(default=None, gt=0, lt=1)
    epsilon: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _rho_where_it_belongs(self) -> Optimizer:
        if self.rho is not None and self.name != "adadelta":
            raise ValueError("'rho' belongs to adadelta, and only there")
        return self


class Validation(_Model):
    """Images on which the validation loss is measured; never labels."""

    images: Literal["test_split", "last_fraction"]
    fraction: float | None = Field(
        default=None, gt=0, lt=1, description="of the study's images, for last_fraction"
    )
    patience: int | None = Field(
        default=None, gt=0, description="epochs without a lower loss before training stops"
    )

    @model_validator(mode="after")
    def _fraction_where_it_belongs(self) -> Validation:
        if (self.images == "last_fraction") != (self.fraction is not None):
            raise ValueError("'fraction' belongs to images: last_fraction, and only there")
        return self


class Autoencoder(_Model):
    """Architecture and training protocol of an autoencoder."""

    architecture: Name
    options: dict[str, Option] = {}
    loss: Literal["binary_cross_entropy", "mean_squared_error"]
    optimizer: Optimizer
    batch_size: int = Field(gt=0)
    epochs: int = Field(gt=0)
    validation: Validation | None = None
    # Part of the protocol, so that a study has the same numbers on every processor.
    precision: Literal["float32", "bfloat16"] = "float32"


class Space(_Model):
    """The space in which a representation is clustered and scored."""

    name: Literal["raw", "pca", "umap"]
    n_components: int | None = Field(default=None, gt=0)
    n_neighbors: int | None = Field(
        default=None, gt=1, description="of UMAP, each point itself counted"
    )
    min_dist: float | None = Field(default=None, ge=0, description="of UMAP")
    random_state: int | None = Field(
        default=None, ge=0, description="of UMAP: the same for every seed of the network"
    )

    @property
    def label(self) -> str:
        """Name of the space in every table: ``raw``, ``pca50``, ``umap10n20`` (20 neighbours)."""
        if self.n_components is None:
            return self.name
        neighbors = "" if self.n_neighbors is None else f"n{self.n_neighbors}"
        return f"{self.name}{self.n_components}{neighbors}"


class OtherSpace(Space):
    """A space that is clustered beside the study's own, and why."""

    why: str


class KMeans(_Model):
    """Settings of k-means; `random_state` is the run's seed unless the protocol fixes one."""

    n_clusters: int = Field(gt=1)
    n_init: int = Field(default=10, gt=0)
    random_state: int | None = None


class DBSCAN(_Model):
    """Settings of DBSCAN as the paper gives them."""

    eps: float = Field(gt=0, description="radius of a neighbourhood, in the study's space")
    min_samples: int = Field(gt=0, description="points in it, its centre included")


class GaussianMixture(_Model):
    """Settings of a mixture of Gaussians with full covariances; the rest is scikit-learn's own."""

    n_components: int = Field(gt=1)
    random_state: int = Field(ge=0, description="the same for every seed of the network")
    also_in: list[OtherSpace] = Field(
        default=[], description="spaces of the code that it clusters beside the study's own"
    )


class Clustered(_Model):
    """A clustering, by its names in the table of metrics."""

    representation: str
    space: str
    clusterer: str


class Fact(_Model):
    """A number that a notebook records."""

    notebook: str
    name: str


class RecordedText(Fact):
    """A text that a notebook records, by its beginning."""

    begins: str = Field(min_length=1)


# A number as it is printed, in quotation marks: its last digit is rounded, and 0.60 is not 0.6.
Printed = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$")]


class ReportedValue(_Model):
    """A number as its authors printed it, and the place where it stands."""

    value: Printed
    source: str


class Reported(ReportedValue):
    """A score that a paper reports, and the clustering that gives ours."""

    score: str = Field(description="its name in every table")
    metric: Metric
    representation: str
    space: str
    clusterer: str
    saved: ReportedValue | None = Field(
        default=None, description="the same score in the authors' own saved run"
    )
    margin: float = Field(
        gt=0, description="half the widest prediction interval that still decides something"
    )
    open: str | None = Field(
        default=None, description="what the paper leaves open that decides the value"
    )
    settled_by: RecordedText | None = Field(
        default=None, description="what a run has to record for 'open' no longer to hold"
    )

    @model_validator(mode="after")
    def _something_to_settle(self) -> Reported:
        if self.settled_by is not None and self.open is None:
            raise ValueError("'settled_by' belongs to 'open', which is missing")
        return self

    @property
    def sources(self) -> list[ReportedValue]:
        """The paper's value and, where it is another one, that of the authors' saved run."""
        if self.saved is None:
            return [ReportedValue(value=self.value, source=self.source)]
        if self.saved.value == self.value:
            both = f"{self.source}; {self.saved.source}"
            return [ReportedValue(value=self.value, source=both)]
        return [ReportedValue(value=self.value, source=self.source), self.saved]


class ReportedLoss(ReportedValue):
    """A loss that the authors' own saved run printed, and the recorded number that is ours."""

    what: str
    fact: Fact


class Identity(ReportedValue):
    """A count that the protocol fixes, such as that of parameters: checked, never judged.

    Ours is a recorded fact or the number of clusters that were found.
    """

    what: str
    fact: Fact | None = None
    clusters_of: Clustered | None = None
    rounding: int = Field(default=0, ge=0, description="by which the reported value is rounded")
    contradiction: str | None = Field(
        default=None, description="what the paper says elsewhere and the reported value contradicts"
    )

    @model_validator(mode="after")
    def _one_place(self) -> Identity:
        if (self.fact is None) == (self.clusters_of is None):
            raise ValueError("give either 'fact' or 'clusters_of'")
        return self


Share = Annotated[float, Field(gt=0, lt=1)]


class GroupRule(_Model):
    """Each class is a group: more than `share` of it in one cluster, of which it is as much."""

    kind: Literal["group"]
    of: Clustered
    classes: list[str] = Field(min_length=1)
    only: bool = Field(default=False, description="no other class may be such a group")
    share: Share = 0.5


class OverlapRule(_Model):
    """Both classes of each pair lie in the same clusters, by more than `share`."""

    kind: Literal["overlap"]
    of: Clustered
    pairs: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = Field(min_length=1)
    share: Share = 0.5


class SplitRule(_Model):
    """No cluster holds more than `share` of any of the classes."""

    kind: Literal["split"]
    of: Clustered
    classes: list[str] = Field(min_length=1)
    share: Share = 0.5


class DiagonalRule(_Model):
    """More than `share` of each class lies in clusters of which it is the majority."""

    kind: Literal["diagonal"]
    of: Clustered
    classes: list[str] = Field(min_length=1)
    share: Share = 0.5


class AllFoundRule(_Model):
    """Every class is the majority of some cluster."""

    kind: Literal["all_found"]
    of: Clustered


class BetterRule(_Model):
    """One clustering has better values of a metric than another, on the same images."""

    kind: Literal["better"]
    of: Clustered
    than: Clustered
    metric: Metric


class FactRule(_Model):
    """A recorded number is at least so large."""

    kind: Literal["fact"]
    fact: Fact
    at_least: float


Rule = Annotated[
    GroupRule | OverlapRule | SplitRule | DiagonalRule | AllFoundRule | BetterRule | FactRule,
    Field(discriminator="kind"),
]


class Claim(_Model):
    """A statement of the paper, how it is read as something that can be tested, and the test."""

    text: str
    source: str
    reading: str
    rule: Rule
    substitute: bool = Field(
        default=False, description="it concerns a network that the paper does not name"
    )
    figure: str | None = Field(default=None, description="name of the figure that shows it")


class Variant(_Model):
    """The study's autoencoder with other settings: what the paper also says, or leaves open."""

    name: Name
    options: dict[str, Option]
    learning_rate: float | None = Field(
        default=None, gt=0, description="of the optimiser, if not the study's"
    )
    filling: bool = Field(
        default=False, description="as plausible as the study's own where the paper is silent"
    )
    seeds: int | None = Field(
        default=None, gt=0, description="run with the first so many seeds, if not as the profile"
    )
    quick: bool = Field(default=True, description="also run by reduced profiles")
    why: str

    def changed(self, protocol: Autoencoder) -> Autoencoder:
        """Return the study's protocol with the settings of this variant."""
        optimizer = protocol.optimizer
        if self.learning_rate is not None:
            optimizer = optimizer.model_copy(update={"learning_rate": self.learning_rate})
        return protocol.model_copy(update={"options": self.options, "optimizer": optimizer})


class Choice(_Model):
    """Something the paper leaves open, what was run instead, and why."""

    topic: str
    paper: str
    run: str
    why: str


class Study(_Model):
    """One paper's experiment under its published protocol."""

    study: Name
    title: str
    citation: str
    summary: str = Field(description="what the paper did, for readers who do not know it")
    dataset: Dataset
    images: Images = Images()
    autoencoder: Autoencoder
    space: Space
    kmeans: KMeans
    dbscan: DBSCAN | None = None
    gmm: GaussianMixture | None = None
    backbones: list[Backbone] = Field(min_length=1)
    variants: list[Variant] = []
    reported: list[Reported]
    losses: list[ReportedLoss] = []
    identities: list[Identity] = []
    claims: list[Claim] = []
    choices: list[Choice] = []

    @property
    def name(self) -> str:
        """Its name in every table."""
        return self.study

    def variants_for(self, profile: Profile, seed: int) -> list[Variant]:
        """List the variants of a profile and a seed.

        A reduced profile has the quick ones only, and no profile more seeds of them than it says,
        unless the variant itself says how many.
        """
        return [
            variant
            for variant in self.variants
            if (variant.quick or not profile.reduced)
            and seed
            < (profile.variant_seeds if profile.reduced else variant.seeds or profile.variant_seeds)
        ]


class Row(Clustered):
    """A method of a leaderboard, and how it is run."""

    k: Literal["given", "chosen"] = Field(
        default="given", description="k is the number of classes, or chosen without labels"
    )
    quick: bool = Field(default=False, description="also run by reduced profiles")
    seeds: int | None = Field(
        default=None, gt=0, description="run with the first so many seeds only: it costs too much"
    )
    images: int | None = Field(
        default=None, gt=0, description="run on the first so many images only: it costs too much"
    )
    recipe: Name | None = Field(default=None, description="name by which it can be run alone")
    why: str | None = Field(default=None, description="what this method is there to show")

    @property
    def parsed(self) -> Method:
        """Return the method itself.

        Raises
        ------
        UserError
            If a part is unknown or does not fit the others.
        """
        return Method.parse(self.representation, self.space, self.clusterer, self.k)

    @property
    def method(self) -> str:
        """Name of the clusterer in every table; says so where k is chosen."""
        return self.clusterer if self.k == "given" else f"{self.clusterer}{K_CHOSEN}"


class Aim(_Model):
    """What a leaderboard's best row was to reach; set in an earlier stage of the project."""

    acc: float = Field(gt=0, le=1)
    ari: float = Field(gt=0, le=1)


class Attempt(_Model):
    """What was tried once, with one seed, and became no row of a leaderboard."""

    what: str
    images: int = Field(gt=0, description="the first ones of the leaderboard's images")
    acc: float | None = Field(default=None, ge=0, le=1)
    ari: float | None = Field(default=None, ge=-1, le=1)
    outcome: str = Field(description="why it is no row")


class Leaderboard(_Model):
    """What is compared on one dataset, beyond the papers."""

    leaderboard: Name
    title: str
    dataset: Dataset
    images: Images = Images()
    reduced_images: int = Field(gt=0, description="images used by reduced profiles, from the first")
    n_clusters: int = Field(gt=1, description="the number of classes: knowledge of the labels")
    common_space: int = Field(
        gt=1, description="components of the PCA of pixels in which all rows are compared"
    )
    internal_images: int = Field(
        gt=0, description="images on which internal indices are measured, from the first"
    )
    aim: Aim | None = None
    rows: list[Row] = Field(min_length=1)
    attempts: list[Attempt] = Field(
        default=[], description="measured once, with seed 0; no run measures them again"
    )

    @property
    def name(self) -> str:
        """Its name in every table."""
        return self.leaderboard

    def rows_for(self, profile: Profile, seed: int) -> list[Row]:
        """List the rows of a profile and a seed.

        A reduced profile has the quick ones only; costly ones have the first few seeds only.
        """
        return [
            row
            for row in self.rows
            if (row.quick or not profile.reduced) and (row.seeds is None or seed < row.seeds)
        ]

    @model_validator(mode="after")
    def _rows_differ(self) -> Leaderboard:
        seen = [(row.representation, row.space, row.method) for row in self.rows]
        twice = next((row for row in seen if seen.count(row) > 1), None)
        if twice:
            raise ValueError(f"the method {' / '.join(twice)} is listed twice")
        names = [row.recipe for row in self.rows if row.recipe]
        if len(set(names)) < len(names):
            raise ValueError("two methods have the same 'recipe'")
        return self


class Profile(_Model):
    """How much of a study to run."""

    profile: Name
    reduced: bool = Field(description="true if this is not the published scale")
    description: str
    max_images: int | None = Field(default=None, gt=0)
    max_epochs: int | None = Field(default=None, gt=0)
    seeds: int = Field(gt=0)
    variant_seeds: int = Field(ge=0, description="variants are run for the first so many seeds")
    clustering_seeds: int = Field(gt=1, description="seeds of k-means for one trained network")
    untrained_seeds: int = Field(gt=1, description="seeds of k-means where nothing is trained")
    map_points: int = Field(gt=0, description="points in a t-SNE map")
    backbone_images: int = Field(gt=0, description="images put through the pre-trained network")
    allow_substitute_data: bool = Field(description="embedded MNIST when the full data is away")


class VerdictRule(_Model):
    """How every reported value is judged."""

    confidence: float = Field(gt=0, lt=1, description="of every interval")
    power: float = Field(gt=0, lt=1, description="of the smallest deviation that is stated")
    statement: str
