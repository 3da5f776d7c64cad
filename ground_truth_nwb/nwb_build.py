"""From a Cell to an NWBFile in memory: the layout of ground truth in NWB, in one place."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, time, timezone
from typing import Any

import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from hdmf.common import DynamicTableRegion
from pynwb import NWBFile
from pynwb.base import TimeSeriesReference
from pynwb.epoch import TimeIntervals
from pynwb.file import Subject
from pynwb.misc import Units
from pynwb.ophys import DfOverF, ImageSegmentation, ImagingPlane, OpticalChannel, PlaneSegmentation, RoiResponseSeries

from ground_truth_nwb.catalogue import Dataset, load_catalogue
from ground_truth_nwb.cell_summary import summarise_cell
from ground_truth_nwb.cells import Cell
from ground_truth_nwb.session_clock import Placement, place_trials, regular_rate

# Changes whenever the same source gives other files; stands in every file and is dated by its release.
CONVERTER_VERSION = "1"
CONVERTER_DATE = datetime(2026, 11, 21, tzinfo=timezone.utc)
UNKNOWN_START = datetime(1970, 1, 1, tzinfo=timezone.utc)
# An interval of age that is always true: DANDI asks for an age, most sources give none.
UNKNOWN_AGE = "P0D/"
UNKNOWN = "unknown"
NOT_GIVEN = float("nan")
CHUNK_FRAMES = 32768
OBJECT_NAMESPACE = uuid.UUID("5c2dd3a5-4bd9-4f1c-8d1e-3f5b1d6f9a10")
TRIAL_COLUMNS = {
    "clock_offset_s": "Time on the source's own clock of this trial = session time - this offset, s.",
    "source_trial": "Position of the trial in the source, from 0.",
    "first_valid_frame": "Frames of the trial before this one show no fluorescence (closed shutter, padding).",
}


def build_nwbfile(cell: Cell) -> NWBFile:
    """Lay one cell out as NWB.

    One ROI; dF/F of each trial as a RoiResponseSeries in ``processing/ophys/DfOverF`` (a rate where the
    frames are regular within 1 µs, timestamps elsewhere); spikes in ``units`` with resolution, observed
    intervals and a reference to the ROI; trials as TimeIntervals; frames without fluorescence in
    ``invalid_times``. All on one clock: trials follow each other, their true distance is not known. What the
    sources do not tell is left out, NaN or "unknown". Object identifiers depend on the cell alone, so that
    the same cell gives the same file.
    """
    dataset = _dataset_of(cell)
    placements = place_trials(cell.trials)
    nwbfile = NWBFile(
        session_description=_session_description(cell),
        identifier=str(uuid.uuid5(OBJECT_NAMESPACE, cell.name)),
        experiment_description=_experiment_description(dataset),
        session_start_time=_session_start(cell),
        file_create_date=CONVERTER_DATE,
        session_id=cell.name,
        keywords=["spike inference", "ground truth", "calcium imaging", cell.indicator],
        related_publications=[f"doi:{doi}" for doi in dataset.references] if dataset else None,
        notes=json.dumps(source_record(cell), ensure_ascii=False),
    )
    nwbfile.subject = _subject(cell, dataset)
    rois = _add_plane(nwbfile, cell, dataset)
    series = _add_dff(nwbfile, cell, placements, rois)
    _add_spikes(nwbfile, cell, placements, rois)
    _add_trials(nwbfile, cell, placements, series)
    _fix_object_ids(nwbfile, cell.name)
    return nwbfile


def source_record(cell: Cell) -> dict[str, Any]:
    """Return where a cell comes from and what was dropped, as it stands as JSON in the file's notes."""
    return {
        "converter_version": CONVERTER_VERSION,
        "source_file": cell.source_file,
        "source_sha256": cell.source_sha256,
        "cells_in_source": cell.cells_in_source,
        "dataset": cell.dataset,
        "cell_id": cell.cell_id,
        "animal_basis": cell.animal_basis,
        "cell_type": cell.cell_type,
        "species": cell.species,
        "region": cell.region,
        "subject_age": cell.subject_age,
        "session_date": cell.session_date.isoformat() if cell.session_date else None,
        "dropped": [asdict(remark) for remark in cell.dropped],
        "notes": [asdict(remark) for remark in cell.notes],
        "summary": summarise_cell(cell).to_record(),
    }


def _dataset_of(cell: Cell) -> Dataset | None:
    """Return the catalogue's entry, None for cells of no published data set."""
    return next((dataset for dataset in load_catalogue().datasets if dataset.id == cell.dataset), None)


def _is_simulated(cell: Cell) -> bool:
    """Whether no animal, microscope or pipette was involved."""
    return cell.animal_basis == "simulated"


def _session_description(cell: Cell) -> str:
    """Say what the file holds and which of its times are not known."""
    simulated = _is_simulated(cell)
    what = "Simulated recording" if simulated else "Simultaneous cell-attached recording and calcium imaging"
    day = "Only its day is known" if cell.session_date else "Its day and time are not known"
    times = "" if simulated else f" {day}; trials are in order, the time between them is not known."
    return f"{what} of one cell ({cell.indicator}).{times}"


def _experiment_description(dataset: Dataset | None) -> str | None:
    """Name the data set, where it was published and on which terms."""
    if dataset is None:
        return None
    source = load_catalogue().source(dataset.source)
    return f"{dataset.id} of: {source.title}, {source.url} ({source.terms})."


def _session_start(cell: Cell) -> datetime:
    """Return midnight UTC of the recording's day, or the zero of Unix time where it is not known."""
    if cell.session_date is None:
        return UNKNOWN_START
    return datetime.combine(cell.session_date, time(), tzinfo=timezone.utc)


def _subject(cell: Cell, dataset: Dataset | None) -> Subject:
    """Describe the animal; sex and age are explicitly unknown unless the source tells."""
    description = {
        "simulated": "No animal: simulated; species and region are those that the kinetics were measured in.",
        "unknown": "The source does not tell which cells share an animal; this name stands for one cell.",
    }.get(cell.animal_basis, f"Known from: {cell.animal_basis}.")
    return Subject(
        subject_id=cell.animal_id,
        species=cell.species or (dataset.species if dataset else None),
        sex="U",
        age=cell.subject_age or (dataset.subject_age if dataset else None) or UNKNOWN_AGE,
        description=description,
    )


def _add_plane(nwbfile: NWBFile, cell: Cell, dataset: Dataset | None) -> DynamicTableRegion:
    """Add device, electrode, plane and the one ROI; return a reference to it."""
    region = cell.region or (dataset.region if dataset else None) or UNKNOWN
    simulated = _is_simulated(cell)
    what = "None: the recording is simulated." if simulated else "Two-photon microscope of the source."
    microscope = nwbfile.create_device(name="microscope", description=what)
    if not simulated:
        amplifier = nwbfile.create_device(name="amplifier", description="Patch-clamp amplifier of the source.")
        nwbfile.create_icephys_electrode(
            name="electrode",
            description="Pipette of the loose-seal (cell-attached) recording that the spikes were detected in.",
            device=amplifier,
            location=region,
            cell_id=cell.name,
        )
    plane = ImagingPlane(
        name="ImagingPlane",
        optical_channel=OpticalChannel(
            name="OpticalChannel", description="Fluorescence of the indicator.", emission_lambda=NOT_GIVEN
        ),
        description="Plane of the imaged cell; wavelengths are not given by the source.",
        device=microscope,
        excitation_lambda=NOT_GIVEN,
        indicator=cell.indicator,
        location=region,
    )
    nwbfile.add_imaging_plane(plane)
    cell_type = cell.cell_type or (dataset.cell_type if dataset else None) or UNKNOWN
    segmentation = PlaneSegmentation(
        name="PlaneSegmentation",
        description="The one recorded cell; its outline is not given by the source (a mask of one NaN pixel).",
        imaging_plane=plane,
    )
    segmentation.add_column(name="cell_name", description="Name of the cell in the ground truth.")
    segmentation.add_column(name="cell_type", description="Cell type as published.")
    segmentation.add_roi(image_mask=np.full((1, 1), NOT_GIVEN), cell_name=cell.name, cell_type=cell_type)
    ophys = nwbfile.create_processing_module(name="ophys", description="dF/F of the recorded cell.")
    ophys.add(ImageSegmentation(plane_segmentations=[segmentation]))
    return segmentation.create_roi_table_region(region=[0], description="The recorded cell.")


def _add_dff(
    nwbfile: NWBFile, cell: Cell, placements: tuple[Placement, ...], rois: DynamicTableRegion
) -> list[RoiResponseSeries]:
    """Add dF/F of every trial and return the series in the order of the trials."""
    container = DfOverF()
    nwbfile.processing["ophys"].add(container)
    series = []
    for number, trial, placement in zip(cell.trial_numbers, cell.trials, placements, strict=True):
        rate = regular_rate(trial.time_s)
        start = float(trial.time_s[0] + placement.offset_s)
        timing: dict[str, Any] = {"rate": rate, "starting_time": start}
        if rate is None:
            timing = {"timestamps": _stored(trial.time_s + placement.offset_s)}
        one = RoiResponseSeries(
            name="RoiResponseSeries" if len(cell.trials) == 1 else f"RoiResponseSeries{number:03d}",
            description=f"dF/F of trial {number} of the source, as a fraction (0.5 is 50 %).",
            data=_stored(trial.dff[:, None]),
            unit="n.a.",
            rois=_region_like(rois),
            **timing,
        )
        container.add_roi_response_series(one)
        series.append(one)
    return series


def _add_spikes(nwbfile: NWBFile, cell: Cell, placements: tuple[Placement, ...], rois: DynamicTableRegion) -> None:
    """Add all spikes as one unit that refers to the ROI."""
    units = Units(
        name="units",
        description="Simulated spikes."
        if _is_simulated(cell)
        else "Spikes of the cell, from its cell-attached recording.",
        resolution=cell.spike_resolution_s,
    )
    units.add_column(name="roi", description="The cell's ROI.", index=False, table=rois.table, data=[])
    spikes = [trial.spike_times_s + place.offset_s for trial, place in zip(cell.trials, placements, strict=True)]
    units.add_unit(
        spike_times=np.concatenate(spikes),
        obs_intervals=np.array([[place.start_s, place.stop_s] for place in placements]),
        roi=0,
    )
    nwbfile.units = units


def _add_trials(
    nwbfile: NWBFile, cell: Cell, placements: tuple[Placement, ...], series: list[RoiResponseSeries]
) -> None:
    """Add the trials with their clocks, and the times without fluorescence."""
    trials = TimeIntervals(name="trials", description="Trials of the source on one clock.")
    for name, description in TRIAL_COLUMNS.items():
        trials.add_column(name=name, description=description)
    invalid = TimeIntervals(name="invalid_times", description="Frames that show no fluorescence.")
    for number, trial, place, one in zip(cell.trial_numbers, cell.trials, placements, series, strict=True):
        first = trial.first_valid_frame
        # Rows are added as such: add_interval computes frames from the times, wrongly where spikes lie outside them.
        trials.add_row(
            start_time=place.start_s,
            stop_time=place.stop_s,
            timeseries=[TimeSeriesReference(0, trial.n_frames, one)],
            clock_offset_s=place.offset_s,
            source_trial=np.uint16(number),
            first_valid_frame=np.uint32(first),
        )
        if first:
            start, stop = trial.time_s[[0, first]] + place.offset_s
            frames = [TimeSeriesReference(0, first, one)]
            invalid.add_row(start_time=float(start), stop_time=float(stop), timeseries=frames)
    nwbfile.trials = trials
    if len(invalid):
        nwbfile.invalid_times = invalid


def _stored(values: Any) -> H5DataIO:
    """Compress a long vector in chunks that suit reading one trial."""
    chunks = (min(CHUNK_FRAMES, len(values)), *values.shape[1:])
    return H5DataIO(values, compression="gzip", compression_opts=4, shuffle=True, chunks=chunks)


def _region_like(rois: DynamicTableRegion) -> DynamicTableRegion:
    """Return another reference to the same row, because a series owns its reference."""
    region: DynamicTableRegion = rois.table.create_roi_table_region(region=[0], description=rois.description)
    return region


def _fix_object_ids(root: NWBFile, seed: str) -> None:
    """Derive all object identifiers from the cell's name; hdmf draws them at random and offers no other way."""
    for position, container in enumerate(_walk(root)):
        container._AbstractContainer__object_id = str(uuid.uuid5(OBJECT_NAMESPACE, f"{seed}/{position}"))


def _walk(container: Any) -> Iterator[Any]:
    """Yield a container and all below it, in the order in which they were added."""
    yield container
    for child in container.children:
        yield from _walk(child)
