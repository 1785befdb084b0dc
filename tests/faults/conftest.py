"""Counts the faults that the tests of this folder try, and says at the end how they went."""

from collections import Counter

import pytest

TRIED, SURVIVED = Counter(), Counter()


class Faults:
    """A kind of fault. `tried` goes before each one; what follows without a failure survives it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def tried(self) -> None:
        TRIED[self.kind] += 1

    def survived(self) -> None:
        SURVIVED[self.kind] += 1


@pytest.fixture(scope="module")
def faults(request):
    """Count faults under the first line of the module's docstring."""
    return Faults(request.module.__doc__.splitlines()[0].partition(":")[0])


def pytest_terminal_summary(terminalreporter):
    if TRIED:
        terminalreporter.section("faults: tried, survived")
        for kind, n in TRIED.items():
            terminalreporter.line(f"{kind}: {n}, {SURVIVED[kind]}")
        total, well = sum(TRIED.values()), sum(SURVIVED.values())
        terminalreporter.line(f"in all: {total}, {well}")
