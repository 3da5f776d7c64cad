"""Which axis of a stored matrix is time: NWB says the first, some writers wrote the second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from nwb_cascade.core.wording import counted


@dataclass(frozen=True)
class Layout:
    """Orientation of the data of a series.

    Parameters
    ----------
    n_rois, n_frames : int
        Shape of the traces.
    transposed : bool or None
        Whether ROIs come first; None if that cannot be told (the counts then follow the standard).
    problem : str
        What is wrong, in words; empty if nothing is.
    """

    n_rois: int
    n_frames: int
    transposed: bool | None
    problem: str = ""


def layout(shape: tuple[int, ...], *, n_region: int | None, n_timestamps: int | None, n_table: int | None) -> Layout:
    """Tell time from ROIs by the lengths of what belongs to the axes.

    Parameters
    ----------
    shape : tuple of int
        Shape of the stored data.
    n_region : int or None
        ROIs that the series names.
    n_timestamps : int or None
        Timestamps, if the series has any.
    n_table : int or None
        Rows of the table that the ROIs are taken from.

    Examples
    --------
    >>> layout((5, 300), n_region=5, n_timestamps=None, n_table=5)
    Layout(n_rois=5, n_frames=300, transposed=True, problem='')
    """
    if len(shape) == 1:
        return _single(shape[0], n_region)
    if len(shape) != 2:
        return Layout(0, 0, None, f"The data have shape {shape}; expected (time,) or (time, ROIs).")
    first, second = shape
    lengths = f"shape {shape}, {'no ROIs' if n_region is None else counted(n_region, 'ROI')} in its region"
    lengths += f", {counted(n_timestamps, 'timestamp')}" if n_timestamps is not None else ""
    standard = _agrees(first, second, n_timestamps), _agrees(second, first, n_region)
    swapped = _agrees(second, first, n_timestamps), _agrees(first, second, n_region)
    if any(standard) and any(swapped):
        return Layout(second, first, None, f"Its lengths contradict each other ({lengths}).")
    if any(swapped):
        return Layout(first, second, True)
    if any(standard) or n_region == second:
        return Layout(second, first, False)
    if _agrees(second, first, n_table):
        return Layout(second, first, False)
    if _agrees(first, second, n_table):
        return Layout(first, second, True)
    if n_region is None and n_table is None and first > second:  # nothing contradicts the standard
        return Layout(second, first, False)
    return Layout(second, first, None, f"No length tells its ROI axis from its time axis ({lengths}).")


def _single(length: int, n_region: int | None) -> Layout:
    """Judge one-dimensional data: one trace, or one value per ROI as the AllenSDK stores some."""
    if n_region is not None and n_region > 1 and n_region == length:
        return Layout(length, 1, None, f"It holds one value for each of {counted(length, 'ROI')}, not a trace.")
    return Layout(1, length, False)


def _agrees(axis: int, other: int, length: int | None) -> bool:
    """Whether a length fits one axis and only that."""
    return length is not None and axis == length != other


def region_problem(rows: NDArray[Any], n_rois: int, n_table: int) -> str:
    """Say why the rows of a ROI table that a series names cannot be those of its traces; empty if they can.

    Examples
    --------
    >>> import numpy as np
    >>> print(region_problem(np.array([1, 2, 3]), n_rois=3, n_table=3))
    Its ROI region names rows 1 to 3 of a table whose 3 rows are 0 to 2: it may count from 1, as MATLAB does.
    """
    if len(rows) != n_rois:
        return f"Its ROI region names {counted(len(rows), 'ROI')}, its data have {n_rois}."
    if rows.size and rows.dtype.kind not in "iu":
        return f"Its ROI region holds values of type {rows.dtype}, not rows of its table."
    low, high = (int(rows.min()), int(rows.max())) if rows.size else (0, -1)
    if low >= 0 and high < n_table:
        return ""
    from_one = ": it may count from 1, as MATLAB does" if low > 0 and high == n_table else ""
    return (
        f"Its ROI region names rows {low} to {high} of a table whose {n_table} rows are 0 to {n_table - 1}{from_one}."
    )
