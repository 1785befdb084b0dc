"""What of a study's file decides its numbers: not its texts, reported values and claims."""

from __future__ import annotations

from typing import Any

from utils.config.schema import Study

_DATA = ("dataset", "images", "kmeans")
_CODE = ("space", "gmm", "dbscan")


def settings_of(study: Study) -> dict[str, dict[str, Any]]:
    """Return the settings that decide the scores of each representation of a study.

    Parameters
    ----------
    study : Study
        As its file has it, before a profile limits it.

    Returns
    -------
    dict of str to dict
        By the representation's name in every table: the data and k-means of all; of an autoencoder
        also its protocol, and the space and the further clusterers of its code. JSON types only.
        What is not given counts as its default, so that an option that is new and not used leaves
        the settings as they were.
    """
    content = study.model_dump(mode="json", exclude_defaults=True)
    data = {key: content[key] for key in _DATA if key in content}
    code = {key: content[key] for key in _CODE if key in content}
    if study.gmm is not None:
        code["gmm"] = _without_words(code["gmm"])
    networks = {"autoencoder": study.autoencoder}
    networks |= {
        f"autoencoder-{one.name}": one.changed(study.autoencoder) for one in study.variants
    }
    found = {name: data for name in ("pixels", *study.backbones)}
    for name, protocol in networks.items():
        found[name] = data | code | {"autoencoder": protocol.model_dump(mode="json")}
    return found


def _without_words(gmm: dict[str, Any]) -> dict[str, Any]:
    also_in = [{k: v for k, v in one.items() if k != "why"} for one in gmm.get("also_in", [])]
    return {**gmm, "also_in": also_in}
