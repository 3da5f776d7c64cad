"""Remote recordings are inspected and annotated where they are; the result is a small sidecar file."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result
from pynwb import NWBHDF5IO

import nwb_cascade
import nwb_cascade.annotation.annotate
import nwb_cascade.nwb.blocks
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.cli import main
from nwb_cascade.dandi import cache
from nwb_cascade.dandi.assets import find_asset
from nwb_cascade.dandi.ranges import total, union
from nwb_cascade.dandi.stream import open_remote
from nwb_cascade.errors import InputError
from nwb_cascade.files import private
from nwb_cascade.nwb import discover
from nwb_cascade.nwb.files import open_nwb
from tests.support.annotating import hidden_files
from tests.support.dandi_content import Archive
from tests.support.dandi_server import DandiServer
from tests.support.fake_runs import STORED, fake_run
from tests.support.recordings import add_dff, bare_nwbfile, dff_recording, simulated_dff, write_recording


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
        np.testing.assert_allclose(series.data[4:-3].T, rates[:, 4:-3], rtol=STORED)
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
    with pytest.raises(InputError, match="--in-place does not apply to sidecars and remote files"):
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


def test_assets_that_state_the_same_session_are_named_apart(server: DandiServer, tmp_path: Path) -> None:
    second = dff_recording(tmp_path / "c.nwb", simulated_dff(seed=1))
    server.archive.dandisets["000001"].add("sub-1/sub-1_ses-b_ophys.nwb", second)
    glob = address(server, "sub-1/*").replace("@0.240101.0001", "@draft")
    for expected in ("Wrote", "Already in"):
        result = run("infer", glob, "-o", tmp_path / "rates")
        assert result.exit_code == 0, result.output
        assert result.stdout.count(expected) == 2
        assert sorted(path.name for path in (tmp_path / "rates").iterdir()) == [
            "sub-1_ses-a_desc-spikes_ophys.nwb",
            "sub-1_ses-b_desc-spikes_ophys.nwb",
        ]


def failure(*arguments: object) -> str:
    """The one line that a command which fails prints."""
    root = logging.getLogger()
    root.handlers, handlers = [], root.handlers  # as in a program of its own, where Python prints what nobody handles
    try:
        result = run(*arguments)
    finally:
        root.handlers = handlers
    assert result.exit_code == 1, result.output
    assert len(result.stdout.splitlines()) == ("inspect" in arguments)  # the header of a table without rows
    (line,) = result.stderr.splitlines()
    return line


@pytest.fixture
def odd_server(server: DandiServer, tmp_path: Path) -> DandiServer:
    """The server with files that cannot be used, and an embargoed dandiset."""
    nwbfile = bare_nwbfile()
    dandiset = server.archive.dandisets["000001"]
    dandiset.add("sub-3/sub-3_empty.nwb", b"")
    dandiset.add("sub-3/sub-3_text.nwb", b"not HDF5 at all")
    dandiset.add("sub-3/sub-3_behavior.nwb", write_recording(tmp_path / "no series.nwb", nwbfile))
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["x"] = [1, 2]
    dandiset.add("sub-3/sub-3_hdf5.nwb", tmp_path / "plain.h5")
    server.archive.add("000002", embargoed=True).add("sub-s/sub-s_ophys.nwb", b"secret content")
    return server


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("/000009", r"There is no dandiset 000009 on .*; check its number\."),
        ("/000001@0.999999.9999/a.nwb", r"has no version 0\.999999\.9999; it has 0\.240101\.0001, draft\."),
        ("/000001@draft/sub-1/other.nwb", r"has no asset sub-1/other\.nwb; check its path and the version\."),
        ("/000001@draft/sub-7/", r"holds no NWB file \(\*\.nwb, \*\.nwb\.zarr\) in version draft\."),
        ("/000001@draft/sub-3/sub-3_empty.nwb", r"Expected an NWB file, received .*, which is empty \(0 bytes\)\."),
        ("/000001@draft/sub-3/sub-3_text.nwb", r"Expected an NWB file \(HDF5\), received .* starts with b'not HDF5'\."),
        ("/000001@draft/sub-3/sub-3_hdf5.nwb", r"Expected an NWB file, received .*without the attribute nwb_version\."),
        ("/000002/sub-s/sub-s_ophys.nwb", r"is embargoed: set the environment variable DANDI_API_KEY"),
    ],
)
def test_what_cannot_be_used_is_one_clear_sentence(odd_server: DandiServer, where: str, message: str) -> None:
    given = f"dandi://{odd_server.url.removeprefix('http://')}{where}"
    for command in ("infer", "inspect"):
        assert re.search(message, failure(command, given))
    assert list(Path().iterdir()) == []


def test_an_unknown_instance_and_an_asset_without_series_are_told(odd_server: DandiServer) -> None:
    assert "Unknown DANDI instance 'nowhere'" in failure("infer", "dandi://nowhere/000001")
    line = failure("infer", address(odd_server, "sub-3/sub-3_behavior.nwb").replace("0.240101.0001", "draft"))
    assert line.endswith("Expected a dF/F series in the file, found no RoiResponseSeries at all.")


def test_one_that_fails_does_not_stop_the_others(odd_server: DandiServer) -> None:
    result = run("infer", address(odd_server, "sub-3/*").replace("0.240101.0001", "draft"), address(odd_server, HDF5))
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 4
    assert Path("sub-1_ses-a_desc-spikes_ophys.nwb").exists()


@pytest.fixture
def opened_modes(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Modes of the files that results are written to, right after these are created."""
    seen: set[int] = set()
    creating = private.new_file

    def noting(path: Path, mode: int) -> int:
        descriptor = creating(path, mode)
        seen.add(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    monkeypatch.setattr(private, "new_file", noting)
    return seen


@pytest.mark.skipif(os.name != "posix", reason="Windows has other modes")
@pytest.mark.parametrize("path", [HDF5, ZARR])
@pytest.mark.parametrize("output", [None, "rates.npy"])
@pytest.mark.parametrize(("embargoed", "expected"), [(True, 0o600), (False, 0o644)])
def test_results_of_embargoed_recordings_are_the_users_alone_from_their_first_byte(
    server: DandiServer,
    opened_modes: set[int],
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    output: str | None,
    embargoed: bool,
    expected: int,
) -> None:
    server.archive.dandisets["000001"].embargoed = embargoed
    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    monkeypatch.setenv("DANDI_API_KEY", server.token)  # which says nothing about a recording
    before = os.umask(0o022)
    try:
        annotate(address(server, path), output=output)
    finally:
        os.umask(before)
    assert opened_modes == {expected}
    assert {stat.S_IMODE(one.stat().st_mode) for one in Path().iterdir()} == {expected}


def test_an_embargoed_recording_is_read_with_a_key_that_is_written_nowhere(
    server: DandiServer, recordings: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.archive.add("000002", embargoed=True).add("sub-1/sub-1_ophys.nwb", recordings["hdf5"])
    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    monkeypatch.setenv("DANDI_API_KEY", server.token)
    result = annotate(f"dandi://{server.url.removeprefix('http://')}/000002/sub-1/sub-1_ophys.nwb")
    assert server.token.encode() not in Path(result.output).read_bytes()
    assert server.token not in json.dumps(result.to_dict())


N_ROIS, N_FRAMES = 40, 20_000
BLOCK_BYTES = 4 * 5 * N_FRAMES


@pytest.fixture
def long_server(server: DandiServer, tmp_path: Path) -> DandiServer:
    """The server with a file of two series of 3.2 MB each, in chunks of 100 kB."""
    nwbfile = bare_nwbfile()
    for number in range(2):
        add_dff(nwbfile, simulated_dff(N_ROIS, N_FRAMES, seed=number), name=f"dff{number}", chunks=(5000, 5))
    server.archive.dandisets["000001"].add("sub-4/sub-4_ophys.nwb", write_recording(tmp_path / "long.nwb", nwbfile))
    return server


def long_address(server: DandiServer) -> str:
    return address(server, "sub-4/sub-4_ophys.nwb").replace("0.240101.0001", "draft")


def test_every_chunk_of_a_series_is_fetched_once_while_blocks_are_inferred(
    long_server: DandiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "PATIENCE_S", 60.0)  # a busy machine is no reason to fetch again
    monkeypatch.setattr(nwb_cascade.nwb.blocks, "AHEAD_BYTES", BLOCK_BYTES)
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "AHEAD_BYTES", BLOCK_BYTES)
    fetched_when_done: list[int] = []

    def progress(done: int, total: int) -> None:
        fetched_when_done.append(long_server.n_bytes("^/blobs"))

    with open_remote(long_address(long_server)) as file, open_nwb(file):
        opening = file.n_bytes
    shutil.rmtree(os.environ["NWB_CASCADE_CACHE"])
    long_server.reset()
    annotate(long_address(long_server), series="dff1", progress=progress)
    served = [s for s in long_server.served("^/blobs") if s.n_bytes]
    ranges = [(s.first_byte, s.first_byte + s.n_bytes) for s in served]
    assert sum(stop - start for start, stop in ranges) == total(union(ranges))
    stored = 4 * N_ROIS * N_FRAMES
    sample = 2 * 100_000 * 8  # chunks of both series that inspection looks at
    assert sum(s.n_bytes for s in served) <= 1.15 * stored + opening + sample
    n_blocks = len([done for done in fetched_when_done if done < fetched_when_done[-1]])
    assert n_blocks > 2


@pytest.mark.parametrize("series", ["dff0", "dff1"])
def test_an_asset_that_changes_during_the_run_is_noticed_and_nothing_written(
    long_server: DandiServer, monkeypatch: pytest.MonkeyPatch, series: str
) -> None:
    draft = long_server.archive.dandisets["000001"].versions["draft"]

    def changing(*arguments: Any, **options: Any) -> Any:
        asset = draft["sub-4/sub-4_ophys.nwb"]
        long_server.archive.overwrite(asset, bytes(reversed(asset.stored.content)))  # type: ignore[union-attr]
        return fake_run(*arguments, **options)

    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", changing)
    line = failure("infer", long_address(long_server), "--series", series)
    assert re.search(r"has changed: expected the etag .*, the server sends .*\. Look the asset up again\.", line)
    assert list(Path().iterdir()) == []
