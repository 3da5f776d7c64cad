"""The population on a page: its heat map in several orders, its ROIs in their plane, and its rates around events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.roi_warnings import RoiWarning
from nwb_cascade.core.wording import counted
from nwb_cascade.nwb.events import events_of
from nwb_cascade.nwb.stored_run import StoredRun
from nwb_cascade.report.around_events import EventMeans, event_means
from nwb_cascade.report.arrays import Packer, pack_array, pack_numbers
from nwb_cascade.report.detail import RoiTraces
from nwb_cascade.report.field_of_view import FieldOfView, field_of_view
from nwb_cascade.report.orders import by_correlation, by_place, by_rate
from nwb_cascade.report.page import known_numbers
from nwb_cascade.report.raster import IN_FILE, Raster, RasterMaker, in_orders, raster_facts, raster_text
from nwb_cascade.report.recording_rows import Seen

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OSError)  # what odd tables of other programs raise
ORDERS = {
    IN_FILE: "order in the file",
    "rate": "mean rate, the busiest first",
    "correlation": "correlation, similar ones side by side",
    "place": "position, from left to right",
}


@dataclass(frozen=True, eq=False)
class Observed:
    """What the first pass over the traces collects: a heat map, sums, and means around events."""

    raster: RasterMaker
    seen: Seen
    events: Sequence[EventMeans]
    n_kinds_left_out: int
    absent: str = ""

    @classmethod
    def nothing(cls, run: StoredRun) -> Observed:
        """Return what will collect the traces of a run; ``absent`` says why there are no events that could be read."""
        (n_rois, _), absent = run.shape, ""
        try:
            kinds = events_of(run.nwbfile)
        except UNREADABLE as error:
            kinds, absent = [], f"The tables of intervals cannot be read: {error}."
        events, n_left_out = event_means(kinds, run.clock, n_rois)
        return cls(RasterMaker(n_rois, run.clock), Seen.nothing(n_rois, run.clock), events, n_left_out, absent)

    @property
    def n_bytes(self) -> int:
        """Bytes of heat maps and means on the page, at most."""
        return self.raster.n_bytes + sum(2 * means.means_hz.size + 12 * means.seen.size for means in self.events)

    def add(self, roi: int, one: RoiTraces) -> None:
        """Note what one ROI holds."""
        self.seen.add(roi, one)
        self.raster.add(roi, one.rates)
        for means in self.events:
            means.add(roi, one.rates)


@dataclass(frozen=True)
class Colouring:
    """What the colour of an ROI in the field of view stands for: a name, what it counts, and a number per ROI."""

    label: str
    unit: str
    values: Sequence[float | None]


@dataclass(frozen=True, eq=False)
class Population:
    """What is shown of all ROIs at once.

    Parameters
    ----------
    rasters : mapping
        The heat map in one or more orders; the order of the file is the first.
    orders : mapping
        (n_rois,) positions of ROIs in all other orders.
    plane : FieldOfView or None
        Where the ROIs lie, if that is known.
    colourings : mapping
        What they may be coloured by.
    observed : Observed
        What the first pass over the traces found.
    absent : tuple of str
        What of the file could not be read, and why.
    """

    rasters: Mapping[str, Raster]
    orders: Mapping[str, NDArray[np.int64]]
    plane: FieldOfView | None
    colourings: Mapping[str, Colouring]
    observed: Observed
    absent: tuple[str, ...]

    def order_names(self) -> dict[str, str]:
        """Return the orders that can be picked."""
        return {key: name for key, name in ORDERS.items() if key == IN_FILE or key in self.orders}

    def colour_names(self) -> dict[str, str]:
        """Return what the ROIs can be coloured by."""
        return {key: colouring.label for key, colouring in self.colourings.items()}

    def raster_text(self, imaging_rate: float) -> str:
        """Return what a row, a column and the brightest colour of the heat map stand for."""
        return raster_text(self.rasters[IN_FILE], "Inferred rates", "ROI", imaging_rate)

    def raster_facts(self, packer: Packer) -> dict[str, Any]:
        """Return plain values for the heat map."""
        return raster_facts(self.rasters, self.orders, packer)

    def map_text(self) -> str:
        """Return what the field of view shows; empty if nothing is known of it."""
        if self.plane is None:
            return ""
        over = f" over the picture {self.plane.picture_name} of the file" if self.plane.picture is not None else ""
        n_absent = int(np.isnan(self.plane.centres[:, 0]).sum())
        absent = f" {n_absent} of them without a mask are not shown." if n_absent else ""
        return f"The masks of the ROIs{over}; the first axis of the masks runs to the right, the second down.{absent}"

    def map_facts(self, packer: Packer) -> dict[str, Any] | None:
        """Return plain values for the field of view; labels count ROIs from 1, 0 is none."""
        plane = self.plane
        if plane is None:
            return None
        n_rows, n_columns = plane.labels.shape
        return {
            "n_rows": n_rows,
            "n_columns": n_columns,
            "pixels": plane.pixels,
            "labels": packer.add(pack_numbers(plane.labels + 1)),
            "picture": None if plane.picture is None else packer.add(pack_array(plane.picture)),
            "centres": [known_numbers(axis) for axis in plane.centres.T],
            "colourings": {key: {"unit": one.unit, "values": list(one.values)} for key, one in self.colourings.items()},
        }

    def event_kinds(self) -> dict[int, str]:
        """Return the kinds of events that can be picked."""
        return {number: means.title() for number, means in enumerate(self.observed.events)}

    def event_text(self) -> str:
        """Return what the charts around events show; empty without any."""
        n_left_out = self.observed.n_kinds_left_out
        if not self.observed.events:
            return ""
        more = f" {counted(n_left_out, 'other kind')} of events would not fit into this page." if n_left_out else ""
        return (
            "Mean rates around events of the tables of intervals in the file, over all frames in each bin; the dotted "
            f"line is the event. Values on the other side of a pause are not used.{more}"
        )

    def event_facts(self, packer: Packer) -> list[dict[str, Any]]:
        """Return plain values for the charts around events."""
        return [means.facts(packer) for means in self.observed.events]


def population_of(run: StoredRun, observed: Observed, warnings: Sequence[RoiWarning]) -> Population:
    """Return what a page shows of all ROIs of a run at once."""
    plane, absent = _plane(run)
    maker, seen = observed.raster, observed.seen
    mean_rates = seen.mean_rates()
    found = {"rate": by_rate(mean_rates), "correlation": by_correlation(maker.rates_hz)}
    if plane is not None and np.isfinite(plane.centres).any():
        found["place"] = by_place(plane.centres)
    orders = {key: order for key, order in found.items() if order is not None and order.size > 1}
    counts = Counter(warning.roi for warning in warnings)
    colourings = {
        "rate": Colouring("mean rate", "spikes/s", known_numbers(mean_rates)),
        "noise": Colouring("noise level", "ν", known_numbers(run.noise_levels)),
        "warnings": Colouring("warnings", "warnings", [float(counts[roi]) for roi in range(run.shape[0])]),
    }
    return Population(
        in_orders(maker, orders), orders, plane, colourings, observed, tuple(filter(None, (absent, observed.absent)))
    )


def _plane(run: StoredRun) -> tuple[FieldOfView | None, str]:
    """The field of view, or why it cannot be shown."""
    try:
        return field_of_view(run), ""
    except UNREADABLE as error:
        return None, f"The masks of the ROIs cannot be read: {error}."
