"""HDF5 files that are no NWB: what they seem to be, and how their traces can be read all the same."""

from __future__ import annotations

import h5py

MOST_NAMED = 3


def about_hdf5(file: h5py.File, name: str) -> str:
    """Say what an HDF5 file without NWB's marks could be; empty if nothing is known.

    Parameters
    ----------
    file : h5py.File
        Open.
    name : str
        What it is called in messages and commands.
    """
    matrices: dict[str, tuple[int, ...]] = {}

    def look_at(path: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == 2 and item.dtype.kind == "f" and min(item.shape) > 0:
            matrices[path] = item.shape

    file.visititems(look_at)
    largest = sorted(matrices, key=lambda path: -matrices[path][0] * matrices[path][1])[:MOST_NAMED]
    if not largest:
        return ""
    listed = ", ".join(f"{path} {matrices[path]}" for path in largest)
    return (
        f" It holds matrices ({listed}); one that is dF/F can be saved as .npy or .mat: {_by_numpy(name, largest[0])}"
    )


def _by_numpy(name: str, path: str) -> str:
    """Return the commands that save a matrix and infer from it."""
    code = f"import h5py, numpy; numpy.save('dff.npy', h5py.File('{name}')['{path}'][:])"
    return f'python -c "{code}" && nwb-cascade infer dff.npy --imaging-rate HZ'
