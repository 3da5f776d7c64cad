"""Discrete spikes of a stored run: what is written, where, and what is refused."""

from __future__ import annotations

import csv
import json
import shutil
import stat
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from nwb_cascade.annotation.spikes import annotate_spikes
from nwb_cascade.annotation.spikes_table import export_spikes
from nwb_cascade.cli.spikes import command
from nwb_cascade.core.kernels import smooth, smoothing_kernel
from nwb_cascade.errors import AmbiguousSeriesError, InputError, NameTakenError
from nwb_cascade.nwb.check import check_spikes
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.write_spikes import SpikesRecord, write_spikes
from nwb_cascade.results.found_spikes import spikes_name
from tests.support.annotating import contents, hidden_files
from tests.support.recordings import add_dff, bare_nwbfile, dff_recording, simulated_dff, write_recording
from tests.support.run_records import run_record, write_run

N_ROIS, N_FRAMES, RATE = 4, 300, 30.0
SPIKE_FRAMES = ([40, 41, 150], [60], [], [20, 100, 180, 260])  # per ROI


def rates_of(kernel: str = "gaussian", smoothing_s: float = 0.05, n_frames: int = N_FRAMES) -> Any:
    """Rates (n_rois, n_frames) of known spikes, without noise."""
    counts = np.zeros((N_ROIS, n_frames))
    for roi, frames in enumerate(SPIKE_FRAMES):
        np.add.at(counts[roi], frames, 1)
    return smooth(counts, kernel=smoothing_kernel(kernel, smoothing_s, RATE)).astype(np.float32)


def annotated(path: Path, *, timing: dict[str, Any] | None = None, **changes: Any) -> Path:
    """A recording with a run whose rates carry known spikes."""
    n_rois, n_frames = np.shape(changes.get("expected_spikes", np.empty((N_ROIS, N_FRAMES))))
    dff_recording(path, simulated_dff(n_rois, n_frames), **(timing or {}))
    stored = {
        "name": "InferredSpikeRates",
        "expected_spikes": rates_of(),
        "ensemble_std": None,
        "run_parameters": '{"kernel": "gaussian", "smoothing_s": 0.05}',
        "source_provenance": '{"imaging_rate_hz": 30.0}',
    }
    write_run(path, run_record(path, n_rois, n_frames, **{**stored, **changes}))
    return path


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return annotated(tmp_path_factory.mktemp("once") / "mouse 7 ü.nwb")


@pytest.fixture
def recording(once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(once, tmp_path / once.name))


def stored_times(path: Path, name: str = "InferredSpikes") -> list[Any]:
    """Spike times per ROI, s."""
    with open_nwb(path) as (nwbfile, _):
        column = nwbfile.processing["ophys"][name]["spike_times"]
        return [np.asarray(column[roi]) for roi in range(len(column))]


@pytest.mark.parametrize("suffix", [".nwb", ".nwb.zarr"])
def test_a_copy_holds_the_spikes_beside_their_rates(tmp_path: Path, suffix: str) -> None:
    path = annotated(tmp_path / f"sub-1_desc-spikes_ophys{suffix}")
    result = annotate_spikes(path)
    assert Path(result.output) == tmp_path / f"sub-1_desc-spikesDiscrete_ophys{suffix}"
    for times, frames in zip(stored_times(Path(result.output)), SPIKE_FRAMES, strict=True):
        np.testing.assert_allclose(times, 1.25 + np.array(frames) / RATE, atol=1e-4)
    with open_nwb(Path(result.output)) as (nwbfile, _):
        ophys = nwbfile.processing["ophys"]
        table = ophys["InferredSpikes"]
        assert table.rates is ophys["InferredSpikeRates"]
        assert list(table["roi"].data[:]) == [0, 1, 2, 3]
        assert table["roi"].table is ophys["InferredSpikeRates"].rois.table
        np.testing.assert_allclose(table["fit_error"].data[:], [0, 0, np.nan, 0], atol=1e-3)
        parameters = json.loads(table.parameters)
    told = [parameters[key] for key in ("spike_total", "kernel", "smoothing_s")]
    assert told == ["conserved", "gaussian", 0.05]
    assert (parameters["imaging_rate_hz"], parameters["rates_run_key"]) == (RATE, "1" * 64)
    assert (result.n_rois, result.n_spikes) == (4, 8)
    assert result.expected == pytest.approx(8, abs=0.01)
    assert hidden_files(tmp_path) == []
    with open_nwb(path) as (nwbfile, _):
        assert "InferredSpikes" not in nwbfile.processing["ophys"].data_interfaces


def test_in_place_nothing_else_changes(recording: Path) -> None:
    before = contents(recording)
    result = annotate_spikes(recording, in_place=True)
    after = contents(recording)
    assert result.output == str(recording)
    assert before.items() <= after.items()
    assert {path.split("@")[0].rpartition("InferredSpikes")[0] for path in after.keys() - before.keys()} == {
        "processing/ophys/"
    }


def test_spike_times_follow_timestamps(tmp_path: Path) -> None:
    stamps = 5.0 + np.arange(N_FRAMES) / RATE + 1e-3 * np.sin(np.arange(N_FRAMES))
    path = annotated(tmp_path / "r.nwb", timing={"rate": None, "starting_time": None, "timestamps": stamps})
    annotate_spikes(path, in_place=True)
    for times, frames in zip(stored_times(path), SPIKE_FRAMES, strict=True):
        np.testing.assert_allclose(times, stamps[frames], atol=1e-4)


def test_rates_one_frame_early_give_spikes_at_their_frames(tmp_path: Path) -> None:
    path = annotated(tmp_path / "r.nwb", alignment="published")
    annotate_spikes(path, in_place=True)
    np.testing.assert_allclose(stored_times(path)[1], [1.25 + 61 / RATE], atol=1e-4)


def test_kernel_and_smoothing_are_those_of_the_run(tmp_path: Path) -> None:
    path = annotated(
        tmp_path / "r.nwb",
        expected_spikes=rates_of("causal", 0.2),
        run_parameters='{"kernel": "causal", "smoothing_s": 0.2}',
    )
    result = annotate_spikes(path, in_place=True)
    assert (result.kernel, result.smoothing_s) == ("causal", 0.2)
    np.testing.assert_allclose(stored_times(path)[3], 1.25 + np.array(SPIKE_FRAMES[3]) / RATE, atol=0.5 / RATE)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("{}", r"kernel 'gaussian' or 'causal' .*InferredSpikeRates, found None\. .*infer them anew"),
        ('{"kernel": "boxcar", "smoothing_s": 0.1}', "found 'boxcar'"),
        ('{"kernel": "causal"}', r"Expected smoothing_s .*found None"),
        ('{"kernel": "causal", "smoothing_s": -1}', "found -1"),
    ],
)
def test_rates_of_an_unknown_kernel_are_refused(tmp_path: Path, parameters: str, message: str) -> None:
    path = annotated(tmp_path / "r.nwb", run_parameters=parameters)
    with pytest.raises(InputError, match=message):
        annotate_spikes(path, in_place=True)


def test_only_supported_spikes_on_request(tmp_path: Path) -> None:
    quiet = np.full((N_ROIS, N_FRAMES), 0.006, np.float32)
    path = annotated(tmp_path / "r.nwb", expected_spikes=rates_of() + quiet)
    assert annotate_spikes(path, output=tmp_path / "a.nwb").n_spikes == 16  # rounded sums: 1.8 more per ROI
    assert annotate_spikes(path, output=tmp_path / "b.nwb", spike_total="supported").n_spikes == 8
    with pytest.raises(InputError, match="received 'all'"):
        annotate_spikes(path, in_place=True, spike_total="all")  # type: ignore[arg-type]


def test_the_same_spikes_are_not_made_twice(recording: Path) -> None:
    first = annotate_spikes(recording)
    again = annotate_spikes(recording)
    assert (again.skipped, again.output) == (True, first.output)
    assert annotate_spikes(Path(first.output), in_place=True).skipped
    assert "Already in" in again.describe()


def test_other_spikes_are_replaced_on_request_only(recording: Path) -> None:
    annotate_spikes(recording, in_place=True)
    with pytest.raises(NameTakenError, match=r"InferredSpikes holds discrete spikes .* --overwrite"):
        annotate_spikes(recording, in_place=True, spike_total="supported")
    result = annotate_spikes(recording, in_place=True, spike_total="supported", overwrite=True)
    with open_nwb(recording) as (nwbfile, _):
        assert json.loads(nwbfile.processing["ophys"]["InferredSpikes"].parameters)["spike_total"] == "supported"
    assert not result.skipped


def test_an_output_that_would_lose_something_is_not_replaced(recording: Path, tmp_path: Path) -> None:
    copy = Path(annotate_spikes(recording).output)
    with pytest.raises(NameTakenError, match=r"exists and does not hold these spikes\..*--overwrite"):
        annotate_spikes(recording, spike_total="supported")
    write_run(copy, run_record(copy, name="Other"))
    with pytest.raises(NameTakenError, match=r"holds /processing/ophys/Other, which would be lost"):
        annotate_spikes(recording, spike_total="supported", overwrite=True)
    nwbfile = bare_nwbfile(identifier="another")
    add_dff(nwbfile, simulated_dff())
    with pytest.raises(InputError, match="is another recording"):
        annotate_spikes(recording, output=write_recording(tmp_path / "another.nwb", nwbfile), overwrite=True)


def test_one_of_several_runs_has_to_be_named(recording: Path) -> None:
    write_run(recording, run_record(recording, name="raw", run_parameters='{"kernel": "causal", "smoothing_s": 0}'))
    with pytest.raises(AmbiguousSeriesError, match="found 2: InferredSpikeRates"):
        annotate_spikes(recording, in_place=True)
    with pytest.raises(InputError, match=r"named 'nope' .*found InferredSpikeRates .*raw"):
        annotate_spikes(recording, in_place=True, run_name="nope")
    assert (
        annotate_spikes(recording, in_place=True, run_name="raw").object_path == "/processing/ophys/InferredSpikes_raw"
    )


def test_a_file_without_rates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Expected inferred spike rates in .*r.nwb, found none.*nwb-cascade infer"):
        annotate_spikes(dff_recording(tmp_path / "r.nwb"), in_place=True)


def test_no_rois_are_refused(recording: Path) -> None:
    with h5py.File(recording, "r+") as file:
        group = file["processing/ophys/InferredSpikeRates"]
        attributes = dict(group["data"].attrs)
        del group["data"]
        group.create_dataset("data", shape=(N_FRAMES, 0), dtype="f4").attrs.update(attributes)
    with pytest.raises(InputError, match="received 0 ROIs, 300 frames"):
        annotate_spikes(recording, in_place=True)


@pytest.mark.parametrize(("value", "suffix"), [(2.0, ".nwb"), (np.nan, ".nwb"), (np.nan, ".nwb.zarr")])
def test_one_frame_is_enough(tmp_path: Path, value: float, suffix: str) -> None:
    one = np.full((2, 1), value, np.float32)
    path = annotated(tmp_path / f"r{suffix}", expected_spikes=one, valid_frames=np.array([[0, 1], [0, 1]], np.int64))
    result = annotate_spikes(path, in_place=True)
    n_spikes = 0 if np.isnan(value) else 4
    assert result.n_spikes == n_spikes
    assert (result.fit_error is None) == np.isnan(value)
    assert sum(times.size for times in stored_times(path)) == n_spikes


def test_a_failed_run_leaves_the_file_as_it_was(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nwb_cascade.writers.nwb_records

    before = recording.read_bytes()

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("the values are not as computed")

    monkeypatch.setattr(nwb_cascade.writers.nwb_records, "check_spikes", fail)
    with pytest.raises(OSError, match="not as computed"):
        annotate_spikes(recording, in_place=True)
    assert recording.read_bytes() == before
    assert hidden_files(recording.parent) == []


def test_what_was_written_is_compared_with_what_was_computed(recording: Path) -> None:
    times = tuple(np.array([1.5, 2.0]) for _ in range(N_ROIS))
    path = "/processing/ophys/InferredSpikeRates"
    record = SpikesRecord("Spikes", path, times, np.zeros(N_ROIS, np.float32), "by hand", "{}")
    table = write_spikes(recording, record)
    assert check_spikes(recording, table, record) == ()
    with h5py.File(recording, "r+") as file:
        file["processing/ophys/Spikes/spike_times"][3] = 9.0
    with pytest.raises(OSError, match="Spikes/spike_times are not as computed"):
        check_spikes(recording, table, record)
    with pytest.raises(NameTakenError, match="taken by a SpikeInferenceModel"):
        write_spikes(recording, SpikesRecord("fake_30Hz", path, times, record.fit_error, "", "{}"), overwrite=True)


def test_the_name_of_the_table_follows_that_of_the_run() -> None:
    names = ("InferredSpikeRates", "InferredSpikeRates_plane0", "raw")
    assert [spikes_name(name) for name in names] == ["InferredSpikes", "InferredSpikes_plane0", "InferredSpikes_raw"]


def test_the_command_says_what_it_did(recording: Path) -> None:
    result = CliRunner().invoke(command, [str(recording), "--supported", "--threads", "1"])
    assert result.exit_code == 0, result.output
    assert "mouse 7 ü_discrete.nwb: InferredSpikes, 8 spikes of 4 ROIs, whose rates sum to 8.0" in result.output
    result = CliRunner().invoke(command, [str(recording), "--supported", "--json"])
    assert (json.loads(result.output)["spike_total"], json.loads(result.output)["skipped"]) == ("supported", True)


def lines_of(table: Path) -> list[list[str]]:
    """The lines of a table of spikes, the first with the names of its columns."""
    with open(table, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_a_table_holds_the_spikes_a_line_each(recording: Path, tmp_path: Path) -> None:
    before, table = recording.read_bytes(), tmp_path / "tables" / "spikes.csv"
    result = CliRunner().invoke(command, [str(recording), "--csv", str(table), "--supported"])
    assert result.exit_code == 0, result.output
    assert "spikes.csv: spikes, 8 spikes of 4 ROIs" in result.output
    names, *lines = lines_of(table)
    assert names == ["roi_id", "spike_time_s", "fit_error"]
    expected = [[roi, 1.25 + frame / RATE] for roi, frames in enumerate(SPIKE_FRAMES) for frame in frames]
    np.testing.assert_allclose([[int(roi), float(time)] for roi, time, _ in lines], expected, atol=1e-6)
    assert all(float(error) < 0.1 for *_, error in lines)
    assert recording.read_bytes() == before


def test_a_table_holds_stored_spikes_as_they_are(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = annotate_spikes(recording, spike_total="supported").output
    export_spikes(recording, tmp_path / "found.csv", spike_total="supported")
    monkeypatch.delattr("nwb_cascade.annotation.spikes_table.find_spikes")
    told = export_spikes(output, tmp_path / "stored.csv", spike_total="supported")
    assert (told.n_spikes, round(told.expected, 1)) == (8, 8.0)
    assert lines_of(tmp_path / "stored.csv") == lines_of(tmp_path / "found.csv")
    with pytest.raises(NameError):  # other spikes are not those
        export_spikes(output, tmp_path / "stored.csv")


def test_a_table_has_the_mode_of_the_recording(recording: Path, tmp_path: Path) -> None:
    recording.chmod(0o600)
    export_spikes(recording, tmp_path / "spikes.csv")
    assert stat.S_IMODE((tmp_path / "spikes.csv").stat().st_mode) == 0o600


def test_a_table_replaces_its_kind_only(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("a,b\n")
    result = CliRunner().invoke(command, [str(recording), "--csv", str(tmp_path / "notes.csv")])
    assert (result.exit_code, (tmp_path / "notes.csv").read_text()) == (2, "a,b\n")
    assert "is not a table of spikes: it is not replaced" in result.output
    with pytest.raises(InputError, match="is not a table of spikes"):
        export_spikes(recording, tmp_path / "notes.csv")
    for _ in range(2):
        export_spikes(recording, tmp_path / "spikes.csv")
    wrong = CliRunner().invoke(command, [str(recording), "--csv", str(tmp_path / "spikes.csv"), "--in-place"])
    assert (wrong.exit_code, "Expected --csv without -o" in wrong.output) == (2, True)
