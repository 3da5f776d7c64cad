"""ModelConfig: everything about a model but its weights, frozen, with an exact JSON round trip."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from nwb_cascade.errors import ModelFileError

KERNELS = ("gaussian", "causal")
CONFIG_FORMAT = 1


@dataclass(frozen=True)
class ModelConfig:
    """Description of one model: an ensemble of networks for one rate or a range of rates.

    Parameters
    ----------
    name, version : str
        Identify the model together with the hash of its weights.
    architecture : str
        Name of its kind of network, as ``nwb_cascade.architectures`` knows it. ``cascade``: one small network per
        noise level. ``conditional``: one network that is told noise level, imaging rate and indicator.
    model_rates_hz : (float, float)
        Lowest and highest imaging rate that the model was trained for, Hz. Equal for a ``cascade`` model.
    kernel : {"gaussian", "causal"}
        Shape of the smoothing that the expected spikes carry (for ``conditional`` the default that is applied).
    smoothing_s : float
        Standard deviation of that smoothing, s. 0: none.
    noise_levels : tuple of float
        Noise levels with a network of their own (``cascade``), or the trained range's ends (``conditional``),
        in % Hz^-1/2.
    ensemble_size : int
        Networks per noise level.
    window_size : int
        Frames that the network sees for one output frame.
    before_frames : int
        How many of them come before the output frame: a window that starts at frame t yields frame
        ``t + before_frames``.
    network : mapping
        Sizes of the layers, as the builder of the architecture reads them.
    training_datasets, indicators : tuple of str
        What the model was trained on; indicators in canonical spelling, empty if unknown.
    licence, citation : str
        Terms of the weights and what to cite.
    extra : mapping
        JSON-able record of how the model was made (training settings, seeds, package versions, origin).

    Raises
    ------
    ModelFileError
        If a value is out of its range.
    """

    name: str
    version: str
    architecture: str
    model_rates_hz: tuple[float, float]
    kernel: str
    smoothing_s: float
    noise_levels: tuple[float, ...]
    ensemble_size: int
    window_size: int
    before_frames: int
    network: Mapping[str, Any]
    training_datasets: tuple[str, ...] = ()
    indicators: tuple[str, ...] = ()
    licence: str = ""
    citation: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        low, high = self.model_rates_hz
        problems = [
            text
            for bad, text in (
                (not self.name, "a name"),
                (not self.architecture, "an architecture"),
                (self.kernel not in KERNELS, f"kernel one of {KERNELS}"),
                (not 0 < low <= high, "0 < lowest <= highest model rate"),
                (self.smoothing_s < 0, "smoothing_s >= 0"),
                (not self.noise_levels, "at least one noise level"),
                (self.ensemble_size < 1, "ensemble_size >= 1"),
                (not 0 <= self.before_frames < self.window_size, "0 <= before_frames < window_size"),
            )
            if bad
        ]
        if problems:
            raise ModelFileError(f"Model {self.name!r}: expected {', '.join(problems)}; received {self!r}.")

    @property
    def after_frames(self) -> int:
        """Frames of the window after the output frame."""
        return self.window_size - 1 - self.before_frames

    @property
    def model_rate(self) -> float | None:
        """The single rate of the model in Hz; None if it serves a range of rates."""
        low, high = self.model_rates_hz
        return low if low == high else None

    def to_json(self) -> str:
        """Serialise to JSON text with sorted keys; ``from_json`` gives an equal object back."""
        return json.dumps({"format": CONFIG_FORMAT, **asdict(self)}, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        """Read what ``to_json`` wrote.

        Raises
        ------
        ModelFileError
            If the text is not JSON, is of another format version or lacks a field.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ModelFileError(
                f"Expected a model configuration as JSON, received text that fails: {error}."
            ) from error
        if not isinstance(values, dict) or values.pop("format", None) != CONFIG_FORMAT:
            raise ModelFileError(f"Expected a model configuration of format {CONFIG_FORMAT}.")
        names = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - names):
            raise ModelFileError(f"Expected the fields {sorted(names)}, received unknown {unknown}.")
        for key in ("model_rates_hz", "noise_levels", "training_datasets", "indicators"):
            if isinstance(values.get(key), list):
                values[key] = tuple(values[key])
        try:
            return cls(**values)
        except TypeError as error:
            raise ModelFileError(f"Model configuration is incomplete: {error}.") from error
