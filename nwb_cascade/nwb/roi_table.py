"""Copy a table of ROIs with its masks into a new file; what cannot be copied is told, not lost in silence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from hdmf.common import DynamicTable, DynamicTableRegion, ElementIdentifiers, EnumData, VectorData, VectorIndex
from hdmf.data_utils import GenericDataChunkIterator
from numpy.typing import NDArray
from pynwb import NWBFile
from pynwb.ophys import ImageSegmentation, PlaneSegmentation

from nwb_cascade.nwb.access import Access
from nwb_cascade.nwb.kinds_of_series import imaging_space
from nwb_cascade.nwb.session import plain, plane_copy
from nwb_cascade.nwb.storage import GZIP_LEVEL

WHOLE_BYTES = 8 * 2**20  # columns up to this size are read at once
BLOCK_BYTES = 32 * 2**20
FEW_NUMBERS = 16  # of an imaging space: coordinates and steps
COLUMN_BYTES = 2**16  # description, links, and what is left empty between columns


class ChosenRows(GenericDataChunkIterator):  # type: ignore[misc]  # hdmf has no type hints
    """A large column, handed on some rows at a time; a chunk holds one row, such as the mask of one ROI."""

    def __init__(self, data: Any) -> None:
        self._data = data
        row = tuple(int(n) for n in data.shape[1:])
        row_bytes = max(1, data.dtype.itemsize * int(np.prod(row)))
        n_rows = int(data.shape[0])
        chunk_rows = max(1, min(n_rows, 2**16 // row_bytes))
        held_rows = max(1, BLOCK_BYTES // (row_bytes * chunk_rows)) * chunk_rows
        super().__init__(chunk_shape=(chunk_rows, *row), buffer_shape=(min(n_rows, held_rows), *row))

    def _get_data(self, selection: tuple[slice, ...]) -> NDArray[Any]:
        return np.asarray(self._data[selection])

    def _get_maxshape(self) -> tuple[int, ...]:
        return tuple(int(n) for n in self._data.shape)

    def _get_dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(self._data.dtype)
        return dtype


def roi_table_copy(
    table: DynamicTable, nwbfile: NWBFile, module: str, access: Access
) -> tuple[DynamicTable, tuple[str, ...]]:
    """Add a copy of a table of ROIs to a file.

    Parameters
    ----------
    table : hdmf.common.DynamicTable
        A PlaneSegmentation, or whatever table the ROIs of a series are taken from.
    nwbfile : pynwb.NWBFile
        Takes the table, its imaging plane and device.
    module : str
        Processing module for a table that lies in none.
    access : Access
        How the values of the table are read.

    Returns
    -------
    (DynamicTable, tuple of str)
        The copy, with the same name and row ids, in containers of the same names; and what was left out, one
        sentence each.
    """
    columns, notes = _columns(table, access)
    fields = {
        "name": table.name,
        "description": table.description,
        "id": ElementIdentifiers(name="id", data=np.asarray(table.id[:])),
        "columns": columns,
        "colnames": [name for name in table.colnames if name in {column.name for column in columns}],
    }
    ancestor = table.get_ancestor("ProcessingModule")
    home, about = (module, "") if ancestor is None else (ancestor.name, ancestor.description)
    if home not in nwbfile.processing:
        nwbfile.create_processing_module(home, about or "Regions of interest.")
    if not isinstance(table, PlaneSegmentation):
        if (space := imaging_space(table)) is not None:
            fields["description"] = f"{table.description} {_in_words(space)}"
            notes = (*notes, f"The imaging space of {table.name} is copied in words only, into its description.")
        copy = DynamicTable(**fields)
        nwbfile.processing[home].add(copy)
        return copy, notes
    if table.reference_images:
        notes = (*notes, f"The reference images of {table.name} are not copied.")
    copy = PlaneSegmentation(imaging_plane=plane_copy(table.imaging_plane, nwbfile), **fields)
    container = table.parent.name if isinstance(table.parent, ImageSegmentation) else "ImageSegmentation"
    if container in nwbfile.processing[home].data_interfaces:  # another plane's table is in it
        nwbfile.processing[home][container].add_plane_segmentation(copy)
    else:
        nwbfile.processing[home].add(ImageSegmentation(name=container, plane_segmentations=[copy]))
    return copy, notes


def _in_words(space: Any) -> str:
    """Say what an imaging space states: texts and few numbers, not what it links to."""
    stated = {
        name: value if isinstance(value, str) else np.asarray(value).tolist()
        for name, value in space.fields.items()
        if isinstance(value, (str, int, float, list, tuple)) or (hasattr(value, "dtype") and value.size <= FEW_NUMBERS)
    }
    told = "; ".join(f"{name} {value}".rstrip(".") for name, value in stated.items())
    return f"{type(space).__name__} {space.name}{': ' if told else ''}{told}."


def table_bytes(table: DynamicTable) -> int:
    """Return the most bytes that a table of `roi_table_copy` takes in a file, compressed or not."""
    return sum(COLUMN_BYTES + _value_bytes(column.data) for column in (table.id, *table.columns))


def _value_bytes(data: Any) -> int:
    if isinstance(data, H5DataIO):
        return int(np.prod(data.data.maxshape) * data.data.dtype.itemsize) * 9 // 8  # with the index of chunks
    values = np.asarray(data)
    texts = values.ravel().tolist() if values.dtype.kind in "OUS" else []
    return int(values.nbytes) + sum(64 + 4 * len(str(text)) for text in texts)


def region_copy(region: DynamicTableRegion, table: DynamicTable) -> DynamicTableRegion:
    """Return a region of a copied table with the rows of the original."""
    return DynamicTableRegion(name="rois", description=region.description, data=np.asarray(region.data[:]), table=table)


def _columns(table: DynamicTable, access: Access) -> tuple[list[VectorData], tuple[str, ...]]:
    """Copy the columns that stand on their own; with a sentence for each of the others."""
    copies: list[VectorData] = []
    notes = []
    for name in table.colnames:
        chain = list(_chain(table, name))
        stored = _stored(chain[-1], access)
        reason = _obstacle(chain[-1], stored)
        if reason:
            notes.append(f"The column {name} of {table.name} is not copied: {reason}.")
            continue
        copied = [_values_copy(chain[-1], stored)]
        for index in reversed(chain[:-1]):
            copied.insert(0, VectorIndex(name=index.name, data=np.asarray(index.data[:]), target=copied[0]))
        copies += copied  # an index before its values: hdmf loses sight of values that come some rows at a time
    return copies, tuple(notes)


def _chain(table: DynamicTable, name: str) -> Iterator[VectorData]:
    """Yield the indices of a ragged column, outermost first, then its values."""
    column = table[name]
    while isinstance(column, VectorIndex):
        yield column
        column = column.target
    yield column


def _obstacle(column: VectorData, stored: Any) -> str:
    """Say why a column cannot be copied; empty if it can."""
    if isinstance(column, DynamicTableRegion):
        return "it refers to rows of another table"
    dtype = getattr(stored, "dtype", None)
    if dtype is None or not dtype.hasobject or _holds_text(stored):
        return ""
    return "it refers to other objects"


def _stored(column: VectorData, access: Access) -> Any:
    """The values as stored; hdmf wraps compound ones, such as pixel masks."""
    return access.array(getattr(column.data, "dataset", column.data))


def _is_large(stored: Any) -> bool:
    """Whether numbers are too many to be read at once."""
    dtype = getattr(stored, "dtype", np.dtype(object))
    return dtype.kind in "fiu" and dtype.itemsize * int(np.prod(stored.shape)) > WHOLE_BYTES


def _holds_text(data: Any) -> bool:
    return data.dtype.names is None and all(isinstance(value, (str, bytes)) for value in np.ravel(data[:1]))


def _values_copy(column: VectorData, stored: Any) -> VectorData:
    """Copy the values of a column; those that stand for words as words, large ones some rows at a time."""
    data: Any
    if isinstance(column, EnumData):
        words = np.asarray(plain(column.elements.data), dtype=object)
        data = words[np.asarray(stored[:])].tolist()
    elif _is_large(stored):
        data = H5DataIO(ChosenRows(stored), compression="gzip", compression_opts=GZIP_LEVEL, shuffle=True)
    else:
        data = plain(stored)
    return VectorData(name=column.name, description=column.description, data=data)
