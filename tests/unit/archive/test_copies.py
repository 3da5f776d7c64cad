"""Annotated copies in a planned folder are not counted as recordings of their own."""

from pathlib import Path

import pytest

import nwb_cascade.annotation.annotate
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.annotation.spikes import annotate_spikes
from nwb_cascade.archive import plan as planning
from nwb_cascade.archive.manifest import Manifest
from tests.support.fake_runs import fake_run
from tests.support.recordings import add_dff, bare_nwbfile, dff_recording, simulated_dff, write_recording


@pytest.fixture(autouse=True)
def _without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)
    monkeypatch.setattr(planning, "prepare_run", fake_run)


def planned(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Names of the files that get jobs, and why others do not."""
    manifest = Manifest(planning.plan([str(folder)], folder.parent / "jobs.jsonl").path)
    return [Path(job.address).name for job in manifest.jobs()], {
        Path(one.address).name: one.reason for one in manifest.skipped()
    }


@pytest.mark.parametrize("suffix", [".nwb", ".nwb.zarr"])
def test_copies_beside_their_recording_get_no_job(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    recording = dff_recording(folder / f"sub-1_ophys{suffix}")
    copy = annotate(recording).output
    annotate_spikes(copy)
    jobs, skipped = planned(folder)
    assert jobs == [recording.name]
    assert set(skipped) == {f"sub-1_desc-spikes_ophys{suffix}", f"sub-1_desc-spikesDiscrete_ophys{suffix}"}
    assert all(reason == f"It is an annotated copy of {recording}, which has the job." for reason in skipped.values())


def test_recordings_that_hold_runs_themselves_keep_their_jobs(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for seed, name in enumerate(("a.nwb", "b.nwb")):  # two sessions of one identifier, as careless writers give it
        nwbfile = bare_nwbfile()
        add_dff(nwbfile, simulated_dff(seed=seed))
        annotate(write_recording(folder / name, nwbfile), in_place=True)
    assert planned(folder) == (["a.nwb", "b.nwb"], {})
