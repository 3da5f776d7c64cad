"""NWB files in the layouts of the tools that write them: names, units, containers, types and orientation.

Every factory writes one small file and returns its path. What it copies was taken from a file that the tool wrote, or
from the tool's source or published files where it could not be run; the docstring says which, and the version. Only
names and shapes are copied, no code. Files of institutes and archives are in ``nwb_published``, oddities that nobody
owns in ``nwb_oddities``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from pynwb import NWBFile, ProcessingModule, TimeSeries
from pynwb.ophys import (
    DfOverF,
    Fluorescence,
    ImageSegmentation,
    ImagingPlane,
    OpticalChannel,
    PlaneSegmentation,
    RoiResponseSeries,
)

from tests.support.recordings import bare_nwbfile, simulated_dff, write_recording


def raw_fluorescence(n_rois: int, n_frames: int, *, seed: int = 0, rest: float = 500.0) -> NDArray[np.float32]:
    """Traces that rest far above zero: (n_rois, n_frames) float32, counts."""
    return (rest * (1 + simulated_dff(n_rois, n_frames, seed=seed))).astype(np.float32)


def sparse_events(n_rois: int, n_frames: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Mostly zero, now and then positive: (n_rois, n_frames) float32."""
    rng = np.random.default_rng(seed)
    return (rng.random((n_rois, n_frames)) * (rng.random((n_rois, n_frames)) < 0.05)).astype(np.float32)


def add_imaging_plane(
    nwbfile: NWBFile, name: str = "ImagingPlane", *, indicator: str = "GCaMP6f", rate: float | None = 30.0
) -> ImagingPlane:
    """One more imaging plane of the same microscope."""
    device = nwbfile.devices.get("Microscope") or nwbfile.create_device("Microscope")
    return nwbfile.create_imaging_plane(
        name=name,
        optical_channel=OpticalChannel(name="OpticalChannel", description="green", emission_lambda=510.0),
        description="standard",
        device=device,
        excitation_lambda=920.0,
        indicator=indicator,
        location="V1",
        imaging_rate=rate,
    )


def rois_table(plane: ImagingPlane, n_rois: int, name: str = "PlaneSegmentation") -> PlaneSegmentation:
    """A table of ROIs, not yet in the file."""
    table = PlaneSegmentation(name=name, description="ROIs", imaging_plane=plane)
    for roi in range(n_rois):
        table.add_roi(pixel_mask=[(roi, roi, 1.0)])
    return table


def series_of(
    name: str, data: Any, table: PlaneSegmentation, region: Sequence[int] | None = None, **fields: Any
) -> RoiResponseSeries:
    """A series of the named ROIs of a table (all, if none are named); data are stored as given, right or wrong."""
    rows = list(range(len(table))) if region is None else list(region)
    if "rate" not in fields and "timestamps" not in fields:
        fields["rate"] = 30.0
    region_of_table = table.create_roi_table_region(name="rois", description="rois", region=rows)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*be transposed", UserWarning)
        return RoiResponseSeries(name=name, data=data, rois=region_of_table, unit=fields.pop("unit", "n.a."), **fields)


def ophys_module(nwbfile: NWBFile, *tables: PlaneSegmentation, name: str = "ophys") -> ProcessingModule:
    """A processing module with an ImageSegmentation that holds the tables."""
    module = nwbfile.create_processing_module(name, "optical physiology processed data")
    module.add(ImageSegmentation(plane_segmentations=list(tables)))
    return module


def store_rois_first(path: Path) -> Path:
    """Turn the data of every series of a written HDF5 file around; pynwb refuses to write some of them so."""
    with h5py.File(path, "r+") as file:
        found = []
        file.visititems(lambda _, item: found.append(item) if _is_series(item) else None)
        for group in found:
            old = group["data"]
            data, attributes = old[()].T, dict(old.attrs)
            del group["data"]
            group.create_dataset("data", data=data).attrs.update(attributes)
    return path


def _is_series(item: Any) -> bool:
    return bool(item.attrs.get("neurodata_type") == "RoiResponseSeries")


def fill(module: ProcessingModule, kind: type, series: Sequence[RoiResponseSeries], name: str | None = None) -> None:
    """Put series into a container of a kind (DfOverF, Fluorescence) and that into a module."""
    container = kind(name=name or kind.__name__)
    module.add(container)
    for one in series:
        container.add_roi_response_series(one)


def add_alone(add: Callable[[RoiResponseSeries], Any], series: RoiResponseSeries) -> None:
    """Add a series to a place of its own; hdmf warns that its ROI table might be outside the file, which it is not."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The linked table for DynamicTableRegion", UserWarning)
        add(series)


def suite2p(path: Path, *, n_rois: Sequence[int] = (4, 3), n_frames: int = 300, channels: int = 1) -> Path:
    """suite2p since 0.12: containers by trace, series by plane, one table for all planes, short planes padded.

    Written by ``save_nwb`` of suite2p 1.1.0 under pynwb 2.8.3 for two planes and compared; ``_chan2`` containers
    (F and Fneu of a second channel) after the source of the same version.
    """
    nwbfile = bare_nwbfile()
    table = rois_table(add_imaging_plane(nwbfile, indicator="GCaMP", rate=10.0), sum(n_rois))
    module = ophys_module(nwbfile, table)
    starts = np.concatenate([[0], np.cumsum(n_rois)])
    names = {"Fluorescence": raw_fluorescence, "Neuropil": raw_fluorescence, "Deconvolved": sparse_events}
    if channels == 2:
        names |= {"Fluorescence_chan2": raw_fluorescence, "Neuropil_chan2": raw_fluorescence}
    for seed, (name, traces_of) in enumerate(names.items()):
        series = []
        for plane, n in enumerate(n_rois):
            traces = traces_of(n, n_frames, seed=seed)
            if plane:
                traces[:, -1] = 0  # one frame fewer than the first plane
            rows = range(starts[plane], starts[plane + 1])
            series.append(series_of(f"plane{plane}", traces.T, table, rows, unit="lumens", rate=10.0))
        fill(module, Fluorescence, series, name)
    return write_recording(path, nwbfile)


def suite2p_transposed(path: Path, *, n_rois: int = 5, n_frames: int = 300) -> Path:
    """suite2p up to 0.11: one series per container, of the same name, ROIs first.

    Written by ``save_nwb`` of suite2p 0.11.1 under pynwb 2.8.3 and compared.
    """
    nwbfile = bare_nwbfile()
    table = rois_table(add_imaging_plane(nwbfile, indicator="GCaMP", rate=10.0), n_rois)
    module = ophys_module(nwbfile, table)
    for name, traces_of in (
        ("Fluorescence", raw_fluorescence),
        ("Neuropil", raw_fluorescence),
        ("Deconvolved", sparse_events),
    ):
        series = series_of(name, traces_of(n_rois, n_frames).T, table, unit="lumens", rate=10.0)
        fill(module, Fluorescence, [series], name)
    return store_rois_first(write_recording(path, nwbfile))


def caiman(path: Path, *, n_rois: int = 5, n_frames: int = 300, rate: float = 15.0) -> Path:
    """CaImAn: denoised C with timestamps, background ROIs at the end of the same table, residuals beside.

    After ``Estimates.save_NWB`` of CaImAn 1.9 to 1.12 (source).
    """
    nwbfile = bare_nwbfile()
    table = rois_table(add_imaging_plane(nwbfile, rate=rate), n_rois + 2)
    module = ophys_module(nwbfile, table)
    timing = {"timestamps": np.arange(n_frames) / rate + 0.5, "unit": "lumens"}
    denoised = simulated_dff(n_rois, n_frames, noise=0).astype(np.float64) * 100
    series = [
        series_of("RoiResponseSeries", denoised.T, table, range(n_rois), **timing),
        series_of(
            "Background_Fluorescence_Response",
            raw_fluorescence(2, n_frames).T.astype(np.float64),
            table,
            range(n_rois, n_rois + 2),
            **timing,
        ),
    ]
    fill(module, Fluorescence, series)
    residuals = np.random.default_rng(0).normal(size=(n_frames, n_rois))
    module.add(TimeSeries(name="residuals", data=residuals, unit="NA", timestamps=timing["timestamps"]))
    return write_recording(path, nwbfile)


def neuroconv(path: Path, *, n_rois: int = 5, n_frames: int = 300) -> Path:
    """neuroconv since 2026: one Fluorescence container for every kind of trace, unit "n.a.", no imaging rate.

    Written by neuroconv 0.10.2 with a generated segmentation of roiextractors 0.10.0 and compared; "Denoised" and
    "Baseline" after its list of default names.
    """
    nwbfile = bare_nwbfile()
    table = rois_table(add_imaging_plane(nwbfile, indicator="unknown", rate=None), n_rois)
    raw = raw_fluorescence(n_rois, n_frames)
    traces = {
        "RoiResponseSeries": raw,
        "Deconvolved": sparse_events(n_rois, n_frames),
        "Neuropil": 0.6 * raw,
        "Denoised": simulated_dff(n_rois, n_frames, noise=0),
        "Baseline": np.full_like(raw, 500.0),
        "DfOverF": simulated_dff(n_rois, n_frames),
    }
    series = [series_of(name, np.float64(values.T), table, starting_time=0.0) for name, values in traces.items()]
    fill(ophys_module(nwbfile, table), Fluorescence, series)
    return write_recording(path, nwbfile)


def neuroconv_lists(path: Path, *, n_rois: int = 5, n_frames: int = 300) -> Path:
    """neuroconv before 2026 (metadata as lists): DfOverF/RoiResponseSeries beside Fluorescence/RoiResponseSeries.

    Written by the list-based writer that neuroconv 0.10.2 still has and compared.
    """
    nwbfile = bare_nwbfile()
    table = rois_table(add_imaging_plane(nwbfile, indicator="unknown", rate=None), n_rois)
    raw = raw_fluorescence(n_rois, n_frames)
    module = ophys_module(nwbfile, table)
    described = {
        "RoiResponseSeries": (raw, "Array of raw fluorescence traces."),
        "Deconvolved": (sparse_events(n_rois, n_frames), "description of deconvolved traces"),
        "Neuropil": (0.6 * raw, "description of neuropil traces"),
    }
    series = [series_of(n, np.float64(v.T), table, description=d) for n, (v, d) in described.items()]
    fill(module, Fluorescence, series)
    dff = np.float64(simulated_dff(n_rois, n_frames).T)
    fill(module, DfOverF, [series_of("RoiResponseSeries", dff, table, description="Array of df/F traces.")])
    return write_recording(path, nwbfile)


def neuroconv_dff(path: Path, *, n_rois: int = 5, n_frames: int = 300) -> Path:
    """neuroconv of 2021: dF/F as Fluorescence/Dff beside the raw traces; after files of that time."""
    nwbfile = bare_nwbfile()
    table = rois_table(add_imaging_plane(nwbfile), n_rois)
    series = [
        series_of("RoiResponseSeries", raw_fluorescence(n_rois, n_frames).T, table),
        series_of("Dff", simulated_dff(n_rois, n_frames).T, table),
    ]
    fill(ophys_module(nwbfile, table), Fluorescence, series)
    return write_recording(path, nwbfile)
