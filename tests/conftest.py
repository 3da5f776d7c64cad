"""Settings of all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# No test may depend on speed; on CI the examples are the same on every run, elsewhere new ones are tried.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")
