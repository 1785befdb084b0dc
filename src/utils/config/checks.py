"""Checks of studies, leaderboards and profiles that go beyond the form of their files.

They look up names and compare sizes before anything is run, without data and heavy packages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from utils import config, places
from utils.config import layers, methods, sizes, unfinished
from utils.config.facts import FACTS, DeclaredFact
from utils.config.schema import Leaderboard, Profile, Study
from utils.config.strict_yaml import Way
from utils.config.vocabulary import (
    ARCHITECTURES,
    DATASETS,
    LEAST_SIZES,
    STUDY_NOTEBOOKS,
)
from utils.errors import UserError

# Notebook 1 reduces the pixels to so many components, for which it needs as many images.
LEAST_IMAGES = 50
# The maps are measured by the ten nearest neighbours of each point.
LEAST_MAP_POINTS = 11
# UMAP looks at ten neighbours of each point, itself counted.
LEAST_UMAP_POINTS = 11
# Each of several views is reduced to so many components, if it has more features.
VIEW_COMPONENTS = 50

Mistakes = Iterator[tuple[Way, str]]


def require_sound(
    topics: Iterable[Study | Leaderboard], profile: Profile, may_be_open: bool = False
) -> None:
    """Refuse studies and leaderboards that could not be run to their end under a profile.

    Parameters
    ----------
    topics : iterable of Study and Leaderboard
        The studies whose networks a leaderboard uses are checked as well.
    profile : Profile
    may_be_open : bool
        Whether a line of a study may still be to be filled in (see `unfinished`).

    Raises
    ------
    UserError
        If something in their files, or in the profile's, names what does not exist or does not fit
        the rest; file, line and key are named, and what is allowed.
    """
    boards = [topic for topic in topics if isinstance(topic, Leaderboard)]
    studies = {topic.study: topic for topic in topics if isinstance(topic, Study)}
    for board in boards:
        for name in sorted(_studies_in(board) - set(studies)):
            studies[name] = config.load_study(name)
    recipes = _boards_of_recipes() if boards else {}
    _refuse("profiles", profile.profile, _of_profile(profile))
    for study in studies.values():
        _refuse("studies", study.study, _of_study(study, profile))
        if not may_be_open:
            unfinished.require_filled_in(study.study, study.citation)
    for board in boards:
        _refuse("leaderboards", board.leaderboard, _of_board(board, studies, recipes))


def _refuse(folder: str, name: str, mistakes: Mistakes) -> None:
    if found := list(mistakes):
        raise config.complaint(places.config() / folder / f"{name}.yaml", found)


def _mistake(way: Way, words: str) -> tuple[Way, str]:
    return way, f"key '{'.'.join(map(str, way))}': {words}"


def _unknown(way: Way, kind: str, name: str, allowed: Iterable[str]) -> tuple[Way, str]:
    return _mistake(way, f"unknown {kind} {name!r}: allowed are {_listed(allowed)}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _of_profile(profile: Profile) -> Mistakes:
    for key, least in (
        ("max_images", LEAST_IMAGES),
        ("map_points", LEAST_MAP_POINTS),
        ("backbone_images", LEAST_MAP_POINTS),
    ):
        value = getattr(profile, key)
        if value is not None and value < least:
            yield _mistake((key,), f"at least {least} images are needed (found {value})")


# --- studies --------------------------------------------------------------------------------------


def _of_study(study: Study, profile: Profile) -> Mistakes:
    references, keys = unfinished.references(), unfinished.citation_keys()
    if study.citation not in keys:
        yield _mistake(
            ("citation",),
            f"{references.relative_to(places.root())} has no entry {study.citation!r}: add it "
            f"there, or name one of {_listed(keys)}",
        )
    in_space = list(_of_space(study.space, ("space",)))
    yield from in_space
    is_space_sound = not in_space
    if not is_space_sound:
        # Everything else that depends on the space would be a follow-up of this mistake.
        study = study.model_copy(update={"space": config.Space(name="raw")})
    yield from _of_images(study)
    if study.images.first is not None and study.images.first < LEAST_IMAGES:
        yield _mistake(
            ("images", "first"),
            f"at least {LEAST_IMAGES} images are needed (found {study.images.first})",
        )
    yield from _of_networks(study)
    yield from _of_sizes(study, profile)
    yield from _of_training(study)
    yield from _of_mixture(study)
    if is_space_sound:
        yield from _of_reported(study)
        yield from _of_claims(study)


# The settings that each space has; UMAP's are the study's protocol, so none has a default.
SPACE_SETTINGS = {
    "raw": (),
    "pca": ("n_components",),
    "umap": ("n_components", "n_neighbors", "min_dist", "random_state"),
}


def _of_space(space: config.Space, way: Way) -> Mistakes:
    for key in SPACE_SETTINGS["umap"]:
        value, is_needed = getattr(space, key), key in SPACE_SETTINGS[space.name]
        if is_needed and value is None:
            yield _mistake((*way, key), f"is missing: 'name: {space.name}' needs it")
        elif not is_needed and value is not None:
            names = [f"'name: {name}'" for name, keys in SPACE_SETTINGS.items() if key in keys]
            only = " and ".join(names)
            yield _mistake((*way, key), f"belongs to {only} only (found {value}): remove it")


def _of_images(topic: Study | Leaderboard) -> Mistakes:
    available = _available(topic)
    if topic.images.first is not None and topic.images.first > available:
        yield _mistake(
            ("images", "first"),
            f"at most {available}, the images of that split (found {topic.images.first})",
        )


def _available(topic: Study | Leaderboard) -> int:
    """Count the images of the split that is used."""
    data = DATASETS[topic.dataset]
    return data.n_train if topic.images.split == "train" else data.shape[0]


def _fewest(*limits: int | None) -> int:
    return min(limit for limit in limits if limit is not None)


def _of_networks(study: Study) -> Mistakes:
    """Check the network and its variants: names, options, and whether the images fit."""
    architecture = study.autoencoder.architecture
    if architecture not in ARCHITECTURES:
        yield _unknown(("autoencoder", "architecture"), "architecture", architecture, ARCHITECTURES)
        return
    ways: dict[Way, dict] = {("autoencoder", "options"): study.autoencoder.options}
    ways |= {("variants", i, "options"): one.options for i, one in enumerate(study.variants)}
    for way, options in ways.items():
        mistakes = list(_of_options(architecture, options, way))
        yield from mistakes or _of_latent(study, options, way)
    names = [variant.name for variant in study.variants]
    for place, name in enumerate(names):
        if name in names[:place]:
            yield _mistake(("variants", place, "name"), f"two variants are called {name!r}")


def _of_options(architecture: str, options: dict, way: Way) -> Mistakes:
    kinds = ARCHITECTURES[architecture]
    for name in sorted(options.keys() - kinds.keys()):
        yield _unknown((*way, name), "option", name, kinds)
    for name, kind in kinds.items():
        if name not in options and (kind == "flag" or isinstance(kind, tuple)):
            continue
        if name not in options:
            yield _mistake(way, f"{name!r} is missing: {architecture} takes {_listed(kinds)}")
        elif wanted := _unmet(kind, options[name], LEAST_SIZES.get(architecture, 1)):
            yield _mistake((*way, name), f"must be {wanted} (found {options[name]})")


def _unmet(kind: str | tuple[str, ...], value: Any, least_sizes: int) -> str | None:
    """Say what an option should be, if its value is not of that kind."""
    if isinstance(kind, tuple):
        return None if value in kind else " or ".join(kind)
    if kind == "layers":
        is_list = isinstance(value, list) and all(isinstance(text, str) for text in value)
        return None if is_list and value else "a list of at least 1 layer, such as 'dense 500'"
    if kind == "flag":
        return None if isinstance(value, bool) else "true or false"
    if kind == "share":
        is_share = isinstance(value, int | float) and 0 <= value < 1
        return None if is_share else "a number from 0 to below 1"
    if kind == "size":
        return None if isinstance(value, int) and value > 0 else "a whole number from 1"
    is_sizes = isinstance(value, list) and all(isinstance(n, int) and n > 0 for n in value)
    if is_sizes and len(value) >= least_sizes:
        return None
    return f"a list of at least {least_sizes} whole numbers from 1"


def _of_layers(options: dict, shape: tuple[int, int, int], way: Way) -> Mistakes:
    """Follow the shapes through the listed layers."""
    try:
        code = layers.shape_after(options["encoder"], shape)
    except UserError as error:
        yield _mistake((*way, "encoder"), str(error))
        return
    try:
        layers.require_mirrored(options["decoder"], code, shape)
    except UserError as error:
        yield _mistake((*way, "decoder"), str(error))


def _of_latent(study: Study, options: dict, way: Way) -> Mistakes:
    architecture, shape = study.autoencoder.architecture, sizes.image_shape(study)
    factor = sizes.shrinking(architecture, options)
    if shape[1] % factor or shape[2] % factor:
        yield _mistake(
            way,
            f"images of {shape[1]}×{shape[2]} pixels do not fit: their sides must be multiples of "
            f"{factor}: set images.resize",
        )
        return
    if architecture == "layers" and (wrong := list(_of_layers(options, shape, way))):
        yield from wrong
        return
    size = sizes.latent_size(architecture, options, shape)
    n_components = study.space.n_components
    if study.space.name == "pca" and n_components is not None and n_components > size:
        yield _mistake(
            ("space", "n_components"),
            f"at most {size}, the size of the latent (found {n_components})",
        )


def _of_sizes(study: Study, profile: Profile) -> Mistakes:
    """Compare what is asked for with the number of images."""
    used = _fewest(
        _available(study), study.images.first, profile.max_images, profile.backbone_images
    )
    for way, value in (
        (("kmeans", "n_clusters"), study.kmeans.n_clusters),
        (("space", "n_components"), study.space.n_components),
        (("space", "n_neighbors"), study.space.n_neighbors),
        (("gmm", "n_components"), study.gmm and study.gmm.n_components),
        (("dbscan", "min_samples"), study.dbscan and study.dbscan.min_samples),
    ):
        if value is not None and value > used:
            fewest = f"the fewest images that profile {profile.profile} clusters"
            yield _mistake(way, f"at most {used}, {fewest} (found {value})")


def _of_training(study: Study) -> Mistakes:
    """Compare the batch with the images that the study trains on at full scale.

    A reduced profile trains on fewer; there a batch that is larger holds all of them.
    """
    n = _fewest(_available(study), study.images.first)
    data, validation = DATASETS[study.dataset], study.autoencoder.validation
    if validation is not None and validation.images == "last_fraction":
        n -= max(1, round(n * validation.fraction))
    elif validation is not None and data.shape[0] == data.n_train:
        yield _mistake(
            ("autoencoder", "validation", "images"),
            f"{study.dataset} has no test split: allowed is last_fraction",
        )
    protocol = study.autoencoder
    if protocol.options.get("output") == "linear" and protocol.loss != "mean_squared_error":
        yield _mistake(
            ("autoencoder", "loss"),
            f"a linear output allows mean_squared_error only (found {protocol.loss})",
        )
    if study.autoencoder.batch_size > n:
        yield _mistake(
            ("autoencoder", "batch_size"),
            f"at most {n}, the images it is trained on (found {study.autoencoder.batch_size})",
        )


def _of_mixture(study: Study) -> Mistakes:
    """Check the spaces in which the Gaussian mixture clusters too."""
    labels = [study.space.label]
    for place, other in enumerate(study.gmm.also_in if study.gmm else []):
        way: Way = ("gmm", "also_in", place)
        yield from _of_space(other, way)
        if other.label in labels:
            yield _mistake(way, f"the space {other.label!r} is clustered already: remove it")
        labels.append(other.label)


# --- what a study makes ---------------------------------------------------------------------------


def clusterings_of(study: Study) -> list[config.Clustered]:
    """List the clusterings that the notebooks make of a study."""
    space = study.space.label
    made = [("pixels", "raw", "kmeans"), ("pixels", "pca50", "kmeans")]
    made += [("autoencoder", space, "kmeans")]
    made += [(f"autoencoder-{variant.name}", space, "kmeans") for variant in study.variants]
    if study.dbscan is not None:
        made += [("autoencoder", space, name) for name in ("dbscan", "dbscan_knee")]
    if study.gmm is not None:
        spaces = [study.space, *study.gmm.also_in]
        made += [("autoencoder", one.label, "gmm") for one in spaces]
    made += [(name, "raw", "kmeans") for name in study.backbones]
    return [config.Clustered(representation=r, space=s, clusterer=c) for r, s, c in made]


def numbers_of(study: Study) -> dict[str, list[str]]:
    """List the facts that are numbers, by the notebook that records them."""
    return _recorded(study, lambda fact: fact.is_number)


def _recorded(study: Study, wanted: Callable[[DeclaredFact], bool]) -> dict[str, list[str]]:
    parts = {
        "variant": [variant.name for variant in study.variants],
        "network": study.backbones,
    }
    recorded: dict[str, list[str]] = {notebook: [] for notebook in STUDY_NOTEBOOKS}
    for fact in FACTS:
        is_recorded = (
            (study.dbscan is not None or not fact.name.startswith("dbscan_"))
            and (study.autoencoder.validation is not None or fact.name != "final_validation_loss")
            and (study.space.name != "umap" or fact.name != "pca_explained_variance")
        )
        if fact.notebook in recorded and wanted(fact) and is_recorded:
            recorded[fact.notebook] += fact.names(parts)
    return recorded


def figures_of(study: Study) -> list[str]:
    """List the figures that the notebooks draw of a study."""
    drawn = ["samples", "class_balance", "mean_images", "confusion_pixels"]
    drawn += ["architecture", "loss_curve", "reconstructions"]
    drawn += ["confusion_latent", "confusion_latent_majority"]
    drawn += ["tsne_label", "tsne_cluster", "tsne_density", "tsne_centroids"]
    drawn += ["dimensions_label", "dimensions_centres"]
    if study.dbscan is not None:
        drawn += ["tsne_dbscan", "dbscan_k_distances", "dbscan_strip"]
    if study.gmm is not None:
        drawn += ["confusion_mixture", "tsne_mixture"]
    trained = [name.replace(":", "-") for name in study.backbones if name != "resnet50_random"]
    drawn += [f"tsne_{name}_{suffix}" for name in trained for suffix in ("label", "cluster")]
    return [*drawn, "comparison", "internal_by_space"]


def _of_reported(study: Study) -> Mistakes:
    names = [reported.score for reported in study.reported]
    for place, reported in enumerate(study.reported):
        way: Way = ("reported", place)
        if reported.score in names[:place]:
            yield _mistake((*way, "score"), f"two reported values are called {reported.score!r}")
        clustered = config.Clustered(
            representation=reported.representation,
            space=reported.space,
            clusterer=reported.clusterer,
        )
        yield from _of_clustering(study, clustered, (*way, "representation"))
        if reported.settled_by is not None:
            texts = _recorded(study, lambda fact: fact.kind == "text")
            yield from _of_fact(texts, reported.settled_by, (*way, "settled_by"))
    for place, loss in enumerate(study.losses):
        yield from _of_fact(numbers_of(study), loss.fact, ("losses", place, "fact"))
    for place, identity in enumerate(study.identities):
        way = ("identities", place)
        if identity.fact is not None:
            yield from _of_fact(numbers_of(study), identity.fact, (*way, "fact"))
        else:
            yield from _of_clustering(study, identity.clusters_of, (*way, "clusters_of"))


def _of_claims(study: Study) -> Mistakes:
    figures = figures_of(study)
    for place, claim in enumerate(study.claims):
        way: Way = ("claims", place)
        if claim.figure is not None and claim.figure not in figures:
            yield _unknown((*way, "figure"), "figure", claim.figure, figures)
        rule = claim.rule
        for key in ("of", "than"):
            if (clustered := getattr(rule, key, None)) is not None:
                yield from _of_clustering(study, clustered, (*way, "rule", key))
        if isinstance(rule, config.FactRule):
            yield from _of_fact(numbers_of(study), rule.fact, (*way, "rule", "fact"))
        yield from _of_classes(study, rule, (*way, "rule"))


def _of_classes(study: Study, rule: config.Rule, way: Way) -> Mistakes:
    allowed = DATASETS[study.dataset].class_names
    named = {(*way, "classes", i): name for i, name in enumerate(getattr(rule, "classes", []))}
    for i, pair in enumerate(getattr(rule, "pairs", [])):
        named |= {(*way, "pairs", i, j): name for j, name in enumerate(pair)}
        if pair[0] == pair[1]:
            yield _mistake(
                (*way, "pairs", i),
                f"a pair is two different classes (found {pair[0]} twice): "
                f"allowed are {_listed(allowed)}",
            )
    for where, name in named.items():
        if name not in allowed:
            yield _unknown(where, "class", name, allowed)


def _of_clustering(study: Study, clustered: config.Clustered, way: Way) -> Mistakes:
    made = [_named(one) for one in clusterings_of(study)]
    if _named(clustered) not in made:
        yield _unknown(way, "clustering", _named(clustered), made)


def _named(clustered: config.Clustered) -> str:
    return f"{clustered.representation} / {clustered.space} / {clustered.clusterer}"


def _of_fact(recorded: dict[str, list[str]], fact: config.Fact, way: Way) -> Mistakes:
    if fact.notebook not in recorded:
        yield _unknown((*way, "notebook"), "notebook", fact.notebook, recorded)
    elif fact.name not in recorded[fact.notebook]:
        allowed = recorded[fact.notebook]
        yield _unknown((*way, "name"), "fact", fact.name, allowed)


# --- leaderboards ---------------------------------------------------------------------------------


def _studies_in(board: Leaderboard) -> set[str]:
    """Return the studies whose networks the methods of a leaderboard use."""
    named = {view for row in board.rows for view in row.representation.split(methods.JOINED_BY)}
    return named & set(config.study_names())


def _boards_of_recipes() -> dict[str, list[str]]:
    """List the leaderboards of each recipe; files that cannot be read are left out."""
    boards: dict[str, list[str]] = {}
    for name in config.leaderboard_names():
        try:
            rows = config.load_leaderboard(name).rows
        except UserError:
            continue  # of a leaderboard that is not run
        for row in rows:
            if row.recipe is not None:
                boards.setdefault(row.recipe, []).append(name)
    return boards


def _of_board(
    board: Leaderboard, studies: dict[str, Study], recipes: dict[str, list[str]]
) -> Mistakes:
    yield from _of_images(board)
    most = _fewest(_available(board), board.images.first)
    fewest = _fewest(most, board.reduced_images)
    yield from _of_common_space(board, fewest)
    if board.n_clusters > fewest:
        limit = f"at most {fewest}, the fewest images that are clustered"
        yield _mistake(("n_clusters",), f"{limit} (found {board.n_clusters})")
    known = [*methods.HANDMADE, *methods.FROZEN, *methods.TRAINED, *config.study_names()]
    for place, row in enumerate(board.rows):
        is_sound = True
        parts = (row.representation, row.space, row.clusterer, row.k)
        for key, words in methods.mistakes(*parts, known):
            yield _mistake(("rows", place, key), words)
            is_sound = False
        for words in _misfits(row.representation, board, studies):
            yield _mistake(("rows", place, "representation"), words)
            is_sound = False
        if is_sound:
            # Reduced profiles run the quick ones, and any that has a name of its own.
            n_images = fewest if row.quick or row.recipe else most
            for key, words in _shortages(row.parsed, board, studies, n_images):
                yield _mistake(("rows", place, key), words)
        for other in recipes.get(row.recipe, []):
            if other != board.leaderboard:
                path = places.config() / "leaderboards" / f"{other}.yaml"
                words = f"{row.recipe!r} is also a recipe of {path}: give one another name"
                yield _mistake(("rows", place, "recipe"), words)


def _misfits(representation: str, board: Leaderboard, studies: dict[str, Study]) -> Iterator[str]:
    """Say which views cannot be of a leaderboard's images."""
    shape = DATASETS[board.dataset].shape[1:]
    for view in representation.split(methods.JOINED_BY):
        if view.startswith("deskewed") and view in methods.HANDMADE and len(shape) > 2:
            yield f"{view} is for grey images only"
        elif view in studies and DATASETS[studies[view].dataset].shape[1:] != shape:
            theirs = f"images of {studies[view].dataset}"
            yield f"{view} is a study of {theirs}, which differ in shape from {board.dataset}'s"


def _of_common_space(board: Leaderboard, n_images: int) -> Mistakes:
    for limit, words in (
        (math.prod(DATASETS[board.dataset].shape[1:]), "the pixels of an image"),
        (_fewest(board.internal_images, n_images), "the images on which indices are measured"),
    ):
        if board.common_space > limit:
            found = board.common_space
            yield _mistake(("common_space",), f"at most {limit}, {words} (found {found})")


def _shortages(
    method: methods.Method, board: Leaderboard, studies: dict[str, Study], n_images: int
) -> Iterator[tuple[str, str]]:
    """Say for what a method has too few features or images; yield the key and words."""
    shape, space = DATASETS[board.dataset].shape[1:], method.space
    features = [sizes.n_features(view, shape, studies) for view in method.views]
    if len(features) > 1:
        features = [min(VIEW_COMPONENTS, n) for n in features]
        yield from _too_few(
            "representation", methods.JOINED_BY.join(method.views), max(features), n_images
        )
    if space.kind == "pca" and space.n_components > sum(features):
        yield "space", f"at most {sum(features)}, the features (found {space.n_components})"
    elif space.kind == "pca":
        yield from _too_few("space", str(space), space.n_components, n_images)
    elif space.kind == "umap":
        least = max(LEAST_UMAP_POINTS, space.n_components + 2)
        yield from _too_few("space", str(space), least, n_images)


def _too_few(key: str, name: str, least: int, n_images: int) -> Iterator[tuple[str, str]]:
    if n_images < least:
        fewest = f"{n_images}, the fewest that are clustered"
        yield key, f"{name!r} needs at least {least} images (found {fewest})"
