"""The picture on the first page of the documentation: one simulated neuron, what was inferred, and its true spikes.

    python -m scripts.picture_of_start [--output docs/start.png]

Needs matplotlib (the extra ``report``). Run it when the bundled ensemble has changed, and look at the picture.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ground_truth_nwb.simulate import simulate_population
from nwb_cascade.inference import infer

RATE_HZ, DURATION_S, NOISE_LEVEL, INDICATOR = 30.0, 25.0, 2.0, "GCaMP6f"
BLACK, BLUE, RED = "#222222", "#0072b2", "#d55e00"


def main() -> None:
    """Simulate a neuron, infer, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/start.png"))
    options = parser.parse_args()
    dff, spikes = simulate_population(
        np.random.default_rng(4),
        1,
        indicator=INDICATOR,
        imaging_rate=RATE_HZ,
        duration_s=DURATION_S,
        firing_rate_hz=0.8,
        noise_level=np.full(1, NOISE_LEVEL),
    )
    result = infer(dff, RATE_HZ, indicator=INDICATOR)
    times = np.arange(dff.shape[1]) / RATE_HZ
    figure = Figure(figsize=(9, 3.6), layout="constrained", dpi=150)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 3))
    above.plot(times, dff[0], color=BLACK, linewidth=0.8)
    above.set_ylabel("dF/F")
    above.set_title(f"{INDICATOR}, {RATE_HZ:g} Hz, noise level {NOISE_LEVEL:g}", loc="left", fontsize=9)
    below.fill_between(times, result.expected_spikes[0], color=BLUE, alpha=0.35, linewidth=0)
    below.plot(times, result.expected_spikes[0], color=BLUE, linewidth=1.0, label="expected spikes per frame")
    below.vlines(spikes[0], -0.16, -0.04, color=RED, linewidth=1.2, label="true spikes")
    below.set(ylabel="spikes per frame", xlabel="time (s)", xlim=(0, DURATION_S))
    below.legend(loc="upper right", frameon=False, fontsize=8, ncols=2)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(options.output)
    counted = f"{np.nansum(result.expected_spikes):.1f} spikes expected, {len(spikes[0])} simulated"
    print(f"{options.output}: {counted}, {options.output.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
