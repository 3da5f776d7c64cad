"""A DANDI server with a small archive; no test of this folder leaves the machine."""

import os

import pytest
from dandi import utils

from tests.support.dandi_content import Archive
from tests.support.dandi_server import DandiServer

API_KEYS = [name for name in os.environ if name.endswith("_API_KEY")]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    """No update check over the internet, no token, cache or default instance of whoever runs the tests."""
    utils._get_instance.cache_clear()  # what was found out of another server on the same port
    monkeypatch.setenv("DANDI_NO_ET", "1")
    monkeypatch.setenv("NWB_CASCADE_CACHE", str(tmp_path / "cache"))
    for name in [*API_KEYS, "DANDI_INSTANCE"]:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def archive():
    """One open dandiset with a published version and a newer draft, one embargoed."""
    archive = Archive()
    dandiset = archive.add("000001")
    for subject in range(3):
        dandiset.add(f"sub-{subject}/sub-{subject}_ophys.nwb", f"content of {subject}".encode() * 20)
    dandiset.add("sub-0/readme.txt", b"not a recording")
    dandiset.publish("0.240101.0001")
    dandiset.add("sub-9/sub-9_ophys.nwb", b"only in the draft")
    archive.add("000002", embargoed=True).add("sub-s/sub-s_ophys.nwb", b"secret content")
    return archive


@pytest.fixture
def server(archive):
    with DandiServer(archive) as server:
        yield server
