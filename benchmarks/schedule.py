"""A simulation: how long many seeds of all studies take on a cluster, from times of single jobs.

No cluster was used for it. Jobs wait for those whose results they need and are started in their
order as soon as a node is free; queueing for the cluster and copying of files are left out.
"""

from __future__ import annotations

import heapq
from typing import Any

# Minutes of a job on two cores of an AMD EPYC with bfloat16 and without GPU, measured at the
# published scale; those of mnist-conv-ae on a faster one. Its training is the upper bound, 300
# epochs of 14 seconds.
MINUTES = {
    "mnist-cae": {"01": 1.8, "02": 20.0, "03": 1.5, "04": 1.2},
    "fashion-ae": {"01": 1.0, "02": 0.8, "03": 1.1, "04": 1.7},
    "cifar10-cae": {"01": 0.2, "02": 2.0, "03": 0.5, "04": 1.4},
    "mnist-conv-ae": {"01": 1.9, "02": 70.0, "03": 1.5, "04": 3.0},
}
AFTER_TRAINING = ("03", "04")
SEED_STUDIES = 1000
NODES = (10, 50, 200, 1000)  # of two cores, a job at a time
CORES_A_NODE = 2


def run() -> dict[str, Any]:
    """Simulate `SEED_STUDIES` runs of a study on clusters of several sizes."""
    rows = []
    for nodes in NODES:
        hours = simulate(nodes) / 60
        rows.append({"nodes": nodes, "hours": round(hours, 1)})
        print(f"  {nodes:,} nodes: {hours:.1f} hours", flush=True)
    core_hours = sum(sum(jobs.values()) for jobs in MINUTES.values()) / len(MINUTES)
    core_hours *= SEED_STUDIES * CORES_A_NODE / 60
    return {
        "what": f"simulated: {SEED_STUDIES:,} runs of a study, nodes of {CORES_A_NODE} cores",
        "rows": rows,
        "core_hours": round(core_hours),
    }


def simulate(nodes: int) -> float:
    """Return the minutes until the last job of all has ended on so many nodes."""
    runs = [(study, seed) for study in MINUTES for seed in range(SEED_STUDIES // len(MINUTES))]
    # The long trainings first, as a scheduler does that knows estimates.
    runs.sort(key=lambda run: -MINUTES[run[0]]["02"])
    free = [0.0] * nodes
    trained: dict[tuple[str, int], float] = {}
    last = 0.0
    for job in ("02", "01", "03", "04"):
        for study, seed in runs:
            ready = trained[study, seed] if job in AFTER_TRAINING else 0.0
            end = max(heapq.heappop(free), ready) + MINUTES[study][job]
            heapq.heappush(free, end)
            if job == "02":
                trained[study, seed] = end
            last = max(last, end)
    return last
