"""Events that a file tells the times of: trials, epochs, stimuli and whatever else its tables of intervals hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from hdmf.common import VectorIndex
from numpy.typing import NDArray
from pynwb import NWBFile
from pynwb.epoch import TimeIntervals

from nwb_cascade.nwb.masking import INVALID_TIMES
from nwb_cascade.nwb.objects import objects_of

FIRST = ("trials", "epochs")
START, STOP = "start_time", "stop_time"
MOST_GROUPS = 8  # values of a column by which events can be told apart


@dataclass(frozen=True, eq=False)
class Events:
    """Times of one kind.

    Parameters
    ----------
    table, column : str
        Where they stand: a table of intervals and one of its columns.
    times_s : numpy.ndarray
        (n_events,) float64, s on the file's clock, ascending; all finite.
    length_s : float
        Median length of the intervals, s; NaN if unknown.
    groups : mapping
        Columns of at most eight different values, as words: (n_events,) each.
    """

    table: str
    column: str
    times_s: NDArray[np.float64]
    length_s: float
    groups: Mapping[str, NDArray[np.str_]]


def events_of(nwbfile: NWBFile) -> list[Events]:
    """Return all events of a file: trials and epochs first, then other tables by their names; no invalid times.

    Events are the starts of the intervals, and what other columns of numbers hold whose names end in ``_time``.
    """
    tables = {one.name: one for one in objects_of(nwbfile, TimeIntervals).values() if one.name != INVALID_TIMES}
    ranked = sorted(tables, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))
    return [events for name in ranked for events in _of_table(tables[name])]


def _of_table(table: TimeIntervals) -> Iterator[Events]:
    columns = {name: _values(table[name]) for name in table.colnames}
    starts, stops = columns.get(START), columns.get(STOP)
    if starts is None or stops is None or not starts.size:
        return
    lengths = stops.astype(np.float64) - starts.astype(np.float64)
    lengths = lengths[np.isfinite(lengths)]
    length = float(np.median(lengths)) if lengths.size else float("nan")
    found = {name: _groups(values) for name, values in columns.items() if values is not None}
    groups = {name: values for name, values in found.items() if values is not None}
    for name, values in columns.items():
        if name != STOP and name.endswith("_time") and values is not None and values.dtype.kind in "fiu":
            order = np.argsort(values, kind="stable")
            order = order[np.isfinite(values[order].astype(np.float64))]
            if order.size:
                mine = {column: words[order] for column, words in groups.items() if column != name}
                yield Events(table.name, name, values[order].astype(np.float64), length, mine)


def _values(column: Any) -> NDArray[Any] | None:
    """The values of a column, one per row; None for lists and references."""
    if isinstance(column, VectorIndex):
        return None
    values = np.asarray(column[:])
    return values if values.ndim == 1 and (values.dtype.kind in "fiubU" or _are_words(values)) else None


def _are_words(values: NDArray[Any]) -> bool:
    return values.dtype.kind == "O" and all(isinstance(value, (str, bytes)) for value in values)


def _groups(values: NDArray[Any]) -> NDArray[np.str_] | None:
    """The values as words, if they tell some groups apart."""
    if values.dtype.kind == "O":
        values = np.array([one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in values])
    words = np.array([f"{one:g}" for one in values]) if values.dtype.kind == "f" else values.astype(np.str_)
    return words if 2 <= np.unique(words).size <= MOST_GROUPS and np.unique(words).size < words.size else None
