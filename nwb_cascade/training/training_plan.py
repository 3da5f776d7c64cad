"""A training from data to bundle as a record: what a plan file or the options of ``nwb-cascade train`` say."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.metadata import distributions
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.registry import ARCHITECTURES
from nwb_cascade.core.config import KERNELS, ModelConfig
from nwb_cascade.errors import InputError
from nwb_cascade.training.bank import RateRange, SegmentBank, make_bank
from nwb_cascade.training.batches import Augmentation
from nwb_cascade.training.folds import N_FOLDS
from nwb_cascade.training.losses import SCALE_SHARES
from nwb_cascade.training.recordings import KnownRecording, dataset_hashes
from nwb_cascade.training.steps import StepProgress, TrainingSettings

MemberProgress = Callable[[str, int, int, Mapping[str, float]], None]
Bundle = tuple[ModelConfig, dict[str, NDArray[np.float32]]]
RECORDED_PACKAGES = ("nwb-cascade", "keras", "tensorflow", "torch", "jax", "numpy", "scipy")

# Slices with hours of recording each: at their share by time they would outweigh what people record in vivo.
EMPHASIS = {"DS24": 0.5, "DS25": 0.5, "DS26": 0.5}
# By how much fluorescence stands late against its spikes in the files as published, s: docs/ground_truth.md, Clocks.
CLOCK_LAG_S = {"DS01": 0.085, "DS03": -0.035, "DS15": 0.080, "DS16": 0.070}


@dataclass(frozen=True)
class TrainingPlan:
    """One training from data to bundle; every field can be given in a file or on the command line.

    Parameters
    ----------
    name : str
        Of the model.
    architecture : str
        One of `nwb_cascade.training.plans.TRAINERS`.
        ``conditional``: one ensemble for every rate and noise level. ``cascade``: one ensemble per noise level at
        one rate, as published.
    datasets : tuple of str
        Train on these only; empty: all that are found.
    imaging_rate : float or None
        Hz; of a ``cascade`` model.
    noise_levels : tuple of float
        Of a ``cascade`` model, % Hz^-1/2.
    kernel, smoothing_s : str, float
        Smoothing that a ``cascade`` model learns; for ``conditional`` the default smoothing of its result, Gaussian.
    ensemble_size : int
        Networks (per noise level).
    folds : bool
        Member k is trained without fold k, so that every recording has a network that never saw it.
    citation, licence : str
        What to cite for the model and the terms of its weights; empty: what the datasets imply, see
        ``nwb_cascade.training.terms``.
    remark : str
        What else a reader of the bundle's record should know.
    versions : int
        Random versions (rate, phase, exposure) of each trial.
    frame_jitter : float
        Standard deviation of the time of each frame about the regular grid, in frames: scanners are not exact.
    emphasis : mapping of str to float
        Factor on a dataset's share of the crops, for datasets whose share by time is not wanted.
    clock_lag_s : mapping of str to float
        By how much a dataset's fluorescence stands late against its spikes beyond what its indicator explains, s;
        the spikes are moved by it, in training only.
    later_steps : int or None
        Of a ``cascade`` family: train the networks of each noise level after the first for so many steps only,
        starting from those of the level before. None: each level on its own, from scratch.
    seeds : tuple of int
        Of the networks; empty: ``settings.seed`` and the numbers after it.
    scale_shares : tuple of float
        Of a ``conditional`` model: weights of the loss at 0.75, 2 and 6 frames, see ``nwb_cascade.training.losses``.
    network : mapping
        Sizes that differ from the architecture's defaults (``ConditionalSizes``, ``CASCADE_NETWORK``), by name.
    settings : TrainingSettings
        Of each network.
    """

    name: str
    architecture: str = "conditional"
    datasets: tuple[str, ...] = ()
    imaging_rate: float | None = None
    noise_levels: tuple[float, ...] = (2, 3, 4, 5, 6, 7, 8, 9)
    kernel: str = "gaussian"
    smoothing_s: float = 0.05
    ensemble_size: int = 5
    folds: bool = False
    citation: str = ""
    licence: str = ""
    remark: str = ""
    versions: int = 8
    frame_jitter: float = 0.03
    emphasis: Mapping[str, float] = field(default_factory=lambda: dict(EMPHASIS))
    clock_lag_s: Mapping[str, float] = field(default_factory=lambda: dict(CLOCK_LAG_S))
    later_steps: int | None = None
    seeds: tuple[int, ...] = ()
    scale_shares: tuple[float, ...] = SCALE_SHARES
    network: Mapping[str, Any] = field(default_factory=dict)
    settings: TrainingSettings = field(default_factory=TrainingSettings)

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES or self.kernel not in KERNELS:
            raise InputError(
                f"Expected architecture out of {tuple(ARCHITECTURES)} and kernel out of {KERNELS}, "
                f"received {self.architecture!r} and {self.kernel!r}."
            )
        if not ARCHITECTURES[self.architecture].is_told_rate and not (self.imaging_rate or 0) > 0:
            raise InputError(f"Expected an imaging rate for a {self.architecture} model: pass --imaging-rate, in Hz.")
        if self.seeds and len(self.seeds) != self.ensemble_size:
            raise InputError(f"Expected one seed per network ({self.ensemble_size}), received {len(self.seeds)}.")
        if self.folds and self.ensemble_size != N_FOLDS:
            raise InputError(f"Expected {N_FOLDS} networks, one per fold, received {self.ensemble_size}.")

    def member_settings(self, member: int) -> TrainingSettings:
        """Settings of one network, with its seed."""
        seed = self.seeds[member] if self.seeds else self.settings.seed + member
        return replace(self.settings, seed=seed)

    def bank(
        self,
        recordings: Sequence[KnownRecording],
        indicator_code: Callable[[str], int],
        seed: int | tuple[int, ...],
        *,
        rates: RateRange | None = None,
        versions: int | None = None,
    ) -> SegmentBank:
        """Recordings on one clock, resampled as the plan says; ``versions`` in place of the plan's."""
        return make_bank(
            on_one_clock(recordings, self.clock_lag_s),
            indicator_code,
            np.random.default_rng(seed),
            rates=rates,
            versions=versions or self.versions,
            emphasis=self.emphasis,
            frame_jitter=self.frame_jitter,
        )

    def record(self, recordings: Sequence[KnownRecording], **settings: Any) -> dict[str, Any]:
        """What a bundle records of a training on these recordings, JSON-able: data, settings and packages."""
        later = {} if self.later_steps is None else {"later_steps": self.later_steps}
        stated = {
            **asdict(self.settings),
            "versions": self.versions,
            "frame_jitter": self.frame_jitter,
            "emphasis": dict(self.emphasis),
            "clock_lag_s": dict(self.clock_lag_s),
            **settings,
            **later,
        }
        return {"dataset_sha256": dataset_hashes(recordings), "settings": stated, "packages": package_versions()}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> TrainingPlan:
        """Read a plan from the contents of a YAML or JSON file; ``settings`` is a mapping of its own.

        Raises
        ------
        InputError
            If a key is unknown or the name is missing.
        """
        known = {f.name for f in fields(cls)}
        settings = dict(values.get("settings", {}))
        unknown = sorted(set(values) - known) + sorted(set(settings) - {f.name for f in fields(TrainingSettings)})
        if unknown or "name" not in values:
            raise InputError(f"Expected a name and keys out of {sorted(known)}, received unknown {unknown}.")
        if "augmentation" in settings:
            settings["augmentation"] = Augmentation(**_tuples(settings["augmentation"]))
        return cls(**{**_tuples(values), "settings": TrainingSettings(**settings)})


def on_one_clock(recordings: Sequence[KnownRecording], clock_lag_s: Mapping[str, float]) -> list[KnownRecording]:
    """Recordings with their spikes moved to where the fluorescence has them."""
    return [
        replace(
            recording,
            trials=tuple(
                replace(trial, spike_times=trial.spike_times + clock_lag_s[recording.dataset])
                for trial in recording.trials
            ),
        )
        if recording.dataset in clock_lag_s
        else recording
        for recording in recordings
    ]


def package_versions() -> dict[str, str]:
    """Versions of what decides a training's outcome, those that are installed."""
    installed = {distribution.name.lower(): distribution.version for distribution in distributions()}
    return {"python": platform.python_version()} | {
        package: installed[package] for package in RECORDED_PACKAGES if package in installed
    }


def labelled(progress: MemberProgress | None, label: str) -> StepProgress | None:
    """Progress of one network, under its name."""
    if progress is None:
        return None
    return lambda step, n_steps, losses: progress(label, step, n_steps, losses)


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
