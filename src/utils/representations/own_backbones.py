"""Frozen networks for a person's own pictures: offline, those of caches too."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from utils.config.load import is_offline
from utils.representations.pretrained import Backbone, _backbone_of_timm, load_backbone

_TIMM = "timm:"
_WEIGHTS = "model.safetensors"


def load_own_backbone(name: str, offline: bool = False) -> Backbone:
    """Load a frozen network as `pretrained.load_backbone` does.

    Offline, a ``timm:<model>`` whose weights an earlier download left in a cache is loaded from
    there. The parameters, and what is raised, are those of `load_backbone`.
    """
    if name.startswith(_TIMM) and (offline or is_offline()):
        model_name = name.removeprefix(_TIMM)
        path = cached_weights(model_name)
        if path is not None:
            import timm

            model = timm.create_model(
                model_name, pretrained=True, num_classes=0, pretrained_cfg_overlay={"file": path}
            )
            return _backbone_of_timm(name, name, model, f"timm, {model_name}")
    return load_backbone(name, offline)


def cached_weights(model_name: str) -> str | None:
    """Return the file of a timm model's weights in a cache; None if there is none."""
    import timm
    import torch
    from huggingface_hub import try_to_load_from_cache

    if not timm.is_model(model_name):
        return None
    known = timm.get_pretrained_cfg(model_name)
    if known is None:
        return None
    if known.hf_hub_id:
        name = known.hf_hub_filename or _WEIGHTS
        # A file that is known to be missing is noted there as well, as another kind of object.
        found = try_to_load_from_cache(known.hf_hub_id, name)
        if isinstance(found, str):
            return found
    if known.url:
        path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(known.url).path).name
        if path.is_file():
            return str(path)
    return None
