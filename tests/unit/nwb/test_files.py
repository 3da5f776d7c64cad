import os
import shutil
import sys
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pytest
from pynwb import NWBHDF5IO, get_type_map

from nwb_cascade.errors import InputError
from nwb_cascade.nwb.files import open_nwb, source_name
from nwb_cascade.nwb.hdf5 import IndexedHDF5IO
from tests.support.nwb_oddities import one_series
from tests.support.nwb_published import EVENT_NAMESPACE, allen_behavior
from tests.support.recordings import simulated_dff


@pytest.fixture
def recording(tmp_path):
    return one_series(tmp_path / "session 1 – Maus ü.nwb", simulated_dff(3, 50).T)


def is_closed(path: Path) -> bool:
    """Whether nobody in this process holds the HDF5 file: it can be opened for writing."""
    try:
        h5py.File(path, "r+").close()
    except OSError:
        return False
    return True


def test_a_file_opens_and_closes(recording):
    with open_nwb(recording) as (nwbfile, _):
        data = nwbfile.processing["ophys"]["DfOverF"]["RoiResponseSeries"].data
        assert data.shape == (50, 3)
        assert not is_closed(recording)
    assert is_closed(recording)
    assert not data


def test_it_closes_after_an_error(recording):
    with pytest.raises(RuntimeError, match="boom"), open_nwb(str(recording)):
        raise RuntimeError("boom")
    assert is_closed(recording)


def test_a_file_object_is_read_and_stays_open(recording):
    content = BytesIO(recording.read_bytes())
    with open_nwb(content) as (nwbfile, _):
        assert nwbfile.processing["ophys"]["DfOverF"]["RoiResponseSeries"].data[:].shape == (50, 3)
    assert not content.closed


def test_a_zarr_folder_opens(tmp_path):
    pytest.importorskip("hdmf_zarr")
    dff = simulated_dff(3, 50)
    path = one_series(tmp_path / "recording.nwb.zarr", dff.T)
    with open_nwb(path) as (nwbfile, _):
        np.testing.assert_array_equal(nwbfile.processing["ophys"]["DfOverF"]["RoiResponseSeries"].data[:], dff.T)


def test_types_of_extensions_come_from_the_file(tmp_path):
    assert EVENT_NAMESPACE not in get_type_map().namespace_catalog.namespaces
    with open_nwb(allen_behavior(tmp_path / "a.nwb")) as (nwbfile, _):
        events = nwbfile.processing["ophys"]["event_detection"]
        assert events.neurodata_type == "OphysEventDetection"
        np.testing.assert_array_equal(events.lambdas[:], np.ones(4))


def test_types_of_extensions_come_from_the_zarr_store_and_those_of_nwb_itself_are_not_read_again(tmp_path):
    hdmf_zarr = pytest.importorskip("hdmf_zarr")
    foreign, plain = tmp_path / "foreign.nwb.zarr", one_series(tmp_path / "plain.nwb.zarr", simulated_dff(3, 50).T)
    with (
        NWBHDF5IO(str(allen_behavior(tmp_path / "a.nwb")), "r") as source,
        hdmf_zarr.NWBZarrIO(str(foreign), "w") as target,
    ):
        target.export(source, write_args={"link_data": False})
    for namespace in ("core", "hdmf-common", "hdmf-experimental"):
        for path in plain.glob(f"specifications/{namespace}/*/namespace/0"):
            path.unlink()
    with open_nwb(foreign) as (nwbfile, _):
        assert nwbfile.processing["ophys"]["event_detection"].neurodata_type == "OphysEventDetection"
    with open_nwb(plain) as (nwbfile, _):
        assert len(nwbfile.processing["ophys"]["DfOverF"].roi_response_series) == 1


def refused(source, kind=InputError):
    with pytest.raises(kind) as caught, open_nwb(source):
        pytest.fail("it opened")
    return str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    message = refused(tmp_path / "nothing.nwb", FileNotFoundError)
    assert (
        message
        == f"Expected an NWB file at {tmp_path / 'nothing.nwb'}, but there is none. Check the spelling of the path."
    )


def test_an_empty_file_is_named(tmp_path):
    (tmp_path / "empty.nwb").touch()
    assert "empty.nwb, which is empty: write, copy or download it anew" in refused(tmp_path / "empty.nwb")


def test_a_file_of_another_format_is_refused(tmp_path):
    (tmp_path / "notes.nwb").write_text("Monday: nothing.\n" * 100)
    assert refused(tmp_path / "notes.nwb").endswith("notes.nwb, which is neither.")
    assert refused(BytesIO(b"no HDF5")).endswith("the given BytesIO, which is neither.")


def test_a_truncated_file_says_so(recording):
    size = recording.stat().st_size
    os.truncate(recording, size // 2)
    message = refused(recording)
    assert "is truncated: it is shorter than its own header says" in message
    assert f"stored_eof = {size}" in message


@pytest.mark.parametrize(
    "attribute, version, words", [(True, "NWB-1.0.6", "NWB version"), (False, "NWB-1.0.6", "NWB 1 file")]
)
def test_nwb_1_is_refused(tmp_path, attribute, version, words):
    with h5py.File(tmp_path / "old.nwb", "w") as file:
        if attribute:
            file.attrs["nwb_version"] = version
        else:
            file["nwb_version"] = version
    assert words in refused(tmp_path / "old.nwb")
    assert is_closed(tmp_path / "old.nwb")


def test_hdf5_that_is_not_nwb_is_refused(tmp_path):
    h5py.File(tmp_path / "other.nwb", "w").close()
    assert "HDF5, but without the attribute nwb_version" in refused(tmp_path / "other.nwb")
    assert is_closed(tmp_path / "other.nwb")


def test_nwb_that_pynwb_cannot_read_is_refused(recording):
    with h5py.File(recording, "r+") as file:
        del file["session_description"]
    assert "opens but pynwb cannot read it" in refused(recording)
    assert is_closed(recording)


def test_a_damaged_file_is_refused(recording):
    content = bytearray(recording.read_bytes())
    content[9:60] = b"\xff" * 51
    recording.write_bytes(content)
    assert "is a damaged HDF5 file" in refused(recording)


def test_a_folder_that_is_no_zarr_store_is_refused(tmp_path):
    assert "a folder, but not a Zarr store" in refused(tmp_path)


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / ".zgroup").touch()
    monkeypatch.setitem(sys.modules, "hdmf_zarr", None)
    monkeypatch.delitem(sys.modules, "nwb_cascade.nwb.zarr_files", raising=False)
    assert refused(tmp_path, ImportError).endswith("needs hdmf-zarr: pip install 'nwb-cascade[zarr]'.")


def test_a_file_locked_by_a_writer_is_named(recording, monkeypatch):
    fcntl = pytest.importorskip("fcntl", reason="Windows has no such locks")
    monkeypatch.delenv("HDF5_USE_FILE_LOCKING", raising=False)
    with open(recording, "rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert "is locked: another program has it open for writing" in refused(recording, BlockingIOError)


def test_a_file_without_permission_is_named(recording, monkeypatch):
    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(h5py, "File", denied)
    assert "may not be read by this user" in refused(recording, PermissionError)


def test_names_of_sources():
    class Remote:
        full_name = "https://example.org/a.nwb"

    assert source_name(Path("a b/ä.nwb")) == os.path.join("a b", "ä.nwb")
    assert source_name(Remote()) == "https://example.org/a.nwb"
    assert source_name(BytesIO()) == "the given BytesIO"


def test_referenced_objects_are_found_by_an_index(tmp_path, monkeypatch):
    """hdmf asks for them by a private method; a version that does not is a reason to look at the speed again."""
    found = []

    def watched(io, h5obj):
        found.append(by_path(io, h5obj))
        return found[-1]

    by_path = IndexedHDF5IO.by_path
    monkeypatch.setattr(IndexedHDF5IO, "by_path", watched)
    with open_nwb(allen_behavior(tmp_path / "a.nwb")) as (nwbfile, _):
        assert nwbfile.processing["ophys"]["dff"]["traces"].rois.table.name == "cell_specimen_table"
        assert "/processing/ophys/image_segmentation/cell_specimen_table" in [each.name for each in found]
        assert all(each == each.file[each.name] for each in found)


def test_a_file_that_links_to_another_one_is_read(recording, tmp_path):
    linked = tmp_path / "linked.nwb"
    shutil.copy(recording, linked)
    with h5py.File(linked, "r+") as file:
        del file["processing/ophys/DfOverF/RoiResponseSeries/data"]
        file["processing/ophys/DfOverF/RoiResponseSeries/data"] = h5py.ExternalLink(
            recording.name, "processing/ophys/DfOverF/RoiResponseSeries/data"
        )
    with open_nwb(linked) as (nwbfile, _):
        assert nwbfile.processing["ophys"]["DfOverF"]["RoiResponseSeries"].data.shape == (50, 3)
    assert is_closed(recording)


def test_what_hdmf_cannot_build_is_told_without_the_whole_object(recording):
    with h5py.File(recording, "r+") as file:
        file["/processing/ophys/DfOverF/RoiResponseSeries/data"].attrs["conversion"] = "much"
    message = refused(recording)
    assert "DfOverF/RoiResponseSeries): it is damaged, incomplete or not valid NWB" in message
    assert len(message) < 700
