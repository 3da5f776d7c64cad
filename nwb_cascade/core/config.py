"""ModelConfig: everything about a model but its weights, frozen, with an exact JSON round trip."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from nwb_cascade.core.bounds import Bounds, is_shallow, require, shown
from nwb_cascade.errors import ModelFileError

KERNELS = ("gaussian", "causal")
CONFIG_FORMAT = 1
MOST_NETWORKS = 1000
_NAME = re.compile(r"[^\W_][\w.+ -]*(?<![. ])")  # can be the name of a folder on every platform
BOUNDS = {
    "name": Bounds(str, 1, 150),
    "version": Bounds(str, 0, 100),
    "architecture": Bounds(str, 1, 100),
    "model_rates_hz": Bounds(float, 0.01, 10_000, (2, 2)),
    "kernel": Bounds(str, 1, 100),
    "smoothing_s": Bounds(float, 0, 10),
    "noise_levels": Bounds(float, 0.001, 1000, (1, 100)),
    "ensemble_size": Bounds(int, 1, 100),
    "window_size": Bounds(int, 1, 100_000),
    "before_frames": Bounds(int, 0, 100_000),
    "training_datasets": Bounds(str, 0, 300, (0, 1000)),
    "indicators": Bounds(str, 0, 300, (0, 1000)),
    "licence": Bounds(str, 0, 10_000),
    "citation": Bounds(str, 0, 10_000),
}
# What the rest of the package reads in the record of how a model was made, if it is there.
BOUNDS_OF_EXTRA = {
    "family": Bounds(str, 1, 150),
    "imported_from": Bounds(str, 1, 300),
    "published_before_frames": Bounds(int, -1, 100_000),
    "name_disagrees": Bounds(str, 0, 1000, (0, 10)),
    "levels_without_networks": Bounds(float, 0, 1000, (0, 100)),
}


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
        name = require_model_name(self.name)
        what = f"the model {name!r}"
        require(vars(self), BOUNDS, what)
        for key in ("network", "extra"):
            if not isinstance(vars(self)[key], Mapping) or not is_shallow(vars(self)[key]):
                raise ModelFileError(
                    f"Expected {key} of {what} as a few named values, received {shown(vars(self)[key])}."
                )
        require(self.extra, {key: BOUNDS_OF_EXTRA[key] for key in BOUNDS_OF_EXTRA if key in self.extra}, what)
        low, high = self.model_rates_hz
        problems = {
            f"kernel one of {KERNELS}": self.kernel not in KERNELS,
            "lowest <= highest model rate": low > high,
            "before_frames < window_size": self.before_frames >= self.window_size,
            f"at most {MOST_NETWORKS} networks": len(self.noise_levels) * self.ensemble_size > MOST_NETWORKS,
            "published_config with named values": not isinstance(self.extra.get("published_config", {}), Mapping),
        }
        if any(problems.values()):
            raise ModelFileError(f"Expected of {what}: {', '.join(text for text, bad in problems.items() if bad)}.")

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
        except (ValueError, RecursionError) as error:
            raise ModelFileError(
                f"Expected a model configuration as JSON, received text that fails: {error}."
            ) from error
        if not isinstance(values, dict) or values.pop("format", None) != CONFIG_FORMAT:
            raise ModelFileError(f"Expected a model configuration of format {CONFIG_FORMAT}.")
        names = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - names):
            raise ModelFileError(f"Expected the fields {sorted(names)}, received unknown {shown(unknown)}.")
        for key in ("model_rates_hz", "noise_levels", "training_datasets", "indicators"):
            if isinstance(values.get(key), list):
                values[key] = tuple(values[key])
        try:
            return cls(**values)
        except TypeError as error:
            raise ModelFileError(f"Model configuration is incomplete: {error}.") from error


def require_model_name(name: object) -> str:
    """Return a name if a model can have it, and so a folder on every platform; else raise ModelFileError."""
    if not BOUNDS["name"].allows(name) or not _NAME.fullmatch(str(name)):
        raise ModelFileError(
            f"Expected a model name of up to {BOUNDS['name'].high} letters, digits and _.+-, received {shown(name)}."
        )
    return str(name)
