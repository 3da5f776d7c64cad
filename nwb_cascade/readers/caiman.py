"""CaImAn's results, the HDF5 file of ``CNMF.save``: dF/F of the components that it accepted, or of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.traces import TraceArray
from nwb_cascade.errors import InputError
from nwb_cascade.options import InferenceOptions
from nwb_cascade.readers.one_file import Finished, given_rate, holds, opened_hdf5, recording_of
from nwb_cascade.readers.one_photon import require_one_photon
from nwb_cascade.readers.reader import Reader
from nwb_cascade.readers.recording import Recording
from nwb_cascade.readers.sources import Source, name_of

DFF, RATE, ACCEPTED = "estimates/F_dff", "params/data/fr", "estimates/idx_components"
DENOISED, RESIDUAL = "estimates/C", "estimates/YrA"
METHOD, RING_MODEL = "params/init/method_init", "params/init/center_psf"


class CaimanReader(Reader):
    """``F_dff`` of the file's ``estimates``; CaImAn writes the text ``NoneType`` where something was not computed."""

    kind = "a results file of CaImAn"
    takes = frozenset({"imaging_rate", "scale", "rois"})

    def recognises(self, source: Source) -> bool:
        return holds(source, (".hdf5", ".h5"), DENOISED, "params/data")

    @contextmanager
    def open(self, source: Source, options: InferenceOptions, **_: Any) -> Iterator[tuple[Recording, ...]]:
        path = Path(name_of(source))
        with opened_hdf5(path) as file:
            if one_photon := _one_photon(file):
                require_one_photon(str(path), one_photon, options)  # before the advice to compute dF/F
            traces, variable = _traces(path, file, options)
            n_rois, n_frames = traces.shape
            rate, notes = given_rate(options, _number(file, RATE), path)
            rows = _array(file, ACCEPTED)
            found = Finished(
                traces,
                FrameClock.from_rate(rate, n_frames),
                variable,
                "CaImAn",
                accepted=None if rows is None else np.isin(np.arange(n_rois), rows),
                one_photon=one_photon,
                notes=notes,
            )
            yield (recording_of(path, found, options),)


class Summed:
    """The sum of two matrices of one shape, read some rows at a time."""

    def __init__(self, first: TraceArray, second: TraceArray) -> None:
        self._both = first, second
        self.shape = tuple(first.shape)

    def __getitem__(self, rois: Any) -> NDArray[Any]:
        first, second = (np.asarray(one[rois], np.float64) for one in self._both)
        return first + second


def _traces(path: Path, file: Mapping[str, Any], options: InferenceOptions) -> tuple[TraceArray, str]:
    """Return dF/F, or for one-photon data without it the traces that CaImAn found, with their noise."""
    dff, denoised, residual = (_matrix(file, name) for name in (DFF, DENOISED, RESIDUAL))
    if dff is not None:
        return dff, DFF
    if options.one_photon and denoised is not None and residual is not None and residual.shape == denoised.shape:
        return Summed(denoised, residual), f"{DENOISED} + {RESIDUAL}"
    raise InputError(
        f"Expected dF/F in {path}, but it is a results file of CaImAn without: compute it by "
        "cnm.estimates.detrend_df_f() and save the file anew. Its C is denoised: the noise is what the networks read."
    )


def _one_photon(file: Mapping[str, Any]) -> str:
    """By which of CaImAn's parameters the data are known to be one-photon: those of CNMF-E."""
    method = file.get(METHOD)
    text = method.asstr()[()] if method is not None and method.shape == () and method.dtype.kind == "O" else ""
    if text == "corr_pnr" or _number(file, RING_MODEL):
        return f"CaImAn ran CNMF-E: method_init is {text or 'unknown'}, center_psf {bool(_number(file, RING_MODEL))}"
    return ""


def _array(file: Mapping[str, Any], name: str) -> NDArray[Any] | None:
    """A vector of numbers; None where CaImAn had none."""
    one = file.get(name)
    is_vector = one is not None and getattr(one, "ndim", 0) == 1 and one.dtype.kind in "biuf"
    return np.asarray(one[:]) if is_vector and one is not None else None


def _matrix(file: Mapping[str, Any], name: str) -> Any:
    one = file.get(name)
    return one if one is not None and getattr(one, "ndim", 0) == 2 and one.dtype.kind in "fiu" else None


def _number(file: Mapping[str, Any], name: str) -> float | None:
    one = file.get(name)
    is_number = one is not None and getattr(one, "shape", None) == () and one.dtype.kind in "biuf"
    return float(one[()]) if is_number and one is not None else None
