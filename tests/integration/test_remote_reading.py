"""A remote recording is found, described and read as the local one, chunk by chunk."""

import h5py
import numpy as np
import pytest
from hdmf.backends.hdf5 import H5DataIO
from pynwb.ophys import DfOverF, RoiResponseSeries

from nwb_cascade.dandi.stream import open_remote
from nwb_cascade.nwb.access import Access
from nwb_cascade.nwb.discover import find_candidates, inspect
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.read import open_traces
from tests.support.dandi_content import Archive
from tests.support.dandi_server import DandiServer
from tests.support.recordings import add_plane, bare_nwbfile, simulated_dff, write_recording

N_ROIS, N_FRAMES = 24, 30_000


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A file with two series of 2.9 MB, so that there is something not to read."""
    nwbfile = bare_nwbfile()
    table = add_plane(nwbfile, N_ROIS)
    container = DfOverF()
    nwbfile.processing["ophys"].add(container)
    for number, chunks in enumerate([(2000, N_ROIS), (N_FRAMES, 2)]):
        container.add_roi_response_series(
            RoiResponseSeries(
                name=f"dff{number}",
                data=H5DataIO(simulated_dff(N_ROIS, N_FRAMES, seed=number).T, chunks=chunks),
                rois=table.create_roi_table_region("All.", region=list(range(N_ROIS))),
                unit="n.a.",
                rate=30.0,
            )
        )
    return write_recording(tmp_path_factory.mktemp("remote") / "sub-1_ophys.nwb", nwbfile)


@pytest.fixture
def server(path, monkeypatch, tmp_path):
    monkeypatch.setenv("DANDI_NO_ET", "1")
    monkeypatch.setenv("NWB_CASCADE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DANDI_INSTANCE", raising=False)
    archive = Archive()
    archive.add("000001").add("sub-1/sub-1_ophys.nwb", path)
    with DandiServer(archive) as server:
        yield server


@pytest.fixture
def remote(server):
    with open_remote(f"dandi://{server.url.removeprefix('http://')}/000001@draft/sub-1/sub-1_ophys.nwb") as remote:
        yield remote


@pytest.mark.parametrize("statistics", [False, True])
def test_it_is_described_like_the_local_file(remote, path, statistics):
    assert inspect(remote, statistics=statistics) == inspect(path, statistics=statistics)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("block_bytes", [400_000, 64_000_000])
def test_its_traces_are_those_of_the_local_file_and_no_chunk_travels_twice(server, remote, number, block_bytes):
    with open_nwb(remote) as (nwbfile, _):
        candidate = find_candidates(nwbfile, Access.of(remote), statistics=False)[number]
        before = server.n_bytes()
        traces = open_traces(nwbfile, candidate, Access.of(remote), block_bytes=block_bytes)
        values = np.concatenate([block for _, block in traces.blocks(block_bytes)])
    np.testing.assert_array_equal(values, simulated_dff(N_ROIS, N_FRAMES, seed=number))
    assert server.n_bytes() - before <= 1.15 * values.nbytes


def test_the_file_itself_is_read_by_h5py_and_pynwb_without_a_copy(remote, server):
    with h5py.File(remote, "r") as file:
        assert "processing/ophys/DfOverF/dff1/data" in file
    assert server.n_bytes("^/blobs") < 0.6 * remote.size
