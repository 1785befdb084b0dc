"""Settings of all tests."""

from hypothesis import settings

# A loaded machine is slow, not wrong; and the same examples are tried everywhere.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")
