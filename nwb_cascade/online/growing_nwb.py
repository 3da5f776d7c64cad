"""An NWB file that grows while a recording runs, and is whole whenever the process is killed.

Two copies take turns: what is new goes into the one that nobody sees, which then takes the other's name in one step.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from nwb_cascade import provenance
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import flush
from nwb_cascade.online.inference import OnlineInference
from nwb_cascade.online.session import Told

FLUSH_S = 5.0
CHUNK = (64, 256)  # frames, ROIs
RUN, MODULE = "expected_spikes", "ophys"
UNKNOWN = "Not known: only traces were received."


class GrowingNwb:
    """Results of a session as NWB; new ROIs begin a file of their own, ``NAME_2.nwb`` and so on.

    Parameters
    ----------
    path : pathlib.Path
        The file, which must not exist.
    inference : OnlineInference
        What infers; with one look-ahead.
    flush_s : float
        So much of the recording, s, is lost at most if the process is killed.

    Raises
    ------
    InputError
        If the file exists.
    """

    def __init__(self, path: Path, inference: OnlineInference, *, flush_s: float = FLUSH_S) -> None:
        self._inference, self._first, self._number = inference, path, 0
        self._flush_frames = max(1, round(flush_s * inference.imaging_rate))
        self._pool = ThreadPoolExecutor(1)
        self._pool_result: Future[None] | None = None
        self._begin(0)

    @property
    def path(self) -> Path:
        """The file that grows at present."""
        if self._number == 1:
            return self._first
        return self._first.with_name(f"{self._first.stem}_{self._number}{self._first.suffix}")

    def append(self, told: Told) -> None:
        """Add what one frame gave."""
        if told.rates.size != self._n_rois:
            self._flush()
            self._finish()
            self._begin(max(told.frame, 0))
        if told.frame >= self._start:
            self._new.append(told.rates.copy())
        if len(self._new) >= self._flush_frames:
            self._flush()

    def close(self) -> None:
        """Store what is left."""
        self._flush()
        self._finish()
        self._pool.shutdown()

    def _begin(self, frame: int) -> None:
        """Start a file whose first row is this frame."""
        self._number += 1
        self._start, self._n_rois = frame, self._inference.n_rois
        self._new: list[NDArray[np.float32]] = []
        self._last: list[NDArray[np.float32]] = []
        if self.path.exists():
            raise InputError(f"{self.path} exists already; it is not replaced. Name another file.")
        self._hidden = self.path.with_name(f".{self.path.stem}.growing.nwb")
        _write_empty(self._hidden, self._inference, frame)
        shutil.copyfile(self._hidden, self.path)

    def _flush(self) -> None:
        self._wait()
        rows, self._last, self._new = [*self._last, *self._new], self._new, []
        if self._last:
            levels = self._inference.noise_levels[: self._n_rois]
            self._pool_result = self._pool.submit(_grow, self._hidden, self.path, np.array(rows), levels)

    def _wait(self) -> None:
        if self._pool_result is not None:
            self._pool_result.result()
            self._pool_result = None

    def _finish(self) -> None:
        self._wait()
        self._hidden.unlink(missing_ok=True)


def _grow(hidden: Path, visible: Path, rows: NDArray[np.float32], noise_levels: NDArray[np.float32]) -> None:
    """Add rows to the hidden copy, and let the two change places."""
    import h5py

    with h5py.File(hidden, "r+") as file:
        run = file[f"processing/{MODULE}/{RUN}"]
        data, before = run["data"], run["data"].shape[0]
        data.resize(before + len(rows), axis=0)
        data[before:] = rows
        run["noise_level"][:] = noise_levels
        run["model_noise_level"][:] = noise_levels
        run["valid_frames"][:] = _wider(run["valid_frames"][:], np.isfinite(rows), before)
    flush(hidden)
    kept = hidden.with_name(f"{hidden.stem}.old.nwb")
    try:
        os.link(visible, kept)
    except OSError:  # a file system without hard links
        shutil.copyfile(visible, kept)
    os.replace(hidden, visible)
    os.replace(kept, hidden)


def _wider(bounds: NDArray[np.int64], given: NDArray[np.bool_], before: int) -> NDArray[np.int64]:
    """First frame with a value and one past the last (n_rois, 2), with rows (n, n_rois) behind ``before`` others."""
    some = given.any(axis=0)
    first, stop = before + given.argmax(axis=0), before + len(given) - given[::-1].argmax(axis=0)
    begun = bounds[:, 1] > 0
    first = np.where(some & ~begun, first, bounds[:, 0])
    return np.stack([first, np.where(some, stop, bounds[:, 1])], axis=-1).astype(np.int64)


def _write_empty(path: Path, inference: OnlineInference, first_frame: int) -> None:
    """Write an NWB file without a frame yet: ROIs, the model, and the run that grows."""
    import ndx_spike_inference  # noqa: F401  # registers the types
    from hdmf.backends.hdf5 import H5DataIO
    from pynwb import NWBHDF5IO, NWBFile
    from pynwb.ophys import ImageSegmentation, OpticalChannel

    from nwb_cascade.nwb.write import Axes, add_run

    n_rois, rate = inference.n_rois, inference.imaging_rate
    nwbfile = NWBFile(
        session_description="Expected spikes that were inferred while a recording ran, by nwb-cascade listen.",
        identifier=str(uuid4()),
        session_start_time=datetime.now(timezone.utc),
    )
    plane = nwbfile.create_imaging_plane(
        name="ImagingPlane",
        optical_channel=OpticalChannel(name="channel", description=UNKNOWN, emission_lambda=float("nan")),
        description=UNKNOWN,
        device=nwbfile.create_device(name="Microscope", description=UNKNOWN),
        excitation_lambda=float("nan"),
        indicator=inference.indicator or "unknown",
        location="unknown",
        imaging_rate=rate,
    )
    segmentation = ImageSegmentation()
    nwbfile.create_processing_module(MODULE, "Results computed from imaging.").add(segmentation)
    rois = segmentation.create_plane_segmentation(
        "The ROIs in the order of their traces; their places were not received.", plane, name="PlaneSegmentation"
    )
    for _ in range(n_rois):
        rois.add_roi(pixel_mask=[(0, 0, 1.0)])
    region = rois.create_roi_table_region("All ROIs.", region=list(range(n_rois)))
    chunks = tuple(min(size, most) for size, most in zip((CHUNK[0], n_rois), CHUNK, strict=True))

    def growing(matrix: Any) -> H5DataIO:
        return H5DataIO(
            np.zeros((0, n_rois), np.float32), maxshape=(None, n_rois), chunks=chunks, compression="gzip", shuffle=True
        )

    axes = Axes(MODULE, region, {"rate": rate, "starting_time": first_frame / rate})
    add_run(nwbfile, _record(inference), axes, growing)
    with NWBHDF5IO(str(path), "w") as io:
        io.write(nwbfile)


def _record(inference: OnlineInference) -> Any:
    """What is stored of the run before its first frame."""
    from nwb_cascade.nwb.write import RunRecord

    config, options, (delay,) = inference.model.config, inference.options, inference.look_ahead_frames
    parameters = {
        "model": config.name,
        "weights_sha256": inference.model.sha256,
        "imaging_rate_hz": inference.imaging_rate,
        "indicator": inference.indicator,
        "threshold": "nonnegative",
        "alignment": "trained",
        "kernel": options.kernel,
        "smoothing_s": options.smoothing_s,
        "look_ahead_frames": delay,
        "n_networks": options.n_networks,
    }
    source = {"received": "frames by nwb-cascade listen", "n_rois": inference.n_rois}
    kernel = f"smoothed by a {options.kernel} kernel of {options.smoothing_s:g} s"
    smoothing = kernel if options.smoothing_s else "not smoothed"
    none = np.full(inference.n_rois, np.nan, np.float32)
    return RunRecord(
        name=RUN,
        source_path="",
        config=config,
        weights_sha256=inference.model.sha256,
        expected_spikes=np.zeros((inference.n_rois, 0), np.float32),
        ensemble_std=None,
        noise_levels=none,
        model_noise_levels=none,
        valid_frames=np.zeros((inference.n_rois, 2), np.int64),
        roi_warnings=(),
        imaging_rate=inference.imaging_rate,
        alignment="trained",
        threshold="nonnegative",
        run_key=provenance.run_key(source=source, weights_sha256=inference.model.sha256, parameters=parameters),
        run_parameters=provenance.canonical_json(parameters),
        source_provenance=provenance.canonical_json(source),
        description=f"Expected spikes per frame inferred while the recording ran, from frames up to {delay} later, by "
        f"{config.name}, {smoothing}.",
    )
