"""Settings of all tests."""

import pytest
from hypothesis import settings

from utils import recording

# A loaded machine is slow, not wrong; and the same examples are tried everywhere.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True, scope="session")
def cache_of_the_tests(tmp_path_factory):
    """Keep what tests compute out of the cache of real runs; one test may use another's results."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording, "CACHE", tmp_path_factory.mktemp("cache"))
        yield
