"""StoredRun: a run of spike inference read back from an NWB file, its matrices lazily."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pynwb import NWBFile

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.count_model import CountModel
from nwb_cascade.core.roi_warnings import RoiWarning, read_warning_texts
from nwb_cascade.core.spike_counts import DEFAULT_LEVEL, SpikeCounts, WholeCounts, spike_counts
from nwb_cascade.core.wording import counted, proposed
from nwb_cascade.dff import DffRows
from nwb_cascade.errors import AmbiguousSeriesError, InputError
from nwb_cascade.files.fence import fenced
from nwb_cascade.nwb.blocks import StoredTraces, TraceBlocks
from nwb_cascade.nwb.candidate import FACTORS
from nwb_cascade.nwb.discover import describe
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.objects import SPIKES, object_path, objects_of
from nwb_cascade.nwb.places import runs_of
from nwb_cascade.nwb.raw import reopen_raw_dff
from nwb_cascade.nwb.read import open_traces, roi_ids_of
from nwb_cascade.nwb.timing import clock_at, timing_of
from nwb_cascade.provenance import json_object

BLOCK_BYTES = 16 * 2**20  # of each of three matrices


@dataclass(frozen=True, eq=False)
class StoredRun:
    """One run in an open NWB file; valid as long as the file is open.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    nwbfile : pynwb.NWBFile
        The open file.
    series : InferredSpikeRateSeries
        The run as pynwb reads it.
    object_path : str
        Where it lies in the file.
    rates : TraceBlocks
        (n_rois, n_frames) expected spikes per frame, NaN where there is no value.
    ensemble_std, dff : TraceBlocks, DffRows or None
        Of the same shape; None if they are not in the file.
    dff_absent : str
        Why there is no dF/F, in words; empty if there is.
    clock : FrameClock
        When the frames were; ``imaging_rate`` is that of most of them, Hz, ``start_s`` the time of the first, s.
    roi_ids : numpy.ndarray
        (n_rois,) int64, identifiers in the table of ROIs.
    noise_levels, model_noise_levels : numpy.ndarray
        (n_rois,) float32, % Hz^-1/2; NaN if unknown, or no network was used.
    roi_warnings : tuple of RoiWarning
        What to know about single ROIs.
    spikes : Spikes or None
        Discrete spikes of this run; None if the file has none.
    """

    path: Path
    nwbfile: NWBFile
    series: Any
    object_path: str
    rates: TraceBlocks
    ensemble_std: TraceBlocks | None
    dff: TraceBlocks | DffRows | None
    dff_absent: str
    clock: FrameClock
    roi_ids: NDArray[np.int64]
    noise_levels: NDArray[np.float32]
    model_noise_levels: NDArray[np.float32]
    roi_warnings: tuple[RoiWarning, ...]
    spikes: Spikes | None

    @property
    def shape(self) -> tuple[int, int]:
        """(n_rois, n_frames)."""
        n_rois, n_frames = self.rates.shape
        return n_rois, n_frames

    @property
    def imaging_rate(self) -> float:
        """Rate of most frames, Hz."""
        return self.clock.imaging_rate

    @property
    def start_s(self) -> float:
        """Time of the first frame, s."""
        return self.clock.start_s

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Parameters of the run as they were stored."""
        return json_object(self.series.run_parameters)

    @property
    def counts(self) -> WholeCounts | None:
        """Spike counts of the ROIs with intervals, as they were stored; None if there are none."""
        series = self.series
        if series.spike_count is None or not series.spike_count_parameters:
            return None
        lower, upper = np.asarray(series.spike_count_interval[:], np.float64).T
        model = CountModel.from_dict(json_object(series.spike_count_parameters))
        expected = np.asarray(series.spike_count[:], np.float64)
        return WholeCounts(model, float(series.spike_count_level), expected, lower, upper)

    def spike_counts(self, window_s: float | None = 1.0, level: float = DEFAULT_LEVEL) -> SpikeCounts:
        """Count spikes in windows as `nwb_cascade.InferenceResult.spike_counts` does, with the stored distribution.

        Raises
        ------
        InputError
            As there, and if the run was stored without one.
        """
        stored = self.counts
        if stored is None:
            raise InputError(
                f"Expected the distribution of spike counts in {self.path}:{self.object_path}, found none: infer it "
                "anew with a model that has one (nwb-cascade infer --overwrite)."
            )
        rates = (self.rates[roi] for roi in range(self.shape[0]))
        return spike_counts(rates, self.noise_levels, stored.model, self.clock, window_s=window_s, level=level)

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Where the dF/F came from, as it was stored."""
        return json_object(self.series.source_provenance)


@dataclass(frozen=True, eq=False)
class Spikes:
    """Discrete spikes of a run: the table as pynwb reads it, and the row of each ROI (-1: none)."""

    table: Any
    rows: NDArray[np.int64]

    def times(self, roi: int) -> NDArray[np.float64]:
        """Spike times of one ROI, (n_spikes,), s on the file's clock."""
        row = int(self.rows[roi])
        if row < 0:
            return np.empty(0)
        return np.asarray(self.table["spike_times"][row], dtype=np.float64)

    def fit_errors(self) -> NDArray[np.float64]:
        """Misfit of each ROI's spikes, (n_rois,), see `nwb_cascade.discrete.DiscreteSpikes`; NaN if unknown."""
        stored = np.asarray(self.table["fit_error"].data[:], np.float64)
        return np.where(self.rows < 0, np.nan, np.append(stored, np.nan)[self.rows])


@contextmanager
def open_run(path: Path, run_name: str | None = None, *, scratch_dir: Path | None = None) -> Iterator[StoredRun]:
    """Open a file and one run of spike inference in it.

    Parameters
    ----------
    path : pathlib.Path
        NWB file, HDF5 or Zarr.
    run_name : str, optional
        Name or object path of the run; may be left out where the file holds one.
    scratch_dir : pathlib.Path, optional
        Folder of the temporary file that rates need whose chunks span all ROIs.

    Raises
    ------
    InputError
        If the file cannot be read, holds no inferred rates, no such run, or a run of no ROIs or frames.
    AmbiguousSeriesError
        If it holds several runs and none is named.
    OSError
        As for `nwb_cascade.nwb.files.open_nwb`.
    """
    fenced(str(path), lambda: _try(path, run_name))
    with open_nwb(path) as (nwbfile, _):
        run = read_run(path, nwbfile, _choose(nwbfile, run_name, path), scratch_dir)
        try:
            yield run
        finally:
            for matrix in (run.rates, run.ensemble_std, run.dff):
                if matrix is not None:
                    matrix.close()


def _try(path: Path, run_name: str | None) -> None:
    """Open a run for nothing but to see that it can be opened; warnings come when it is opened in earnest."""
    with warnings.catch_warnings(), open_nwb(path) as (nwbfile, _):
        warnings.simplefilter("ignore")
        read_run(path, nwbfile, _choose(nwbfile, run_name, path), None)


def _choose(nwbfile: NWBFile, run_name: str | None, path: Path) -> Any:
    """The run of this name or path, or the only one."""
    runs = runs_of(nwbfile)
    if not runs:
        raise InputError(
            f"Expected inferred spike rates in {path}, found none. Infer them first: {proposed('infer', path)}, then "
            "use the file that it writes."
        )
    listed = ", ".join(f"{one.name} ({place})" for place, one in sorted(runs.items()))
    if run_name is None and len(runs) > 1:
        raise AmbiguousSeriesError(
            f"Expected one run in {path}, found {len(runs)}: {listed}; pick one with run_name= (--run-name NAME)."
        )
    found = [one for place, one in runs.items() if run_name in (None, one.name, place)]
    if not found:
        raise InputError(f"Expected a run named {run_name!r} in {path}, found {listed}.")
    if len(found) > 1:
        raise AmbiguousSeriesError(
            f"Expected one run named {run_name!r} in {path}, found {len(found)}: {listed}; give its path with "
            "run_name= (--run-name PATH)."
        )
    return found[0]


def read_run(path: Path, nwbfile: NWBFile, series: Any, scratch_dir: Path | None) -> StoredRun:
    """Gather what is known of a run; reads no matrix."""
    place = object_path(series)
    where = f"{path}:{place}"
    n_rois, n_frames = StoredTraces(series.data, where=where).shape
    if n_rois == 0 or n_frames == 0:
        raise InputError(
            f"Expected traces in {where}, received {counted(n_rois, 'ROI')}, {counted(n_frames, 'frame')}."
        )
    rates = _blocks(series.data, where, scratch_dir)
    clock = _clock(series, n_frames, where)
    dff, why_not = _source_traces(nwbfile, series, rates.shape, clock)
    warnings, deviation = series.roi_warnings, series.ensemble_std
    return StoredRun(
        path=path,
        nwbfile=nwbfile,
        series=series,
        object_path=place,
        rates=rates,
        ensemble_std=None if deviation is None else _blocks(deviation, f"{where}/ensemble_std", scratch_dir),
        dff=dff,
        dff_absent=why_not,
        clock=clock,
        roi_ids=roi_ids_of(series),
        noise_levels=np.asarray(series.noise_level[:], np.float32),
        model_noise_levels=np.asarray(series.model_noise_level[:], np.float32),
        roi_warnings=() if warnings is None else read_warning_texts([str(text) for text in warnings[:]]),
        spikes=_spikes_of(nwbfile, series, n_rois),
    )


def _blocks(data: Any, where: str, scratch_dir: Path | None) -> TraceBlocks:
    return TraceBlocks(StoredTraces(data, where=where), block_bytes=BLOCK_BYTES, scratch_dir=scratch_dir)


def _source_traces(
    nwbfile: NWBFile, series: Any, shape: tuple[int, int], clock: FrameClock
) -> tuple[TraceBlocks | DffRows | None, str]:
    """The dF/F that the run was made from, or why it cannot be shown."""
    source = series.source_series
    if source is None:
        return None, "The file holds the inferred rates without the dF/F that they were made from."
    stored = json_object(series.source_provenance)
    made = json_object(series.run_parameters).get("dff")
    if isinstance(made, dict):
        return _raw_traces(nwbfile, series, made, shape, clock)
    scale = stored.get("scale")
    candidate = describe(source, nwbfile)
    rate = None if candidate.imaging_rate is not None else stored.get("imaging_rate_hz")
    try:
        traces = open_traces(
            nwbfile, candidate, scale=scale if scale in FACTORS else None, imaging_rate=rate, block_bytes=BLOCK_BYTES
        )
    except InputError as error:
        return None, f"The dF/F cannot be shown: {error}"
    if traces.dff.shape != shape:
        return None, f"The dF/F cannot be shown: it has the shape {traces.dff.shape}, the rates {shape}."
    return traces.dff, ""  # type: ignore[return-value]  # open_traces gives TraceBlocks


def _raw_traces(
    nwbfile: NWBFile, series: Any, made: Mapping[str, Any], shape: tuple[int, int], clock: FrameClock
) -> tuple[DffRows | None, str]:
    """The dF/F that was computed from raw fluorescence, computed again, or why it cannot be shown."""
    try:
        dff = reopen_raw_dff(nwbfile, series.source_series, made, clock)
    except (InputError, TypeError) as error:
        return None, f"The dF/F cannot be shown: {error}"
    if dff.shape != shape:
        return None, f"The dF/F cannot be shown: it has the shape {dff.shape}, the rates {shape}."
    return dff, ""


def _clock(series: Any, n_frames: int, where: str) -> FrameClock:
    """When the frames of a run were: as its timestamps or its rate say, or the rate that was given for it."""
    given = json_object(series.run_parameters).get("imaging_rate_hz")
    clock = clock_at(series, float(given), n_frames) if given else timing_of(series, n_frames).clock
    if clock is None:
        raise InputError(f"Expected a rate or timestamps in {where}, found neither: its frames have no time.")
    return clock


def _spikes_of(nwbfile: NWBFile, series: Any, n_rois: int) -> Spikes | None:
    """The table of discrete spikes that explains this run; the first by name where there are several."""
    tables = objects_of(nwbfile, SPIKES).values()
    mine = sorted((one for one in tables if one.rates is series), key=lambda one: str(one.name))
    if not mine:
        return None
    table = mine[0]
    row_of = {int(roi): row for row, roi in enumerate(table["roi"].data[:])}
    return Spikes(table, np.array([row_of.get(int(roi), -1) for roi in series.rois.data[:]][:n_rois], np.int64))
