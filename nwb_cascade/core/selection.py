"""Which model for this recording: by imaging rate and, where known, indicator; the reason in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.wording import ranged
from nwb_cascade.errors import NoModelError

RATE_TOLERANCE = 0.05  # a network with kinetics 5 % off still fits; farther ones do not


@dataclass(frozen=True)
class Selection:
    """A chosen model and the reason for it, one sentence."""

    config: ModelConfig
    reason: str


def rate_mismatch(config: ModelConfig, imaging_rate: float) -> float:
    """Relative distance of an imaging rate (Hz) from those that the model was trained for; 0 within them."""
    low, high = config.model_rates_hz
    nearest = min(max(imaging_rate, low), high)
    return abs(imaging_rate - nearest) / imaging_rate


def select_model(configs: Sequence[ModelConfig], imaging_rate: float, indicator: str | None = None) -> Selection:
    """Pick the model that fits a recording best.

    Only models within 5 % of the imaging rate are considered. Among them one for a range of rates comes first (it
    is evaluated at the recording's own), then one trained on the recording's indicator and nothing else, then
    one trained on it among others, then the nearest rate; the name decides what is left.

    Parameters
    ----------
    configs : sequence of ModelConfig
        The models at hand.
    imaging_rate : float
        Rate of the recording, Hz.
    indicator : str, optional
        Canonical name of the recording's indicator.

    Returns
    -------
    Selection
        The model and the reason.

    Raises
    ------
    NoModelError
        If no model fits; the message names the nearest ones.
    """
    fitting = [config for config in configs if rate_mismatch(config, imaging_rate) <= RATE_TOLERANCE]
    if not fitting:
        raise NoModelError(_none_fits(configs, imaging_rate))

    def preference(config: ModelConfig) -> tuple[bool, int, float, str]:
        indicator_rank = _indicator_rank(config, indicator)
        return (config.model_rate is not None, indicator_rank, rate_mismatch(config, imaging_rate), config.name)

    best = min(fitting, key=preference)
    return Selection(best, _reason(best, imaging_rate, indicator, len(fitting)))


def _indicator_rank(config: ModelConfig, indicator: str | None) -> int:
    """0: trained on this indicator alone; 1: on it among others, or nothing to compare; 2: not on it."""
    if indicator is None or not config.indicators:
        return 1
    if indicator not in config.indicators:
        return 2
    return 0 if len(config.indicators) == 1 else 1


def _reason(config: ModelConfig, imaging_rate: float, indicator: str | None, n_fitting: int) -> str:
    low, high = config.model_rates_hz
    if config.model_rate is None:
        return f"{config.name} serves every imaging rate from {low:g} to {high:g} Hz, hence {imaging_rate:g} Hz."
    mismatch = 100 * rate_mismatch(config, imaging_rate)
    if indicator is None:
        known = "the indicator is not known"
    elif not config.indicators:
        known = "its indicators are not recorded"
    elif indicator in config.indicators:
        known = f"{indicator} is among its {len(config.indicators)} training indicators"
    else:
        known = f"it was not trained on {indicator}"
    others = f", chosen among {n_fitting} that fit" if n_fitting > 1 else ""
    return f"{config.name} was trained for {low:g} Hz, {mismatch:.2g} % from {imaging_rate:g} Hz; {known}{others}."


def _none_fits(configs: Sequence[ModelConfig], imaging_rate: float) -> str:
    wanted = f"Expected a model within {100 * RATE_TOLERANCE:g} % of {imaging_rate:g} Hz"
    if not configs:
        return f"{wanted}, but no model is installed. Get one with 'nwb-cascade models fetch' or 'models import'."
    nearest = sorted(configs, key=lambda config: rate_mismatch(config, imaging_rate))[:3]
    names = ", ".join(f"{config.name} ({ranged(*config.model_rates_hz)} Hz)" for config in nearest)
    return (
        f"{wanted}; the nearest installed models are {names}. Fetch or train one for this rate, "
        "or name one of these explicitly to use it all the same."
    )
