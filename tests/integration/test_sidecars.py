"""A sidecar is complete in itself: session, subject, ROIs and results; and it passes everybody's checks."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pynwb
import pytest
from click.testing import CliRunner
from hdmf.common import DynamicTable, VectorData
from pynwb.ophys import RoiResponseSeries

import nwb_cascade.annotation.annotate
from ground_truth_nwb.dandi_checks import BLOCKING, dandi_findings
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.cli import main
from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.nwb import roi_table
from nwb_cascade.nwb.files import open_nwb
from tests.support.annotating import Sandbox, hidden_files
from tests.support.fake_runs import fake_run
from tests.support.recordings import add_dff, bare_nwbfile, dff_recording, simulated_dff, write_recording
from tests.support.rich_recordings import N_ROIS, ROWS, SESSION, SUBJECT, masks, rich_recording

NAME = "sub-1_ses-a_desc-spikes_ophys.nwb"
SAME_SESSION = ("sub-1_ses-a_ophys.nwb", "sub-1_ses-b_ophys.nwb", "mouse.nwb")  # by their names; inside it is one


@pytest.fixture(autouse=True)
def _without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return dff_recording(tmp_path / "mouse 7 ü.nwb")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


def plain(value: Any) -> Any:
    """Arrays and lists as nested lists, for comparing."""
    return np.asarray(value[:]).tolist() if isinstance(value, (list, tuple)) or np.ndim(value) else value


@pytest.mark.parametrize(("suffix", "whole_bytes"), [(".nwb", 2**20), (".nwb", 16), (".nwb.zarr", 16)])
def test_everything_that_explains_the_rates_is_copied(
    tmp_path: Path, suffix: str, whole_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roi_table, "WHOLE_BYTES", whole_bytes)
    source = rich_recording(tmp_path / f"a{suffix}")
    result = annotate(source, sidecar=True)
    assert result.warnings == ()
    assert result.output == str(tmp_path / "sub-mouse-7_ses-day-3-b_desc-spikes_ophys.nwb")
    with open_nwb(source) as (original, _), open_nwb(result.output) as (sidecar, _):
        assert {name: plain(getattr(sidecar, name)) for name in SESSION} == {k: plain(v) for k, v in SESSION.items()}
        assert {name: getattr(sidecar.subject, name) for name in SUBJECT} == SUBJECT
        assert sidecar.identifier != original.identifier
        plane, before = sidecar.imaging_planes["plane"], original.imaging_planes["plane"]
        for name in ("excitation_lambda", "indicator", "location", "imaging_rate", "origin_coords", "grid_spacing"):
            assert plain(getattr(plane, name)) == plain(getattr(before, name))
        assert [c.emission_lambda for c in plane.optical_channel] == [510.0, 610.0]
        assert (plane.device.serial_number, plane.device.model.manufacturer) == ("17", "Thorlabs")
        table = sidecar.processing["imaging"]["Segmentation"]["rois"]
        np.testing.assert_array_equal(table["image_mask"].data[:], masks())
        expected = original.processing["imaging"]["Segmentation"]["rois"].to_dataframe()
        copied = table.to_dataframe()
        assert list(copied.columns) == list(expected.columns)
        assert list(copied.index) == list(expected.index) == [100 + roi for roi in range(N_ROIS)]
        for column in expected.columns:
            assert [plain(v) for v in copied[column]] == [plain(v) for v in expected[column]], column
        rates = sidecar.processing["imaging"]["InferredSpikeRates"]
        assert rates.rois.table is table
        assert tuple(rates.rois.data[:]) == ROWS
        assert (rates.rate, rates.starting_time, rates.source_series) == (30.0, 1.25, None)


def test_the_original_is_not_touched_and_a_sidecar_holds_no_traces(recording: Path) -> None:
    before = recording.read_bytes(), recording.stat().st_mtime_ns
    result = annotate(recording, sidecar=True)
    assert result.output == str(recording.with_name(NAME))
    assert (recording.read_bytes(), recording.stat().st_mtime_ns) == before
    assert hidden_files(recording.parent) == []
    with open_nwb(result.output) as (sidecar, _):
        series = [one for one in sidecar.objects.values() if isinstance(one, RoiResponseSeries)]
        assert [one.name for one in series] == ["InferredSpikeRates"]
        origin = json.loads(series[0].source_provenance)
    assert (origin["file_name"], origin["file_identifier"], origin["session_id"]) == (
        recording.name,
        "recording-1",
        "a",
    )
    assert {"object_id", "object_path", "sample_sha256"} <= set(origin)


def test_timestamps_are_those_of_the_traces_to_the_last_bit(tmp_path: Path) -> None:
    times = 100 + np.arange(300) / 30.0 + np.random.default_rng(0).uniform(-1e-3, 1e-3, 300)
    result = annotate(dff_recording(tmp_path / "a.nwb", timestamps=times), sidecar=True)
    with open_nwb(result.output) as (sidecar, _):
        np.testing.assert_array_equal(sidecar.processing["ophys"]["InferredSpikeRates"].timestamps[:], times)


def test_pynwb_nwbinspector_and_dandi_find_nothing_wrong(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    from nwbinspector import Importance, inspect_nwbfile, load_config

    dandiset = tmp_path / "dandiset"
    dandiset.mkdir()
    (dandiset / "dandiset.yaml").write_text("identifier: DANDI:000123\nname: Rates\ndescription: Derived.\n")
    output = annotate(rich_recording(tmp_path / "a.nwb"), sidecar=True, output=dandiset).output
    assert output == str(dandiset / "sub-mouse-7" / "sub-mouse-7_ses-day-3-b_desc-spikes_ophys.nwb")
    assert pynwb.validate(path=output) == []
    found = list(inspect_nwbfile(nwbfile_path=output, config=load_config("dandi")))
    assert [m for m in found if m.importance.value >= Importance.BEST_PRACTICE_VIOLATION.value] == []
    findings = [*dandi_findings(dandiset / "dandiset.yaml", dandiset), *dandi_findings(Path(output), dandiset)]
    assert [finding for finding in findings if finding.severity in (*BLOCKING, "WARNING")] == []


def test_recordings_that_state_the_same_session_are_named_apart_and_found_again(tmp_path: Path) -> None:
    recordings = [dff_recording(tmp_path / name, simulated_dff(seed=seed)) for seed, name in enumerate(SAME_SESSION)]
    command = ["infer", *map(str, recordings), "--sidecar", "-o", str(tmp_path / "rates")]
    first = CliRunner().invoke(main, command)
    assert first.exit_code == 0, first.output
    written = {path.name: path.read_bytes() for path in (tmp_path / "rates").iterdir()}
    assert len(written) == 3
    assert {NAME, "sub-1_ses-b_desc-spikes_ophys.nwb"} < written.keys()
    again = CliRunner().invoke(main, [*command[:1], *reversed(command[1:4]), *command[4:]])
    assert again.exit_code == 0, again.output
    assert again.stdout.count("Already in") == 3
    assert {path.name: path.read_bytes() for path in (tmp_path / "rates").iterdir()} == written


def test_a_dry_run_names_them_apart_as_the_run_does(tmp_path: Path) -> None:
    paths = [dff_recording(tmp_path / f"take{seed}.nwb", simulated_dff(seed=seed)) for seed in range(2)]

    def outputs(*options: str) -> list[str]:
        words = ["infer", "--json", "--sidecar", *options, "-o", str(tmp_path / "rates"), *map(str, paths)]
        result = CliRunner().invoke(main, words, catch_exceptions=False)
        return [record["output"] for record in json.loads(result.stdout)]

    (tmp_path / "rates").mkdir()
    told = outputs("--dry-run")
    assert list((tmp_path / "rates").iterdir()) == []
    assert len(set(told)) == 2
    assert outputs() == told == outputs("--dry-run")


def test_a_sidecar_of_another_recording_is_not_replaced_where_its_name_was_given(tmp_path: Path) -> None:
    recordings = [
        dff_recording(tmp_path / name, simulated_dff(seed=seed)) for seed, name in enumerate(SAME_SESSION[:2])
    ]
    annotate(recordings[0], sidecar=True, output=tmp_path / "rates.nwb")
    with pytest.raises(InputError, match=r"rates\.nwb exists and is not replaced: it was not made from this recording"):
        annotate(recordings[1], sidecar=True, output=tmp_path / "rates.nwb", overwrite=True)


def test_columns_that_make_no_sense_elsewhere_are_left_out_and_told(tmp_path: Path) -> None:
    nwbfile = bare_nwbfile()
    add_dff(nwbfile, simulated_dff())
    table = nwbfile.processing["ophys"]["ImageSegmentation"]["rois_RoiResponseSeries"]
    other = DynamicTable(
        name="cells", description="Cells.", columns=[VectorData(name="x", description="x", data=[1, 2])]
    )
    nwbfile.processing["ophys"].add(other)
    table.add_column("cell", "Which cell.", data=[0, 1, 0, 1], table=other)
    planes = [nwbfile.imaging_planes["imaging_RoiResponseSeries"]] * 4
    table.add_column("plane", "An object.", data=planes)
    result = annotate(write_recording(tmp_path / "a.nwb", nwbfile), sidecar=True)
    assert result.warnings == (
        "The column cell of rois_RoiResponseSeries is not copied: it refers to rows of another table.",
        "The column plane of rois_RoiResponseSeries is not copied: it refers to other objects.",
    )
    assert "note: The column cell" in result.describe()
    with open_nwb(result.output) as (sidecar, _):
        assert sidecar.processing["ophys"]["ImageSegmentation"]["rois_RoiResponseSeries"].colnames == ("pixel_mask",)


def test_rois_of_a_plain_table_are_copied_as_such(tmp_path: Path) -> None:
    nwbfile = bare_nwbfile()
    module = nwbfile.create_processing_module("ophys", "Results.")
    cells = DynamicTable(name="cells", description="Cells.", id=[7, 8])
    module.add(cells)
    module.add(
        RoiResponseSeries(
            name="dff",
            data=simulated_dff(2).T,
            rois=cells.create_region(name="rois", region=[0, 1], description="All."),
            unit="n.a.",
            rate=30.0,
        )
    )
    result = annotate(write_recording(tmp_path / "a.nwb", nwbfile), sidecar=True)
    with open_nwb(result.output) as (sidecar, _):
        rates = sidecar.processing["ophys"]["InferredSpikeRates"]
        assert rates.rois.table is sidecar.processing["ophys"]["cells"]
        assert list(rates.rois.table.id[:]) == [7, 8]


def test_the_same_run_is_skipped_and_another_is_refused(recording: Path) -> None:
    first = annotate(recording, sidecar=True)
    before = Path(first.output).read_bytes()
    again = annotate(recording, sidecar=True)
    assert again.skipped
    assert again.output == first.output
    with pytest.raises(
        NameTakenError, match=r"holds /processing/ophys/InferredSpikeRates, made otherwise.*--overwrite"
    ):
        annotate(recording, sidecar=True, threshold="raw")
    assert Path(first.output).read_bytes() == before
    annotate(recording, sidecar=True, threshold="raw", overwrite=True)
    with open_nwb(first.output) as (sidecar, _):
        assert sidecar.processing["ophys"]["InferredSpikeRates"].threshold == "raw"


def test_runs_of_other_names_and_series_get_files_of_their_own(tmp_path: Path) -> None:
    nwbfile = bare_nwbfile()
    add_dff(nwbfile, simulated_dff(3), name="plane0")
    add_dff(nwbfile, simulated_dff(2, seed=1), name="plane1")
    path = write_recording(tmp_path / "a.nwb", nwbfile)
    names = [
        Path(annotate(path, sidecar=True, **options).output).name
        for options in ({"series": "plane0"}, {"series": "plane1"}, {"series": "plane0", "run_name": "Mine"})
    ]
    assert names == [f"sub-1_ses-a_desc-spikes-{label}_ophys.nwb" for label in ("plane0", "plane1", "Mine")]


def test_a_run_of_another_name_is_never_lost(recording: Path, tmp_path: Path) -> None:
    output = tmp_path / "x.nwb"
    annotate(recording, sidecar=True, output=output)
    with pytest.raises(NameTakenError, match=r"holds /processing/ophys/InferredSpikeRates, made otherwise"):
        annotate(recording, sidecar=True, output=output, run_name="Other", overwrite=True)


def test_what_is_no_sidecar_of_this_recording_is_never_replaced(recording: Path, tmp_path: Path) -> None:
    nwbfile = bare_nwbfile(identifier="another")
    add_dff(nwbfile, simulated_dff())
    other = write_recording(tmp_path / "other.nwb", nwbfile)
    text = tmp_path / "text.nwb"
    text.write_text("not NWB")
    annotate(other, sidecar=True, output=tmp_path / "of other.nwb")
    copy = Path(annotate(recording).output)
    for wrong in (other, tmp_path / "of other.nwb", copy):
        whole = wrong.read_bytes()
        with pytest.raises(InputError, match=r"exists and is not replaced: it was not made from this recording"):
            annotate(recording, sidecar=True, output=wrong, overwrite=True)
        assert wrong.read_bytes() == whole
    with pytest.raises(InputError, match=r"exists and is not replaced: Expected an NWB file"):
        annotate(recording, sidecar=True, output=text, overwrite=True)


def test_the_identifier_is_the_same_for_the_same_run_only(recording: Path, tmp_path: Path) -> None:
    identifiers = []
    for number, threshold in enumerate(["raw", "raw", "nonnegative"]):
        result = annotate(recording, sidecar=True, output=tmp_path / f"{number}.nwb", threshold=threshold)
        with h5py.File(result.output) as file:
            identifiers.append(file["identifier"][()])
    assert identifiers[0] == identifiers[1] != identifiers[2]


KILLS = {
    "while storing": "annotate(path, sidecar=True, progress=lambda done, total: die() if calls.pop() == 1 else 0)",
    "before moving": "os.replace = die; annotate(path, sidecar=True)",
}


@pytest.mark.parametrize("moment", KILLS)
def test_a_killed_run_leaves_no_sidecar_and_a_rerun_cleans_up(
    recording: Path, moment: str, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log, whole = tmp_path_factory.mktemp("logs") / "log", recording.read_bytes()
    code = f"path, calls = Path({str(recording)!r}), [0, 1]\n{KILLS[moment]}"
    assert sandbox.run(code, log)[0] == -signal.SIGKILL, log.read_text()
    assert recording.read_bytes() == whole
    assert [p.name for p in recording.parent.iterdir() if not p.name.startswith(".")] == [recording.name]
    assert not annotate(recording, sidecar=True).skipped
    assert hidden_files(recording.parent) == []


def test_a_recording_that_others_change_meanwhile_gets_no_sidecar(recording: Path) -> None:
    def edit(done: int, total: int) -> None:
        recording.touch()

    with pytest.raises(InputError, match="Another program changed"):
        annotate(recording, sidecar=True, progress=edit)
    assert [p.name for p in recording.parent.iterdir()] == [recording.name]


def test_the_command_writes_sidecars(recording: Path, tmp_path: Path) -> None:
    def run(*arguments: object) -> Any:
        return CliRunner().invoke(main, ["infer", *map(str, arguments)])

    done = run(recording, "--sidecar", "-o", tmp_path / "new folder")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"Wrote {tmp_path / 'new folder' / NAME}: InferredSpikeRates for 4 ROIs")
    assert run(recording, "--sidecar", "-o", tmp_path / "new folder").stdout.startswith("Already in")
    np.save(tmp_path / "a.npy", simulated_dff())
    for arguments, message in (
        ((recording, "--sidecar", "--in-place"), "--in-place does not apply to sidecars"),
        ((tmp_path / "a.npy", "--sidecar", "--imaging-rate", 30), "--sidecar does not apply to"),
    ):
        refused = run(*arguments)
        assert refused.exit_code == 2
        assert message in " ".join(refused.stderr.split())
