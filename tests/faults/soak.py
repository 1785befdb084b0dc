"""Many quick runs in a row, with kills and damage at random, and then the same tables.

    python tests/faults/soak.py [RUNS] [STUDY]

In a clone of the committed state in a temporary folder, with this environment and this data. A run
is killed (the command, its workflow or a notebook's kernel) or finds a file of an earlier run
damaged. At the end one undisturbed run must give the tables of a clone that was never disturbed,
and neither processes nor temporary files may be left. Says what it did; status 1 if anything is
off.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pandas as pd
from processes import processes_in

ROOT = Path(__file__).resolve().parents[2]
TABLES = ("metrics.csv", "reported_vs_reproduced.csv", "confusion.parquet", "assignments.parquet")
# A notebook, its kernel and what they are forked from have one command line: one of them is killed.
FORKS = "commands.warm_start serve"
KILLS = {"the command": "-m commands --studies", "the workflow": "snakemake", "a fork": FORKS}
DAMAGES = ("truncated", "flipped", "zeroed", "removed")
SECONDS_TO_END = 60


def main(n_runs: int, study: str) -> int:
    random.seed(0)
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        calm, stormy = (_clone(Path(name) / which) for which in ("calm", "stormy"))
        _finish(_start(calm, study))
        done: Counter[str] = Counter()
        for number in range(n_runs):
            what = _disturbed_run(stormy, study)
            done[what] += 1
            left = processes_in(stormy)
            print(f"[{number + 1}/{n_runs}] {what}; processes left: {len(left)}", flush=True)
            if left:
                print(*left.values(), sep="\n")
                return 1
        _finish(_start(stormy, study))
        faults = [*_differences(calm, stormy), *_leftovers(stormy)]
    print(*(f"{what}: {n}" for what, n in sorted(done.items())), sep="\n")
    print(*faults or ["the same tables; no processes and no temporary files left"], sep="\n")
    return 1 if faults else 0


def _clone(folder: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


def _start(clone: Path, study: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "commands", "--studies", study],
        cwd=clone,
        env=os.environ | {"PYTHONPATH": str(clone / "src"), "DATA_DIR": str(ROOT / "data")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _finish(process: subprocess.Popen) -> None:
    said, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"an undisturbed run failed:\n{said}")


def _disturbed_run(clone: Path, study: str) -> str:
    """Disturb one run in a way of chance; return in words what was done."""
    files = [
        path
        for folder in ("runs", "reports/quick")
        for path in sorted((clone / folder).rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".log"
    ]
    if files and random.random() < 0.4:
        how = random.choice(DAMAGES)
        _damage(random.choice(files), how)
        process = _start(clone, study)
        # Killed as well, later on, or left to end.
        _kill_after(process, clone, KILLS["the command"], random.uniform(5, 60))
        return f"a file {how}"
    what = random.choice(list(KILLS))
    process = _start(clone, study)
    _kill_after(process, clone, KILLS[what], random.uniform(1, 30))
    return f"{what} killed"


def _damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    at = random.randrange(max(1, len(content)))
    if how == "removed":
        path.unlink()
        return
    if how == "truncated":
        del content[at:]
    elif how == "zeroed":
        content = bytearray(len(content))
    elif content:
        content[at] ^= 1 << random.randrange(8)
    path.write_bytes(content)


def _kill_after(process: subprocess.Popen, clone: Path, word: str, seconds: float) -> None:
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        targets = [pid for pid, command in processes_in(clone).items() if word in command]
        if targets and word == FORKS:
            targets = [random.choice(targets)]
        for pid in targets or [process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if word != KILLS["the command"]:
            # It goes on, or ends with an error: both are fine.
            process.communicate(timeout=300)
    process.wait()
    ends = time.monotonic() + SECONDS_TO_END
    while processes_in(clone) and time.monotonic() < ends:
        time.sleep(0.5)


def _differences(calm: Path, stormy: Path) -> list[str]:
    said = []
    for name in TABLES:
        read = pd.read_parquet if name.endswith(".parquet") else pd.read_csv
        one, other = (read(clone / "reports/quick" / name) for clone in (calm, stormy))
        if not one.equals(other):
            said.append(f"{name} differs: {len(one)} and {len(other)} rows")
            rows = pd.concat([one, other]).drop_duplicates(keep=False)
            said.append(rows.head(10).to_string())
    return said


def _leftovers(clone: Path) -> list[str]:
    return [f"left over: {path.relative_to(clone)}" for path in _hidden(clone)]


def _hidden(clone: Path) -> list[Path]:
    """List the hidden files and folders of results but those that belong there."""
    known = {".lock", ".complete", ".files.json"}
    return [
        path
        for folder in ("runs", "reports")
        for path in (clone / folder).rglob(".*")
        if path.name not in known
    ]


if __name__ == "__main__":
    if shutil.which("git") is None:
        raise SystemExit("git is needed")
    words = sys.argv[1:]
    sys.exit(main(int(words[0]) if words else 50, words[1] if len(words) > 1 else "mnist-cae"))
