"""Stored runs read back, from NWB files and from matrices with their record; the latter as an NWB file in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from hdmf.common import DynamicTable, DynamicTableRegion
from pynwb import NWBFile

from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.roi_warnings import RoiWarning
from nwb_cascade.core.spike_counts import WholeCounts
from nwb_cascade.core.wording import proposed
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import require_plain
from nwb_cascade.nwb import stored_run
from nwb_cascade.nwb.objects import object_path
from nwb_cascade.nwb.places import DEFAULT_MODULE
from nwb_cascade.nwb.stored_run import StoredRun
from nwb_cascade.nwb.write import Axes, RunRecord, add_run
from nwb_cascade.nwb.write_spikes import SpikesRecord, add_spikes
from nwb_cascade.provenance import canonical_json
from nwb_cascade.readers.matrix import TransposedDataset, is_mat73, read_text

RATES, DEVIATION = "expected_spikes", "ensemble_std"
SPIKES, SPIKES_INDEX, FIT_ERROR = "spike_times", "spike_times_index", "spike_fit_error"
PER_ROI = ("noise_levels", "model_noise_levels", "valid_frames", "roi_ids")
RECORD = "nwb_cascade_record"
COUNTS = "spike_counts"
SUFFIXES = (".npy", ".npz", ".mat")
SPIKE_PROB, SPIKE_RATES = "spike_prob", "spike_rates"  # in a .mat file, as users of Cascade know them
BY_FRAME, TIMES = "d", "t"  # in .npz files, as pynapple calls them


@contextmanager
def open_run(path: Path, run_name: str | None = None, *, scratch_dir: Path | None = None) -> Iterator[StoredRun]:
    """Open a file of any kind that holds a run of spike inference; parameters and errors as for NWB files.

    See `nwb_cascade.nwb.stored_run.open_run`. A matrix holds one run, whatever its name.
    """
    require_plain(path)
    if not is_result(path):
        with stored_run.open_run(path, run_name, scratch_dir=scratch_dir) as run:
            yield run
        return
    record = record_of(path)
    if "run_key" not in record:
        raise InputError(
            f"Expected inferred spike rates and what made them in {path}, found none. Infer them first: "
            f"{proposed('infer', path, '--imaging-rate', 30)}, with its own rate, then use the file that it writes."
        )
    with _arrays(path, record) as arrays:
        yield _as_run(path, record, arrays)


def is_result(path: Path) -> bool:
    """Tell from its name whether a file may hold rates as a matrix (``.npy``, ``.npz``, ``.mat``)."""
    return path.suffix.lower() in SUFFIXES


def stands_alone(path: Path) -> bool:
    """Tell whether everything is in the file of the rates (``.mat``), not in files beside it as well."""
    return path.suffix.lower() == ".mat"


def files_beside(rates: Path) -> dict[str, Path]:
    """Return what stands beside the rates in a ``.npy`` or ``.npz`` file."""
    return {
        "record": rates.with_suffix(".json"),
        "std": rates.with_name(f"{rates.stem}_std.npy"),
        "spikes": rates.with_name(f"{rates.stem}_discrete.npz"),
    }


def record_of(path: Path) -> dict[str, Any]:
    """Return what made a matrix of rates; nothing for a file that is none of ours."""
    if stands_alone(path):
        text = read_text(path, RECORD)
    else:
        record = files_beside(path)["record"]
        text = record.read_text(encoding="utf-8") if record.exists() else None
    try:
        values = json.loads(text or "null")
    except json.JSONDecodeError:
        return {}
    return values if isinstance(values, dict) else {}


@contextmanager
def _arrays(path: Path, record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Open all arrays of a result; matrices stay on disk but in MATLAB 5 and ``.npz``."""
    if not stands_alone(path):
        beside, is_npz = files_beside(path), path.suffix.lower() == ".npz"
        loaded = np.load(path, mmap_mode="r")
        rates = {RATES: loaded[BY_FRAME].T, TIMES: loaded[TIMES]} if is_npz else {RATES: loaded}
        found = {**rates, **{name: np.array(record[name], float) for name in PER_ROI}}
        if beside["std"].exists():
            found[DEVIATION] = np.load(beside["std"], mmap_mode="r")
        if "spikes" in record:
            spikes = np.load(beside["spikes"])
            found |= {SPIKES: spikes[TIMES], **{name: spikes[name] for name in (SPIKES_INDEX, FIT_ERROR)}}
        yield found
    elif is_mat73(path):
        from ground_truth_nwb.hdf5_files import open_hdf5

        with open_hdf5(path, below_folder=True) as file:
            opened = {name: TransposedDataset(dataset) for name, dataset in file.items() if name != RECORD}
            yield {**opened, RATES: opened[SPIKE_PROB]}
    else:
        from scipy.io import loadmat

        loaded = loadmat(path)
        yield {**loaded, RATES: loaded[SPIKE_PROB]}


def _as_run(path: Path, record: Mapping[str, Any], arrays: Mapping[str, Any]) -> StoredRun:
    """Put a result into an NWB file in memory and read it as from any other."""
    file_name = str(record["file_name"])
    nwbfile = NWBFile(f"Made from {file_name}.", file_name, datetime(1970, 1, 1, tzinfo=timezone.utc))
    module = nwbfile.create_processing_module(DEFAULT_MODULE, "Rates of a matrix.")
    ids = np.ravel(arrays["roi_ids"][:]).astype(int)
    table = DynamicTable(name="rois", description="ROIs of the matrix.", id=ids)
    module.add(table)
    region = table.create_region(name="rois", region=list(range(len(ids))), description="All of them.")
    series = add_result(nwbfile, DEFAULT_MODULE, region, record, arrays, stored=lambda matrix: matrix.T)
    add_result_spikes(nwbfile, series, SPIKES, record, arrays, path)
    return stored_run.read_run(path, nwbfile, series, None)


@contextmanager
def opened_result(path: Path) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield what made a matrix of rates, and its arrays by their names here."""
    record = record_of(path)
    with _arrays(path, record) as arrays:
        yield record, arrays


def add_result(
    nwbfile: NWBFile,
    module: str,
    rois: DynamicTableRegion,
    record: Mapping[str, Any],
    arrays: Mapping[str, Any],
    *,
    stored: Callable[[Any], Any] = lambda matrix: np.ascontiguousarray(np.asarray(matrix[:]).T),
) -> Any:
    """Add a result to an NWB file in memory, at the times that it holds, else at its rate; returns the series."""
    times: dict[str, Any] = {"rate": float(record["imaging_rate"]), "starting_time": float(record.get("start_s", 0.0))}
    if TIMES in arrays and record["parameters"].get("stretches"):
        times = {"timestamps": np.asarray(arrays[TIMES])}
    return add_run(nwbfile, _run_record(record, arrays), Axes(module, rois, times), stored)


def add_result_spikes(
    nwbfile: NWBFile, rates: Any, name: str, record: Mapping[str, Any], arrays: Mapping[str, Any], path: Path
) -> None:
    """Add the discrete spikes of a result, if it has some, to the file in memory that holds its rates."""
    if SPIKES not in arrays:
        return
    times = np.split(np.ravel(arrays[SPIKES][:]), np.ravel(arrays[SPIKES_INDEX][:])[:-1].astype(int))
    errors, spikes = np.ravel(arrays[FIT_ERROR][:]), record["spikes"]
    text = canonical_json(spikes)
    add_spikes(nwbfile, SpikesRecord(name, object_path(rates), tuple(times), errors, spikes["method"], text), path)


def _run_record(record: Mapping[str, Any], arrays: Mapping[str, Any]) -> RunRecord:
    """Return the run as NWB files store it."""
    parameters, config = record["parameters"], ModelConfig.from_json(json.dumps(record["model"]))
    source = {"file_name": record["file_name"], **record["source"], "imaging_rate_hz": record["imaging_rate"]}
    told = {**parameters, "model_choice": record["model_choice"], "software": record["software"]}
    return RunRecord(
        name=record.get("run_name", RATES),
        source_path="",
        config=config,
        weights_sha256=parameters["weights_sha256"],
        expected_spikes=arrays[RATES],
        ensemble_std=arrays.get(DEVIATION),
        noise_levels=np.ravel(arrays["noise_levels"][:]).astype(np.float32),
        model_noise_levels=np.ravel(arrays["model_noise_levels"][:]).astype(np.float32),
        valid_frames=np.asarray(arrays["valid_frames"][:], np.int64),
        roi_warnings=tuple(RoiWarning(**warning) for warning in record["roi_warnings"]),
        imaging_rate=float(record["imaging_rate"]),
        alignment=parameters["alignment"],
        threshold=parameters["threshold"],
        run_key=record["run_key"],
        run_parameters=canonical_json(told),
        source_provenance=canonical_json(source),
        counts=WholeCounts.from_dict(record[COUNTS]) if COUNTS in record else None,
        description=f"Expected spikes per frame inferred from {record['file_name']}.",
    )
