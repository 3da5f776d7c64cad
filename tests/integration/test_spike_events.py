"""Discrete spikes in NWB core's /events, as pynwb, its validator and nwbinspector see them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pynwb
import pytest
from click.testing import CliRunner

from nwb_cascade.annotation.spike_events import annotate_events
from nwb_cascade.annotation.spikes import annotate_spikes
from nwb_cascade.cli.spikes import command
from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.write_spikes import SpikesRecord, write_spikes
from tests.integration.test_spikes import RATE, SPIKE_FRAMES, annotated
from tests.support.annotating import hidden_files

if not hasattr(pynwb.NWBFile, "add_events_table"):
    pytest.skip("this pynwb knows no /events", allow_module_level=True)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = annotated(tmp_path_factory.mktemp("once") / "a.nwb")
    annotate_spikes(path, in_place=True, spike_total="supported")
    return path


@pytest.fixture
def recording(once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(once, tmp_path / once.name))


def test_every_spike_is_an_event_of_its_roi(recording: Path) -> None:
    before = recording.read_bytes()
    target = annotate_events(recording)
    assert (target.name, recording.read_bytes()) == ("a_events.nwb", before)
    expected = sorted((1.25 + frame / RATE, roi) for roi, frames in enumerate(SPIKE_FRAMES) for frame in frames)
    with open_nwb(target) as (nwbfile, io):
        events = nwbfile.events["InferredSpikes"]
        np.testing.assert_allclose(events["timestamp"].data[:], [time for time, _ in expected], atol=1e-6)
        np.testing.assert_array_equal(events["roi"].data[:], [roi for _, roi in expected])
        assert events["roi"].table is nwbfile.processing["ophys"]["InferredSpikeRates"].rois.table
        assert events.source_description.startswith("nwb-cascade")
        assert not pynwb.validate(io=io)
        assert len(nwbfile.get_all_events()) == len(expected)
    assert annotate_events(target) == target
    assert hidden_files(recording.parent) == []


@pytest.mark.filterwarnings("ignore")  # of nwbinspector's own
def test_nwbinspector_has_nothing_against_the_events(recording: Path) -> None:
    nwbinspector = pytest.importorskip("nwbinspector")
    target = annotate_events(recording)
    found = list(nwbinspector.inspect_nwbfile(nwbfile_path=str(target)))
    concerned = [str(one.message) for one in found if "/events" in str(one.location) or "events" in str(one.message)]
    assert concerned == []
    assert not [one for one in found if one.importance.name in ("ERROR", "PYNWB_VALIDATION", "CRITICAL")]


def test_events_of_others_and_of_other_spikes_are_not_lost(recording: Path) -> None:
    annotate_events(recording, in_place=True)
    others = tuple(np.array([1.5, 2.0]) for _ in SPIKE_FRAMES)
    path = "/processing/ophys/InferredSpikeRates"
    fit_error = np.zeros(len(others), np.float32)
    write_spikes(recording, SpikesRecord("InferredSpikes", path, others, fit_error, "by hand", "{}"), overwrite=True)
    with pytest.raises(NameTakenError, match=r"/events/InferredSpikes is taken"):
        annotate_events(recording, in_place=True)
    assert annotate_events(recording, in_place=True, overwrite=True) == recording
    with open_nwb(recording) as (nwbfile, _):
        assert len(nwbfile.events["InferredSpikes"]) == 2 * len(others)


def test_a_file_without_spikes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Expected discrete spikes of .* found none: find them first"):
        annotate_events(annotated(tmp_path / "b.nwb"))


def test_the_command_stores_events_with_the_spikes(tmp_path: Path) -> None:
    path = annotated(tmp_path / "c.nwb")
    result = CliRunner().invoke(command, [str(path), "--events", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["output"] == str(tmp_path / "c_discrete.nwb")
    with open_nwb(tmp_path / "c_discrete.nwb") as (nwbfile, _):
        assert set(nwbfile.events) == {"InferredSpikes"}
    wrong = CliRunner().invoke(command, [str(path), "--events", "--csv", str(tmp_path / "s.csv")])
    assert (wrong.exit_code, "--csv without" in wrong.output) == (2, True)
