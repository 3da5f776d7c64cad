"""Results on disk equal results in memory, whatever the blocks."""

from pathlib import Path

import numpy as np
import pytest

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.precision import DEVIATION_BITS, RATE_BITS, rounded
from nwb_cascade.core.traces import DffTraces
from nwb_cascade.errors import InputError
from nwb_cascade.inference import infer_blocks
from nwb_cascade.readers.recording import Recording
from nwb_cascade.results.stored_inference import infer_to_disk
from tests.support.fake_runs import fake_run
from tests.support.recordings import simulated_dff


@pytest.fixture
def traces() -> DffTraces:
    dff = simulated_dff(5, 200)
    dff[3] = np.nan
    return DffTraces.from_array(dff, 30.0)


def recording_of(traces: DffTraces) -> Recording:
    return Recording("memory", traces, FrameClock.from_rate(30.0, traces.n_frames))


@pytest.mark.parametrize("block_rois", [1, 2, 5])
def test_blocks_reassemble_to_the_whole(traces: DffTraces, tmp_path: Path, block_rois: int) -> None:
    run, done = fake_run(30.0), []
    (whole,) = infer_blocks(traces, run)
    report = lambda n, total: done.append((n, total))  # noqa: E731
    with infer_to_disk(recording_of(traces), run, tmp_path, progress=report, block_bytes=800 * block_rois) as stored:
        np.testing.assert_array_equal(stored.expected_spikes[:], rounded(whole.expected_spikes, RATE_BITS))
        assert stored.ensemble_std is not None
        np.testing.assert_array_equal(stored.ensemble_std[:], rounded(whole.ensemble_std, DEVIATION_BITS))
    np.testing.assert_array_equal(stored.noise_levels, whole.noise_levels)
    np.testing.assert_array_equal(stored.model_noise_levels, whole.model_noise_levels)
    np.testing.assert_array_equal(stored.valid_frames, whole.valid_frames)
    assert stored.warnings == whole.warnings
    assert len(done) == -(-5 // block_rois)
    assert done[-1] == (5, 5)


def test_what_is_known_per_roi_is_counted_and_told(traces: DffTraces, tmp_path: Path) -> None:
    with infer_to_disk(recording_of(traces), fake_run(30.0), tmp_path, ensemble_std=False) as stored:
        assert stored.ensemble_std is None
    assert stored.n_inferred == 4
    assert [warning.roi for warning in stored.warnings] == [3]
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_infer_from_is_an_error_that_counts_the_reasons(tmp_path: Path) -> None:
    traces = DffTraces.from_array(np.full((3, 50), np.nan), 30.0, source={"object_path": "/acquisition/dff"})
    match = r"infer from in /acquisition/dff \(3 ROIs, 50 frames\); nothing was written\. 3 of 3 ROIs: no finite frame"
    with pytest.raises(InputError, match=match), infer_to_disk(recording_of(traces), fake_run(30.0), tmp_path):
        pass
    empty = DffTraces.from_array(np.zeros((0, 50)), 30.0)
    with pytest.raises(InputError, match="It has no ROI"), infer_to_disk(recording_of(empty), fake_run(30.0), tmp_path):
        pass
