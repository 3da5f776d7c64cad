"""Which ROIs of a series are asked for, by a column of their table."""

from __future__ import annotations

import numpy as np
from hdmf.common import VectorIndex
from pynwb import TimeSeries

from nwb_cascade.core.roi_choice import ALL_ROIS, RoiChoice, chosen_rois
from nwb_cascade.nwb.access import Access
from nwb_cascade.nwb.kinds_of_series import region_of
from nwb_cascade.nwb.objects import object_path
from nwb_cascade.nwb.read import roi_ids_of


def asked_rois(series: TimeSeries, wanted: str | None, access: Access) -> RoiChoice | None:
    """Return the ROIs (rows of the traces) that an option means, None for all; errors as `chosen_rois`."""
    if wanted in (None, ALL_ROIS):
        return None
    rows, table = region_of(series)
    if rows is None or table is None:
        return chosen_rois(wanted, {}, object_path(series))
    roi_ids_of(series)  # raises for a region that does not name ROIs
    columns = {}
    for name in table.colnames:
        column = table[name]
        if isinstance(column, VectorIndex):
            continue
        stored = access.array(getattr(column.data, "dataset", column.data))
        if np.shape(stored) in ((len(table),), (len(table), 2)):
            columns[name] = np.asarray(stored[:])[rows]
    return chosen_rois(wanted, columns, object_path(table))
