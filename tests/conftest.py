"""Settings of all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# What tests are made with holds none; looked through for examples, a preload that ends its process would end this one.
collect_ignore_glob = ["support/*"]

# No test may depend on speed; on CI the examples are the same on every run, elsewhere new ones are tried.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")
