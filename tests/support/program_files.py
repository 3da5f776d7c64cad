"""Results of other programs, in the layouts that their writers give; see docs/reading.md for whose writers were run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

RATE = 30.0


def write_caiman(path: Path, dff: NDArray[Any] | None, **changes: Any) -> Path:
    """After ``CNMF.save`` of CaImAn 1.9 to 1.12: dictionaries as groups, None as the text "NoneType"."""
    n_rois, n_frames = (4, 300) if dff is None else dff.shape
    values: dict[str, Any] = {
        "estimates/C": np.ones((n_rois, n_frames)),
        "estimates/YrA": np.zeros((n_rois, n_frames)),
        "estimates/S": np.zeros((n_rois, n_frames)),
        "estimates/F_dff": "NoneType" if dff is None else dff,
        "estimates/A/data": np.ones(n_rois),
        "estimates/A/indices": np.arange(n_rois, dtype=np.int32),
        "estimates/A/indptr": np.arange(n_rois + 1, dtype=np.int32),
        "estimates/A/shape": np.array([100, n_rois]),
        "estimates/idx_components": "NoneType",
        "estimates/idx_components_bad": "NoneType",
        "estimates/dims": np.array([10, 10]),
        "params/data/fr": 30,
        "params/data/dxy": np.array([1, 1]),
        "params/data/decay_time": 0.4,
        "params/init/method_init": "greedy_roi",
        "params/init/center_psf": False,
        **changes,
    }
    with h5py.File(path, "w") as file:
        for name, value in values.items():
            file[name] = value
    return path


def write_extract(path: Path, dff: NDArray[Any], *, struct: str = "output", **config: float) -> Path:
    """The output of ``extractor`` as MATLAB saves it: frames by cells; HDF5 (version 7.3) has the axes in reverse."""
    traces = "temporal_weights" if struct == "output" else "traces"
    settings = {"preprocess": 1.0, "downsample_time_by": 1.0, **config}
    if not path.name.endswith("73.mat"):
        fields = {traces: dff.T, "spatial_weights": np.ones((5, 5, len(dff))), "config": settings}
        savemat(path, {struct: fields})
        return path
    with h5py.File(path, "w", userblock_size=512) as file:
        file[f"{struct}/{traces}"] = dff
        file[f"{struct}/spatial_weights"] = np.ones((len(dff), 5, 5))
        file[f"{struct}/info/version"] = np.frombuffer("1.1.0".encode("utf-16-le"), np.uint16)[:, None]
        for name, value in settings.items():
            file[f"{struct}/config/{name}"] = np.array([[value]])
    return path


def write_inscopix(path: Path, traces: NDArray[Any], statuses: list[str], *, start_s: float = 0.0) -> Path:
    """After the exporter of Inscopix's Isxcore: a blank and the names, a mark and the verdicts, a line per frame."""
    names = [f"C{roi:02d}" for roi in range(len(traces))]
    lines = [", ".join([" ", *names]), ", ".join(["Time(s)/Cell Status", *statuses])]
    for frame, values in enumerate(traces.T):
        lines.append(", ".join([f"{start_s + frame / RATE:.9f}", *(f"{value:.7g}" for value in values)]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_minian(folder: Path, traces: NDArray[Any], *, name: str = "C", first_frame: int = 0) -> Path:
    """After Minian's ``save_minian``: a Zarr store per variable, as xarray writes it in format 2."""
    import zarr

    n_units, n_frames = traces.shape
    variables: dict[str, tuple[Any, list[str]]] = {
        name: (traces, ["unit_id", "frame"]),
        "unit_id": (np.arange(n_units) + 10, ["unit_id"]),
        "frame": (np.arange(n_frames) + first_frame, ["frame"]),
    }
    store = zarr.open_group(str(folder / f"{name}.zarr"), mode="w")
    for variable, (values, dimensions) in variables.items():
        array = store.create_dataset(variable, data=values, shape=values.shape, dtype=values.dtype)
        array.attrs["_ARRAY_DIMENSIONS"] = dimensions
    return folder


def write_allen_nwb1(path: Path, dff: NDArray[Any]) -> Path:
    """A session of the Brain Observatory in NWB 1, with the names that ``BrainObservatoryNwbDataSet`` reads."""
    pipeline = "processing/brain_observatory_pipeline"
    with h5py.File(path, "w") as file:
        file["nwb_version"] = "NWB-1.0.5"
        file[f"{pipeline}/DfOverF/imaging_plane_1/data"] = dff
        file[f"{pipeline}/DfOverF/imaging_plane_1/timestamps"] = 8.7 + np.arange(dff.shape[1]) / RATE
        file[f"{pipeline}/Fluorescence/imaging_plane_1/data"] = 300 * (1 + dff)
        file[f"{pipeline}/ImageSegmentation/cell_specimen_ids"] = 517472000 + np.arange(len(dff))
        file["general/optophysiology/imaging_plane_1/indicator"] = np.bytes_(
            "GCaMP6f"
        )  # of a fixed length: AllenSDK asks its dtype
        file["general/subject/species"] = np.bytes_("Mus musculus")
    return path
