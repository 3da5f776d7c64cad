"""NWB 1 files of the Allen Brain Observatory (AllenSDK, 2016 to 2019): dF/F of their pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.options import InferenceOptions
from nwb_cascade.readers.one_file import Finished, holds, opened_hdf5, recording_of
from nwb_cascade.readers.reader import Reader
from nwb_cascade.readers.recording import Recording
from nwb_cascade.readers.sources import Source, name_of

# Names as AllenSDK reads them (allensdk.core.brain_observatory_nwb_data_set)
PIPELINE = "processing/brain_observatory_pipeline"
DFF, CELLS = f"{PIPELINE}/DfOverF/imaging_plane_1", f"{PIPELINE}/ImageSegmentation/cell_specimen_ids"
INDICATOR, SPECIES = "general/optophysiology/imaging_plane_1/indicator", "general/subject/species"


class AllenNwb1Reader(Reader):
    """``DfOverF`` of a session, (cells, frames), at its timestamps; cells are called by their specimen ids."""

    kind = "an NWB 1 file of the Allen Brain Observatory"
    takes = frozenset({"scale"})

    def recognises(self, source: Source) -> bool:
        return holds(source, (".nwb",), "nwb_version", f"{DFF}/data", f"{DFF}/timestamps")

    @contextmanager
    def open(self, source: Source, options: InferenceOptions, **_: Any) -> Iterator[tuple[Recording, ...]]:
        path = Path(name_of(source))
        with opened_hdf5(path) as file:
            traces = file[f"{DFF}/data"]
            cells = file.get(CELLS)
            known = cells is not None and cells.shape == traces.shape[:1] and cells.dtype.kind in "iu"
            found = Finished(
                traces,
                FrameClock.from_timestamps(np.asarray(file[f"{DFF}/timestamps"][: traces.shape[1]], np.float64)),
                f"{DFF}/data",
                "Allen Brain Observatory, NWB 1",
                roi_ids=np.asarray(cells[:], np.int64) if known and cells is not None else None,
                indicator=_text(file, INDICATOR),
                species=_text(file, SPECIES),
            )
            yield (recording_of(path, found, options),)


def _text(file: Mapping[str, Any], name: str) -> str | None:
    """A text of the file, whatever the kind of its storage."""
    one = file.get(name)
    if one is None or getattr(one, "shape", None) not in ((), (1,)):
        return None
    value = np.ravel(one[()])[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
