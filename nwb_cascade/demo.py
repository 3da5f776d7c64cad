"""The main job on a simulated population: needs no data and no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ground_truth_nwb.hdf5_files import open_hdf5
from ground_truth_nwb.simulate import simulate_population
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.annotation.spikes import annotate_spikes
from nwb_cascade.core.kernels import smooth, smoothing_kernel
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.resampling import bin_spikes
from nwb_cascade.discrete import match_spikes
from nwb_cascade.errors import InputError
from nwb_cascade.nwb.stored_run import open_run
from nwb_cascade.report import write_report
from nwb_cascade.report.page import require_library

if TYPE_CHECKING:
    from nwb_cascade.results.result import AnnotationResult, SpikesResult

N_ROIS = 24
DURATION_S = 120.0
IMAGING_RATE = 8.46  # a rate for which nobody publishes a model
IDENTIFIER = "nwb-cascade-demo"  # of the simulated recording
INDICATOR = "jGCaMP8m"
FIRING_RATE_HZ = 0.6
SMOOTHING_S = 0.2  # about two frames
NEURON_APART = 20  # pixels
TOLERANCE_S = 1 / IMAGING_RATE


@dataclass(frozen=True)
class DemoResult:
    """What the demo did: the recording, the annotation and how well it recovered the simulated spikes.

    ``correlation`` is the median over ROIs of Pearson's correlation with the smoothed true spikes. With a report,
    ``report`` is the page, ``discrete`` tells of the discrete spikes and ``f1`` is their median F1 over ROIs (spikes at
    most a frame apart).
    """

    recording: Path
    annotation: AnnotationResult
    n_true_spikes: int
    n_expected_spikes: float
    correlation: float
    report: Path | None = None
    discrete: SpikesResult | None = None
    f1: float | None = None


def run_demo(folder: Path, *, seed: int = 0, report: bool = False, progress: Progress | None = None) -> DemoResult:
    """Simulate a population, write it as NWB, annotate it and compare the result with the simulated spikes.

    Parameters
    ----------
    folder : pathlib.Path
        Receives ``recording.nwb`` and ``recording_spikes.nwb``; made if absent.
    seed : int
        Seed of the simulation.
    report : bool
        Add discrete spikes and write ``report.html`` as well.
    progress : callable, optional
        Called with the ROIs done and their total.

    Raises
    ------
    InputError
        If ``recording.nwb`` is there and was not simulated here.
    ImportError
        If a report is asked for and plotly is not installed.
    """
    if report:
        require_library()
    folder.mkdir(parents=True, exist_ok=True)
    recording = folder / "recording.nwb"
    if recording.exists() and not _is_own(recording):
        raise InputError(f"{recording} exists and is not the demo's: it is not replaced. Name another folder.")
    rng = np.random.default_rng(seed)
    dff, spike_times = simulate_population(
        rng,
        N_ROIS,
        indicator=INDICATOR,
        imaging_rate=IMAGING_RATE,
        duration_s=DURATION_S,
        firing_rate_hz=FIRING_RATE_HZ,
        noise_level=np.linspace(1, 6, N_ROIS),
    )
    write_recording(recording, dff)
    annotation = annotate(recording, smoothing_s=SMOOTHING_S, overwrite=True, progress=progress)
    expected, kernel = _read_rates(Path(annotation.output), annotation.run_name)
    frames = np.arange(dff.shape[1]) / IMAGING_RATE
    truth = np.array([bin_spikes(times, frames, IMAGING_RATE) for times in spike_times], np.float64)
    smoothed = smooth(truth, kernel=kernel)
    valid = np.isfinite(expected)
    correlations = [np.corrcoef(e[v], t[v])[0, 1] for e, t, v in zip(expected, smoothed, valid, strict=True)]
    result = DemoResult(
        recording,
        annotation,
        n_true_spikes=int(truth[valid].sum()),
        n_expected_spikes=float(expected[valid].sum()),
        correlation=float(np.median(correlations)),
    )
    return _with_report(result, spike_times) if report else result


def _is_own(recording: Path) -> bool:
    """Tell whether a recording is one of an earlier demonstration."""
    try:
        with open_hdf5(recording) as file:
            return bool(file["identifier"].asstr()[()] == IDENTIFIER)
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return False


def _with_report(demo: DemoResult, spike_times: Sequence[NDArray[np.float64]]) -> DemoResult:
    """Add discrete spikes to the annotated copy, compare them with the true ones and write the page."""
    annotated = Path(demo.annotation.output)
    discrete = annotate_spikes(annotated, in_place=True, run_name=demo.annotation.run_name, overwrite=True)
    with open_run(annotated, demo.annotation.run_name) as run:
        found = [np.empty(0) if run.spikes is None else run.spikes.times(roi) for roi in range(len(spike_times))]
    scores = [match_spikes(true, ours, TOLERANCE_S).f1 for true, ours in zip(spike_times, found, strict=True)]
    page = write_report(annotated, annotated.with_name("report.html"), run_name=demo.annotation.run_name)
    return replace(demo, report=page, discrete=discrete, f1=float(np.nanmedian(scores)))


def write_recording(path: Path, dff: NDArray[np.float32]) -> None:
    """Write simulated dF/F (n_rois, n_frames) as a small NWB file that says what it is."""
    from pynwb import NWBHDF5IO, NWBFile
    from pynwb.base import Images
    from pynwb.file import Subject
    from pynwb.image import GrayscaleImage
    from pynwb.ophys import DfOverF, ImageSegmentation, OpticalChannel

    nwbfile = NWBFile(
        session_description="Simulated calcium imaging of a population, made by nwb-cascade demo.",
        identifier=IDENTIFIER,
        session_start_time=datetime(2026, 1, 1, tzinfo=timezone.utc),
        session_id="demo",
    )
    nwbfile.subject = Subject(
        subject_id="simulated", species="Mus musculus", sex="U", age="P60D", description="Simulated, not an animal."
    )
    plane = nwbfile.create_imaging_plane(
        name="ImagingPlane",
        optical_channel=OpticalChannel(name="green", description="simulated", emission_lambda=510.0),
        description="Simulated plane.",
        device=nwbfile.create_device(name="Simulator", description="ground_truth_nwb.simulate"),
        excitation_lambda=920.0,
        indicator=INDICATOR,
        location="simulated",
        imaging_rate=IMAGING_RATE,
    )
    segmentation = ImageSegmentation()
    ophys = nwbfile.create_processing_module("ophys", "Simulated traces.")
    ophys.add(segmentation)
    rois = segmentation.create_plane_segmentation("Simulated neurons.", plane, name="PlaneSegmentation")
    discs, picture = _simulated_plane(len(dff))
    for disc in discs:
        rois.add_roi(pixel_mask=disc)
    ophys.add(Images(name="Pictures", images=[GrayscaleImage(name="mean", data=picture, description="Simulated.")]))
    container = DfOverF()
    ophys.add(container)
    container.create_roi_response_series(
        name="RoiResponseSeries",
        data=dff.T,
        rois=rois.create_roi_table_region("All neurons.", region=list(range(len(dff)))),
        unit="n.a.",
        rate=IMAGING_RATE,
        description="Simulated dF/F as a fraction.",
    )
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwbfile)


def _simulated_plane(n_rois: int) -> tuple[list[list[tuple[int, int, float]]], NDArray[np.float32]]:
    """Pixel masks (x, y, weight) of neurons that lie apart, and a picture of their plane (n_x, n_y)."""
    rng, n_across = np.random.default_rng(0), int(np.ceil(np.sqrt(n_rois)))
    picture = (0.2 + 0.1 * rng.random((NEURON_APART * n_across, NEURON_APART * n_across))).astype(np.float32)
    discs = []
    for roi in range(n_rois):
        radius = rng.uniform(0.25, 0.4) * NEURON_APART
        x, y = (NEURON_APART * (place + 0.5) + rng.uniform(-2, 2) for place in divmod(roi, n_across))
        inside = np.argwhere(np.hypot(*(np.indices(picture.shape) - np.array([x, y])[:, None, None])) <= radius)
        weights = 1 - 0.5 * np.hypot(*(inside - [x, y]).T) / radius
        picture[tuple(inside.T)] += 0.6 * weights
        discs.append([(int(i), int(j), float(weight)) for (i, j), weight in zip(inside, weights, strict=True)])
    return discs, picture


def _read_rates(path: Path, run_name: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Expected spikes (n_rois, n_frames) of a run and the kernel that they carry."""
    import ndx_spike_inference  # noqa: F401  # registers the types
    from pynwb import NWBHDF5IO

    with NWBHDF5IO(str(path), "r") as io:
        series = io.read().processing["ophys"][run_name]
        run = json.loads(series.run_parameters)
        kernel = smoothing_kernel(run["kernel"], run["smoothing_s"], IMAGING_RATE)
        return np.asarray(series.data[:]).T, kernel
