"""A rate that is given where timestamps are of no use: frames follow from where the recording began."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nwb_cascade.annotation.annotate
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.nwb.stored_run import open_run
from tests.support.fake_runs import fake_run
from tests.support.nwb_oddities import one_series, replace_timestamps
from tests.support.recordings import simulated_dff

N_FRAMES, RATE, START_S = 900, 30.0, 5.0
STAMPS = np.arange(N_FRAMES) / RATE + START_S
NONE_BUT_ONE = np.where(np.arange(N_FRAMES) == 30, START_S + 1, np.nan)


@pytest.mark.parametrize("sidecar", [False, True])
@pytest.mark.parametrize(
    ("stamps", "start_s"),
    [
        (STAMPS[:850], START_S),
        (STAMPS[:1], START_S),
        (STAMPS * np.nan, 0.0),
        (NONE_BUT_ONE, START_S),
        (np.full(N_FRAMES, START_S), START_S),
    ],
    ids=["fewer than frames", "one", "none finite", "one finite", "all equal"],
)
def test_every_frame_and_spike_has_its_own_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stamps: np.ndarray, start_s: float, sidecar: bool
) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)
    path = one_series(tmp_path / "mouse.nwb", simulated_dff(2, N_FRAMES).T, timestamps=STAMPS)
    replace_timestamps(path, stamps)
    result = annotate(path, imaging_rate=RATE, spikes="conserved", sidecar=sidecar)
    assert any(f"frames follow at the given 30 Hz from {start_s:g} s on" in note for note in result.warnings)
    even = one_series(tmp_path / "even.nwb", simulated_dff(2, N_FRAMES).T, rate=RATE, starting_time=start_s)
    expected = annotate(even, spikes="conserved")
    with open_run(Path(result.output)) as run, open_run(Path(expected.output)) as wanted:
        assert (run.series.rate, run.series.starting_time, run.series.timestamps) == (RATE, start_s, None)
        assert (run.imaging_rate, run.start_s) == (RATE, start_s)
        assert run.spikes is not None
        assert wanted.spikes is not None
        for roi in range(2):
            np.testing.assert_allclose(run.spikes.times(roi), wanted.spikes.times(roi))
            assert run.spikes.times(roi).size > 0
