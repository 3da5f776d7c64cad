"""Run inference on a recording of any length, with its results on disk instead of in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.precision import DEVIATION_BITS, RATE_BITS, rounded
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.roi_warnings import RoiWarning, warning_kinds
from nwb_cascade.core.spike_counts import WholeCounts, whole_sums
from nwb_cascade.core.traces import DffTraces
from nwb_cascade.core.wording import counted
from nwb_cascade.errors import InputError
from nwb_cascade.files.scratch import ScratchArray
from nwb_cascade.inference import BLOCK_BYTES, infer_blocks
from nwb_cascade.inference_run import InferenceRun
from nwb_cascade.readers.recording import Recording


@dataclass(frozen=True, eq=False)
class StoredInference:
    """Results of a run: the large matrices on disk, what is known per ROI in memory.

    Fields as in `nwb_cascade.inference.InferenceResult`, but with values of few bits, see `nwb_cascade.core.precision`;
    ``ensemble_std`` is None if it was not wanted, ``counts`` if no intervals were fitted for the model.
    """

    expected_spikes: ScratchArray
    ensemble_std: ScratchArray | None
    noise_levels: NDArray[np.float32]
    model_noise_levels: NDArray[np.float32]
    valid_frames: NDArray[np.int64]
    warnings: tuple[RoiWarning, ...]
    counts: WholeCounts | None = None

    @property
    def n_inferred(self) -> int:
        """Number of ROIs with at least one value."""
        return int(np.count_nonzero(self.valid_frames[:, 1] > self.valid_frames[:, 0]))


@contextmanager
def infer_to_disk(
    recording: Recording,
    run: InferenceRun,
    folder: Path,
    *,
    ensemble_std: bool = True,
    progress: Progress | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[StoredInference]:
    """Infer block by block into temporary matrices on disk, which go at the end of the context.

    Memory depends on the blocks of `infer_blocks`, not on the recording; the disk holds 4 bytes per ROI and frame,
    twice that with ``ensemble_std``.

    Parameters
    ----------
    recording : Recording
        Its traces.
    run : InferenceRun
        The model, made ready for it.
    folder : pathlib.Path
        Folder of the temporary matrices.
    ensemble_std : bool
        Whether to keep the deviation over the networks as well.
    progress : callable, optional
        Called with (ROIs done, ROIs in all).
    block_bytes : int
        Bytes of dF/F to work on at a time.

    Raises
    ------
    InputError
        If not one ROI yields a value; the message counts the reasons.
    OSError
        If the disk has no room.
    """
    traces = recording.traces
    with ExitStack() as stack:
        n_matrices = 2 if ensemble_std else 1
        matrices = [
            stack.enter_context(ScratchArray(traces.n_rois, traces.n_frames, folder)) for _ in range(n_matrices)
        ]
        noise = np.full((2, traces.n_rois), np.nan, np.float32)
        valid_frames = np.zeros((traces.n_rois, 2), np.int64)
        totals: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        warnings: list[RoiWarning] = []
        for block in infer_blocks(traces, run, recording.clock, progress=progress, block_bytes=block_bytes):
            results = (block.expected_spikes, RATE_BITS), (block.ensemble_std, DEVIATION_BITS)
            for matrix, (values, bits) in zip(matrices, results, strict=False):
                matrix.write_rows(block.rois.start, rounded(values, bits))
            noise[:, block.rois] = block.noise_levels, block.model_noise_levels
            valid_frames[block.rois] = block.valid_frames
            totals.append(whole_sums(block.expected_spikes, recording.clock))
            warnings += block.warnings
        warnings += recording.roi_warnings()
        deviation, counts = matrices[1] if ensemble_std else None, _counts(totals, noise[0], run)
        stored = StoredInference(matrices[0], deviation, noise[0], noise[1], valid_frames, tuple(warnings), counts)
        _require_values(stored, traces)
        yield stored


def _counts(
    totals: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
    noise_levels: NDArray[np.float32],
    run: InferenceRun,
) -> WholeCounts | None:
    """Counts of the whole recording from the sums and seconds of its blocks."""
    if run.count_model is None or not totals:
        return None
    sums, seconds = (np.concatenate(one) for one in zip(*totals, strict=True))
    return WholeCounts.of_sums(sums, seconds, noise_levels, run.count_model)


def _require_values(stored: StoredInference, traces: DffTraces) -> None:
    """Raise if nothing at all could be inferred."""
    if stored.n_inferred:
        return
    n_rois = counted(traces.n_rois, "ROI")
    why = "; ".join(f"{len(kind.rois)} of {n_rois}: {kind.example.message}" for kind in warning_kinds(stored.warnings))
    where = traces.source.get("object_path") or traces.source.get("path", "the traces")
    raise InputError(
        f"Expected at least one trace with values to infer from in {where} "
        f"({n_rois}, {counted(traces.n_frames, 'frame')}); nothing was written. {why or 'It has no ROI.'}"
    )
