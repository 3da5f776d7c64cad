"""SpikeInferenceModel: which model made the values, and how to find or rebuild it."""

from __future__ import annotations

import math
from typing import Any

from hdmf.utils import AllowPositional, docval
from pynwb import register_class
from pynwb.core import NWBDataInterface

from . import checks
from .display import ShownInShort

KERNELS = ("gaussian", "causal")


@register_class("SpikeInferenceModel", "ndx-spike-inference")
class SpikeInferenceModel(ShownInShort, NWBDataInterface):
    """A model that infers spikes from dF/F, identified well enough to be found or rebuilt.

    Raises
    ------
    ValueError
        If a new model's argument has a wrong shape, is outside its range or vocabulary, or is no JSON object.
        Objects read from a file are not checked.
    """

    __nwbfields__ = (
        "version",
        "family",
        "architecture",
        "kernel",
        "smoothing_s",
        "ensemble_size",
        "weights_sha256",
        "software_name",
        "software_version",
        "description",
        "license",
        "citation",
        "model_rates_hz",
        "noise_levels",
        "training_datasets",
        "configuration",
    )

    @docval(
        {"name": "name", "type": str, "doc": "Name of the model."},
        {"name": "version", "type": str, "doc": "Version of the model."},
        {"name": "family", "type": str, "doc": "Family of methods, e.g. 'cascade' or 'conditional'."},
        {"name": "architecture", "type": str, "doc": "The network's architecture, in words or by its name."},
        {"name": "kernel", "type": str, "doc": "Shape of the smoothing kernel: 'gaussian' or 'causal'."},
        {"name": "smoothing_s", "type": (float, int), "doc": "Standard deviation of the kernel, s; 0: none."},
        {"name": "ensemble_size", "type": int, "doc": "Networks that are averaged for one ROI."},
        {"name": "weights_sha256", "type": str, "doc": "SHA-256 of the weights, 64 lower-case hex digits."},
        {"name": "software_name", "type": str, "doc": "Software that ran the model."},
        {"name": "software_version", "type": str, "doc": "Version of that software."},
        {"name": "description", "type": str, "doc": "What the model is and for which recordings."},
        {
            "name": "model_rates_hz",
            "type": ("array_data", "data"),
            "doc": "Lowest and highest imaging rate of the training, (2,) float64, Hz; equal for one rate.",
        },
        {
            "name": "noise_levels",
            "type": ("array_data", "data"),
            "doc": "Noise levels with their own network, or the range's ends, (n,) float64, % Hz^-1/2.",
        },
        {"name": "configuration", "type": str, "doc": "Full configuration, the text of a JSON object."},
        {
            "name": "training_datasets",
            "type": ("array_data", "data"),
            "doc": "Names of the training datasets, (n,) text.",
            "default": None,
        },
        {"name": "license", "type": str, "doc": "Terms of the weights.", "default": None},
        {"name": "citation", "type": str, "doc": "What to cite.", "default": None},
        allow_positional=AllowPositional.ERROR,
    )
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(name=kwargs.pop("name"))
        kwargs["smoothing_s"] = float(kwargs["smoothing_s"])
        if not self._in_construct_mode:
            _check_model(f"{type(self).__name__} '{self.name}'", kwargs)
        for field, value in kwargs.items():
            setattr(self, field, value)


def _check_model(owner: str, values: dict[str, Any]) -> None:
    """Raise a ValueError on the first argument of a new model that is not as specified."""
    checks.check_choice(owner, "kernel", values["kernel"], KERNELS)
    checks.check_sha256(owner, "weights_sha256", values["weights_sha256"])
    checks.check_json_object(owner, "configuration", values["configuration"])
    checks.check_shape(owner, "model_rates_hz", values["model_rates_hz"], "(lowest, highest)", (2,))
    checks.check_shape(owner, "noise_levels", values["noise_levels"], "(n_noise_levels,)", (None,))
    if values["training_datasets"] is not None:
        checks.check_shape(owner, "training_datasets", values["training_datasets"], "(n_datasets,)", (None,))
    if not 0 <= values["smoothing_s"] < math.inf:
        raise ValueError(f"{owner}: expected finite smoothing_s >= 0, received {values['smoothing_s']}.")
    if values["ensemble_size"] < 1:
        raise ValueError(f"{owner}: expected ensemble_size >= 1, received {values['ensemble_size']}.")
    rates = checks.in_memory(values["model_rates_hz"])
    if rates is not None and not 0 < rates[0] <= rates[1]:
        raise ValueError(f"{owner}: expected 0 < lowest <= highest in model_rates_hz, received {rates.tolist()}.")
