"""How values are distributed over ROIs or cells: histograms as a page draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_BINS = 40


@dataclass(frozen=True)
class Histogram:
    """Bars over the bins of one axis.

    Parameters
    ----------
    element : str
        Id of the element that shows it.
    title : str
        Of the axis of values; plotly's markup.
    counted : str
        What is counted ("ROIs").
    edges : sequence of float
        Ends of the bins, (n_bins + 1,).
    bars : mapping
        How many lie in each bin, (n_bins,), by what they are called; one on top of the other.
    lines : sequence of float
        Values to mark.
    is_log : bool
        Whether the axis of values is logarithmic.
    column : str
        Key of the table's column with these values, by which the rows of a bar are listed.
    """

    element: str
    title: str
    counted: str
    edges: Sequence[float]
    bars: Mapping[str, Sequence[int]]
    lines: Sequence[float] = field(default=())
    is_log: bool = False
    column: str = ""

    def facts(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "element": self.element,
            "title": self.title,
            "counted": self.counted,
            "edges": list(self.edges),
            "bars": [{"name": name, "counts": list(counts)} for name, counts in self.bars.items()],
            "lines": list(self.lines),
            "is_log": self.is_log,
            "column": self.column,
        }


def histogram_of(
    values: NDArray[Any], element: str, title: str, counted: str, *, column: str = "", is_log: bool = False
) -> Histogram | None:
    """Return a histogram of the finite values, of those above 0 on a logarithmic axis; None without any.

    Examples
    --------
    >>> found = histogram_of(np.array([0.0, 0.1, 10.0, np.nan]), "rates", "spikes/s", "ROIs", is_log=True)
    >>> sum(found.bars[""])
    2
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if is_log:
        known = np.log10(known[known > 0])
    if not known.size:
        return None
    counts, edges = np.histogram(known, bins=min(MOST_BINS, int(np.ceil(2 * np.sqrt(known.size)))))
    ends = (10**edges if is_log else edges).tolist()
    return Histogram(element, title, counted, ends, {"": counts.tolist()}, is_log=is_log, column=column)
