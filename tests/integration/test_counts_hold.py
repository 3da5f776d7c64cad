"""The number of spikes holds whichever baseline convention made the dF/F, and silence is silent."""

from __future__ import annotations

import numpy as np
import pytest

from ground_truth_nwb.simulate import simulate_population
from nwb_cascade import infer
from nwb_cascade.core.noise import noise_std
from nwb_cascade.dff import DffMethod, compute_dff

RATE = 30.0


def total(dff: np.ndarray, indicator: str | None) -> float:
    return float(np.nansum(infer(dff, RATE, indicator=indicator).expected_spikes))


def population(indicator: str, noise_level: float = 2.0) -> np.ndarray:
    rng = np.random.default_rng(3)
    return simulate_population(
        rng, 6, indicator=indicator, imaging_rate=RATE, duration_s=180.0, noise_level=noise_level
    )[0]


@pytest.mark.parametrize("indicator", ["GCaMP6f", "jGCaMP8s"])
def test_counts_do_not_depend_on_f0_and_hardly_on_a_constant(indicator):
    dff = population(indicator)
    before = total(dff, indicator)
    for factor in (0.75, 1.25):
        assert total(factor * (1 + dff) - 1, indicator) == pytest.approx(before, rel=0.05)
    for constant in (-0.2, 0.1, 0.3):
        assert total(dff + constant, indicator) == pytest.approx(before, rel=0.35)
    drifting = np.linspace(0.85, 1.15, dff.shape[1], dtype=np.float32) * (1 + dff) - 1
    assert total(drifting, indicator) == pytest.approx(before, rel=0.15)


def test_bleaching_and_an_offset_keep_the_counts_within_a_fifth():
    """A line or all light fading by 60 %, and a rest level of 0.2, against the trace without them."""
    rng = np.random.default_rng(0)
    dff = rng.normal(0, 0.1, (6, 3000)).astype(np.float32)
    for roi, starts in enumerate(rng.integers(0, 2850, (6, 33))):
        for start in starts:
            dff[roi, start : start + 150] += 0.5 * np.exp(-np.arange(150) / 12)
    before, line = total(dff, "GCaMP6f"), np.linspace(0, 0.6, 3000, dtype=np.float32)
    for changed in (dff - line, (1 - line) * (1 + dff) - 1, dff + np.float32(0.2)):
        assert total(changed, "GCaMP6f") == pytest.approx(before, rel=0.2)


@pytest.mark.parametrize("noise_level", [2.0, 6.0])
@pytest.mark.parametrize("indicator", ["GCaMP6f", "jGCaMP8m"])
def test_counts_from_raw_fluorescence_are_those_from_the_df_f_it_was_made_from(indicator, noise_level):
    dff = population(indicator, noise_level)
    raw = compute_dff(800 * (1 + dff), RATE, DffMethod(neuropil="none")).dff
    assert total(raw, indicator) == pytest.approx(total(dff, indicator), rel=0.15)


@pytest.mark.parametrize("indicator", [None, "GCaMP6f", "GCaMP6s", "jGCaMP8m"])
def test_noise_has_no_spikes_and_is_said_to_hold_none(indicator):
    rng = np.random.default_rng(0)
    for level, most in ((2.0, 0.05), (5.0, 0.1), (9.0, 0.1)):
        noise = (noise_std(level, RATE) * rng.standard_normal((6, 5400))).astype(np.float32)
        result = infer(noise, RATE, indicator=indicator)
        assert RATE * float(result.expected_spikes.mean()) < most
        assert sum(warning.code == "no-events" for warning in result.warnings) >= 4
