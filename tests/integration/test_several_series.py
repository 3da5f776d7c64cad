"""All planes of a recording in one pass: each told its own, one copy, one write; one job in an archive."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

import nwb_cascade.annotation.annotate
from nwb_cascade.annotation.annotate import annotate, annotate_all
from nwb_cascade.cli import main
from nwb_cascade.errors import AmbiguousSeriesError, InputError, NameTakenError
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.places import runs_of
from nwb_cascade.readers.stored_runs import record_of
from tests.support.fake_runs import fake_run
from tests.support.recordings import PAUSED, PLANES, dff_recording, two_planes
from tests.support.suite2p_files import write_suite2p


@pytest.fixture
def _without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)


def runs_in(path: str | Path) -> dict[str, tuple[int, str]]:
    """Runs by their names: ROIs and indicator that was told."""
    with open_nwb(path) as (nwbfile, _):
        found = runs_of(nwbfile).values()
        return {one.name: (one.data.shape[1], json.loads(one.run_parameters)["indicator"]) for one in found}


BOTH = {f"InferredSpikeRates_{name}": (n_rois, indicator) for name, (indicator, n_rois) in PLANES.items()}


@pytest.mark.usefixtures("_without_networks")
def test_one_series_is_asked_for_and_all_is_named_as_an_answer(tmp_path: Path) -> None:
    path = two_planes(tmp_path / "a.nwb")
    with pytest.raises(AmbiguousSeriesError, match=r"found 2: .*or take all \(--series all\)"):
        annotate(path)
    with pytest.raises(InputError, match="annotate gives one result, annotate_all any number"):
        annotate(path, series="all")


@pytest.mark.usefixtures("_without_networks")
@pytest.mark.parametrize("how", [{}, {"in_place": True}, {"sidecar": True}])
@pytest.mark.parametrize("series", ["all", "*e*"])
def test_all_series_are_inferred_into_one_file(tmp_path: Path, how: dict[str, bool], series: str) -> None:
    path = two_planes(tmp_path / "a.nwb")
    results = annotate_all(path, series=series, spikes="conserved", **how)
    assert [one.run_name for one in results] == list(BOTH)
    assert len({one.output for one in results}) == 1
    assert runs_in(results[0].output) == BOTH
    assert all(one.spikes is not None and one.spikes.n_spikes > 0 for one in results)
    again = annotate_all(path, series=series, spikes="conserved", **how)
    assert all(one.skipped for one in again)


@pytest.mark.usefixtures("_without_networks")
@pytest.mark.parametrize("sidecar", [False, True])
def test_each_series_has_what_it_has_alone(tmp_path: Path, sidecar: bool) -> None:
    path = two_planes(tmp_path / "a.nwb")
    together = annotate_all(path, sidecar=sidecar, output=tmp_path / "all.nwb")
    for name, both in zip(PLANES, together, strict=True):
        alone = annotate(path, series=name, sidecar=sidecar, output=tmp_path / f"{name}.nwb")
        assert (alone.run_key, alone.run_name) == (both.run_key, both.run_name)
        with open_nwb(both.output) as (nwbfile, _), open_nwb(alone.output) as (other, _):
            found, wanted = (runs_of(one)[both.object_path] for one in (nwbfile, other))
            np.testing.assert_array_equal(found.data[:], wanted.data[:])
            np.testing.assert_array_equal(found.timestamps[:], PAUSED)
            assert found.rois.table.name == wanted.rois.table.name


@pytest.mark.usefixtures("_without_networks")
def test_series_of_one_name_are_told_apart_by_their_containers(tmp_path: Path) -> None:
    path = two_planes(tmp_path / "a.nwb", names=("traces", "traces"), containers=True)
    names = [one.run_name for one in annotate_all(path)]
    assert names == ["InferredSpikeRates_DfOverF_0_traces", "InferredSpikeRates_DfOverF_1_traces"]


@pytest.mark.usefixtures("_without_networks")
def test_a_copy_with_one_run_is_replaced_by_one_with_all_only_if_that_is_asked_for(tmp_path: Path) -> None:
    path = two_planes(tmp_path / "a.nwb")
    annotate(path, series="green")
    with pytest.raises(NameTakenError, match="exists without this run"):
        annotate_all(path)
    assert runs_in(annotate_all(path, overwrite=True)[0].output) == BOTH


@pytest.mark.usefixtures("_without_networks")
def test_matrices_of_several_series_have_names_of_their_own(tmp_path: Path) -> None:
    path = two_planes(tmp_path / "a.nwb")
    for suffix in (".npy", ".mat"):
        results = annotate_all(path, output=tmp_path / f"rates{suffix}", spikes="conserved")
        assert [Path(one.output).name for one in results] == [f"rates_{name}{suffix}" for name in PLANES]
        assert [record_of(Path(one.output))["run_key"] for one in results] == [one.run_key for one in results]
        assert all(one.skipped for one in annotate_all(path, output=tmp_path / f"rates{suffix}", spikes="conserved"))


@pytest.mark.usefixtures("_without_networks")
def test_a_series_that_cannot_be_used_is_left_out_and_told(tmp_path: Path) -> None:
    path = two_planes(tmp_path / "a.nwb")
    with h5py.File(path, "r+") as file:
        data = file["processing/ophys/DfOverF/red/data"]
        data[:] = 100 * data[:]  # in percent, and nothing says so
    results = annotate_all(path)
    assert [one.run_name for one in results] == ["InferredSpikeRates_green"]
    assert any(note.startswith("Left out: ") and "percent" in note for note in results[0].warnings)


@pytest.mark.usefixtures("_without_networks")
def test_all_of_a_file_with_one_series_is_that_series(tmp_path: Path) -> None:
    (result,) = annotate_all(dff_recording(tmp_path / "a.nwb"))
    assert result.run_name == "InferredSpikeRates"


@pytest.mark.usefixtures("_without_networks")
def test_planes_of_suite2p_are_asked_for_named_or_taken_all(tmp_path: Path) -> None:
    for number in range(2):
        write_suite2p(tmp_path / "suite2p" / f"plane{number}")
    with pytest.raises(InputError, match=r"plane0, plane1.*take all with --series all"):
        annotate(tmp_path)
    results = annotate_all(tmp_path)
    wanted = [tmp_path / "suite2p" / f"plane{number}" / "expected_spikes.npy" for number in range(2)]
    assert [Path(one.output) for one in results] == wanted
    assert annotate(tmp_path, series="plane1").skipped
    in_one = annotate_all(tmp_path, output=f"{tmp_path}/out/")
    assert [Path(one.output).name for one in in_one] == [f"plane{number}_expected_spikes.npy" for number in range(2)]


@pytest.mark.usefixtures("_without_networks")
def test_the_command_tells_of_every_series_and_writes_a_page_of_each(tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="reports need plotly: pip install 'nwb-cascade[report]'")
    path = two_planes(tmp_path / "a.nwb")
    result = CliRunner().invoke(main, ["infer", str(path), "--series", "all", "--json", "--report"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [one["run_name"] for one in told] == list(BOTH)
    assert {Path(one["report"]).name for one in told} == {f"a_spikes_{name}_report.html" for name in BOTH}


def test_an_archive_makes_one_job_of_all_planes(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    two_planes(tmp_path / "data" / "a.nwb")
    manifest = tmp_path / "jobs.jsonl"
    result = CliRunner().invoke(main, ["archive", "plan", str(tmp_path / "data"), "-o", str(manifest)])
    assert result.stdout.startswith("1 job in"), result.output
    (job,) = [one for one in map(json.loads, manifest.read_text().splitlines()) if one["record"] == "job"]
    assert job["parameters"] == {"series": "all"}
    assert [one["indicator"] for one in job["recordings"]] == ["GCaMP6f", "jRGECO1a"]


def test_the_first_example_of_the_readme_works_on_two_planes_with_a_pause_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    block = readme.split("## Five lines", 1)[1].split("```bash", 1)[1].split("```", 1)[0]
    looking, inferring = (line.partition("#")[0].split()[1:] for line in block.strip().splitlines())
    two_planes(tmp_path / "recording.nwb")
    monkeypatch.chdir(tmp_path)
    seen = CliRunner().invoke(main, [*looking, "--json"])
    series = json.loads(seen.stdout)[0]["series"]
    assert [(one["name"], one["indicator"], len(one["stretches"])) for one in series] == [
        (name, indicator, 2) for name, (indicator, _) in PLANES.items()
    ]
    asked = CliRunner().invoke(main, inferring)
    assert asked.exit_code == 1
    assert "--series all" in asked.stderr
    done = CliRunner().invoke(main, [*inferring, "--series", "all"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "stretches" in done.output
    assert runs_in("recording_spikes.nwb") == BOTH
