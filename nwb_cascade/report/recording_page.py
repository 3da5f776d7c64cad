"""The page about a recording but for its traces: what it says in words, and what its charts need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.architecture import Architecture
from nwb_cascade.architectures.registry import ARCHITECTURES
from nwb_cascade.core.indicators import unknown_indicator
from nwb_cascade.core.noise import noise_std
from nwb_cascade.core.roi_warnings import RoiWarning, warning_kinds
from nwb_cascade.core.wording import counted, rounded
from nwb_cascade.nwb.stored_run import StoredRun
from nwb_cascade.report.arrays import Packer
from nwb_cascade.report.coverage import Coverage, noise_coverage
from nwb_cascade.report.detail import PackedRoi, noise_units
from nwb_cascade.report.distributions import Histogram, histogram_of
from nwb_cascade.report.examples import Examples
from nwb_cascade.report.headline import KeyNumber, key_count, lasting
from nwb_cascade.report.page import Page, room_for_traces
from nwb_cascade.report.population import Population
from nwb_cascade.report.provenance import indicator_of, provenance_tables
from nwb_cascade.report.recording_rows import Seen

BACK = "here frames follow one another at the usual rate, and discrete spikes are not shown."
NAMES = {
    "rate": "expected spikes per frame",
    "rate_axis": "expected spikes<br>per frame",
    "spikes": "discrete spikes",
}


def page_of(
    run: StoredRun,
    packed: Sequence[PackedRoi],
    population: Population,
    examples: Examples | None,
    warnings: Sequence[RoiWarning],
) -> Page:
    """Return everything of the page but its traces."""
    model, (n_rois, _), packer = run.series.model, run.shape, Packer()
    kind = ARCHITECTURES.get(model.architecture)  # None: made by a later version
    coverage = noise_coverage(
        run.noise_levels,
        [float(level) for level in model.noise_levels[:]],
        quieter_is_covered=kind is not None and kind.network_per_level,
    )
    rates = population.observed.seen.mean_rates()
    histograms = _histograms(coverage, rates)
    return Page(
        template="recording.html",
        title=f"Inferred spikes of {run.path.name}",
        lead=f"{counted(n_rois, 'ROI')} at {run.clock.describe()}, {model.name}, run {run.series.name}.",
        headline=_headline(run, population.observed.seen, warnings),
        browser_title="Every ROI",
        browser_text=_browser_text(run, packed, population.observed.n_bytes),
        values={
            "provenance": provenance_tables(run),
            "n_rois": n_rois,
            "noise_text": _noise_text(coverage, n_rois),
            "warnings": warning_kinds(warnings),
            "notes": (*run.clock.notes, *_indicator_notes(run, kind), *population.absent),
            "raster_text": population.raster_text(run.imaging_rate),
            "raster_orders": population.order_names(),
            "map_text": population.map_text(),
            "map_colours": population.colour_names(),
            "event_text": population.event_text(),
            "event_kinds": population.event_kinds(),
            "distribution_text": _distribution_text(rates),
            "histograms": [one.element for one in histograms],
            "example_text": "" if examples is None else _example_text(examples),
        },
        facts={
            "has": _what_there_is(run),
            "names": NAMES,
            "histograms": [one.facts() for one in histograms],
            "raster": population.raster_facts(packer),
            "map": population.map_facts(packer),
            "events": population.event_facts(packer),
            "examples": None if examples is None else _example_facts(examples),
        },
        packer=packer,
    )


def _headline(run: StoredRun, seen: Seen, warnings: Sequence[RoiWarning]) -> tuple[KeyNumber, ...]:
    """How many ROIs and spikes there are, and of how many ROIs something is to be known first."""
    rates = seen.mean_rates()
    n_empty = int(np.isnan(rates).sum())
    rates = rates[np.isfinite(rates)]
    median = f"{rounded(float(np.median(rates)), 2)} spikes/s in the median ROI" if rates.size else "no ROI has a value"
    without = f"; {n_empty} without a value" if n_empty and rates.size else ""
    seconds = float((1 / run.clock.frame_rates).sum())
    numbers = [
        key_count(run.shape[0], "ROI", f"for {lasting(seconds)}{without}"),
        KeyNumber(f"{seen.activity.sum():,.0f}", "expected spikes", median),
    ]
    if run.spikes is not None:
        numbers.append(key_count(int(seen.n_spikes.sum()), "discrete spike"))
    n_warned = len({warning.roi for warning in warnings})
    return (*numbers, key_count(n_warned, "ROI with a warning", plural="ROIs with a warning"))


def _indicator_notes(run: StoredRun, kind: Architecture | None) -> tuple[str, ...]:
    """Say so if networks that are told of the indicator were told of none."""
    if kind is None or not kind.is_told_rate or run.parameters.get("indicator") is not None:
        return ()
    return tuple(filter(None, [unknown_indicator(indicator_of(run))]))


def _what_there_is(run: StoredRun) -> dict[str, bool]:
    return {
        "dff": run.dff is not None,
        "rate": True,
        "deviation": run.ensemble_std is not None,
        "spikes": run.spikes is not None and (run.clock.is_even or run.clock.knots() is not None),
    }


def _noise_text(coverage: Coverage, n_rois: int) -> str:
    """Noise levels in words."""
    parts = [
        f"{count} of {counted(n_rois, 'ROI')} {one if count == 1 else many} {what}"
        for count, (one, many), what in (
            (coverage.within, ("lies", "lie"), "within that"),
            (coverage.below, ("is", "are"), "quieter"),
            (coverage.above, ("is", "are"), "noisier: read with caution"),
            (coverage.unknown, ("has", "have"), "no noise level"),
        )
        if count
    ]
    median = f" The median is {rounded(coverage.median, 3)}." if np.isfinite(coverage.median) else ""
    return f"The model was trained for ν from {coverage.low:g} to {coverage.high:g}: {'; '.join(parts)}.{median}"


def _histograms(coverage: Coverage, rates: NDArray[np.float64]) -> list[Histogram]:
    """How mean rates (n_rois,) and noise levels are distributed."""
    noise = Histogram(
        "noise-chart",
        "noise level ν (% Hz<sup>−1/2</sup>); dotted: levels of the model",
        "ROIs",
        coverage.edges.tolist(),
        {"the model was trained for this": coverage.covered.tolist(), "it was not": coverage.uncovered.tolist()},
        lines=coverage.model_levels,
        column="noise",
    )
    found = histogram_of(rates, "rate-chart", "mean rate (spikes/s)", "ROIs", is_log=True, column="rate")
    return [noise] if found is None else [found, noise]


def _distribution_text(rates: NDArray[np.float64]) -> str:
    """What the charts of rates and counts show and leave out."""
    known = rates[np.isfinite(rates)]
    parts = []
    if n_zero := int((known <= 0).sum()):
        parts.append(
            f"{counted(n_zero, 'ROI')} with a mean rate of 0 {'is' if n_zero == 1 else 'are'} not in its chart."
        )
    if known.size:
        low, median, high = (rounded(float(one), 2) for one in np.percentile(known, (10, 50, 90)))
        parts.append(
            f"Mean rates: 10 % of the ROIs are below {low}, half of them below {median}, 90 % below {high} spikes/s."
        )
    return " ".join(parts)


def _example_text(examples: Examples) -> str:
    """Where the examples come from and what was done to them."""
    return (
        f"{examples.source} Brought to {rounded(examples.imaging_rate, 5)} Hz and to noise levels of this recording "
        "(10th, 50th and 90th percentile of its ROIs)."
    )


def _example_facts(examples: Examples) -> dict[str, Any]:
    """Plain values for the chart; each heading tells a noise level and what it means for one frame."""
    per_frame = [100 * noise_std(level, examples.imaging_rate) for level in examples.noise_levels]
    return {
        "imaging_rate": examples.imaging_rate,
        "noise_levels": list(examples.noise_levels),
        "headings": [
            f"ν = {level:g}: frame noise {rounded(percent, 2)} % dF/F"
            for level, percent in zip(examples.noise_levels, per_frame, strict=True)
        ],
        "cells": [
            {
                "name": cell.name,
                "panels": [
                    panel
                    and {
                        "dff": [round(float(value), 4) if np.isfinite(value) else None for value in panel.dff],
                        "spikes": [round(float(time), 4) for time in panel.spike_times_s],
                    }
                    for panel in cell.panels
                ],
            }
            for cell in examples.cells
        ],
    }


def _browser_text(run: StoredRun, packed: Sequence[PackedRoi], n_bytes_of_maps: int) -> str:
    """What the page holds of the traces, plainly."""
    held = Counter(one.frames_per_step for one in packed)
    full = held.pop(1, 0)
    if not held:
        what = "This page holds every frame of every ROI."
    else:
        step = next(iter(held))
        what = (
            f"This page holds every frame of {full} of {counted(len(packed), 'ROI')} (those asked for, then those with "
            f"most expected spikes), and of the others the smallest and largest value of every {step} frames "
            f"({rounded(step / run.imaging_rate, 2)} s): all of them would not fit into one page."
        )
    rounding = "Rates are rounded to 1/250 of the largest of their ROI"
    if run.dff is not None:
        n_rois, n_frames = run.shape
        units = noise_units(n_rois * n_frames, room_for_traces(n_rois, n_bytes_of_maps))
        rounding = f"dF/F is rounded to 1/{units} of the noise of a frame, rates to 1/250 of the largest of their ROI"
    back = "" if run.clock.is_even or run.clock.knots() else f"The clock of the file goes back: {BACK}"
    return " ".join(filter(None, (what, f"{rounding}.", back, run.dff_absent)))
