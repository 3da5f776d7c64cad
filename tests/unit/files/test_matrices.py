"""Matrices come in from .npy and both kinds of .mat, and go out so that others read them."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from nwb_cascade.errors import InputError
from nwb_cascade.files import matrices
from nwb_cascade.files.matrices import write_mat5, write_mat73, write_npy
from nwb_cascade.readers.matrix import is_mat73, open_matrix, read_text

TRACES = np.random.default_rng(0).normal(size=(3, 50))


def write_matrix(path: Path, variables: dict[str, Any]) -> Path:
    """Write variables in the format that the name asks for."""
    if path.name.endswith("73.mat"):
        write_mat73(path, variables)
    elif path.suffix == ".mat":
        savemat(path, variables)
    else:
        np.save(path, next(iter(variables.values())))
    return path


@pytest.mark.parametrize("name", ["ü a.npy", "v5.mat", "v73.mat"])
def test_rows_are_rois_in_every_format(tmp_path: Path, name: str) -> None:
    path = write_matrix(tmp_path / name, {"dF_traces": TRACES})
    with open_matrix(path) as matrix:
        assert tuple(matrix.shape) == (3, 50)
        np.testing.assert_array_equal(matrix[1:3], TRACES[1:3])


@pytest.mark.parametrize("name", ["v5.mat", "v73.mat"])
def test_the_usual_name_is_found_among_others(tmp_path: Path, name: str) -> None:
    path = write_matrix(tmp_path / name, {"masks": np.ones((3, 3)), "dff": TRACES, "rate": 30.0})
    with open_matrix(path) as matrix:
        assert tuple(matrix.shape) == (3, 50)
    with open_matrix(path, "masks") as matrix:
        assert tuple(matrix.shape) == (3, 3)


@pytest.mark.parametrize("name", ["v5.mat", "v73.mat"])
def test_an_only_matrix_needs_no_name(tmp_path: Path, name: str) -> None:
    path = write_matrix(tmp_path / name, {"F_corrected": TRACES, "rate": 30.0, "comment": "x"})
    with open_matrix(path) as matrix:
        assert tuple(matrix.shape) == (3, 50)


@pytest.mark.parametrize("name", ["v5.mat", "v73.mat"])
def test_an_unclear_matrix_is_asked_for(tmp_path: Path, name: str) -> None:
    path = write_matrix(tmp_path / name, {"a": TRACES, "b": TRACES})
    with pytest.raises(InputError, match=r"found a \(3, 50\), b \(3, 50\).*--variable"), open_matrix(path):
        pass
    with pytest.raises(InputError, match=r"Expected a matrix 'c' in .*holds a \(3, 50\)"), open_matrix(path, "c"):
        pass


@pytest.mark.parametrize("name", ["a.npy", "a.mat"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    path = write_matrix(tmp_path / name, {"dff": TRACES})
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=rf"Expected a .* file.*{name} fails"), open_matrix(path):
        pass


def test_an_array_of_objects_is_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}, {}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"a\.npy fails"), open_matrix(tmp_path / "a.npy"):
        pass


def test_text_is_no_matrix_of_traces(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([["a", "b"]]))
    match = r"matrix of numbers in .*found values of type <U1"
    with pytest.raises(InputError, match=match), open_matrix(tmp_path / "a.npy"):
        pass


def test_numpy_reads_what_is_written_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrices, "ROWS_BYTES", 250)
    spikes = TRACES.astype(np.float32)
    write_npy(tmp_path / "a.npy", spikes)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), spikes)
    write_mat73(tmp_path / "a.mat", {"expected_spikes": spikes})
    with h5py.File(tmp_path / "a.mat") as file:
        np.testing.assert_array_equal(file["expected_spikes"][()].T, spikes)


def test_mat5_holds_what_scipy_reads(tmp_path: Path) -> None:
    spikes = TRACES.astype(np.float32)
    write_mat5(
        tmp_path / "a.mat", {"expected_spikes": spikes, "rate": 30.0, "noise": spikes[:, 0], "record": '{"ü": 1}'}
    )
    found = loadmat(tmp_path / "a.mat")
    assert found["expected_spikes"].dtype == np.float32
    np.testing.assert_array_equal(found["expected_spikes"], spikes)
    assert found["noise"].shape == (3, 1)
    assert found["rate"] == 30.0
    assert read_text(tmp_path / "a.mat", "record") == '{"ü": 1}'
    assert read_text(tmp_path / "a.mat", "absent") is None
    assert not is_mat73(tmp_path / "a.mat")


def test_mat73_looks_like_matlabs_own(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    write_mat73(path, {"spikes": TRACES, "frames": np.zeros((3, 2), np.int64), "noise": TRACES[:, 0], "record": "{ü}"})
    head = path.read_bytes()[:128]
    assert head.startswith(b"MATLAB 7.3 MAT-file")
    assert head[124:] == b"\x00\x02IM"
    with h5py.File(path) as file:
        assert file.userblock_size == 512
        assert file["noise"].shape == (1, 3)
        classes = {name: item.attrs["MATLAB_class"].decode() for name, item in file.items()}
    assert classes == {"frames": "int64", "noise": "double", "record": "char", "spikes": "double"}
    assert read_text(path, "record") == "{ü}"
    assert read_text(path, "absent") is None
    assert is_mat73(path)


def test_a_variable_too_large_for_mat5_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrices, "MAT5_LIMIT_BYTES", 100)
    with pytest.raises(InputError, match=r"Variable spikes of a\.mat is too large for MATLAB 5"):
        write_mat5(tmp_path / "a.mat", {"spikes": TRACES})
