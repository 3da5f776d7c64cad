"""Write the YAML specification of ndx-spike-inference.

Usage: ``python src/spec/create_extension_spec.py [FOLDER]``, by default into ``spec/`` of this distribution.
A released specification never changes: raise ``VERSION`` with every edit below.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pynwb.spec import NWBAttributeSpec, NWBDatasetSpec, NWBGroupSpec, NWBLinkSpec, NWBNamespaceBuilder, export_spec

NAME = "ndx-spike-inference"
VERSION = "0.1.0"
SPEC_FOLDER = Path(__file__).resolve().parents[2] / "spec"

RATE_UNIT = "spikes/frame"
NOISE_UNIT = "% Hz^-1/2"


def text_attribute(name: str, doc: str, *, required: bool = True) -> NWBAttributeSpec:
    """A text attribute of a group."""
    return NWBAttributeSpec(name=name, doc=doc, dtype="text", required=required)


def fixed_unit(unit: str) -> NWBAttributeSpec:
    """The unit of a dataset that allows no other."""
    return NWBAttributeSpec(name="unit", doc=f"Unit of the values, fixed to '{unit}'.", dtype="text", value=unit)


def array(
    name: str,
    doc: str,
    dtype: str | None,
    *dims: str,
    unit: str | None = None,
    optional: bool = False,
    kind: str | None = None,
) -> NWBDatasetSpec:
    """An array; a dimension that names two things, as in "lower, upper", has them as its two entries."""
    stated = {"dtype": dtype, "neurodata_type_inc": kind, "quantity": "?" if optional else None}
    return NWBDatasetSpec(
        name=name,
        doc=doc,
        dims=list(dims),
        shape=[2 if "," in dim else None for dim in dims],
        attributes=[] if unit is None else [fixed_unit(unit)],
        **{key: value for key, value in stated.items() if value is not None},
    )


def spike_inference_model() -> NWBGroupSpec:
    """The type that records one model."""
    return NWBGroupSpec(
        neurodata_type_def="SpikeInferenceModel",
        neurodata_type_inc="NWBDataInterface",
        doc=(
            "A model that infers spikes from dF/F, identified well enough to be found or rebuilt: name, "
            "version and hash of its weights, what it was trained for and on, and the software that ran "
            "it. Store one object per model, in the processing module of the series that link to it."
        ),
        attributes=model_attributes(),
        datasets=model_datasets(),
    )


def model_attributes() -> list[NWBAttributeSpec]:
    """Words and numbers of a model."""
    return [
        text_attribute("version", "Version of the model."),
        text_attribute("family", "Family of methods that the model belongs to, e.g. 'cascade' or 'conditional'."),
        text_attribute("architecture", "The network's architecture in words or by the name its software uses."),
        text_attribute(
            "kernel",
            "Shape of the kernel that smooths the spikes in the model's output: 'gaussian' (centred on "
            "the spike) or 'causal' (starts at the spike).",
        ),
        NWBAttributeSpec(
            name="smoothing_s",
            doc="Standard deviation of the smoothing kernel, in seconds; 0 if nothing is smoothed.",
            dtype="float64",
        ),
        NWBAttributeSpec(
            name="ensemble_size",
            doc="Number of networks whose outputs are averaged for one ROI (no unit).",
            dtype="int32",
        ),
        text_attribute("weights_sha256", "SHA-256 of the file of weights, as 64 lower-case hexadecimal digits."),
        text_attribute("software_name", "Name of the software that ran the model."),
        text_attribute("software_version", "Version of the software that ran the model."),
        text_attribute("description", "What the model is and for which recordings it is meant."),
        text_attribute(
            "license", "Terms of the model's weights, as an SPDX identifier if there is one.", required=False
        ),
        text_attribute("citation", "What to cite when the model's results are used.", required=False),
    ]


def model_datasets() -> list[NWBDatasetSpec]:
    """Arrays and long text of a model."""
    return [
        array(
            "model_rates_hz",
            "Lowest and highest imaging rate that the model was trained for; equal if it serves one.",
            "float64",
            "lowest, highest",
            unit="Hz",
        ),
        array(
            "noise_levels",
            "Noise levels for which the model has a network of its own or, for a model conditioned "
            "on the noise level, the ends of the range it was trained for. The noise level of a "
            "trace is 100 * median(abs(diff(dF/F))) / sqrt(imaging rate in Hz).",
            "float64",
            "num_noise_levels",
            unit=NOISE_UNIT,
        ),
        array(
            "training_datasets",
            "Names of the ground-truth datasets that the model was trained on (no unit).",
            "text",
            "num_training_datasets",
            optional=True,
        ),
        NWBDatasetSpec(
            name="configuration",
            doc="The model's full configuration as one JSON object in a scalar text (no unit).",
            dtype="text",
        ),
    ]


def inferred_spike_rate_series() -> NWBGroupSpec:
    """The type that holds the inferred rates of one run."""
    return NWBGroupSpec(
        neurodata_type_def="InferredSpikeRateSeries",
        neurodata_type_inc="RoiResponseSeries",
        doc=(
            "Expected number of spikes per imaging frame and ROI, inferred from dF/F. Values sum to a "
            "spike count; multiplied by the imaging rate they are spikes per second. Each run is a series "
            "of its own name, so that several runs can stand side by side in one file."
        ),
        attributes=[*run_attributes(), *count_attributes()],
        datasets=[
            *rate_datasets(),
            *per_roi_datasets(),
            *count_datasets(),
            NWBDatasetSpec(
                name="source_provenance",
                doc=(
                    "Where the dF/F came from, as one JSON object in a scalar text (no unit), so that it "
                    "can be found when no link is possible: object id and path of the source series, file "
                    "name and, for archived data, dandiset, version, asset id and digest."
                ),
                dtype="text",
            ),
        ],
        links=[
            NWBLinkSpec(name="model", target_type="SpikeInferenceModel", doc="The model that made the values."),
            NWBLinkSpec(
                name="source_series",
                target_type="TimeSeries",
                doc="The dF/F series that the values were inferred from, if it is in the same file.",
                quantity="?",
            ),
        ],
    )


def run_attributes() -> list[NWBAttributeSpec]:
    """What was done in the run."""
    return [
        text_attribute(
            "alignment",
            "Frame that a value is written to: 'trained' (the frame the network was trained to "
            "predict) or 'published' (one frame earlier, as the published Cascade software writes it).",
        ),
        text_attribute(
            "threshold",
            "What was done to small values: 'raw' (nothing, negative values occur), 'nonnegative' "
            "(negative values set to 0) or 'single-spike' (values below 1/e of the peak of one "
            "smoothed spike set to 0, except next to larger ones).",
        ),
        text_attribute(
            "run_key", "Hash over the inputs, the model and the parameters of the run; equal for equal runs."
        ),
        text_attribute("run_parameters", "All parameters of the run as one JSON object."),
    ]


def count_attributes() -> list[NWBAttributeSpec]:
    """What the spike counts of the ROIs rest on; all of them or none are there."""
    return [
        text_attribute(
            "spike_count_class",
            "What the model knows of such recordings: 'met' (other animals with this indicator, species and kind of "
            "cell were in its training) or 'unmet'.",
            required=False,
        ),
        NWBAttributeSpec(
            name="spike_count_level",
            doc="Probability with which spike_count_interval holds the true count (no unit).",
            dtype="float64",
            required=False,
        ),
        NWBAttributeSpec(
            name="spike_count_gain",
            doc="Gain that a calibration found, by which spike_count is scaled; 1 without one (no unit).",
            dtype="float64",
            required=False,
        ),
        text_attribute(
            "spike_count_parameters",
            "Parameters of the distribution of spike counts as one JSON object, enough for intervals of any window and "
            "level.",
            required=False,
        ),
    ]


def rate_datasets() -> list[NWBDatasetSpec]:
    """Datasets of shape (time, ROI)."""
    return [
        NWBDatasetSpec(
            name="data",
            doc=(
                "Expected number of spikes in each frame; may exceed 1. NaN where nothing could be inferred: "
                "at the edges of the recording and around gaps in the source."
            ),
            dtype="float32",
            dims=["num_times", "num_rois"],
            shape=[None, None],
            attributes=[
                NWBAttributeSpec(
                    name="unit",
                    doc=f"Unit of the values after conversion; '{RATE_UNIT}' unless stated otherwise.",
                    dtype="text",
                    default_value=RATE_UNIT,
                )
            ],
        ),
        array(
            "ensemble_std",
            "Standard deviation of the output over the networks of the ensemble; NaN where data is NaN.",
            "float32",
            "num_times",
            "num_rois",
            unit=RATE_UNIT,
            optional=True,
        ),
    ]


def per_roi_datasets() -> list[NWBDatasetSpec]:
    """Datasets with one entry per ROI, in the order of the series' columns."""
    return [
        array(
            "noise_level",
            "Noise level of each ROI's dF/F, computed with the recording's imaging rate; NaN if unknown.",
            "float32",
            "num_rois",
            unit=NOISE_UNIT,
        ),
        array(
            "model_noise_level",
            "Noise level of the network, or given to the network, that served each ROI; NaN if none did.",
            "float32",
            "num_rois",
            unit=NOISE_UNIT,
        ),
        array(
            "valid_frames",
            "First frame with a value and the frame after the last one, per ROI, counted from 0; "
            "equal if the ROI has no value.",
            "int64",
            "num_rois",
            "first, stop",
            unit="frames",
        ),
        array(
            "roi_warnings",
            "What a user of each ROI's values should know (no unit): a line per warning, its stable code, a colon, "
            "a space and a sentence, e.g. 'constant: every frame is 0, nothing inferred'; empty text if nothing.",
            "text",
            "num_rois",
            optional=True,
        ),
    ]


def count_datasets() -> list[NWBDatasetSpec]:
    """Spike counts with intervals, one per ROI."""
    return [
        array(
            "spike_count",
            "Expected number of spikes of each ROI in its frames with a value; NaN if it has none.",
            "float32",
            "num_rois",
            unit="spikes",
            optional=True,
        ),
        array(
            "spike_count_interval",
            "Between which numbers of spikes, both included, the true count of each ROI lies with the probability "
            "spike_count_level; NaN if it has no value.",
            "float32",
            "num_rois",
            "lower, upper",
            unit="spikes",
            optional=True,
        ),
    ]


def inferred_spikes_table() -> NWBGroupSpec:
    """The type that holds discrete spike times."""
    return NWBGroupSpec(
        neurodata_type_def="InferredSpikesTable",
        neurodata_type_inc="DynamicTable",
        doc="Discrete spike times per ROI that explain inferred spike rates: one row per ROI.",
        attributes=[
            text_attribute("method", "How the spike times were found, in words."),
            text_attribute("parameters", "All parameters of the method, seeds included, as one JSON object."),
        ],
        datasets=spike_columns(),
        links=[
            NWBLinkSpec(
                name="rates",
                target_type="InferredSpikeRateSeries",
                doc="The inferred spike rates that the spike times explain, if they are in the same file.",
                quantity="?",
            )
        ],
    )


def spike_columns() -> list[NWBDatasetSpec]:
    """Columns of the table of spikes."""
    return [
        array(
            "roi",
            "The ROI of the row, as a row of the table of ROIs (no unit).",
            None,
            "num_rois",
            kind="DynamicTableRegion",
        ),
        array(
            "spike_times",
            "Spike times of each ROI, ascending, on the clock of all time series of the file.",
            "float64",
            "num_spikes",
            unit="seconds",
            kind="VectorData",
        ),
        array(
            "spike_times_index",
            "Index of the last spike time of each row, plus one (no unit).",
            None,
            "num_rois",
            kind="VectorIndex",
        ),
        array(
            "fit_error",
            "Misfit of the spike times: the sum over the valid frames of the absolute difference "
            "between the smoothed spike train and the inferred rates, divided by the sum of the "
            "rates (a ratio, no unit); NaN if unknown.",
            "float32",
            "num_rois",
            kind="VectorData",
        ),
    ]


def new_types() -> list[NWBGroupSpec]:
    """The types of the namespace, each after those that it refers to."""
    return [spike_inference_model(), inferred_spike_rate_series(), inferred_spikes_table()]


def write_spec(folder: Path) -> None:
    """Write the namespace and the types into ``folder``."""
    namespace = NWBNamespaceBuilder(
        name=NAME,
        version=VERSION,
        doc="NWB extension for spike rates and spike times inferred from calcium imaging",
        author=["the nwb-cascade developers"],
    )
    namespace.include_namespace("core")
    export_spec(namespace, new_types(), str(folder))


if __name__ == "__main__":
    write_spec(Path(sys.argv[1]) if len(sys.argv) > 1 else SPEC_FOLDER)
