"""A recording that names other files reads none of them, or those below its own folder, and says so."""

import io
import json
import os
import uuid
from pathlib import Path

import h5py
import numpy as np
import pytest

import nwb_cascade.annotation.annotate
from ground_truth_nwb.hdf5_files import ForeignFileError, open_hdf5
from ground_truth_nwb.nwb_read import read_nwb_cell
from ground_truth_nwb.other_nwb import read_nwb_cells
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.errors import InputError
from nwb_cascade.nwb.files import open_nwb, other_files
from nwb_cascade.readers.matrix import open_matrix
from tests.support.fake_runs import fake_run
from tests.support.recordings import dff_recording

TABLE = "processing/ophys/ImageSegmentation/rois_RoiResponseSeries"
DATA = "processing/ophys/DfOverF/RoiResponseSeries/data"
SECRET = b"a secret of the reader's"


@pytest.fixture(autouse=True)
def _without_networks(monkeypatch):
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)


def column(file, **storage):
    """One more column of the table of four ROIs, as bytes that lie elsewhere."""
    stored = file[TABLE].create_dataset("marks", **storage)
    about = {"neurodata_type": "VectorData", "namespace": "hdmf-common", "description": "Marks."}
    stored.attrs.update({**about, "object_id": str(uuid.uuid4())})
    file[TABLE].attrs["colnames"] = [*file[TABLE].attrs["colnames"], "marks"]


def external_storage(file, other):
    column(file, shape=(4, 8), dtype="u1", external=[(str(other), 0, 32)])


def external_link(file, other):
    del file[DATA]
    file[DATA] = h5py.ExternalLink(str(other), "/data")


def soft_link_through_one(file, other):
    del file[DATA]
    file["analysis/away"] = h5py.ExternalLink(str(other), "/")
    file[DATA] = h5py.SoftLink("/analysis/away/data")


def virtual_dataset(file, other):
    shape = file[DATA].shape
    del file[DATA]
    layout = h5py.VirtualLayout(shape=shape, dtype="f4")
    layout[:] = h5py.VirtualSource(str(other), "data", shape=shape)
    file.create_virtual_dataset(DATA, layout)


def numbered_virtual_dataset(file, other):
    """Sources whose names are made from a pattern."""
    layout = h5py.VirtualLayout(shape=(300, 4), dtype="f4", maxshape=(None, 4))
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    space = h5py.h5s.create_simple((300, 4), (h5py.h5s.UNLIMITED, 4))
    space.select_hyperslab((0, 0), (h5py.h5s.UNLIMITED, 1), (300, 1), (300, 4))
    del layout
    name = str(other).replace(other.stem, f"{other.stem[:-1]}%b").encode()
    plist.set_virtual(space, name, b"data", h5py.h5s.create_simple((300, 4)))
    whole = h5py.h5s.create_simple((300, 4), (h5py.h5s.UNLIMITED, 4))
    h5py.h5d.create(file.id, b"analysis/numbered", h5py.h5t.IEEE_F32LE, whole, plist)


KINDS = (external_storage, external_link, soft_link_through_one, virtual_dataset, numbered_virtual_dataset)


def recording_that_names(make, other, folder):
    """A recording whose parts lie in another file, which holds dF/F and, at its start, a secret."""
    with h5py.File(other, "w", userblock_size=512) as file:
        file["data"] = np.random.default_rng(0).normal(0, 0.1, (300, 4)).astype("f4")
    with open(other, "r+b") as raw:
        raw.write(SECRET)
    path = dff_recording(folder / "recording.nwb")
    with h5py.File(path, "r+") as file:
        make(file, other)
    return path


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("make", KINDS)
def test_a_recording_on_disk_reads_nothing_outside_its_folder(make, home, folder):
    path = recording_that_names(make, home / "values0.h5", folder)
    with pytest.raises(InputError, match=r"names another file: .* Only files below the recording's own folder"):
        annotate(path, sidecar=True)
    assert os.listdir(folder) == [path.name]


@pytest.mark.parametrize("make", KINDS)
def test_a_recording_from_elsewhere_reads_no_other_file(make, folder):
    """What a server sends is opened as a file object."""
    path = recording_that_names(make, folder / "values0.h5", folder)
    with pytest.raises(InputError, match="Other files are not read"), open_nwb(io.BytesIO(path.read_bytes())):
        pass


@pytest.mark.parametrize("make", [external_storage, external_link, virtual_dataset])  # hdmf follows no chain of links
def test_what_lies_below_the_folder_is_read_and_a_sidecar_says_so(make, folder):
    path = recording_that_names(make, folder / "values0.h5", folder)
    result = annotate(path, sidecar=True)
    assert any("Parts of the recording lie in" in text and "values0.h5" in text for text in result.warnings)
    with open_nwb(result.output) as (nwbfile, _):
        assert other_files(nwbfile) == ()


def test_files_of_files_are_judged_too(home, folder):
    recording_that_names(virtual_dataset, home / "values0.h5", folder).rename(folder / "second.nwb")
    path = dff_recording(folder / "first.nwb")
    with h5py.File(path, "r+") as file:
        external_link(file, Path("second.nwb"))
    with pytest.raises(InputError, match=r"second\.nwb names another file"), open_nwb(path):
        pass


def test_a_name_means_what_hdf5_finds_by_it_in_the_current_folder(home, folder, monkeypatch):
    path = recording_that_names(external_link, home / "values0.h5", folder)
    with h5py.File(path, "r+") as file:
        external_link(file, Path("values0.h5"))
    with open_nwb(path):  # it leads to nothing
        pass
    monkeypatch.chdir(home)
    with pytest.raises(InputError, match="names another file"), open_nwb(path):
        pass


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_link_to_a_pipe_is_refused_and_not_waited_for(folder):
    os.mkfifo(folder / "pipe.h5")
    path = dff_recording(folder / "recording.nwb")
    with h5py.File(path, "r+") as file:
        external_link(file, Path("pipe.h5"))
    with pytest.raises(InputError, match="names another file"), open_nwb(path):
        pass


def test_an_object_in_no_group_is_judged_when_a_reference_leads_to_it(home, folder):
    """HDF5 removes an object with its last name; a writer of bytes need not."""
    path = recording_that_names(external_storage, home / "values0.h5", folder)
    with h5py.File(path, "r+") as file:
        group, where = file.create_group("hidden"), file[TABLE]
        h5py.h5o.link(where["marks"].id, group.id, b"marks")
        where["description_of"] = where["marks"].ref
        where.attrs["colnames"] = [name for name in where.attrs["colnames"] if name != "marks"]
        del where["marks"]
        address = h5py.h5o.get_info(group.id).addr
    hide_group(path, b"hidden", address)
    with pytest.raises(InputError, match="lies in another file"), open_nwb(path):
        pass


def hide_group(path, name, address):
    """Take a group out of the root group's table of names, as bytes: what is in it keeps its count of links."""
    content = bytearray(path.read_bytes())
    entry = content.find(address.to_bytes(8, "little"))
    assert entry > 0
    with h5py.File(path, "r") as file:
        empty = h5py.h5o.get_info(file["stimulus/templates"].id).addr
    while entry > 0:
        content[entry : entry + 8] = empty.to_bytes(8, "little")
        entry = content.find(address.to_bytes(8, "little"))
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("read", [read_nwb_cell, read_nwb_cells, open_hdf5])
@pytest.mark.parametrize("make", KINDS)
def test_ground_truth_reads_no_other_file(read, make, folder):
    path = recording_that_names(make, folder / "values0.h5", folder)
    with pytest.raises(ForeignFileError, match="Other files are not read"):
        read(path)


def test_a_matrix_of_matlab_reads_nothing_outside_its_folder(home, folder):
    (home / "secret").write_bytes(bytes(400))
    with h5py.File(folder / "traces.mat", "w", userblock_size=512) as file:
        file.create_dataset("dff", shape=(50, 2), dtype="f4", external=[(str(home / "secret"), 0, 400)])
    with pytest.raises(ForeignFileError, match="names another file"), open_matrix(folder / "traces.mat"):
        pass


@pytest.fixture
def store(folder):
    pytest.importorskip("hdmf_zarr")
    return dff_recording(folder / "recording.nwb.zarr")


def change_attributes(group, change):
    attributes = json.loads((group / ".zattrs").read_text())
    change(attributes)
    (group / ".zattrs").write_text(json.dumps(attributes))
    for consolidated in group.parents:
        (consolidated / ".zmetadata").unlink(missing_ok=True)


def lead_links_to(place):
    def change(attributes):
        for link in attributes["zarr_link"]:
            link["source"] = place

    return change


def lead_references_to(place):
    def change(attributes):
        attributes["table"]["value"]["source"] = place

    return change


CHANGES = [
    ("general/optophysiology/imaging_RoiResponseSeries", lead_links_to),
    ("processing/ophys/DfOverF/RoiResponseSeries/rois", lead_references_to),
]


@pytest.mark.parametrize(("place", "lead_to"), CHANGES)
def test_links_and_references_out_of_a_zarr_store_are_refused(place, lead_to, store, home):
    other = dff_recording(home / "other.nwb.zarr")
    change_attributes(store / place, lead_to("../../home/other.nwb.zarr"))
    with pytest.raises(InputError, match="names another place"), open_nwb(store):
        pass
    change_attributes(store / place, lead_to(str(other)))
    with pytest.raises(InputError, match="names another place"), open_nwb(store):
        pass


@pytest.mark.parametrize(("place", "lead_to"), CHANGES)
def test_links_and_references_to_a_store_beside_it_are_read(place, lead_to, store, folder):
    dff_recording(folder / "other.nwb.zarr")
    change_attributes(store / place, lead_to("../other.nwb.zarr"))
    with open_nwb(store) as (nwbfile, _):
        assert other_files(nwbfile) == ("../other.nwb.zarr",)


def test_symbolic_links_out_of_a_zarr_store_are_refused(store, home):
    (home / "secret").write_bytes(SECRET)
    (store / DATA / "0.0").unlink()
    (store / DATA / "0.0").symlink_to(home / "secret")
    with pytest.raises(InputError, match="names another place"), open_nwb(store):
        pass
