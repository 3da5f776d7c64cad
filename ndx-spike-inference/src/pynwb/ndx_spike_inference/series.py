"""InferredSpikeRateSeries: expected spikes per frame and ROI, with what is needed to judge them."""

from __future__ import annotations

from typing import Any

from hdmf.common import DynamicTableRegion
from hdmf.utils import AllowPositional, docval, get_docval
from pynwb import TimeSeries, register_class
from pynwb.ophys import RoiResponseSeries

from . import checks
from .display import ShownInShort
from .model import SpikeInferenceModel

ALIGNMENTS = ("trained", "published")
THRESHOLDS = ("raw", "nonnegative", "single-spike")
RATE_UNIT = "spikes/frame"

OWN_FIELDS = (
    "model",
    "source_series",
    "source_provenance",
    "noise_level",
    "model_noise_level",
    "valid_frames",
    "ensemble_std",
    "roi_warnings",
    "alignment",
    "threshold",
    "run_key",
    "run_parameters",
)
COUNT_FIELDS = (
    "spike_count",
    "spike_count_interval",
    "spike_count_level",
    "spike_count_class",
    "spike_count_gain",
    "spike_count_parameters",
)
COUNT_CLASSES = ("met", "unmet")


@register_class("InferredSpikeRateSeries", "ndx-spike-inference")
class InferredSpikeRateSeries(ShownInShort, RoiResponseSeries):
    """Expected number of spikes per imaging frame and ROI, inferred from dF/F.

    ``data`` is (n_frames, n_rois), time first as everywhere in NWB; NaN where nothing could be inferred.

    Raises
    ------
    ValueError
        If arrays of a new series disagree about the number of ROIs or frames, a word is not in its vocabulary
        or a text is no JSON object. Shapes that are unknown without reading data pass; objects read from a
        file are not checked.
    """

    __nwbfields__ = OWN_FIELDS + COUNT_FIELDS

    @docval(
        *get_docval(RoiResponseSeries.__init__, "name"),
        {
            "name": "data",
            "type": ("array_data", "data", TimeSeries),
            "doc": "Expected spikes per frame, (n_frames, n_rois) float32; NaN where there is no value.",
        },
        *get_docval(RoiResponseSeries.__init__, "rois"),
        {"name": "model", "type": SpikeInferenceModel, "doc": "The model that made the values."},
        {
            "name": "noise_level",
            "type": ("array_data", "data"),
            "doc": "Noise level of each ROI's dF/F, (n_rois,) float32, % Hz^-1/2; NaN if unknown.",
        },
        {
            "name": "model_noise_level",
            "type": ("array_data", "data"),
            "doc": "Noise level of the network used per ROI, (n_rois,) float32, % Hz^-1/2; NaN if none.",
        },
        {
            "name": "valid_frames",
            "type": ("array_data", "data"),
            "doc": "First frame with a value and the frame after the last one, (n_rois, 2) int64.",
        },
        {
            "name": "alignment",
            "type": str,
            "doc": "Frame that a value is written to: 'trained' or 'published'.",
        },
        {
            "name": "threshold",
            "type": str,
            "doc": "Treatment of small values: 'raw', 'nonnegative', 'single-spike'.",
        },
        {
            "name": "run_key",
            "type": str,
            "doc": "Hash over the inputs, the model and the parameters of the run.",
        },
        {"name": "run_parameters", "type": str, "doc": "Parameters of the run, the text of a JSON object."},
        {
            "name": "source_provenance",
            "type": str,
            "doc": "Where the dF/F came from, the text of a JSON object.",
        },
        {
            "name": "source_series",
            "type": TimeSeries,
            "doc": "The dF/F series, if it is in the same file.",
            "default": None,
        },
        {
            "name": "ensemble_std",
            "type": ("array_data", "data"),
            "doc": "Standard deviation over the ensemble's networks, (n_frames, n_rois) float32.",
            "default": None,
        },
        {
            "name": "roi_warnings",
            "type": ("array_data", "data"),
            "doc": "What to know about each ROI's values, (n_rois,) text, lines of 'code: sentence'; empty if nothing.",
            "default": None,
        },
        {
            "name": "spike_count",
            "type": ("array_data", "data"),
            "doc": "Expected spikes of each ROI in its frames with a value, (n_rois,) float32; NaN if it has none.",
            "default": None,
        },
        {
            "name": "spike_count_interval",
            "type": ("array_data", "data"),
            "doc": "Bounds of the true counts, (n_rois, 2) float32: lower, upper; NaN if there is no value.",
            "default": None,
        },
        {
            "name": "spike_count_level",
            "type": float,
            "doc": "Probability that the interval holds the true count.",
            "default": None,
        },
        {
            "name": "spike_count_class",
            "type": str,
            "doc": "What the model knows of such recordings: 'met' or 'unmet'.",
            "default": None,
        },
        {
            "name": "spike_count_gain",
            "type": float,
            "doc": "Gain of a calibration; 1 without one.",
            "default": None,
        },
        {
            "name": "spike_count_parameters",
            "type": str,
            "doc": "Parameters of the distribution of counts, the text of a JSON object.",
            "default": None,
        },
        {"name": "unit", "type": str, "doc": "Unit of the values.", "default": RATE_UNIT},
        *get_docval(
            RoiResponseSeries.__init__,
            "resolution",
            "conversion",
            "offset",
            "timestamps",
            "starting_time",
            "rate",
            "comments",
            "description",
            "control",
            "control_description",
        ),
        allow_positional=AllowPositional.ERROR,
    )
    def __init__(self, **kwargs: Any) -> None:
        if not self._in_construct_mode:
            # Before the parent's constructor, which only warns about transposed data.
            _check_series(f"{type(self).__name__} '{kwargs['name']}'", kwargs)
        own = {field: kwargs.pop(field) for field in OWN_FIELDS + COUNT_FIELDS}
        super().__init__(**kwargs)
        for field, value in own.items():
            setattr(self, field, value)


def _check_series(owner: str, values: dict[str, Any]) -> None:
    """Raise a ValueError on the first argument of a new series that is not as specified."""
    checks.check_choice(owner, "alignment", values["alignment"], ALIGNMENTS)
    checks.check_choice(owner, "threshold", values["threshold"], THRESHOLDS)
    checks.check_json_object(owner, "run_parameters", values["run_parameters"])
    checks.check_json_object(owner, "source_provenance", values["source_provenance"])
    n_frames, n_rois = _check_data(owner, values["data"], values["rois"])
    for field in ("noise_level", "model_noise_level", "roi_warnings"):
        if values[field] is not None:
            checks.check_shape(owner, field, values[field], "(n_rois,)", (n_rois,))
    checks.check_shape(owner, "valid_frames", values["valid_frames"], "(n_rois, 2)", (n_rois, 2))
    checks.check_valid_frames(owner, values["valid_frames"], n_frames)
    if values["ensemble_std"] is not None:
        checks.check_shape(owner, "ensemble_std", values["ensemble_std"], "(n_frames, n_rois)", (n_frames, n_rois))
    _check_counts(owner, values, n_rois)


def _check_counts(owner: str, values: dict[str, Any], n_rois: int | None) -> None:
    """Raise unless all that belongs to spike counts is there, or nothing of it, and is as specified."""
    lacking = [field for field in COUNT_FIELDS if values[field] is None]
    if len(lacking) == len(COUNT_FIELDS):
        return
    if lacking:
        raise ValueError(f"{owner}: expected all fields of spike counts or none, received no {', '.join(lacking)}.")
    checks.check_shape(owner, "spike_count", values["spike_count"], "(n_rois,)", (n_rois,))
    checks.check_shape(owner, "spike_count_interval", values["spike_count_interval"], "(n_rois, 2)", (n_rois, 2))
    checks.check_choice(owner, "spike_count_class", values["spike_count_class"], COUNT_CLASSES)
    checks.check_json_object(owner, "spike_count_parameters", values["spike_count_parameters"])
    if not 0 < values["spike_count_level"] < 1:
        raise ValueError(
            f"{owner}: expected spike_count_level above 0 and below 1, received {values['spike_count_level']}."
        )


def _check_data(owner: str, data: Any, rois: DynamicTableRegion) -> tuple[int | None, int | None]:
    """Raise unless ``data`` has one column per row of ``rois``; give its known numbers of frames and ROIs."""
    region_shape = checks.known_shape(rois.data)
    n_rois = region_shape[0] if region_shape else None
    advice = "The first dimension is time, and there is a column for every row of rois."
    checks.check_shape(owner, "data", data, "(n_frames, n_rois)", (None, n_rois), advice=advice)
    n_frames, n_columns = checks.known_shape(data) or (None, None)
    return n_frames, n_columns if n_rois is None else n_rois
