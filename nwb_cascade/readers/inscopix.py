"""Traces that Inscopix's software exports as comma-separated values: cells, their verdicts, a line per frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.errors import InputError
from nwb_cascade.options import InferenceOptions
from nwb_cascade.readers.one_file import Finished, recording_of
from nwb_cascade.readers.reader import Reader
from nwb_cascade.readers.recording import Recording
from nwb_cascade.readers.sources import Source, is_remote, name_of

MARK = "Time(s)/Cell Status"  # begins the second line
HEAD_BYTES = 2**20


class InscopixReader(Reader):
    """Cells that were accepted are taken; where none was, those that were not rejected."""

    kind = "traces exported by Inscopix's software"
    takes = frozenset({"scale", "rois"})

    def recognises(self, source: Source) -> bool:
        path = Path(name_of(source))
        return not is_remote(source) and path.suffix.lower() == ".csv" and path.is_file() and len(_head(path)) == 2

    @contextmanager
    def open(self, source: Source, options: InferenceOptions, **_: Any) -> Iterator[tuple[Recording, ...]]:
        path = Path(name_of(source))
        names, verdicts = _head(path)
        times, traces = _table(path, len(names))
        statuses = np.array([one.lower() for one in verdicts])
        accepted = statuses == "accepted" if (statuses == "accepted").any() else statuses != "rejected"
        found = Finished(
            traces,
            FrameClock.from_timestamps(times),
            "traces",
            "Inscopix",
            roi_ids=_ids(names),
            accepted=None if accepted.all() else accepted,
            one_photon="Inscopix's software exported it",
        )
        yield (recording_of(path, found, options),)


def _head(path: Path) -> list[list[str]]:
    """Return names and verdicts of the cells; nothing for a file that is not of this kind."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        first, second = file.readline(HEAD_BYTES), file.readline(HEAD_BYTES)
    if not second.startswith(MARK):
        return []
    lines = [[one.strip() for one in line.rstrip("\n").split(",")[1:]] for line in (first, second)]
    return lines if len(lines[0]) == len(lines[1]) > 0 else []


def _table(path: Path, n_rois: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return times, s, and traces (n_rois, n_frames); a missing value is NaN."""
    import pandas as pd

    try:
        table = pd.read_csv(path, skiprows=2, header=None, dtype=np.float64, skipinitialspace=True)
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(f"Expected times and traces as numbers in {path} from its third line on: {error}.") from error
    if table.shape[1] != n_rois + 1:
        raise InputError(f"Expected {n_rois + 1} columns in {path}, as many as its head names, found {table.shape[1]}.")
    values = table.to_numpy()
    return values[:, 0], np.ascontiguousarray(values[:, 1:].T, np.float32)


def _ids(names: list[str]) -> NDArray[np.int64]:
    """Numbers of the cells, which are called C00, C01, ...; where they are called otherwise, their columns."""
    numbers = [re.fullmatch(r"\D*(\d+)", name) for name in names]
    ids = np.array([int(one[1]) if one else -1 for one in numbers], np.int64)
    return ids if ids.min() >= 0 and np.unique(ids).size == ids.size else np.arange(len(names))
