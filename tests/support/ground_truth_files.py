"""Ground truth files in the layouts that the converters read: MATLAB 5 and 7.3, Spikefinder, NWB of others."""

import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from pynwb import NWBHDF5IO, NWBFile
from pynwb.base import TimeSeriesReference
from pynwb.file import Subject
from pynwb.icephys import CurrentClampSeries, IntracellularResponsesTable
from pynwb.ophys import DfOverF, Fluorescence, ImageSegmentation, OpticalChannel, RoiResponseSeries
from scipy.io import savemat

from ground_truth_nwb.cells import Cell, Trial

START = datetime(2020, 3, 4, 12, tzinfo=timezone.utc)
CASCADE_FOLDER = "DS30-GCaMP8f-m-V1"
CASCADE_NAME = "CAttached_jGCaMP8f_471993_1_mini.mat"


def make_trial(n_frames: int = 40, rate: float = 20.0, spikes: Sequence[float] = (0.31, 0.32, 1.5)) -> Trial:
    """A trial of seeded noise on a regular clock."""
    dff = np.random.default_rng(0).normal(0.0, 0.1, n_frames).astype(np.float32)
    return Trial(np.arange(n_frames) / rate, dff, np.asarray(spikes, dtype=np.float64))


def make_cell(**changes: Any) -> Cell:
    """A cell of two trials, the second with jittered times and frames behind a closed shutter."""
    jittered = make_trial(spikes=(-0.5, 2.0))
    times = jittered.time_s + np.random.default_rng(1).normal(0.0, 1e-3, jittered.n_frames) - 0.2
    facts: dict[str, Any] = {
        "dataset": "DS30",
        "cell_id": "jGCaMP8f-471993-1",
        "animal_id": "471993",
        "animal_basis": "six digits in the file name",
        "indicator": "jGCaMP8f",
        "trials": (make_trial(), Trial(times, jittered.dff, jittered.spike_times_s, first_valid_frame=3)),
        "trial_numbers": (0, 2),
    }
    return Cell(**{**facts, **changes})


def cascade_fields(n_frames: int = 60, rate: float = 20.0) -> dict[str, Any]:
    """The fields of one trial in the orientation and types that most files have."""
    rng = np.random.default_rng(2)
    return {
        "events_AP": np.array([[3100.0], [3205.5], [15000.0]]),
        "fluo_time": np.arange(n_frames)[None, :] / rate + 0.01,
        "fluo_mean": rng.normal(0.1, 0.05, (1, n_frames)).astype(np.float32),
    }


def write_cascade_mat(
    root: Path,
    trials: Sequence[Mapping[str, Any]],
    *,
    folder: str = CASCADE_FOLDER,
    name: str = CASCADE_NAME,
) -> Path:
    """A MATLAB 5 file with a cell array ``CAttached`` of structs."""
    path = root / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.empty((1, len(trials)), dtype=object)
    for position, fields in enumerate(trials):
        array[0, position] = dict(fields)
    savemat(path, {"CAttached": array})
    return path


def write_cascade_mat_v73(
    root: Path, trials: Sequence[Mapping[str, Any]], *, folder: str = CASCADE_FOLDER, name: str = CASCADE_NAME
) -> Path:
    """The same content as MATLAB 7.3 stores it: HDF5, references, transposed arrays, texts as codes."""
    path = root / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        references = np.empty((len(trials), 1), dtype=h5py.ref_dtype)
        for position, fields in enumerate(trials):
            group = file.create_group(f"#refs#/{position}")
            for field, value in fields.items():
                _write_v73_field(group, field, value)
            references[position, 0] = group.ref
        dataset = file.create_dataset("CAttached", data=references, dtype=h5py.ref_dtype)
        dataset.attrs["MATLAB_class"] = np.bytes_("cell")
    return path


def _write_v73_field(group: h5py.Group, field: str, value: Any) -> None:
    if isinstance(value, str):
        dataset = group.create_dataset(field, data=np.array([[ord(letter)] for letter in value], dtype=np.uint16))
        dataset.attrs["MATLAB_class"] = np.bytes_("char")
    elif np.size(value) == 0:
        dataset = group.create_dataset(field, data=np.array(np.shape(value), dtype=np.uint64))
        dataset.attrs["MATLAB_empty"] = np.uint8(1)
    else:
        group.create_dataset(field, data=np.asarray(value).T)


def write_spikefinder_pair(
    root: Path, calcium: np.ndarray, counts: np.ndarray, *, name: str = "1.train.calcium.csv"
) -> Path:
    """A pair of CSV files, one column per cell, empty fields for NaN; returns the calcium file."""
    root.mkdir(parents=True, exist_ok=True)
    for table, path in ((calcium, root / name), (counts, root / name.replace("calcium", "spikes"))):
        lines = [",".join(map(str, range(table.shape[1])))]
        lines += [",".join("" if np.isnan(value) else f"{value:g}" for value in row) for row in table]
        path.write_text("\n".join(lines) + "\n")
    return root / name


def write_loose_seal_nwb(
    path: Path,
    *,
    rate: float = 50.0,
    n_frames: int = 100,
    starts: Sequence[float] = (10.0, 40.0),
    spikes: Sequence[Sequence[float]] = ((10.5, 11.0), (41.25,)),
    sweep_clock: bool = False,
    recorded: Sequence[bool] = (True, False),
    fluorescence: np.ndarray | None = None,
    neuropil: np.ndarray | None = None,
) -> Path:
    """The layout of dandiset 000168: one module per movie, ``ap_time`` in ``/analysis/responses``, empty ROI regions.

    ``spikes`` are on the session's clock; ``sweep_clock`` stores them relative to the sweeps instead.
    """
    nwbfile = _new_file("jGCaMP8f_ANM471993_cell01", "ANM471993")
    electrode = nwbfile.create_icephys_electrode(
        name="Micropipette", description="loose seal", device=nwbfile.create_device("amplifier"), cell_id="1"
    )
    table = IntracellularResponsesTable()
    table.add_column(name="ap_time", description="peak time of detected loose-seal action potential")
    for number, start in enumerate(starts):
        sweep = CurrentClampSeries(
            name=f"loose seal recording for movie {number}",
            data=np.zeros(int((n_frames / rate + 2) * 100)),
            unit="volts",
            electrode=electrode,
            gain=1.0,
            rate=100.0,
            starting_time=start - 1.0,
        )
        nwbfile.add_acquisition(sweep)
        for spike in spikes[number]:
            time = spike - (start - 1.0) if sweep_clock else spike
            table.add_row(response=TimeSeriesReference(0, 1, sweep), ap_time=time)
        _add_movie(nwbfile, number, start, rate, n_frames, recorded, fluorescence, neuropil)
    nwbfile.add_analysis(table)
    return _write(nwbfile, path)


def _add_movie(
    nwbfile: NWBFile,
    number: int,
    start: float,
    rate: float,
    n_frames: int,
    recorded: Sequence[bool],
    fluorescence: np.ndarray | None,
    neuropil: np.ndarray | None,
) -> None:
    """Segmentation, fluorescence and neuropil of one movie in a module of its own."""
    plane = _plane(nwbfile, f"Movie_{number}", "GCaMP8f")
    module = nwbfile.create_processing_module(f"ophys of movie {number}", "Processing result of imaging")
    segmentation = ImageSegmentation()
    module.add(segmentation)
    rois = segmentation.create_plane_segmentation(
        name="MovieSegmentation", description="from Suite2p", imaging_plane=plane
    )
    rois.add_column(name="cell_type", description="pyr or int")
    rois.add_column(name="recorded_with_ephys", description="whether this ROI is loose-seal recorded")
    for flag in recorded:
        rois.add_roi(image_mask=np.ones((2, 2)), cell_type="pyr", recorded_with_ephys=flag)
    container = Fluorescence()
    module.add(container)
    n_rois = len(recorded)
    flat = (100.0 + 10.0 * np.arange(n_rois))[None, :] * np.ones((n_frames, 1))
    traces = flat if fluorescence is None else fluorescence
    around = np.full((n_frames, n_rois), 50.0) if neuropil is None else neuropil
    for name, values in (("RoiResponseSeries", traces), ("NeuropilResponseSeries", around)):
        with warnings.catch_warnings():
            # The published files refer to no ROI at all; pynwb warns that this does not fit the data.
            warnings.simplefilter("ignore")
            region = rois.create_roi_table_region(description="table region for rois", region=[])
            series = RoiResponseSeries(name=name, data=values, unit="n.a.", rois=region, starting_time=start, rate=rate)
        container.add_roi_response_series(series)


def write_units_nwb(
    path: Path,
    *,
    n_units: int = 1,
    n_rois: int = 1,
    spikes: Sequence[float] = (0.5, 0.25),
    as_dff: bool = False,
    transposed: bool = False,
    session_start: datetime = datetime(1900, 1, 1, tzinfo=timezone.utc),
) -> Path:
    """The layout of dandiset 000048: one unit in ``/units``, one ROI of raw fluorescence."""
    nwbfile = _new_file("102086", None, session_start)
    plane = _plane(nwbfile, "ImagingPlane", "GCaMP6s")
    module = nwbfile.create_processing_module("ophys", "contains optical physiology processed data")
    segmentation = ImageSegmentation()
    module.add(segmentation)
    rois = segmentation.create_plane_segmentation(name="plane_segmentation", description="ADDME", imaging_plane=plane)
    for _ in range(n_rois):
        rois.add_roi(pixel_mask=[(0, 0, 1.0)])
    container = DfOverF() if as_dff else Fluorescence()
    module.add(container)
    values = np.linspace(100.0, 200.0, 50)[:, None] * np.ones(n_rois)
    with warnings.catch_warnings():
        # Older writers put ROIs first; pynwb warns of it.
        warnings.simplefilter("ignore")
        series = RoiResponseSeries(
            name="roi_response_series",
            data=values.T if transposed else values,
            unit="lumens",
            rois=rois.create_roi_table_region(description="unique cell ROI", region=list(range(n_rois))),
            starting_time=0.003,
            rate=40.0,
        )
    container.add_roi_response_series(series)
    for _ in range(n_units):
        nwbfile.add_unit(spike_times=sorted(spikes))
    return _write(nwbfile, path)


def _new_file(identifier: str, subject_id: str | None, session_start: datetime = START) -> NWBFile:
    nwbfile = NWBFile(
        session_description="example", identifier=identifier, session_id=identifier, session_start_time=session_start
    )
    if subject_id is not None:
        nwbfile.subject = Subject(subject_id=subject_id, species="Mus musculus", sex="M", age="P90D")
    return nwbfile


def _plane(nwbfile: NWBFile, name: str, indicator: str) -> Any:
    device = nwbfile.devices.get("microscope") or nwbfile.create_device("microscope")
    channel = OpticalChannel(name="green", description="", emission_lambda=525.0)
    return nwbfile.create_imaging_plane(
        name=name,
        optical_channel=channel,
        description="",
        device=device,
        excitation_lambda=940.0,
        indicator=indicator,
        location="Primary visual area",
    )


def _write(nwbfile: NWBFile, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NWBHDF5IO(str(path), "w") as file:
        file.write(nwbfile)
    return path
