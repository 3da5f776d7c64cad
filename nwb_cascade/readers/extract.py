"""Results of EXTRACT, ``.mat`` files of MATLAB 5 and 7.3 with its output struct: the traces of its cells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.errors import InputError
from nwb_cascade.options import InferenceOptions
from nwb_cascade.readers.matrix import is_mat73
from nwb_cascade.readers.one_file import Finished, given_rate, holds, opened_hdf5, recording_of
from nwb_cascade.readers.reader import Reader
from nwb_cascade.readers.recording import Recording
from nwb_cascade.readers.sources import Source, is_remote, name_of

# Struct and its traces: as EXTRACT's tutorials call them, and as versions before 1.0 did
STRUCTS = {"output": "temporal_weights", "extractAnalysisOutput": "traces"}
NORMALISED = "preprocess"  # of its config: the movie became dF/F first
NO_DFF = "EXTRACT was told not to turn the movie into dF/F (config.preprocess is 0): its traces have the movie's unit."
THINNED = "EXTRACT thinned the movie in time {factor:g}-fold: if its traces are of that movie, so is the imaging rate."


class ExtractReader(Reader):
    """The temporal weights, frames by cells in MATLAB; they are dF/F unless EXTRACT did not preprocess the movie."""

    kind = "a results file of EXTRACT"
    takes = frozenset({"imaging_rate", "scale"})

    def recognises(self, source: Source) -> bool:
        path = Path(name_of(source))
        if is_remote(source) or path.suffix.lower() != ".mat" or not path.is_file():
            return False
        if is_mat73(path):
            return any(holds(path, (".mat",), f"{struct}/{traces}") for struct, traces in STRUCTS.items())
        from scipy.io import whosmat

        try:
            structs = [name for name, _, kind in whosmat(path) if name in STRUCTS and kind == "struct"]
            return bool(structs) and hasattr(_mat5(path)[structs[0]], STRUCTS[structs[0]])
        except Exception:  # scipy raises whatever a damaged file leads to; who reads the matrix tells of it
            return False

    def check(self, source: Source, options: InferenceOptions) -> None:
        super().check(source, options)
        given_rate(options, None, name_of(source))

    @contextmanager
    def open(self, source: Source, options: InferenceOptions, **_: Any) -> Iterator[tuple[Recording, ...]]:
        path = Path(name_of(source))
        with _output(path) as (variable, traces, config):
            rate = given_rate(options, None, path)[0]
            normalised, thinned = config.get(NORMALISED), config.get("downsample_time_by") or 1.0
            notes = [NO_DFF] if normalised == 0 else []
            notes += [THINNED.format(factor=thinned)] if thinned > 1 else []
            clock = FrameClock.from_rate(rate, int(traces.shape[1]))
            yield (recording_of(path, Finished(traces, clock, variable, "EXTRACT", notes=notes), options),)


@contextmanager
def _output(path: Path) -> Iterator[tuple[str, Any, dict[str, float]]]:
    """Yield the name of the traces, the traces (n_rois, n_frames), and the numbers of EXTRACT's configuration."""
    if is_mat73(path):
        with opened_hdf5(path) as file:
            struct = next(one for one in STRUCTS if f"{one}/{STRUCTS[one]}" in file)
            traces = file[f"{struct}/{STRUCTS[struct]}"]  # HDF5 holds MATLAB's axes in reverse: cells first
            config = file.get(f"{struct}/config", {})
            numbers = {name: float(one[0, 0]) for name, one in config.items() if getattr(one, "shape", None) == (1, 1)}
            yield f"{struct}.{STRUCTS[struct]}", _two_axes(traces, path), numbers
        return
    loaded = _mat5(path)
    struct = next(one for one in STRUCTS if one in loaded)
    output, name = loaded[struct], STRUCTS[struct]
    weights = np.asarray(getattr(output, name))
    fields = vars(getattr(output, "config", object)) if hasattr(output, "config") else {}
    numbers = {one: float(value) for one, value in fields.items() if isinstance(value, (int, float, np.number))}
    yield f"{struct}.{name}", _two_axes(weights[None, :] if weights.ndim == 1 else weights.T, path), numbers


def _mat5(path: Path) -> dict[str, Any]:
    """Return the structs of EXTRACT in a file of MATLAB 5."""
    from scipy.io import loadmat

    loaded: dict[str, Any] = loadmat(path, variable_names=list(STRUCTS), squeeze_me=True, struct_as_record=False)
    return loaded


def _two_axes(traces: Any, path: Path) -> Any:
    """Return traces that are a matrix of numbers."""
    if getattr(traces, "ndim", 0) != 2 or traces.dtype.kind not in "fiu":
        raise InputError(f"Expected the traces of EXTRACT in {path} as a matrix of numbers, received {traces!r:.80}.")
    return traces
