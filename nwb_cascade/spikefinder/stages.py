"""The folder of a run: whose it is, and one file per finished stage, so that a killed run goes on where it was."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground_truth_nwb.appearing import appearing
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import write_text

RECORD = "run.json"
Arrays = dict[str, NDArray[Any]]


class StageFolder:
    """Results of a run, one ``.npz`` per stage; a file is there as a whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        Folder of the run; created if missing.
    facts : mapping
        Settings and hash of the data, JSON-able.

    Raises
    ------
    InputError
        If the folder belongs to a run of other facts, or to something else.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.path = path
        if path.exists() and not path.is_dir():
            raise InputError(f"Expected a folder for --out, {path} is a file.")
        record = path / RECORD
        if record.exists():
            _check_same(path, json.loads(record.read_text(encoding="utf-8")), facts)
        elif path.is_dir() and any(path.iterdir()):
            raise InputError(f"Expected an empty folder or one of this run, {path} holds other files. Name another.")
        path.mkdir(parents=True, exist_ok=True)
        write_text(record, json.dumps(dict(facts), indent=1, sort_keys=True) + "\n")

    def get(self, name: str, make: Callable[[], Mapping[str, Any]]) -> Arrays:
        """Read the arrays of a stage, or make and write them."""
        place = self.path / "stages" / f"{name}.npz"
        if (found := _read(place)) is not None:
            return found
        arrays = {key: np.asarray(value) for key, value in make().items()}
        place.parent.mkdir(exist_ok=True)
        with appearing(place) as partial, partial.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        return arrays


def _read(place: Path) -> Arrays | None:
    """Arrays of a stage; None where there is none, or only a damaged one."""
    try:
        with np.load(place) as stored:
            return {key: stored[key] for key in stored.files}
    except (FileNotFoundError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _check_same(path: Path, found: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    expected = json.loads(json.dumps(dict(facts)))
    if found == expected:
        return
    others = [key for key in sorted({*found, *expected}) if found.get(key) != expected.get(key)]
    listed = "; ".join(f"{key} was {found.get(key)}, now {expected.get(key)}" for key in others)
    raise InputError(f"{path} holds another run ({listed}). Name another folder for --out, or repeat that run.")
