"""A model made ready for one recording: which one, how its networks are told of it, what decides the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

from nwb_cascade.architectures.registry import architecture_of, build_networks
from nwb_cascade.core.calibration import Calibration
from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.count_model import CountModel
from nwb_cascade.core.engine import NetworkSet
from nwb_cascade.core.indicators import canonical_indicator, unknown_indicator
from nwb_cascade.core.kernels import smoothing_kernel
from nwb_cascade.core.selection import RATE_TOLERANCE, rate_mismatch, select_model
from nwb_cascade.core.spike_counts import find_count_model
from nwb_cascade.core.wording import ranged
from nwb_cascade.errors import InputError
from nwb_cascade.models.bundle import Model
from nwb_cascade.models.folders import IMPORTED_FROM
from nwb_cascade.models.library import installed_models, load_model
from nwb_cascade.options import InferenceOptions

MOST_CALIBRATION_BYTES = 2**20
PUBLISHED_BEFORE = "published_before_frames"  # in the record of an imported model: where Cascade writes its output


@dataclass(frozen=True, eq=False)
class InferenceRun:
    """A model made ready for one recording, with everything that decides the numbers.

    Parameters
    ----------
    model : Model
        The model.
    reason : str
        Why this one, in words.
    networks : NetworkSet
        Its networks, callable; built when the first is asked for, so that what computes nothing needs no TensorFlow.
    imaging_rate : float
        Rate of the recording, Hz.
    indicator : str or None
        Canonical name of the recording's indicator; for a ``conditional`` model the indicator that it was told.
    threshold : str
        One of ``nwb_cascade.core.thresholds.THRESHOLDS``.
    alignment : {"trained", "published"}
        ``trained``: values stand at the frame that the network was trained for. ``published``: one frame earlier,
        as Cascade writes them.
    kernel, smoothing_s : str, float
        Smoothing that the expected spikes carry.
    noise_level : float or None
        What the networks are told of every ROI, % Hz^-1/2; None: what its trace shows.
    notes : tuple of str
        What to know about the run, one sentence each.
    calibration : Calibration or None
        Gain of the preparation, for counts and their intervals.
    """

    model: Model
    reason: str
    networks: NetworkSet
    imaging_rate: float
    indicator: str | None
    threshold: str
    alignment: str
    kernel: str
    smoothing_s: float
    noise_level: float | None = None
    notes: tuple[str, ...] = ()
    calibration: Calibration | None = None

    def at_rate(self, imaging_rate: float) -> InferenceRun:
        """Return the run for traces of another rate, Hz."""
        if imaging_rate == self.imaging_rate:
            return self
        config, weights = self.model.config, self.model.weights
        networks = build_networks(config, weights, imaging_rate=imaging_rate, indicator=self.indicator)
        return replace(self, networks=networks, imaging_rate=imaging_rate)

    @property
    def count_model(self) -> CountModel | None:
        """Distribution of the spike counts; None if none was fitted for the model."""
        found = find_count_model(self.model.config.extra, self.indicator)
        return found if found is None or self.calibration is None else self.calibration.applied(found)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What, beside the traces, decides the numbers; JSON-able."""
        return {
            "model": self.model.config.name,
            "weights_sha256": self.model.sha256,
            "imaging_rate_hz": self.imaging_rate,
            "indicator": self.indicator,
            "threshold": self.threshold,
            "alignment": self.alignment,
            "kernel": self.kernel,
            "smoothing_s": self.smoothing_s,
            **({} if self.noise_level is None else {"noise_level": self.noise_level}),
            **({} if self.calibration is None else {"calibration": self.calibration.to_dict()}),
            **({} if self.networks.reading.record is None else {"rest_level": self.networks.reading.record}),
        }


def prepare_run(imaging_rate: float, options: InferenceOptions) -> InferenceRun:
    """Select and load a model for a recording of this rate (Hz); errors as for ``infer``."""
    loaded, reason = choose_model(options.model, imaging_rate, canonical_indicator(options.indicator))
    config = loaded.config
    architecture = architecture_of(config)
    told = architecture.told(options.indicator, config, options.species)
    reason = f"{reason} {told.sentence}".rstrip()
    own = (config.kernel, config.smoothing_s)
    smoothing_s = config.smoothing_s if options.smoothing_s is None else float(options.smoothing_s)
    wanted = (options.kernel or config.kernel, smoothing_s)
    if not architecture.takes_any_kernel and wanted != own:
        raise InputError(
            f"Expected the smoothing that {config.name} was trained for ({own[0]}, {own[1]:g} s), received "
            f"{wanted[0]}, {wanted[1]:g} s; leave it out, or use a conditional model, which takes any."
        )
    if options.legacy_alignment and PUBLISHED_BEFORE not in config.extra:
        raise InputError(f"Expected no legacy alignment for {config.name}: only published Cascade models have one.")
    smoothing_kernel(*wanted, imaging_rate)
    networks = build_networks(config, loaded.weights, imaging_rate=imaging_rate, indicator=told.indicator)
    alignment = "published" if options.legacy_alignment else "trained"
    return InferenceRun(
        loaded,
        reason,
        networks,
        imaging_rate,
        told.indicator,
        options.threshold,
        alignment,
        *wanted,
        options.noise_level,
        tuple(filter(None, [unknown_indicator(options.indicator)])) if architecture.is_told_rate else (),
        None if options.calibrate is None else _calibration(options.calibrate, loaded, told.indicator),
    )


def _calibration(path: str | PathLike[str], model: Model, indicator: str | None) -> Calibration:
    """Read a calibration and make sure that it is for this model and indicator."""
    with open(path, "rb") as file:
        text = file.read(MOST_CALIBRATION_BYTES).decode("utf-8", errors="replace")
    found = Calibration.from_json(text, str(path))
    if find_count_model(model.config.extra, indicator) is None:
        raise InputError(f"Expected a model with intervals of counts for {path}, received {model.config.name}.")
    if (found.weights_sha256, found.indicator) != (model.sha256, indicator):
        raise InputError(
            f"Expected the calibration {path} to be for {model.config.name} and {indicator or 'no indicator'}, it was "
            f"made for {found.model} and {found.indicator or 'no indicator'}: make one with nwb-cascade calibrate."
        )
    return found


def choose_model(
    model: str | PathLike[str] | Model, imaging_rate: float, indicator: str | None = None
) -> tuple[Model, str]:
    """Return the model that is asked for, or the installed one that fits a recording best, and the reason for it."""
    if model == "auto":
        fitting = [config for config in installed_models() if architecture_of(config).serves_recordings]
        selection = select_model(fitting, imaging_rate, indicator)
        return load_model(selection.config.name), selection.reason
    loaded = model if isinstance(model, Model) else load_model(model)
    reason = f"{loaded.config.name} was asked for."
    if published := loaded.config.extra.get(IMPORTED_FROM):
        reason += f" It was imported from the published folder {published}."
    if rate_mismatch(loaded.config, imaging_rate) > RATE_TOLERANCE:
        trained = ranged(*loaded.config.model_rates_hz)
        reason += f" It was trained for {trained} Hz, the recording has {imaging_rate:g} Hz: expect wrong amplitudes."
    return loaded, reason


def require_rates(run: InferenceRun, clock: FrameClock) -> None:
    """Raise InputError if a model was not trained for the rate of every stretch of a recording."""
    for stretch in clock.stretches if len(clock.imaging_rates) > 1 else ():
        if rate_mismatch(run.model.config, stretch.imaging_rate) > RATE_TOLERANCE:
            trained = ranged(*run.model.config.model_rates_hz)
            raise InputError(
                f"Expected rates of {trained} Hz, for which {run.model.config.name} was trained, but frames "
                f"{stretch.first} to {stretch.stop - 1} were taken at {stretch.imaging_rate:.4g} Hz. Use a conditional "
                "model, which takes other rates, or split the recording."
            )
