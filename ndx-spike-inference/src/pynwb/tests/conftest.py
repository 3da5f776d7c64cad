"""Files and folders that several tests use."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
from pynwb import NWBFile
from pynwb.file import Subject
from pynwb.testing.mock.file import mock_NWBFile


@pytest.fixture
def project() -> Path:
    """Root folder of the distribution."""
    return Path(__file__).resolve().parents[3]


@pytest.fixture
def nwbfile() -> NWBFile:
    """An empty file whose metadata an archive would accept."""
    return mock_NWBFile(
        session_start_time=datetime(2026, 1, 1, tzinfo=timezone.utc),
        session_description="A mock session.",
        experimenter=["Nobody, Ann"],
        institution="Nowhere",
        experiment_description="A mock experiment.",
        keywords=["spike inference"],
        subject=Subject(subject_id="mouse1", species="Mus musculus", sex="F", age="P50D", description="A mouse."),
    )
