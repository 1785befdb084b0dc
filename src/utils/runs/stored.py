"""Results of slow functions, stored for the next notebook or run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from utils import places
from utils.store.cache import load_or_compute
from utils.store.files import sha256_array


def stored(
    name: str, function: Callable[..., np.ndarray], features: np.ndarray, **arguments: Any
) -> np.ndarray:
    """Return ``function(features, **arguments)``, computed only where it is not stored yet.

    Parameters
    ----------
    name : str
        Name of the stored file.
    function : callable
        A public function of `utils`; a change of its module makes the stored result stale.
    features : ndarray
    **arguments
        JSON types only.
    """
    (array,) = load_or_compute(
        name,
        {"features": sha256_array(features), **arguments},
        (function.__module__,),
        lambda: {"result": function(features, **arguments)},
        places.cache(),
    ).values()
    return array
