"""The whole command, as a user calls it: in a fresh clone, and again with nothing to do."""

from __future__ import annotations

import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from utils.places import ROOT

COLD, WARM, NOTHING = "fresh clone", "results removed, data and environment kept", "nothing changed"


def run() -> dict[str, Any]:
    """Clone the committed state and run the quick profile in it three times."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        seconds = {COLD: _timed(clone)}
        subprocess.run(["rm", "-rf", str(clone / "runs"), str(clone / "reports/quick")], check=True)
        seconds[WARM] = _timed(clone)
        seconds[NOTHING] = _timed(clone)
    what = "`./run_all.sh`, quick profile, all studies and leaderboards"
    return {"what": what, "seconds": seconds}


def _timed(clone: Path) -> float:
    started = time.perf_counter()
    subprocess.run(["./run_all.sh"], cwd=clone, check=True, stdout=subprocess.DEVNULL)
    return round(time.perf_counter() - started, 1)
