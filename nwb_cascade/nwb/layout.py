"""Which axis of a stored matrix is time: NWB says the first, some writers wrote the second."""

from __future__ import annotations

from dataclasses import dataclass

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
        return Layout(first, second, True, _region_problem(first, n_region))
    if any(standard) or n_region == second:
        return Layout(second, first, False, _region_problem(second, n_region))
    if _agrees(second, first, n_table):
        return Layout(second, first, False, _region_problem(second, n_region))
    if _agrees(first, second, n_table):
        return Layout(first, second, True, _region_problem(first, n_region))
    return Layout(second, first, None, f"No length tells its ROI axis from its time axis ({lengths}).")


def _single(length: int, n_region: int | None) -> Layout:
    """Judge one-dimensional data: one trace, or one value per ROI as the AllenSDK stores some."""
    if n_region is not None and n_region > 1 and n_region == length:
        return Layout(length, 1, None, f"It holds one value for each of {counted(length, 'ROI')}, not a trace.")
    return Layout(1, length, False, _region_problem(1, n_region))


def _agrees(axis: int, other: int, length: int | None) -> bool:
    """Whether a length fits one axis and only that."""
    return length is not None and axis == length != other


def _region_problem(n_rois: int, n_region: int | None) -> str:
    if n_region is None or n_region == n_rois:
        return ""
    return f"Its ROI region names {counted(n_region, 'ROI')}, its data have {n_rois}."
