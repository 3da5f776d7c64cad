"""The main job with real parts: a published model, a real recording, one command each."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.io import loadmat

from nwb_cascade.cli import main
from nwb_cascade.nwb.files import open_nwb
from tests.support.fake_runs import STORED
from tests.support.recordings import dff_recording
from tests.support.shared import shared_path

MODEL = "Global_EXC_30Hz_smoothing25ms"
TOLERANCE = 1e-5


def command(*arguments: object) -> str:
    """Run nwb-cascade; it must succeed."""
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_stored_rates_equal_the_published_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="reading .pth needs the extra 'torch'")
    monkeypatch.setenv("NWB_CASCADE_MODELS", str(tmp_path / "models"))
    excerpt = shared_path("example_datasets/Experiment_552195520_excerpt.mat")
    reference = np.load(shared_path(f"cascade_models/reference_{MODEL}.npz"))["spike_prob"]
    recording = dff_recording(tmp_path / "Allen 552195520.nwb", loadmat(excerpt)["dF_traces"].astype(np.float32))
    command("models", "import", shared_path(f"cascade_models/{MODEL}"))
    command("infer", recording, "--model", MODEL, "--legacy-alignment")
    with open_nwb(tmp_path / "Allen 552195520_spikes.nwb") as (nwbfile, _):
        series = nwbfile.processing["ophys"]["InferredSpikeRates"]
        stored = series.data[:].T
        assert series.alignment == "published"
        assert series.model.ensemble_size == 5
        assert list(series.model.noise_levels[:]) == [2, 3, 4, 5, 6, 7, 8, 9]
    np.testing.assert_array_equal(np.isnan(stored), np.isnan(reference))
    np.testing.assert_allclose(stored, reference, atol=TOLERANCE, rtol=STORED)
