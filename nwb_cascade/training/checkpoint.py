"""The state of a training on disk: one file that is replaced as a whole, so that a kill never leaves half of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHECKPOINT = "checkpoint.npz"


def save_checkpoint(folder: Path, step: int, variables: Sequence[Any], record: Mapping[str, Any]) -> None:
    """Write the variables of a model and its optimiser, in their order, with the step and a JSON-able record."""
    arrays = {f"v{index:04d}": np.asarray(value) for index, value in enumerate(variables)}
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f".{CHECKPOINT}.new.npz"
    text = json.dumps({"step": step, **record}, sort_keys=True)
    with beside.open("wb") as file:
        np.savez(file, record=np.array(text), **arrays)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, folder / CHECKPOINT)


def load_checkpoint(folder: Path) -> tuple[int, list[NDArray[Any]], dict[str, Any]] | None:
    """Read what ``save_checkpoint`` wrote: (step, variables, record); None if there is no checkpoint."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    with np.load(path) as stored:
        record = json.loads(str(stored["record"]))
        variables = [stored[key] for key in sorted(stored.files) if key != "record"]
    return int(record.pop("step")), variables, record
