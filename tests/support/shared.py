"""Where the material that is not committed lies: ground truth, published models, example recordings."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("NWB_CASCADE_SHARED", Path(__file__).parents[2].parent / "shared"))


def shared_path(relative: str) -> Path:
    """Return a path below the shared folder; skip the test where it is absent."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"{path} is not on this machine; set NWB_CASCADE_SHARED to the folder that holds it")
    return path
