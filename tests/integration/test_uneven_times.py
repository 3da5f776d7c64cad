"""Recordings whose frames are not even: pauses, dropped and doubled frames, other rates, masked intervals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from pynwb.epoch import TimeIntervals

import nwb_cascade
import nwb_cascade.annotation.annotate
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.annotation.spikes import annotate_spikes
from nwb_cascade.cli import main
from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.nwb.files import open_nwb
from tests.support.fake_runs import STORED, fake_run
from tests.support.nwb_oddities import replace_timestamps
from tests.support.recordings import add_dff, bare_nwbfile, dff_recording, simulated_dff, write_recording

RATE, FRAMES = 30.0, 600
EVEN = 5 + np.arange(FRAMES) / RATE
DFF = simulated_dff(3, FRAMES)


@pytest.fixture
def _without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)


def paused(seconds: float = 20.0, frame: int = 300) -> Any:
    times = EVEN.copy()
    times[frame:] += seconds
    return times


def stored(path: str) -> tuple[Any, Any, Any]:
    """Rates (n_rois, n_frames), timestamps and what the run tells of itself."""
    with open_nwb(path) as (nwbfile, _):
        series = nwbfile.processing["ophys"]["InferredSpikeRates"]
        times = None if series.timestamps is None else series.timestamps[:]
        return series.data[:].T, times, json.loads(series.run_parameters)


def rates(dff: Any) -> Any:
    """What the fake ensemble gives of a stretch, (n_rois, n_frames)."""
    values = np.maximum(0.75 * dff, 0)
    values[:, :4] = np.nan
    values[:, -3:] = np.nan
    return values


@pytest.mark.usefixtures("_without_networks")
def test_nothing_is_smeared_across_a_pause(tmp_path: Path) -> None:
    result = annotate(dff_recording(tmp_path / "a.nwb", DFF, timestamps=paused()))
    found, times, parameters = stored(result.output)
    np.testing.assert_array_equal(times, paused())
    np.testing.assert_allclose(found, np.hstack([rates(DFF[:, :300]), rates(DFF[:, 300:])]), rtol=STORED)
    assert [one["frames"] for one in parameters["stretches"]] == [[0, 300], [300, 600]]
    assert result.warnings == (
        "The frames are 2 stretches of 300 and 300 frames at 30 Hz, 20 s apart, inferred one by one.",
    )
    assert annotate(tmp_path / "a.nwb").skipped


@pytest.mark.usefixtures("_without_networks")
@pytest.mark.parametrize("sidecar", [False, True])
def test_dropped_frames_leave_the_others_at_their_times(tmp_path: Path, sidecar: bool) -> None:
    kept = np.delete(np.arange(FRAMES), [200, 400])
    path = dff_recording(tmp_path / "a.nwb", DFF[:, kept], timestamps=EVEN[kept])
    found, times, _ = stored(annotate(path, sidecar=sidecar).output)
    np.testing.assert_array_equal(times, EVEN[kept])
    np.testing.assert_allclose(found, rates(DFF)[:, kept], rtol=STORED)  # as in the whole recording, but for its holes


@pytest.mark.usefixtures("_without_networks")
def test_even_frames_with_timestamps_have_the_key_that_they_had(tmp_path: Path) -> None:
    jittered = EVEN + np.random.default_rng(0).uniform(-1e-3, 1e-3, FRAMES)
    result = annotate(dff_recording(tmp_path / "a.nwb", DFF, timestamps=jittered))
    assert result.imaging_rate == (FRAMES - 1) / (jittered[-1] - jittered[0])
    assert "stretches" not in stored(result.output)[2]
    assert result.warnings == ()


@pytest.mark.usefixtures("_without_networks")
def test_a_timestamp_twice_changes_no_rate_and_is_told(tmp_path: Path) -> None:
    times = EVEN.copy()
    times[100] = times[99]
    result = annotate(dff_recording(tmp_path / "a.nwb", DFF, timestamps=times))
    np.testing.assert_allclose(stored(result.output)[0], rates(DFF), rtol=STORED)
    assert "The timestamp of frame 100 does not come after the one before" in result.warnings[0]


@pytest.mark.usefixtures("_without_networks")
def test_more_timestamps_than_frames_are_told_and_cut(tmp_path: Path) -> None:
    more = 5 + np.arange(FRAMES + 10) / RATE
    path = replace_timestamps(dff_recording(tmp_path / "a.nwb", DFF, timestamps=EVEN), more)
    result = annotate(path)
    assert result.warnings[-1] == "There are 610 timestamps for 600 frames: the first 600 are taken."
    np.testing.assert_allclose(stored(result.output)[1], EVEN)


@pytest.mark.usefixtures("_without_networks")
def test_timestamps_in_milliseconds_take_a_given_rate(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "a.nwb", DFF, timestamps=1000 * EVEN)
    with pytest.raises(InputError, match=r"look like milliseconds: 0\.03 Hz .*, and its imaging plane states 30 Hz;"):
        annotate(path)
    result = annotate(path, imaging_rate=30.0)
    np.testing.assert_allclose(stored(result.output)[0], rates(DFF), rtol=STORED)
    spikes = annotate_spikes(result.output)
    assert spikes.imaging_rate == 30.0


@pytest.mark.usefixtures("_without_networks")
def test_invalid_times_and_named_intervals_get_no_value(tmp_path: Path) -> None:
    nwbfile = bare_nwbfile()
    add_dff(nwbfile, DFF, timestamps=EVEN)
    nwbfile.add_invalid_time_interval(start_time=EVEN[100] + 0.001, stop_time=EVEN[110])
    blanked = TimeIntervals(name="blanked", description="The shutter was closed.")
    blanked.add_row(start_time=EVEN[200] + 0.001, stop_time=EVEN[201])
    nwbfile.add_time_intervals(blanked)
    path = write_recording(tmp_path / "a.nwb", nwbfile)
    result = annotate(path, mask_intervals="blanked")
    missing = np.isnan(stored(result.output)[0]).all(axis=0)
    assert set(range(100, 110)) | {200} <= set(np.flatnonzero(missing))
    assert result.warnings == (
        "10 frames of 600 count as missing: they lie in invalid_times.",
        "1 frame of 600 counts as missing: they lie in blanked.",
    )
    with pytest.raises(NameTakenError, match="exists without this run"):
        annotate(path)
    with pytest.raises(InputError, match=r"named 'shut', found 0; the file holds .*blanked"):
        annotate(path, mask_intervals="shut")


@pytest.mark.usefixtures("_without_networks")
def test_spikes_of_both_sides_of_a_pause_have_times_of_their_own_side(tmp_path: Path) -> None:
    result = annotate(dff_recording(tmp_path / "a.nwb", DFF, timestamps=paused()), spikes="conserved")
    with open_nwb(result.output) as (nwbfile, _):
        times = np.concatenate(nwbfile.processing["ophys"]["InferredSpikes"]["spike_times"][:])
    assert times.size
    assert times.min() >= EVEN[0]
    assert not ((times > paused()[299]) & (times < paused()[300])).any()
    assert annotate_spikes(result.output).skipped  # the same rates and options have the same key


def test_a_rate_that_changes_is_told_to_the_networks(tmp_path: Path) -> None:
    """By the bundled ensemble: each half is what it is as a recording of its own, but for rest level and activity."""
    times = np.concatenate([np.arange(300) / 15, 100 + np.arange(300) / 60])
    path = dff_recording(tmp_path / "a.nwb", DFF, timestamps=times)
    found, _, parameters = stored(annotate(path).output)
    for rate, half in ((15.0, slice(0, 300)), (60.0, slice(300, 600))):
        alone = nwb_cascade.infer(DFF[:, half], rate, indicator="GCaMP6f").expected_spikes
        likeness = [np.corrcoef(one, other)[0, 1] for one, other in zip(found[:, half], alone, strict=True)]
        assert min(likeness) > 0.99
    assert [round(one["imaging_rate_hz"], 6) for one in parameters["stretches"]] == [15, 60]


def test_a_model_of_one_rate_refuses_another(tmp_path: Path) -> None:
    times = np.concatenate([np.arange(400) / 30, 100 + np.arange(200) / 60])
    path = dff_recording(tmp_path / "a.nwb", DFF, timestamps=times)
    with pytest.raises(InputError, match=r"cascade-30Hz-25ms was trained, but frames 400 to 599 were taken at 60 Hz"):
        annotate(path, model="cascade-30Hz-25ms")


def test_what_is_planned_does_not_fail_for_its_times(tmp_path: Path) -> None:
    times = np.arange(3000) / RATE
    times[1500:] = times[1500] + np.arange(1500) / 200  # later than a plan's first look
    dff_recording(tmp_path / "a.nwb", simulated_dff(2, 3000), timestamps=times)
    manifest = tmp_path / "jobs.jsonl"
    command = ["archive", "plan", str(tmp_path), "-o", str(manifest), "--model", "cascade-30Hz-25ms"]
    result = CliRunner().invoke(main, command, catch_exceptions=False)
    assert result.stdout.startswith("0 jobs in")
    assert "were taken at 200 Hz" in manifest.read_text()
