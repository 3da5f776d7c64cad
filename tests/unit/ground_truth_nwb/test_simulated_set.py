"""The simulated set in the package is what its code makes."""

from importlib import metadata

import h5py
import numpy as np
import pytest

from ground_truth_nwb.nwb_read import read_nwb_cell
from ground_truth_nwb.simulated_set import simulate_set, simulated_set_folder, write_simulated_set
from ground_truth_nwb.validate import validate_dandiset
from ground_truth_nwb.write import differences
from tests.support.fresh_process import run_fresh

# Bytes depend on the versions that laid the file out (HDF5's own structures, the schema that pynwb embeds) and numbers
# on the mathematical functions of the platform; elsewhere the content is compared, within what they leave open.
SPECIFICATIONS = "/specifications"
LAID_OUT_BY = {"pynwb": "4.2.0", "hdmf": "6.2.0", "h5py": "3.14.0", "numpy": "2.4.6", "scipy": "1.17.1"}


def contents(path):
    """All datasets and attributes of a file by their path, but the embedded schema; references by their target."""
    found = {}

    def visit(name, item):
        if f"/{name}".startswith(SPECIFICATIONS):
            return
        for key, value in item.attrs.items():
            found[f"{name}@{key}"] = item.file[value].name if isinstance(value, h5py.Reference) else value
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiuO" and item.dtype.names is None:
            found[name] = item[()]

    with h5py.File(path) as file:
        visit("", file)
        file.visititems(visit)
    return found


def assert_same_content(path, again):
    """Compare two files object by object; floating-point numbers to the precision of float32."""
    one, other = contents(path), contents(again)
    assert one.keys() == other.keys()
    for name, value in one.items():
        if name == "@nwb_version" or name.endswith("@.specloc"):
            continue
        if np.asarray(value).dtype.kind == "f":
            np.testing.assert_allclose(other[name], value, rtol=1e-5, atol=1e-6, err_msg=f"{path.name}: {name}")
        else:
            np.testing.assert_array_equal(other[name], value, err_msg=f"{path.name}: {name}")


def same_floats(one, other):
    """Whether all floating-point numbers of two files are the same to the last bit; NaN equals NaN."""
    return all(
        np.array_equal(value, other[name], equal_nan=True)
        for name, value in one.items()
        if np.asarray(value).dtype.kind == "f"
    )


def layout_versions():
    """Versions of what decides on bytes: the library that writes, its layers, the numbers."""
    return {name: metadata.version(name) for name in ("pynwb", "hdmf", "h5py", "numpy", "scipy")}


@pytest.fixture(scope="module")
def regenerated(tmp_path_factory):
    root = tmp_path_factory.mktemp("simulated")
    return root, write_simulated_set(root)


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.0.0", reason="NumPy 1 rounds sums otherwise")
def test_files_are_the_ones_that_the_code_makes(regenerated):
    root, paths = regenerated
    shipped = sorted(simulated_set_folder().rglob("*.nwb"))
    assert [path.relative_to(simulated_set_folder()) for path in shipped] == sorted(
        path.relative_to(root) for path in paths
    )
    for path in shipped:
        assert_same_content(path, root / path.relative_to(simulated_set_folder()))


def test_bytes_are_the_same_where_versions_and_numbers_are(tmp_path):
    if layout_versions() != LAID_OUT_BY:
        pytest.skip(f"the set was laid out by {LAID_OUT_BY}, here are {layout_versions()}")
    root = tmp_path / "again"
    run_fresh(
        "from pathlib import Path; from ground_truth_nwb.simulated_set import write_simulated_set; "
        f"write_simulated_set(Path({str(root)!r}))"
    )
    pairs = [(path, root / path.relative_to(simulated_set_folder())) for path in simulated_set_folder().rglob("*.nwb")]
    same_numbers = [pair for pair in pairs if same_floats(*map(contents, pair))]
    if not same_numbers:
        pytest.skip("this processor rounds exponential functions in another way than the one that made the set")
    for path, again in same_numbers:
        assert path.read_bytes() == again.read_bytes(), path


def test_files_read_back_as_the_simulated_cells():
    by_name = {cell.name: cell for cell in simulate_set()}
    shipped = sorted(simulated_set_folder().rglob("*.nwb"))
    assert len(shipped) == len(by_name) == 4
    for path in shipped:
        cell = read_nwb_cell(path)
        for one, other in zip(by_name[cell.name].trials, cell.trials, strict=True):
            np.testing.assert_allclose(other.dff, one.dff, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(other.spike_times_s, one.spike_times_s, rtol=0, atol=1e-4)


def test_differences_are_seen(regenerated):
    _, paths = regenerated
    cells = list(simulate_set())
    assert differences(cells[0], read_nwb_cell(paths[0])) == []
    assert differences(cells[1], read_nwb_cell(paths[0]))


def test_set_could_be_uploaded_and_is_small():
    assert [finding for finding in validate_dandiset(simulated_set_folder()) if finding.blocks_upload] == []
    assert sum(path.stat().st_size for path in simulated_set_folder().rglob("*") if path.is_file()) < 1_500_000
