"""Cascade's ``config.yaml`` as a ModelConfig."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nwb_cascade.core.bounds import Bounds, require, shown
from nwb_cascade.core.config import BOUNDS as CONFIG_BOUNDS
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.errors import ModelFileError
from nwb_cascade.models.published_names import dataset_indicators, parse_model_name
from nwb_cascade.models.yaml_entries import MOST_CHARACTERS, read_entries

VERSION = "published"
BOUNDS = {
    "sampling_rate": replace(CONFIG_BOUNDS["model_rates_hz"], count=None),
    "smoothing": CONFIG_BOUNDS["smoothing_s"],
    "noise_levels": CONFIG_BOUNDS["noise_levels"],
    "windowsize": CONFIG_BOUNDS["window_size"],
    "before_frac": Bounds(float, 0, 1),
}
LICENCE = "GPL-3.0 (weights published with Cascade)"
CITATION = (
    "Rupprecht P, Carta S, Hoffmann A, et al. (2021). A database and deep learning toolbox for "
    "noise-optimized, generalized spike inference from calcium imaging. Nature Neuroscience 24, 1324-1337. "
    "https://doi.org/10.1038/s41593-021-00895-5"
)


@dataclass(frozen=True)
class PublishedConfig:
    """What a published configuration says, typed; ``values`` is the whole of it.

    Parameters
    ----------
    name : str
        ``model_name``.
    model_rate : float
        Imaging rate of the training data, Hz.
    smoothing_s : float
        Standard deviation of the smoothing kernel, s.
    causal : bool
        Whether that kernel is the causal one.
    noise_levels : tuple of float
        Levels that the configuration lists, % Hz^-1/2.
    window_size : int
        Frames of the window.
    before_frac : float
        Share of the window before the output frame.
    network : mapping
        ``filter_sizes``, ``filter_numbers`` and ``dense_width``.
    training_datasets : tuple of str
        Ground truth folders.
    values : mapping
        Every entry, as JSON values.
    """

    name: str
    model_rate: float
    smoothing_s: float
    causal: bool
    noise_levels: tuple[float, ...]
    window_size: int
    before_frac: float
    network: Mapping[str, Any]
    training_datasets: tuple[str, ...]
    values: Mapping[str, Any]

    @property
    def before_frames(self) -> int:
        """Frame of the window, counted from 0, for which the network was trained.

        Training splits the window into two whole numbers of frames that add up to its length, so rounding
        recovers the split from a fraction that was written with few digits.
        """
        return round(self.before_frac * self.window_size)

    @property
    def published_before_frames(self) -> int:
        """Frame of the window at which Cascade's own prediction writes its output."""
        return int(self.before_frac * self.window_size - 1)


def read_published_config(path: Path) -> PublishedConfig:
    """Read a ``config.yaml`` written by Cascade.

    Tabs count as blanks, although YAML forbids them, and bytes that are not UTF-8 (in comments) are replaced:
    people edit these files by hand.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    PublishedConfig
        Its typed content. ``causal_kernel`` is 0 where it is absent (models from before 2021).

    Raises
    ------
    ModelFileError
        If the file is missing, not YAML, or lacks an entry or holds a value of another kind than expected.
    """
    values = _load_yaml(path)
    read = _Reader(values, path)
    published = PublishedConfig(
        name=str(read.value("model_name")),
        model_rate=read.number("sampling_rate"),
        smoothing_s=read.number("smoothing"),
        causal=bool(read.number("causal_kernel", default=0)),
        noise_levels=tuple(sorted(set(read.numbers("noise_levels")))),
        window_size=read.integer("windowsize"),
        before_frac=read.number("before_frac"),
        network={
            "filter_sizes": read.integers("filter_sizes"),
            "filter_numbers": read.integers("filter_numbers"),
            "dense_width": read.integer("dense_expansion"),
        },
        training_datasets=tuple(str(name) for name in read.sequence("training_datasets")),
        values=values,
    )
    stated = (published.model_rate, published.smoothing_s, published.noise_levels, published.window_size)
    require(dict(zip(BOUNDS, (*stated, published.before_frac), strict=True)), BOUNDS, str(path))
    if not 0 <= published.before_frames < published.window_size:
        raise ModelFileError(
            f"Expected before_frac to place the output frame inside the window of {published.window_size} "
            f"frames, received {published.before_frac} in {path}."
        )
    return published


def to_model_config(
    published: PublishedConfig,
    *,
    name: str,
    noise_levels: Sequence[float],
    ensemble_size: int,
    extra: Mapping[str, Any],
) -> ModelConfig:
    """Describe a published model in this project's words.

    Parameters
    ----------
    published : PublishedConfig
        Its configuration.
    name : str
        Name to install it by.
    noise_levels : sequence of float
        Levels that have networks, % Hz^-1/2.
    ensemble_size : int
        Networks per level.
    extra : mapping
        Further facts on its origin, JSON values.

    Returns
    -------
    ModelConfig
        Of architecture ``cascade``; ``extra`` also holds the published configuration in full
        (``published_config``), where its name says something else (``name_disagrees``), and the frame of the
        window at which Cascade's prediction writes its output (``published_before_frames``).
    """
    facts = parse_model_name(name)
    return ModelConfig(
        name=name,
        version=VERSION,
        architecture="cascade",
        model_rates_hz=(published.model_rate, published.model_rate),
        kernel="causal" if published.causal else "gaussian",
        smoothing_s=published.smoothing_s,
        noise_levels=tuple(noise_levels),
        ensemble_size=ensemble_size,
        window_size=published.window_size,
        before_frames=published.before_frames,
        network=published.network,
        training_datasets=published.training_datasets,
        indicators=dataset_indicators(published.training_datasets) or facts.indicators,
        licence=LICENCE,
        citation=CITATION,
        extra={
            "origin": "Cascade",
            "published_before_frames": published.published_before_frames,
            "published_config": published.values,
            "name_disagrees": facts.disagreements(
                model_rate=published.model_rate, smoothing_s=published.smoothing_s, causal=published.causal
            ),
            **extra,
        },
    )


def _load_yaml(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            text = file.read(MOST_CHARACTERS + 1).decode("utf-8-sig", errors="replace")
    except FileNotFoundError as error:
        raise ModelFileError(
            f"Expected a folder of a Cascade model, which has {path.name}; there is no {path}."
        ) from error
    return read_entries(text, f"the configuration {path}")


class _Reader:
    """Typed access to the entries of one file; errors name the file and the entry."""

    def __init__(self, values: Mapping[str, Any], path: Path) -> None:
        self.values = values
        self.path = path

    def value(self, key: str) -> Any:
        if self.values.get(key) is None:
            raise ModelFileError(f"Expected the entry {key} in {self.path}, which lacks it.")
        return self.values[key]

    def number(self, key: str, *, default: float | None = None) -> float:
        if default is not None and self.values.get(key) is None:
            return default
        return self._to_number(key, self.value(key))

    def integer(self, key: str) -> int:
        return self._to_integer(key, self.number(key))

    def sequence(self, key: str) -> list[Any]:
        value = self.value(key)
        return value if isinstance(value, list) else [value]

    def numbers(self, key: str) -> list[float]:
        return [self._to_number(key, value) for value in self.sequence(key)]

    def integers(self, key: str) -> list[int]:
        return [self._to_integer(key, value) for value in self.numbers(key)]

    def _to_number(self, key: str, value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise ModelFileError(f"Expected {key} as a finite number, received {shown(value)} in {self.path}.")
        return number

    def _to_integer(self, key: str, value: float) -> int:
        if not float(value).is_integer():
            raise ModelFileError(f"Expected {key} as a whole number, received {value} in {self.path}.")
        return int(value)
