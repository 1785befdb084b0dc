"""Settings of all tests, how they are shared between workers, and the count of the faults tried."""

import os
from collections import Counter
from contextlib import ExitStack

# It comes before any library that reads it; kernels and commands of the tests inherit it. Threads
# that spin while they wait take a shared core from the one that they wait for: seven times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the cores. Networks are trained by all of them, as the workflow does it.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TRAINING_THREADS", str(os.cpu_count()))

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from utils import places

# A loaded machine is slow, not wrong; and the same examples are tried everywhere.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True, scope="session")
def runs_of_the_tests(tmp_path_factory):
    """Keep what tests run out of the real runs; one test may use another's stored results."""
    with places.elsewhere(runs=tmp_path_factory.mktemp("runs")):
        yield


@pytest.fixture
def elsewhere():
    """Let the repository, or a part of it, lie elsewhere until the test ends."""
    with ExitStack() as stack:
        yield lambda *root, **parts: stack.enter_context(places.elsewhere(*root, **parts))


# --- sharing the tests between workers --------------------------------------------------------


class SharedByFile(LoadScopeScheduling):
    """Give each worker whole files, whose tests share fixtures, and one of them all notebooks.

    A notebook's cells share a kernel, and the notebooks share what they train and store.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return "notebooks" if file.endswith(".ipynb") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return SharedByFile(config, log)


# --- the faults that were tried ---------------------------------------------------------------

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


def pytest_sessionfinish(session):
    """Send a worker's counts to the process that prints the summary."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["faults"] = (dict(TRIED), dict(SURVIVED))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    tried, survived = getattr(node, "workeroutput", {}).get("faults", ({}, {}))
    TRIED.update(tried)
    SURVIVED.update(survived)


def pytest_terminal_summary(terminalreporter):
    if TRIED:
        terminalreporter.section("faults: tried, survived")
        for kind, n in TRIED.items():
            terminalreporter.line(f"{kind}: {n}, {SURVIVED[kind]}")
        total, well = sum(TRIED.values()), sum(SURVIVED.values())
        terminalreporter.line(f"in all: {total}, {well}")
