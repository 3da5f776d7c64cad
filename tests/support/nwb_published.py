"""NWB files as institutes published them (Allen, Janelia, MICrONS, others), made like those of ``nwb_files``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hdmf.build import BuildManager
from numpy.typing import NDArray
from pynwb import NWBHDF5IO, get_type_map
from pynwb.ophys import DfOverF, Fluorescence, ImageSegmentation
from pynwb.spec import NWBDatasetSpec, NWBGroupSpec, NWBNamespaceBuilder

from tests.support.nwb_files import (
    add_alone,
    add_imaging_plane,
    fill,
    ophys_module,
    raw_fluorescence,
    rois_table,
    series_of,
    sparse_events,
    store_rois_first,
)
from tests.support.recordings import bare_nwbfile, simulated_dff, write_recording

EVENT_NAMESPACE = "ndx-aibs-ophys-event-detection"


def allen_timestamps(n_frames: int, rate: float = 30.95) -> NDArray[np.float64]:
    """Times of a hardware clock: regular to about 1 %, not starting at zero."""
    return 7.3 + np.arange(n_frames) / rate + np.random.default_rng(0).normal(0, 1e-4, n_frames)


def allen_behavior(path: Path, *, n_rois: int = 5, n_frames: int = 300) -> Path:
    """AllenSDK (visual behaviour): ``dff/traces`` and others, event_detection of an extension, r and RMSE per ROI.

    After the writers of allensdk 2.16.2 (source): the extension's type is defined as there, for this file only, so
    that it can be read through the cached namespace alone.
    """
    nwbfile = bare_nwbfile()
    table = rois_table(add_imaging_plane(nwbfile, "imaging_plane_1", rate=31.0), n_rois, "cell_specimen_table")
    module = nwbfile.create_processing_module("ophys", "Ophys processing module")
    module.add(ImageSegmentation(name="image_segmentation", plane_segmentations=table))
    dff = series_of(
        "traces", simulated_dff(n_rois, n_frames).T, table, unit="NA", timestamps=allen_timestamps(n_frames)
    )
    fill(module, DfOverF, [dff], "dff")
    raw = raw_fluorescence(n_rois, n_frames).T
    per_roi = [
        series_of(name, np.linspace(0.1, 0.9, n_rois), table, unit="NA", timestamps=np.arange(float(n_rois)))
        for name in ("r", "RMSE")
    ]
    corrected = [series_of("traces", raw, table, unit="NA", timestamps=dff), *per_roi]
    fill(module, Fluorescence, corrected, "corrected_fluorescence")
    for name in ("neuropil_trace", "demixed_trace"):
        fill(module, Fluorescence, [series_of("traces", raw, table, unit="NA", timestamps=dff)], name)
    types = _allen_types(path.parent)
    events = types.get_dt_container_cls("OphysEventDetection", EVENT_NAMESPACE)(
        data=sparse_events(n_rois, n_frames)[1:].T,
        rois=table.create_roi_table_region(name="rois", description="Cells with events", region=list(range(1, n_rois))),
        unit="N/A",
        timestamps=dff,
        lambdas=np.ones(n_rois - 1),
        noise_stds=np.ones(n_rois - 1),
    )
    add_alone(module.add, events)
    with NWBHDF5IO(str(path), mode="w", manager=BuildManager(types)) as io:
        io.write(nwbfile)
    return path


def _allen_types(folder: Path) -> Any:
    """A private set of types with the extension of the Allen Institute."""
    builder = NWBNamespaceBuilder("Detected events", EVENT_NAMESPACE, version="0.1.0")
    builder.include_type("RoiResponseSeries", namespace="core")
    datasets = [NWBDatasetSpec(name=name, dtype="float", doc=name, shape=(None,)) for name in ("lambdas", "noise_stds")]
    spec = NWBGroupSpec(
        neurodata_type_def="OphysEventDetection",
        neurodata_type_inc="RoiResponseSeries",
        name="event_detection",
        doc="Event detection",
        datasets=datasets,
    )
    builder.add_spec("events.extensions.yaml", spec)
    builder.export("events.namespace.yaml", outdir=str(folder))
    types = get_type_map()
    types.load_namespaces(str(folder / "events.namespace.yaml"))
    return types


def allen_openscope(path: Path, *, n_rois: int = 5, n_frames: int = 300) -> Path:
    """Allen, DANDI 000039 and 000049: module brain_observatory_pipeline, Fluorescence/DfOverF, l0_events.

    After the published list of objects of 000039/0.230223.1216.
    """
    nwbfile = bare_nwbfile()
    table = rois_table(add_imaging_plane(nwbfile, "imaging_plane_1", rate=30.0), n_rois)
    module = ophys_module(nwbfile, table, name="brain_observatory_pipeline")
    stamps = allen_timestamps(n_frames)
    raw = raw_fluorescence(n_rois, n_frames).T
    traces = {
        "DfOverF": simulated_dff(n_rois, n_frames).T,
        "demixed_traces": raw,
        "neuropil_traces": 0.6 * raw,
        "raw_traces": raw,
    }
    series = [series_of(name, values, table, timestamps=stamps) for name, values in traces.items()]
    fill(module, Fluorescence, series)
    events = sparse_events(n_rois, n_frames).T
    names = ("dff_events", "true_false_events")
    series = [series_of(name, events, table, timestamps=stamps) for name in names]
    fill(module, Fluorescence, series, "l0_events")
    return write_recording(path, nwbfile)


def allen_coding(path: Path, *, n_rois: int = 5, n_frames: int = 300) -> Path:
    """Allen visual coding, converted by CatalystNeuro: events inside the DfOverF container, timestamps linked.

    After the converter visual-coding-to-nwb-v2 (source, commit 04f28f4).
    """
    nwbfile = bare_nwbfile()
    table = rois_table(add_imaging_plane(nwbfile, rate=None), n_rois)
    module = ophys_module(nwbfile, table)
    raw = raw_fluorescence(n_rois, n_frames).T
    corrected = series_of(
        "Corrected",
        raw,
        table,
        timestamps=allen_timestamps(n_frames),
        description="Fluorescence after subtraction of neuropil background, but prior to dF/F normalization.",
    )
    neuropil = series_of("Neuropil", 0.6 * raw, table, timestamps=corrected)
    demixed = series_of("Demixed", raw, table, timestamps=corrected)
    fill(module, Fluorescence, [neuropil, corrected, demixed])
    dff = series_of("DfOverF", simulated_dff(n_rois, n_frames).T, table, unit="a.u.", timestamps=corrected)
    events = series_of(
        "DfOverFEvents",
        sparse_events(n_rois, n_frames).T,
        table,
        unit="a.u.",
        timestamps=corrected,
        description="Events from the ΔF/F detected using the L0 method.",
    )
    fill(module, DfOverF, [dff, events])
    return write_recording(path, nwbfile)


def janelia_movies(path: Path, *, n_movies: int = 2, n_rois: int = 4, n_frames: int = 400) -> Path:
    """DANDI 000168 (jGCaMP8 ground truth): a module per movie, ROIs first, timestamps, a region one ROI short.

    After the public writer of these files (source) and the published list of objects: the region of n ROIs names
    n - 1, and for a single ROI the data are squeezed to one dimension and the region is empty.
    """
    nwbfile = bare_nwbfile()
    for movie in range(n_movies):
        n = n_rois if movie == 0 else 1
        plane = add_imaging_plane(nwbfile, f"Movie_{movie}", indicator="jGCaMP8m", rate=122.0)
        table = rois_table(plane, n, "MovieSegmentation")
        module = ophys_module(nwbfile, table, name=f"ophys of movie {movie}")
        stamps = 100.0 * movie + np.arange(n_frames) / 122.0
        raw = np.squeeze(raw_fluorescence(n, n_frames, seed=movie)).T
        described = {
            "RoiResponseSeries": "weighted average fluorescence of roi",
            "NeuropilResponseSeries": "average fluorescence of the neuropil surrounding the roi",
        }
        series = [
            series_of(name, raw, table, range(n - 1), description=text, timestamps=stamps, unit="a.u.")
            for name, text in described.items()
        ]
        fill(module, Fluorescence, series)
    return store_rois_first(write_recording(path, nwbfile))


def two_channels(path: Path, *, n_rois: int = 5, n_frames: int = 300) -> Path:
    """Series of two channels side by side, named by trace and channel, a z-score among them.

    After the published list of objects of DANDI 001349/0.250604.1510, which has channel 0; channel 1 after its names.
    """
    nwbfile = bare_nwbfile()
    series, tables = [], []
    for channel, indicator in enumerate(("GCaMP6s", "jRGECO1a")):
        plane = add_imaging_plane(nwbfile, f"ImagingPlane_1_chn{channel + 1}", indicator=indicator, rate=15.23)
        table = rois_table(plane, n_rois, f"PlaneSegmentation_{channel + 1}")
        tables.append(table)
        dff = simulated_dff(n_rois, n_frames, seed=channel)
        raw = raw_fluorescence(n_rois, n_frames, seed=channel)
        z_scores = (dff - dff.mean(axis=1, keepdims=True)) / dff.std(axis=1, keepdims=True)
        traces = {
            "ca_events": sparse_events(n_rois, n_frames),
            "dff": dff,
            "f_corrected": raw - 200,
            "fluorescence": raw,
            "neuropil_fluorescence": 0.6 * raw,
            "z_score": z_scores,
        }
        for name, values in traces.items():
            title = name.title() if name != "dff" else "Dff"
            series.append(series_of(f"{name}_chn{channel}", values.T, table, rate=15.23, description=title))
    fill(ophys_module(nwbfile, *tables), Fluorescence, series)
    return write_recording(path, nwbfile)


def eight_fields(path: Path, *, n_frames: int = 300) -> Path:
    """DANDI 000402 (MICrONS): eight imaging fields in one file, a series each in one container.

    After the published list of objects of 000402/0.230307.2132.
    """
    nwbfile = bare_nwbfile()
    series, tables = [], []
    for field in range(1, 9):
        plane = add_imaging_plane(nwbfile, f"ImagingPlane{field}", indicator="GCaMP6s", rate=6.3009)
        table = rois_table(plane, field, f"PlaneSegmentation{field}")
        tables.append(table)
        raw = raw_fluorescence(field, n_frames, seed=field).T
        description = f"The fluorescence traces for field {field}"
        series.append(series_of(f"RoiResponseSeries{field}", raw, table, rate=6.3009, description=description))
    fill(ophys_module(nwbfile, *tables), Fluorescence, series)
    return write_recording(path, nwbfile)
