"""Lines of progress that long computations print, and that ``run_all.sh`` passes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping


def print_epochs(total: int | None = None) -> Callable[[int, Mapping[str, float]], None]:
    """Return a function that prints the number, the losses and the time of each epoch.

    Parameters
    ----------
    total : int, optional
        Number of epochs; is printed beside each epoch's own number.
    """
    of_total = "" if total is None else f"/{total}"

    def print_epoch(epoch: int, values: Mapping[str, float]) -> None:
        losses = [f"{k.replace('_', ' ')} {v:.5f}" for k, v in values.items() if k != "seconds"]
        seconds = f"{values['seconds']:.1f} s"
        print(f"epoch {epoch}{of_total}: {', '.join([*losses, seconds])}", flush=True)

    return print_epoch


def print_tenths() -> Callable[[int, int], None]:
    """Return a function that prints how many images have features, at most ten times."""
    printed = 0

    def print_tenth(done: int, total: int) -> None:
        nonlocal printed
        step = max(1, total // 10)
        if done == total or done // step > printed:
            printed = done // step
            print(f"features {done}/{total}", flush=True)

    return print_tenth
