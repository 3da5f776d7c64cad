"""Every Python block of docs/interplay.md runs, and gives what the page says; notebooks: test_notebooks.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pynwb import NWBHDF5IO

import nwb_cascade.annotation.annotate
import nwb_cascade.inference
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.annotation.neuroconv import SpikeInferenceInterface
from nwb_cascade.errors import InputError
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.places import spikes_tables
from nwb_cascade.readers.stored_runs import open_run
from tests.support.fake_runs import STORED, fake_run
from tests.support.program_files import write_caiman
from tests.support.recordings import bare_nwbfile, dff_recording, simulated_dff
from tests.support.suite2p_files import N_FRAMES, N_ROIS, RATE, write_suite2p

DOCS = Path(__file__).parents[2] / "docs"
# Other people's packages may warn of what they do; our own warnings are errors in all other tests.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a snippet."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def _without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (
        nwb_cascade.annotation.annotate,
        nwb_cascade.inference,
    ):
        monkeypatch.setattr(module, "prepare_run", fake_run)


def run_section(title: str) -> dict[str, Any]:
    """Run the Python blocks of a section of the page; returns what they define."""
    section = (DOCS / "interplay.md").read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    assert blocks
    found: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, f"interplay.md, {title}", "exec"), found)
    return found


@pytest.mark.usefixtures("_without_networks")
def test_suite2p(folder: Path) -> None:
    write_suite2p(folder / "session" / "suite2p" / "plane0")
    found = run_section("suite2p")
    assert found["cells"].tolist() == [True, False, True, True]
    assert found["rates"].shape == (N_ROIS, N_FRAMES)
    assert np.isfinite(found["rates"]).any(axis=1).tolist() == [True, False, True, True]


@pytest.mark.usefixtures("_without_networks")
def test_caiman(folder: Path) -> None:
    dff = simulated_dff(N_ROIS, N_FRAMES)
    write_caiman(folder / "results.hdf5", dff, **{"estimates/idx_components": np.array([0, 3])})
    rates = run_section("CaImAn")["rates"]
    np.testing.assert_allclose(rates[3, 10:-10], np.maximum(0.75 * dff[3, 10:-10], 0), rtol=STORED)
    assert list(np.isfinite(rates).any(axis=1)) == [roi in (0, 3) for roi in range(N_ROIS)]


def test_neuroconv(folder: Path) -> None:
    write_suite2p(folder / "session" / "suite2p" / "plane0")
    result = run_section("neuroconv")["result"]
    assert result.dff.startswith("F - 0.7 neuropil")
    with open_nwb(folder / "session.nwb") as (nwbfile, _):
        assert spikes_tables(nwbfile, result.object_path) == (result.spikes.object_path,)
    with open_run(folder / "session_with_rates.nwb") as run:
        assert run.series.rois.table.name == "PlaneSegmentation"
        assert run.shape == (N_ROIS, N_FRAMES)
        rates = run.rates[0:N_ROIS]
    with open_run(Path(annotate(folder / "session/suite2p", indicator="GCaMP6f").output)) as run:
        np.testing.assert_array_equal(rates, run.rates[0:N_ROIS])


@pytest.mark.usefixtures("_without_networks")
def test_a_converter_keeps_times_and_needs_the_rois_of_a_named_table(folder: Path) -> None:
    times = np.arange(300) / RATE
    times[150:] += 20.0
    recording = dff_recording(folder / "r.nwb", simulated_dff(), timestamps=times)
    nwbfile = bare_nwbfile()
    interface = SpikeInferenceInterface(source=str(recording), options={"run_name": "rates"})
    interface.add_to_nwbfile(nwbfile)
    series = nwbfile.processing["ophys"]["rates"]
    np.testing.assert_allclose(series.timestamps, times, atol=1e-9)
    assert (series.rois.table.name, series.data.shape) == ("rates_rois", (300, 4))
    with pytest.raises(InputError, match="Expected a plane segmentation 'cells' of 4 ROIs, found none of that name"):
        interface.add_to_nwbfile(bare_nwbfile(), plane_segmentation="cells")
    with_spikes = bare_nwbfile()
    SpikeInferenceInterface(source=str(recording), options={"spikes": "conserved"}).add_to_nwbfile(with_spikes)
    with NWBHDF5IO(folder / "converted.nwb", "w") as io:
        io.write(with_spikes)
    alone = annotate(recording, spikes="conserved", output=folder / "alone.nwb").output
    trains = []
    for path in (folder / "converted.nwb", alone):
        with open_nwb(path) as (written, _):
            table = written.processing["ophys"]["InferredSpikes"]
            assert table.rates.name == "InferredSpikeRates"
            trains.append(table["spike_times"][:])
    assert sum(map(len, trains[0])) > 0
    for mine, theirs in zip(*trains, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-9)


@pytest.fixture
def annotated(folder: Path, _without_networks: None) -> Path:
    recording = dff_recording(folder / "recording.nwb")
    return Path(nwb_cascade.annotation.annotate.annotate(recording, spikes="conserved").output)


@pytest.mark.usefixtures("_without_networks")
@pytest.mark.parametrize("timestamps", [None, 1.25 + np.arange(300) / RATE])
def test_pynapple(folder: Path, timestamps: Any) -> None:
    recording = dff_recording(folder / "recording.nwb", **({} if timestamps is None else {"timestamps": timestamps}))
    annotated = Path(nwb_cascade.annotation.annotate.annotate(recording, spikes="conserved").output)
    nwb_cascade.annotation.annotate.annotate(recording, output="rates.npz", spikes="conserved")
    found = run_section("pynapple")
    with open_nwb(annotated) as (nwbfile, _):
        times = nwbfile.processing["ophys"]["InferredSpikes"]["spike_times"][:]
        rates = nwbfile.processing["ophys"]["InferredSpikeRates"].data[:]
    assert len(found["spikes"]) == len(times)
    for roi, one in enumerate(times):
        np.testing.assert_allclose(found["spikes"][roi].t, one, atol=1e-9)
    np.testing.assert_allclose(found["rates"].d, rates * RATE, rtol=1e-6)
    assert found["rates"].t[0] == pytest.approx(1.25)


def test_spikeinterface(annotated: Path) -> None:
    sorting = run_section("spikeinterface")["sorting"]
    with open_nwb(annotated) as (nwbfile, _):
        times = nwbfile.processing["ophys"]["InferredSpikes"]["spike_times"][:]
    assert list(sorting.get_unit_ids()) == list(range(len(times)))
    np.testing.assert_allclose(sorting.get_unit_spike_train(0) / 1000, times[0], atol=0.0005)
