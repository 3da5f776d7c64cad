"""Rates and spikes in ``.npz`` files that pynapple loads as its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nwb_cascade.annotation.annotate
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.readers.stored_runs import open_run
from nwb_cascade.report import write_report
from tests.support.annotating import hidden_files
from tests.support.fake_runs import STORED, fake_run
from tests.support.recordings import dff_recording, simulated_dff

nap = pytest.importorskip("pynapple", reason="pynapple is not installed")
N_ROIS, N_FRAMES, RATE = 4, 300, 30.0


@pytest.fixture(autouse=True)
def _without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)


def expected_rates() -> Any:
    rates = np.maximum(0.75 * simulated_dff(N_ROIS, N_FRAMES), 0)
    rates[:, :4] = np.nan
    rates[:, -3:] = np.nan
    return rates


@pytest.mark.filterwarnings("ignore")  # of pynapple's own
def test_rates_load_as_a_frame_and_spikes_as_a_group(tmp_path: Path) -> None:
    recording = dff_recording(tmp_path / "a.nwb", simulated_dff(N_ROIS, N_FRAMES))
    result = annotate(recording, output=tmp_path / "rates.npz", spikes="conserved")
    frame = nap.load_file(tmp_path / "rates.npz")
    assert isinstance(frame, nap.TsdFrame)
    np.testing.assert_allclose(frame.values, expected_rates().T, rtol=STORED)
    np.testing.assert_allclose(frame.t, 1.25 + np.arange(N_FRAMES) / RATE, atol=1e-6)
    group = nap.load_file(tmp_path / "rates_discrete.npz")
    assert isinstance(group, nap.TsGroup)
    assert list(group.keys()) == list(frame.columns)
    assert result.spikes is not None
    assert sum(len(train) for train in group.values()) == result.spikes.n_spikes > 0
    assert group["spike_fit_error"].shape == (N_ROIS,)
    in_nwb = annotate(recording, sidecar=True, spikes="conserved")
    with open_run(Path(in_nwb.output)) as run:
        assert run.spikes is not None
        for roi, train in enumerate(group.values()):
            np.testing.assert_allclose(train.t, run.spikes.times(roi), atol=1e-6)
    assert hidden_files(tmp_path) == []


@pytest.mark.filterwarnings("ignore")
def test_a_pause_separates_epochs_and_no_frame_is_lost(tmp_path: Path) -> None:
    times = np.arange(N_FRAMES) / RATE
    times[150:] += 20.0
    recording = dff_recording(tmp_path / "a.nwb", simulated_dff(N_ROIS, N_FRAMES), timestamps=times)
    annotate(recording, output=tmp_path / "rates.npz")
    frame = nap.load_file(tmp_path / "rates.npz")
    assert frame.shape == (N_FRAMES, N_ROIS)
    assert len(frame.time_support) == 2
    np.testing.assert_allclose(frame.t, times, atol=1e-9)


def test_a_result_is_known_again_and_read_back(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", simulated_dff(N_ROIS, N_FRAMES))
    output = tmp_path / "rates.npz"
    annotate(tmp_path / "a.npy", imaging_rate=RATE, output=output, spikes="conserved")
    assert annotate(tmp_path / "a.npy", imaging_rate=RATE, output=output, spikes="conserved").skipped
    with pytest.raises(NameTakenError, match=r"rates\.npz exists and was made from other inputs"):
        annotate(tmp_path / "a.npy", imaging_rate=RATE, output=output, threshold="raw")
    with open_run(output) as run:
        np.testing.assert_allclose(run.rates[0:N_ROIS], expected_rates(), rtol=STORED)
        assert run.spikes is not None
        assert run.ensemble_std is not None
    assert write_report(output, tmp_path / "page.html").exists()


def test_a_record_belongs_to_one_file(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", simulated_dff(N_ROIS, N_FRAMES))
    annotate(tmp_path / "a.npy", imaging_rate=RATE, output=tmp_path / "rates.npy")
    with pytest.raises(NameTakenError, match=r"rates\.npy exists: rates\.json, which tells how rates\.npz was made"):
        annotate(tmp_path / "a.npy", imaging_rate=RATE, output=tmp_path / "rates.npz")
    with pytest.raises(InputError, match=r"ending in \.npy, \.npz or \.mat"):
        annotate(tmp_path / "a.npy", imaging_rate=RATE, output=tmp_path / "rates.txt")
