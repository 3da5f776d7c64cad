"""Remote recordings are inspected and annotated where they are; the result is a small sidecar file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from pynwb import NWBHDF5IO

import nwb_cascade
import nwb_cascade.annotation.annotate
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.cli import main
from nwb_cascade.dandi.assets import find_asset
from nwb_cascade.errors import InputError
from nwb_cascade.nwb import discover
from tests.support.annotating import hidden_files
from tests.support.dandi_content import Archive
from tests.support.dandi_server import DandiServer
from tests.support.fake_runs import fake_run
from tests.support.recordings import dff_recording, simulated_dff


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No networks, no internet, no cache or current folder of whoever runs the tests."""
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)
    monkeypatch.setenv("DANDI_NO_ET", "1")
    monkeypatch.setenv("NWB_CASCADE_CACHE", str(tmp_path / "cache"))
    for name in ("DANDI_INSTANCE", "DANDI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same traces in both formats."""
    folder = tmp_path_factory.mktemp("recordings")
    return {"hdf5": dff_recording(folder / "a.nwb"), "zarr": dff_recording(folder / "b.nwb.zarr")}


@pytest.fixture
def server(recordings: dict[str, Path]) -> Iterator[DandiServer]:
    archive = Archive()
    dandiset = archive.add("000001")
    dandiset.add("sub-1/sub-1_ses-a_ophys.nwb", recordings["hdf5"])
    dandiset.add("sub-2/sub-2_ses-a_ophys.nwb.zarr", recordings["zarr"])
    dandiset.publish("0.240101.0001")
    with DandiServer(archive) as server:
        yield server


def address(server: DandiServer, path: str) -> str:
    return f"dandi://{server.url.removeprefix('http://')}/000001@0.240101.0001/{path}"


HDF5, ZARR = "sub-1/sub-1_ses-a_ophys.nwb", "sub-2/sub-2_ses-a_ophys.nwb.zarr"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.mark.parametrize("path", [HDF5, ZARR])
def test_a_remote_recording_is_inspected_like_a_local_one(
    server: DandiServer, recordings: dict[str, Path], path: str
) -> None:
    local = recordings["zarr" if path.endswith("zarr") else "hdf5"]
    assert nwb_cascade.inspect(address(server, path)) == discover.inspect(local)
    assert nwb_cascade.inspect(find_asset(address(server, path))) == nwb_cascade.inspect(local)


@pytest.mark.parametrize("path", [HDF5, ZARR])
def test_the_result_is_a_sidecar_in_the_current_folder(server: DandiServer, path: str) -> None:
    result = annotate(address(server, path))
    assert result.output == "sub-1_ses-a_desc-spikes_ophys.nwb"
    assert result.path == address(server, path)
    with NWBHDF5IO(result.output, "r") as io:
        series = io.read().processing["ophys"]["InferredSpikeRates"]
        rates = np.maximum(0.75 * simulated_dff(), 0)
        np.testing.assert_allclose(series.data[4:-3].T, rates[:, 4:-3], rtol=1e-6)
        assert (series.rate, series.starting_time) == (30.0, 1.25)
        origin: dict[str, Any] = json.loads(series.source_provenance)
    asset = find_asset(address(server, path))
    assert (origin["dandiset"], origin["dandiset_version"], origin["asset_id"], origin["asset_path"]) == (
        "000001",
        "0.240101.0001",
        asset.asset_id,
        path,
    )
    assert origin["digest"] == asset.digest
    assert hidden_files(Path()) == []


def test_the_same_run_is_recognised_and_skipped(server: DandiServer) -> None:
    first, again = annotate(address(server, HDF5)), annotate(address(server, HDF5))
    assert (first.skipped, again.skipped) == (False, True)
    assert first.run_key == again.run_key


def test_in_place_is_refused(server: DandiServer) -> None:
    with pytest.raises(InputError, match=r"Expected no in_place .*is remote"):
        annotate(address(server, HDF5), in_place=True)
    result = run("infer", address(server, HDF5), "--in-place")
    assert result.exit_code == 2
    assert "--in-place does not apply to sidecars and remote files" in " ".join(result.stderr.split())


def test_the_commands_take_globs(server: DandiServer, tmp_path: Path) -> None:
    result = run("inspect", address(server, "*_ophys*"), "--json", "--no-statistics")
    assert result.exit_code == 0, result.output
    assert [record["path"] for record in json.loads(result.stdout)] == [address(server, HDF5), address(server, ZARR)]
    result = run("infer", address(server, "sub-1/*"), "-o", tmp_path / "new")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "new" / "sub-1_ses-a_desc-spikes_ophys.nwb").exists()
