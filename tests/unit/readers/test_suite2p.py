"""suite2p folders of both generations are read, and nothing in them is executed."""

import datetime
import os
import pathlib
import pickle
from collections import OrderedDict, defaultdict, deque

import numpy as np
import pytest

from nwb_cascade.dff import DffMethod, compute_dff
from nwb_cascade.errors import InputError
from nwb_cascade.options import InferenceOptions
from nwb_cascade.readers.pickled import read_pickled
from nwb_cascade.readers.suite2p import Suite2pReader, find_planes, read_folder

N_ROIS, N_FRAMES = 3, 40


def save_plane(folder, *, seed=0, ops=None, settings=None, reg_outputs=None, n_rois=N_ROIS):
    """Write the traces of one plane, and the dictionaries that are given."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    np.save(folder / "F.npy", rng.uniform(100, 200, (n_rois, N_FRAMES)).astype(np.float32))
    np.save(folder / "Fneu.npy", rng.uniform(20, 40, (n_rois, N_FRAMES)).astype(np.float32))
    np.save(folder / "iscell.npy", np.stack([np.arange(n_rois) % 2, rng.random(n_rois)], axis=1))
    for name, values in (("ops", ops), ("settings", settings), ("reg_outputs", reg_outputs)):
        if values is not None:
            np.save(folder / f"{name}.npy", values)
    return folder


@pytest.fixture
def old_folder(tmp_path):
    """A folder as suite2p 0.14 writes it: one ops.npy with settings, images, dates and paths."""
    bad = np.zeros(N_FRAMES, bool)
    bad[5] = True
    ops = {
        "fs": 30.03,
        "tau": np.float32(0.7),
        "neucoeff": 0.65,
        "badframes": bad,
        "meanImg": np.ones((4, 5), np.float32),
        "date_proc": datetime.datetime(2024, 5, 6, 7, 8),
        "data_path": [str(tmp_path), pathlib.PurePosixPath("/data/raw")],
        "timing": OrderedDict(registration=1.0),
    }
    save_plane(tmp_path / "suite2p" / "plane0", ops=ops)
    return tmp_path


def test_a_folder_of_the_first_generation(old_folder):
    plane = read_folder(old_folder)
    assert (plane.imaging_rate, plane.neuropil_factor) == (30.03, 0.65)
    assert plane.tau == pytest.approx(0.7)
    assert plane.is_cell.tolist() == [False, True, False]
    assert np.flatnonzero(plane.bad_frames).tolist() == [5]
    np.testing.assert_array_equal(plane.fluorescence, np.load(plane.folder / "F.npy"))
    np.testing.assert_array_equal(plane.neuropil, np.load(plane.folder / "Fneu.npy"))


def test_a_folder_of_the_second_generation(tmp_path):
    settings = {"fs": 7.5, "tau": 1.5, "extraction": {"neuropil_coefficient": 0.8}}
    folder = save_plane(tmp_path / "plane0", settings=settings, reg_outputs={"badframes": np.zeros(N_FRAMES, bool)})
    plane = read_folder(folder)
    assert (plane.imaging_rate, plane.tau, plane.neuropil_factor) == (7.5, 1.5, 0.8)
    assert not plane.bad_frames.any()


def test_traces_stay_on_disk(old_folder):
    plane = read_folder(old_folder)
    assert isinstance(plane.fluorescence.base, np.memmap) or isinstance(plane.fluorescence, np.memmap)
    assert not plane.fluorescence.flags.writeable


def test_a_plane_turns_into_dff(old_folder):
    plane = read_folder(old_folder)
    result = compute_dff(
        plane.fluorescence,
        plane.imaging_rate,
        DffMethod.suite2p(plane.neuropil_factor),
        neuropil=plane.neuropil,
        bad_frames=plane.bad_frames,
    )
    assert result.outcomes == ("ok",) * N_ROIS
    assert np.flatnonzero(np.isnan(result.dff).any(axis=0)).tolist() == [5]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_settings_of_every_pickle_protocol_are_read(tmp_path, protocol):
    values = {"fs": np.float64(12.5), "image": np.arange(6.0).reshape(2, 3), "names": np.array(["a", "b"], object)}
    path = tmp_path / "ops.npy"
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(np.array(values, dtype=object), file, protocol=protocol)
    found = read_pickled(path)
    assert found["fs"] == 12.5
    np.testing.assert_array_equal(found["image"], values["image"])
    assert found["names"].tolist() == ["a", "b"]


class Hostile:
    """Runs a command when it is unpickled the usual way."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_code_in_a_pickle_is_not_executed(tmp_path):
    marker = tmp_path / "executed"
    ops = {
        "fs": 20.0,
        "evil": Hostile(marker),
        "odd": [deque([1, 2]), defaultdict(list, a=[1]), OrderedDict.fromkeys],
        "path": pathlib.PureWindowsPath("C:/x"),
    }
    folder = save_plane(tmp_path / "plane0", ops=ops)
    assert read_folder(folder).imaging_rate == 20.0
    assert not marker.exists()
    np.load(folder / "ops.npy", allow_pickle=True)
    assert marker.exists(), "the test file is not hostile: NumPy's own reading must run the command"


def test_planes_are_found_in_order_without_the_combined_view(tmp_path):
    for number in (10, 2, 0):
        save_plane(tmp_path / "suite2p" / f"plane{number}", ops={"fs": 5.0})
    save_plane(tmp_path / "suite2p" / "combined", ops={"fs": 5.0})
    (tmp_path / "suite2p" / "plane3").mkdir()
    names = [plane.name for plane in find_planes(tmp_path)]
    assert names == ["plane0", "plane2", "plane10"]
    assert [plane.name for plane in find_planes(tmp_path / "suite2p")] == names
    assert find_planes(tmp_path / "suite2p" / "plane2") == (tmp_path / "suite2p" / "plane2",)
    with pytest.raises(InputError, match=r"one plane, found 3 in .*: name the folder of one"):
        read_folder(tmp_path)
    with (
        pytest.raises(InputError, match=r"one plane, found 3 in .*infer '.*plane0' '.*plane2' '.*plane10'"),
        Suite2pReader().open(tmp_path, InferenceOptions()),
    ):
        pass


def test_what_suite2p_did_not_write_is_none(tmp_path):
    folder = save_plane(tmp_path / "plane0", ops={"fs": 5})
    for name in ("Fneu.npy", "iscell.npy"):
        (folder / name).unlink()
    plane = read_folder(folder)
    assert (plane.neuropil, plane.tau, plane.neuropil_factor, plane.bad_frames) == (None, None, None, None)
    assert plane.is_cell.all()


def test_a_plane_without_rois(tmp_path):
    plane = read_folder(save_plane(tmp_path / "plane0", ops={"fs": 5.0}, n_rois=0))
    assert plane.fluorescence.shape == (0, N_FRAMES)
    assert plane.is_cell.shape == (0,)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="which is not a folder"):
        read_folder(tmp_path / "nowhere")


def damage(folder, name, content):
    """Replace a file by other bytes or another array."""
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    elif content is None:
        (folder / name).unlink()
    else:
        np.save(folder / name, content)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("F.npy", None, "Expected F.npy in .*Did suite2p finish"),
        ("F.npy", b"", "F.npy as an array of numbers.*reading it fails"),
        ("F.npy", np.zeros((3, 40))[0], r"shape \(n_rois, n_frames\), received float64 of shape \(40,\)"),
        ("F.npy", np.array([{}]), "F.npy as an array of numbers.*reading it fails"),
        ("Fneu.npy", np.zeros((2, 40)), r"Fneu.npy of the shape of F.npy, \(3, 40\), received \(2, 40\)"),
        ("iscell.npy", np.zeros((2, 2)), r"iscell.npy with one row for each of the 3 ROIs.*\(2,\)"),
        ("ops.npy", None, "ops.npy or settings.npy in .*imaging rate is unknown"),
        ("ops.npy", b"\x93NUMPY", "ops.npy as a dictionary saved by NumPy; reading it fails"),
        ("ops.npy", np.zeros(3), r"holds an array of shape \(3,\)"),
        ("ops.npy", np.array([1, "a"], dtype=object).reshape(2), r"holds an array of shape \(2,\)"),
        ("ops.npy", np.array(5, dtype=object), "it holds int"),
        ("ops.npy", np.array({"fs": 0.0}), "positive imaging rate 'fs'.*found 0.0"),
        ("ops.npy", np.array({"tau": 1.0}), "positive imaging rate 'fs'.*found None"),
        ("ops.npy", np.array({"fs": "30"}), "positive imaging rate 'fs'.*found '30'"),
    ],
)
def test_damaged_folders_are_refused(tmp_path, name, content, message):
    folder = save_plane(tmp_path / "plane0", ops={"fs": 5.0})
    damage(folder, name, content)
    with pytest.raises(InputError, match=message):
        read_folder(folder)


def test_a_truncated_file_is_refused(tmp_path):
    folder = save_plane(tmp_path / "plane0", ops={"fs": 5.0})
    for name in ("F.npy", "ops.npy"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) - 20])
        with pytest.raises(InputError, match=f"{name}.*reading it fails"):
            read_folder(folder)
        (folder / name).write_bytes(whole)


def test_bad_frames_of_another_length_are_refused(tmp_path):
    folder = save_plane(tmp_path / "plane0", ops={"fs": 5.0, "badframes": np.zeros(N_FRAMES - 1, bool)})
    with pytest.raises(
        InputError, match=r"'badframes' in the settings in .* for the 40 frames of F\.npy, received shape \(39,"
    ):
        read_folder(folder)


@pytest.mark.parametrize("nothing", [None, np.empty(0, bool)])
def test_no_bad_frames_may_be_stated_in_several_ways(tmp_path, nothing):
    folder = save_plane(tmp_path / "plane0", ops={"fs": 5.0, "badframes": nothing})
    assert read_folder(folder).bad_frames is None
