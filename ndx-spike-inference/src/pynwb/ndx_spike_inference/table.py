"""InferredSpikesTable: discrete spike times, one row per ROI."""

from __future__ import annotations

from typing import Any

from hdmf.common import DynamicTable
from hdmf.utils import AllowPositional, docval, get_docval
from pynwb import register_class

from . import checks
from .display import ShownInShort
from .series import InferredSpikeRateSeries

OWN_FIELDS = ("rates", "method", "parameters")


@register_class("InferredSpikesTable", "ndx-spike-inference")
class InferredSpikesTable(ShownInShort, DynamicTable):
    """Discrete spike times per ROI that explain inferred spike rates: one row per ROI.

    Give the table of ROIs as ``target_tables={"roi": plane_segmentation}`` and fill the table with
    ``add_row(roi=row_of_the_roi, spike_times=seconds, fit_error=ratio)``, or pass ready-made ``columns``.

    Raises
    ------
    ValueError
        If ``parameters`` of a new table is not the text of a JSON object.
    """

    __fields__ = OWN_FIELDS

    __columns__ = (
        {"name": "roi", "description": "The ROI of the row.", "required": True, "table": True},
        {
            "name": "spike_times",
            "description": "Spike times of the ROI in ascending order, in seconds on the file's clock.",
            "required": True,
            "index": True,
        },
        {
            "name": "fit_error",
            "description": (
                "Sum of absolute differences between smoothed spikes and rates, divided by the sum of the "
                "rates; NaN if unknown."
            ),
            "required": True,
        },
    )

    @docval(
        {"name": "name", "type": str, "doc": "Name of the table."},
        {"name": "method", "type": str, "doc": "How the spike times were found, in words."},
        {"name": "parameters", "type": str, "doc": "Parameters of the method, the text of a JSON object."},
        {
            "name": "rates",
            "type": InferredSpikeRateSeries,
            "doc": "The rates that the spike times explain, if they are in the same file.",
            "default": None,
        },
        {
            "name": "description",
            "type": str,
            "doc": "What is in the table.",
            "default": "Spike times inferred from calcium imaging.",
        },
        *(arg for arg in get_docval(DynamicTable.__init__) if arg["name"] not in ("name", "description")),
        allow_positional=AllowPositional.ERROR,
    )
    def __init__(self, **kwargs: Any) -> None:
        own = {field: kwargs.pop(field) for field in OWN_FIELDS}
        super().__init__(**kwargs)
        if not self._in_construct_mode:
            checks.check_json_object(f"{type(self).__name__} '{self.name}'", "parameters", own["parameters"])
        for field, value in own.items():
            setattr(self, field, value)
