"""Add one run of spike inference to an NWB file: the model, the rates, and what made them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from hdmf.common import DynamicTable, DynamicTableRegion
from numpy.typing import NDArray
from pynwb import NWBFile, ProcessingModule, TimeSeries

from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.roi_warnings import RoiWarning, warning_texts
from nwb_cascade.core.spike_counts import WholeCounts
from nwb_cascade.core.traces import TraceArray
from nwb_cascade.core.wording import ranged
from nwb_cascade.nwb.kinds_of_series import region_of, series_at
from nwb_cascade.nwb.objects import is_taken
from nwb_cascade.nwb.places import module_of, place_of, require_free, spikes_tables
from nwb_cascade.nwb.read import roi_ids_of
from nwb_cascade.nwb.storage import appending, compressed
from nwb_cascade.nwb.timing import clock_at
from nwb_cascade.provenance import SOFTWARE, canonical_json, software_version

if TYPE_CHECKING:
    import ndx_spike_inference as ndx

OWN_TABLES = ("core", "hdmf-common")  # namespaces of the types of tables that a run may refer to
DEFAULT_MODULE_DESCRIPTION = "Optical physiology: results computed from imaging."


@dataclass(frozen=True, eq=False)
class RunRecord:
    """One run as it is stored.

    Parameters
    ----------
    name : str
        Name of the run and of its series in the file.
    source_path : str
        Path of the dF/F series in the file.
    config : ModelConfig
        The model.
    weights_sha256 : str
        Hash of its weights.
    expected_spikes, ensemble_std : TraceArray
        (n_rois, n_frames) float32, spikes per frame, NaN where nothing was inferred; stored time first. Without
        ``ensemble_std`` none is stored.
    noise_levels, model_noise_levels : numpy.ndarray
        (n_rois,) float32, % Hz^-1/2: of the traces, and of the networks that were used (NaN: none).
    valid_frames : numpy.ndarray
        (n_rois, 2) int64, first frame with a value and one past the last.
    roi_warnings : tuple of RoiWarning
        What to know about single ROIs.
    imaging_rate : float
        Hz; stored only if the source series has neither a rate nor a timestamp for every frame.
    alignment : {"trained", "published"}
        Frame that a value is written to.
    threshold : {"raw", "nonnegative", "single-spike"}
        What was done to small values.
    run_key : str
        Hash of inputs, model and parameters.
    run_parameters, source_provenance : str
        JSON objects as text.
    description : str
        What the values are, in a sentence.
    counts : WholeCounts or None
        Spike counts of the ROIs with intervals; None: none are stored.
    """

    name: str
    source_path: str
    config: ModelConfig
    weights_sha256: str
    expected_spikes: TraceArray
    ensemble_std: TraceArray | None
    noise_levels: NDArray[np.float32]
    model_noise_levels: NDArray[np.float32]
    valid_frames: NDArray[np.int64]
    roi_warnings: tuple[RoiWarning, ...]
    imaging_rate: float
    alignment: str
    threshold: str
    run_key: str
    run_parameters: str
    source_provenance: str
    description: str
    counts: WholeCounts | None = None


@dataclass(frozen=True, eq=False)
class Axes:
    """What the values of a run stand for: ROIs and times, those of its source.

    ``module`` is the processing module that the run goes to, ``time_base`` holds ``timestamps``, or ``rate`` and
    ``starting_time``; ``source`` is the dF/F series if it is in the same file.
    """

    module: str
    rois: DynamicTableRegion
    time_base: dict[str, Any]
    source: TimeSeries | None = None


def write_runs(
    path: Path, records: Sequence[RunRecord], *, overwrite: bool = False, progress: Progress | None = None
) -> tuple[str, ...]:
    """Add runs to an NWB file, HDF5 or Zarr, in place.

    Meant for a copy that nobody else has open: a run that dies here leaves the copy half written.

    Parameters
    ----------
    path : pathlib.Path
        NWB file; everything else in it stays as it is.
    records : sequence of RunRecord
        The runs. Matrices are read and stored a few ROIs at a time.
    overwrite : bool
        Replace a run of the same name, with the discrete spikes that explain it. Objects of other types are never
        replaced.
    progress : callable, optional
        Called with (ROIs stored, ROIs in all); a stored ``ensemble_std`` counts its ROIs as well.

    Returns
    -------
    tuple of str
        Object paths of the new series.

    Raises
    ------
    NameTakenError
        If a name is taken and may not be replaced.
    InputError
        If a source series is not in the file.
    """
    program = (SOFTWARE, software_version())
    with appending(path, generator=program) as (nwbfile, io):
        places = [place_of(nwbfile, record.source_path, record.name) for record in records]
        for place in places:
            require_free(place, overwrite=overwrite)
        taken = [place.object_path for place in places if place.taken_by is not None]
        replaced = [one for place in taken for one in (place, *spikes_tables(nwbfile, place))]
        if not replaced:
            _add_all(nwbfile, records, path, progress)
            io.write(nwbfile)
    if replaced:
        with appending(path, remove=replaced, generator=program) as (nwbfile, io):
            _add_all(nwbfile, records, path, progress)
            io.write(nwbfile)
    return tuple(place.object_path for place in places)


def _add_all(nwbfile: NWBFile, records: Sequence[RunRecord], path: Path, progress: Progress | None) -> None:
    for record in records:
        _add_to_source(nwbfile, record, path, progress)


def _add_to_source(nwbfile: NWBFile, record: RunRecord, path: Path, progress: Progress | None) -> None:
    """Add a run to the file that holds its source."""
    source = series_at(nwbfile, record.source_path)
    stored = partial(compressed, path=path, progress=progress)
    add_run(nwbfile, record, _axes(nwbfile, source, record), stored)


def add_run(
    nwbfile: NWBFile, record: RunRecord, axes: Axes, stored: Callable[[TraceArray], Any]
) -> ndx.InferredSpikeRateSeries:
    """Add model, series and program to an open file, or to one in memory; ``stored`` hands a matrix to pynwb."""
    module = _module(nwbfile, axes.module)
    model = _stored_model(module, record) or _add_model(nwbfile, module, record)
    series = _rates(record, axes, model, stored)
    module.add(series)
    if nwbfile.was_generated_by is None:
        nwbfile.was_generated_by = [[SOFTWARE, software_version()]]
        nwbfile.set_modified()
    return series


def _axes(nwbfile: NWBFile, source: TimeSeries, record: RunRecord) -> Axes:
    """Those of the source itself; its timestamps are shared if they are those of its frames."""
    times = time_base(source, record)
    if "timestamps" in times and np.array_equal(times["timestamps"], source.timestamps[:]):
        times = {"timestamps": source}
    module, (_, table) = module_of(source), region_of(source)
    if table is not None and table.namespace in OWN_TABLES:
        return Axes(module, source.rois, times, source)
    ids = roi_ids_of(source, len(record.noise_levels))
    return Axes(module, made_region(nwbfile, module, source.name, ids), times, source)


def made_region(nwbfile: NWBFile, module: str, series: str, roi_ids: NDArray[np.int64]) -> DynamicTableRegion:
    """Return the ROIs of a series that names none, or in a table of a type that others defined: a table of their ids.

    The types of another extension are unknown where those of ours are validated. The table is made once per series.
    """
    home, name = _module(nwbfile, module), f"{series}_rois"
    table = home.data_interfaces.get(name)
    if not isinstance(table, DynamicTable) or list(table.id[:]) != list(roi_ids):
        names = itertools.chain((name,), (f"{name}_{number}" for number in itertools.count(2)))
        name = next(one for one in names if not is_taken(nwbfile, home, one))
        table = DynamicTable(name=name, description=f"Ids of the ROIs of {series}.", id=[int(one) for one in roi_ids])
        home.add(table)
    return table.create_region(name="rois", region=list(range(len(roi_ids))), description=f"ROIs of {series}.")


def time_base(source: TimeSeries, record: RunRecord) -> dict[str, Any]:
    """Return timestamps of the frames of a series, or rate and start, so that rates line up with the traces."""
    clock = clock_at(source, record.imaging_rate, record.expected_spikes.shape[1])
    if clock.timestamps is not None:
        return {"timestamps": clock.timestamps}
    return {"rate": clock.imaging_rate, "starting_time": clock.start_s}


def _module(nwbfile: NWBFile, name: str) -> ProcessingModule:
    if name in nwbfile.processing:
        return nwbfile.processing[name]
    return nwbfile.create_processing_module(name, DEFAULT_MODULE_DESCRIPTION)


def _stored_model(module: ProcessingModule, record: RunRecord) -> ndx.SpikeInferenceModel | None:
    """Return the same model if an earlier run has stored it."""
    import ndx_spike_inference as ndx

    for model in module.data_interfaces.values():
        if (
            isinstance(model, ndx.SpikeInferenceModel)
            and model.weights_sha256 == record.weights_sha256
            and model.configuration == record.config.to_json()
        ):
            found: ndx.SpikeInferenceModel = model
            return found
    return None


def _add_model(nwbfile: NWBFile, module: ProcessingModule, record: RunRecord) -> ndx.SpikeInferenceModel:
    """Store the model under its name; one that is taken gets the start of the weights' hash behind it."""
    import ndx_spike_inference as ndx

    config = record.config
    plain = re.sub(r"[/:]", "_", config.name)
    marked = f"{plain}_{record.weights_sha256[:8]}"
    names = itertools.chain((plain, marked), (f"{marked}_{number}" for number in itertools.count(2)))
    name = next(name for name in names if name != record.name and not is_taken(nwbfile, module, name))
    model: ndx.SpikeInferenceModel = ndx.SpikeInferenceModel(
        name=name,
        version=config.version,
        family=str(config.extra.get("family", config.architecture)),
        architecture=config.architecture,
        kernel=config.kernel,
        smoothing_s=float(config.smoothing_s),
        ensemble_size=config.ensemble_size,
        weights_sha256=record.weights_sha256,
        software_name=SOFTWARE,
        software_version=software_version(),
        description=_description(config),
        model_rates_hz=np.array(config.model_rates_hz, np.float64),
        noise_levels=np.array(config.noise_levels, np.float64),
        configuration=config.to_json(),
        training_datasets=list(config.training_datasets) or None,
        license=config.licence or None,
        citation=config.citation or None,
    )
    module.add(model)
    return model


def _description(config: ModelConfig) -> str:
    indicators = f" of {', '.join(config.indicators)}" if config.indicators else ""
    return f"Infers expected spikes per frame from dF/F{indicators} recorded at {ranged(*config.model_rates_hz)} Hz."


def _rates(
    record: RunRecord, axes: Axes, model: ndx.SpikeInferenceModel, stored: Callable[[TraceArray], Any]
) -> ndx.InferredSpikeRateSeries:
    """Describe the run as an NWB object on the time base and the ROIs of its source."""
    import ndx_spike_inference as ndx

    deviation = record.ensemble_std
    warnings = warning_texts(record.roi_warnings, len(record.noise_levels))
    rates: ndx.InferredSpikeRateSeries = ndx.InferredSpikeRateSeries(
        name=record.name,
        description=record.description,
        data=stored(record.expected_spikes),
        ensemble_std=None if deviation is None else stored(deviation),
        rois=axes.rois,
        model=model,
        source_series=axes.source,
        noise_level=record.noise_levels,
        model_noise_level=record.model_noise_levels,
        valid_frames=record.valid_frames,
        roi_warnings=list(warnings) if any(warnings) else None,
        alignment=record.alignment,
        threshold=record.threshold,
        run_key=record.run_key,
        run_parameters=record.run_parameters,
        source_provenance=record.source_provenance,
        **_counts(record.counts),
        **axes.time_base,
    )
    return rates


def _counts(counts: WholeCounts | None) -> dict[str, Any]:
    """Spike counts of the ROIs as fields of the series."""
    if counts is None:
        return {}
    return {
        "spike_count": counts.expected.astype(np.float32),
        "spike_count_interval": np.stack([counts.lower, counts.upper], axis=1).astype(np.float32),
        "spike_count_level": counts.level,
        "spike_count_class": counts.model.kind,
        "spike_count_gain": counts.model.gain,
        "spike_count_parameters": canonical_json(counts.model.to_dict()),
    }
